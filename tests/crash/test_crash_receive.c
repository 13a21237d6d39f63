/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_crash_receive.c - a replica after a crash of the receiver behind every system call.
 *
 * Whatever a crash leaves is a store for a strict reader, as it was after some record of the
 * sender's, and not before the last mark that was taken; and a stream goes on from there.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/stream.h"
#include "store/store.h"
#include "tests/support/crashio.h"
#include "tests/support/history.h"
#include "tests/support/transfer.h"
#include "whole/receive.h"

enum { KEYS = 9, MARKS_MAX = 100 };

struct scene {
	struct transfer pair;
	struct crashio crash; /* of the replica's directory */
	struct dw_receive *receive;
	struct dw_send *send;
	struct io quick; /* which does not wait for the disk */
	struct rng rng;
	struct model views[OPS_MAX]; /* after so many records */
	size_t count;
	struct {
		size_t event, records; /* from this event on so many records are there */
	} marks[MARKS_MAX];
	size_t mark_count;
};

static int no_sync(struct io *io, int fd)
{
	(void)io;
	(void)fd;
	return 0;
}

static struct scene *scene_new(uint64_t segment_size)
{
	struct scene *s = calloc(1, sizeof *s);

	CHECK(s != NULL);
	s->pair = transfer_pair(segment_size);
	s->quick = io_posix;
	s->quick.fsync = s->quick.fdatasync = no_sync;
	s->rng = check_rng();
	crashio_init(&s->crash, s->pair.to);
	CHECK_EQ(receive_open(&s->crash.io, s->pair.to, NULL, &s->receive), 0);
	s->send = transfer_sender(s->pair.from, NULL, NULL);
	return s;
}

static void scene_free(struct scene *s)
{
	dw_send_close(s->send);
	dw_receive_close(s->receive);
	stores_close(s->pair.store);
	for (size_t i = 0; i <= s->count; i++)
		model_release(&s->views[i]);
	crashio_release(&s->crash);
	free(s);
}

/* A put or a delete. */
static void change(struct scene *s, size_t size_max)
{
	char key[16];
	size_t size = rng_below(&s->rng, size_max);
	uint8_t *value = stores_noise(s->count, size + 1);

	(void)snprintf(key, sizeof key, "key %d", (int)rng_below(&s->rng, KEYS));
	CHECK(s->count + 1 < OPS_MAX);
	model_copy(&s->views[s->count], &s->views[s->count + 1]);
	s->count++;
	if (rng_below(&s->rng, 4)) {
		const struct dw_bytes bytes = {value, size};
		CHECK_EQ(dw_put(s->pair.store, stores_bytes(key), bytes), 0);
		model_put(&s->views[s->count], stores_bytes(key), bytes);
	} else {
		CHECK_EQ(dw_delete(s->pair.store, stores_bytes(key)), 0);
		model_delete(&s->views[s->count], stores_bytes(key));
	}
	free(value);
}

static void pump(struct scene *s)
{
	CHECK_EQ(transfer_pump(s->send, s->receive), 0);
	CHECK(s->mark_count < MARKS_MAX);
	s->marks[s->mark_count].event = s->crash.count;
	s->marks[s->mark_count++].records = s->count;
}

/* Records that must be there behind `point` events. */
static size_t marked_at(const struct scene *s, size_t point)
{
	size_t records = 0;

	for (size_t i = 0; i < s->mark_count && s->marks[i].event <= point; i++)
		records = s->marks[i].records;
	return records;
}

static bool has_file(const struct files *files, const char *name)
{
	for (size_t i = 0; i < files->count; i++)
		if (!strcmp(files->items[i].name, name))
			return true;
	return false;
}

/* A reader, which changes nothing, finds a moment. */
static void check_reader(const struct scene *s, const char *dir, size_t least)
{
	const struct dw_options options = {.read_only = true};
	struct dw_report report;
	struct dw_store *store = NULL;

	CHECK_EQ(dw_open(dir, &options, &report, &store), 0);
	CHECK(report.last_txid >= least);
	CHECK(report.last_txid <= s->count);
	CHECK(history_same_view(&s->views[report.last_txid], store));
	stores_close(store);
}

/* A stream goes on from there, and ends with the same segments. */
static void check_resumes(struct scene *s, const char *dir)
{
	struct dw_receive *before = NULL;
	struct dw_send *send = NULL;
	char *have = NULL;

	CHECK_EQ(receive_open(&s->quick, dir, NULL, &before), 0);
	CHECK_EQ(dw_receive_have(before, &have), 0);
	dw_receive_close(before);
	const struct dw_send_options options = {.have = have};
	int rc = send_open(&s->quick, s->pair.from, &options, &send);
	free(have);
	if (rc == -ESTALE) /* its end was compacted away meanwhile */
		return;
	CHECK_EQ(rc, 0);
	struct dw_receive *receive = NULL;
	CHECK_EQ(receive_open(&s->quick, dir, NULL, &receive), 0);
	rc = transfer_pump(send, receive);
	dw_receive_close(receive);
	dw_send_close(send);
	if (rc == -ESTALE)
		return;
	CHECK_EQ(rc, 0);
	transfer_expect_same(s->pair.from, dir);
}

static void check_crash(struct scene *s, const char *dir, size_t point, enum crash_policy policy,
			size_t cut)
{
	struct files files;

	crashio_rebuild(&s->crash, point, policy, cut, &s->rng, &files);
	history_empty_dir(dir);
	files_restore(&files, dir);
	size_t least = marked_at(s, point);
	struct files segments = transfer_segments(dir);
	if (!has_file(&files, ".receiving") && segments.count)
		check_reader(s, dir, least);
	else
		CHECK_EQ(least, 0);
	files_release(&segments);
	files_release(&files);
	check_resumes(s, dir);
}

static void check_crashes(struct scene *s, enum crash_policy most, int tries)
{
	const char *dir = transfer_dir();

	for (size_t point = 0; point <= s->crash.count; point++) {
		const struct crash_event *write = crashio_last_write(&s->crash, point);
		for (enum crash_policy policy = CRASH_KEEP_ALL; policy <= most; policy++) {
			size_t size = write ? write->data.size : 0;
			if (policy == CRASH_TORN && !size)
				continue;
			int count = policy >= CRASH_PREFIX ? tries : 1;
			for (int i = 0; i < count; i++)
				check_crash(s, dir, point, policy,
					    size ? rng_below(&s->rng, size) : 0);
		}
	}
}

/* Appends and rotations. */
static void test_receive(void)
{
	struct scene *s = scene_new(2000);

	for (int i = 0; i < 14; i++) {
		for (size_t n = 1 + rng_below(&s->rng, 6); n; n--)
			change(s, i % 3 ? 40 : 700);
		if (i % 5 == 4)
			CHECK_EQ(dw_rotate(s->pair.store), 0);
		pump(s);
	}
	check_crashes(s, CRASH_SECTORS, 4);
	scene_free(s);
}

/* What compactions did is done there, too. */
static void test_compacted(void)
{
	struct scene *s = scene_new(1200);

	for (int i = 0; i < 9; i++) {
		for (int n = 0; n < 7; n++)
			change(s, 300);
		if (i % 2 || i % 3 == 2 || i == 6)
			pump(s);
		if (i % 3 == 2)
			CHECK_EQ(dw_compact_with(s->pair.store,
						 &(struct dw_compact_options){.dead_percent = 30},
						 NULL),
				 0);
		if (i == 6)
			CHECK_EQ(dw_compact(s->pair.store, NULL), 0);
		pump(s);
	}
	check_crashes(s, CRASH_SECTORS, 3);
	scene_free(s);
}

/* More than is held in memory. */
static void test_long(void)
{
	struct scene *s = scene_new(0);

	change(s, 1000);
	pump(s);
	for (int i = 0; i < 10; i++) {
		const size_t size = 900 << 10;
		uint8_t *noise = stores_noise((uint64_t)i, size);
		const struct dw_bytes value = {noise, size};
		CHECK_EQ(dw_put(s->pair.store, stores_bytes("long"), value), 0);
		model_copy(&s->views[s->count], &s->views[s->count + 1]);
		model_put(&s->views[++s->count], stores_bytes("long"), value);
		free(noise);
	}
	pump(s);
	check_crashes(s, CRASH_SUBSET, 1);
	scene_free(s);
}

/* The sender must not lose what the replica has: so a sync comes before each mark. */
static void test_syncs_first(void)
{
	const char *from = transfer_dir();
	struct dw_store *store = stores_open(from, 0);
	struct crashio crash;
	struct dw_send *send = NULL;
	struct dw_bytes bytes;
	size_t marks = 0, data_at = 0;
	bool unmarked = false;

	transfer_put(store, 0, 3);
	crashio_init(&crash, from);
	CHECK_EQ(send_open(&crash.io, from, NULL, &send), 0);
	for (int i = 0; i < 4; i++) {
		transfer_put(store, 3 + i, 4 + i);
		while (dw_send_next(send, &bytes) == 1) {
			struct stream_frame frame;
			CHECK(stream_frame_decode(bytes.data, &frame));
			if (frame.type == STREAM_DATA) {
				data_at = crash.count;
				unmarked = true;
			}
			if (frame.type != STREAM_MARK || !unmarked)
				continue;
			bool synced = false;
			for (size_t at = data_at; at < crash.count; at++)
				synced = synced || crash.events[at].kind == CRASH_SYNC;
			CHECK(synced);
			unmarked = false;
			marks++;
		}
	}
	CHECK_EQ(marks, 4);
	dw_send_close(send);
	stores_close(store);
	crashio_release(&crash);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"crash_receive", test_receive},
		{"crash_receive_compacted", test_compacted},
		{"crash_receive_long", test_long},
		{"send_syncs_first", test_syncs_first},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
