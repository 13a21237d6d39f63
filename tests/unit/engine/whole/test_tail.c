/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_tail.c - following a log.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "store/store.h"
#include "tests/support/follower.h"
#include "whole/tail.h"

static struct dw_tail *open_tail(const char *dir, const struct dw_position *since)
{
	struct dw_tail *tail = NULL;

	CHECK_EQ(dw_tail_open(dir, since, NULL, &tail), 0);
	return tail;
}

static void expect_end(struct dw_tail *tail)
{
	struct dw_change change;

	CHECK_EQ(dw_tail_next(tail, &change), 0);
}

/* The next one is a record of that txid, type, key and value (NULL: a Delete). */
static struct dw_position expect(struct dw_tail *tail, uint64_t txid, const char *key,
				 const char *value)
{
	struct dw_change change = {0};
	char bytes[100];

	CHECK_EQ(dw_tail_next(tail, &change), 1);
	CHECK_EQ(change.kind, DW_CHANGE_RECORD);
	CHECK_EQ(change.position.txid, txid);
	CHECK_EQ(change.type, value ? DW_PUT : DW_DELETE);
	CHECK(change.key.size == strlen(key) && !memcmp(change.key.data, key, strlen(key)));
	CHECK_EQ(change.value_size, value ? strlen(value) : 0);
	CHECK_EQ(dw_tail_read(tail, bytes, sizeof bytes, 0), change.value_size);
	CHECK(!value || !memcmp(bytes, value, strlen(value)));
	CHECK(clock_now_ns() - change.mtime_ns < 100 * CLOCK_SECOND_NS);
	return change.position;
}

/* The next ones are a RESET for that reason, `keys` keys, READY. */
static struct dw_change expect_reset(struct dw_tail *tail, enum dw_reset reset, int keys)
{
	struct dw_change first, change;
	int rc, count = 0;

	CHECK_EQ(dw_tail_next(tail, &first), 1);
	CHECK_EQ(first.kind, DW_CHANGE_RESET);
	CHECK_EQ(first.reset, reset);
	while ((rc = dw_tail_next(tail, &change)) == 1 && change.kind == DW_CHANGE_STATE)
		count++;
	CHECK_EQ(rc, 1);
	CHECK_EQ(change.kind, DW_CHANGE_READY);
	CHECK_EQ(count, keys);
	return first;
}

static void test_follows(void)
{
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, 0);
	struct dw_tail *tail = open_tail(dir, NULL);

	expect_end(tail);
	stores_put(store, "a", "1");
	stores_put(store, "b", "two");
	expect(tail, 1, "a", "1");
	expect(tail, 2, "b", "two");
	expect_end(tail);
	stores_delete(store, "a");
	expect(tail, 3, "a", NULL);
	CHECK_EQ(dw_rotate(store), 0);
	expect_end(tail);
	stores_put(store, "c", "");
	CHECK_EQ(dw_rotate(store), 0);
	CHECK_EQ(dw_rotate(store), 0);
	stores_put(store, "d", "4");
	expect(tail, 4, "c", "");
	expect(tail, 5, "d", "4");
	expect_end(tail);
	stores_close(store);
	expect_end(tail);
	store = stores_open(dir, 0);
	stores_put(store, "e", "5");
	expect(tail, 6, "e", "5");
	dw_tail_free(tail);
	stores_close(store);
}

/* From each position on, however much of it is known, come just the records behind it. */
static void test_positions(void)
{
	enum { RECORDS = 30 };
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, 0);
	struct dw_position positions[RECORDS + 1] = {{0}};
	char key[20], text[DW_POSITION_TEXT_SIZE];

	for (int i = 1; i <= RECORDS; i++) {
		(void)snprintf(key, sizeof key, "%d", i);
		stores_put(store, key, key);
		if (i % 7 == 0)
			CHECK_EQ(dw_rotate(store), 0);
	}
	struct dw_tail *tail = open_tail(dir, NULL);
	for (unsigned i = 1; i <= RECORDS; i++) {
		(void)snprintf(key, sizeof key, "%u", i);
		positions[i] = expect(tail, i, key, key);
	}
	dw_tail_free(tail);
	for (unsigned from = 0; from <= RECORDS; from++)
		for (int known = 0; known < 3; known++) {
			struct dw_position since = positions[from];
			since.crc = known < 2 ? 0 : since.crc;
			if (!known)
				since = (struct dw_position){.txid = since.txid};
			dw_position_text(&since, text);
			CHECK_EQ(dw_position_parse(text, &since), 0);
			tail = open_tail(dir, &since);
			for (unsigned i = from + 1; i <= RECORDS; i++) {
				(void)snprintf(key, sizeof key, "%u", i);
				expect(tail, i, key, key);
			}
			expect_end(tail);
			dw_tail_free(tail);
		}
	stores_close(store);
}

static void test_from_now_and_state(void)
{
	static const struct dw_tail_options now = {.from_now = true}, state = {.from_state = true};
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, 0);
	struct dw_tail *a, *b, *c;

	CHECK_EQ(dw_tail_open(dir, NULL, &now, &c), 0);
	stores_put(store, "a", "1");
	stores_put(store, "b", "1");
	stores_delete(store, "a");
	CHECK_EQ(dw_rotate(store), 0);
	CHECK_EQ(dw_tail_open(dir, NULL, &now, &a), 0);
	CHECK_EQ(dw_tail_open(dir, NULL, &state, &b), 0);
	expect_end(a);
	expect_reset(b, DW_RESET_ASKED, 1);
	expect_end(b);
	stores_put(store, "c", "1");
	expect(a, 4, "c", "1");
	expect(b, 4, "c", "1");
	expect(c, 1, "a", "1");
	dw_tail_free(a);
	dw_tail_free(b);
	dw_tail_free(c);
	stores_close(store);
}

/* A tail that has all there is meets no gap, whatever is compacted. */
static void test_compaction(void)
{
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, 0);
	struct dw_tail *tail = open_tail(dir, NULL), *late = open_tail(dir, NULL);
	struct dw_position at;

	stores_put(store, "a", "1");
	stores_put(store, "a", "2");
	stores_put(store, "b", "1");
	expect(tail, 1, "a", "1");
	expect(tail, 2, "a", "2");
	at = expect(tail, 3, "b", "1");
	CHECK_EQ(dw_compact(store, NULL), 0);
	expect_end(tail);
	stores_put(store, "c", "1");
	expect(tail, 4, "c", "1");
	expect_end(tail);
	/* one that was not open and comes back, its place gone */
	struct dw_tail *back = open_tail(dir, &at);
	expect(back, 4, "c", "1");
	expect_end(back);
	dw_tail_free(back);
	/* one that has not come so far is told that history is gone, and what there is */
	struct dw_change gap = expect_reset(late, DW_RESET_COMPACTED, 3);
	CHECK_EQ(gap.missing_from, 1);
	CHECK_EQ(gap.missing_to, 1);
	expect_end(late);
	stores_put(store, "d", "1");
	expect(late, 5, "d", "1");
	expect(tail, 5, "d", "1");
	dw_tail_free(late);
	dw_tail_free(tail);
	stores_close(store);
}

/* A compaction of the oldest segment alone puts its copies behind a younger one. */
static void test_out_of_order(void)
{
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, 0);
	const struct dw_compact_options options = {.dead_percent = 30};
	struct dw_compact_report report;
	struct dw_position at;

	stores_put(store, "dead", "0123456789012345678901234567890123456789");
	stores_put(store, "a", "1");
	stores_put(store, "b", "1");
	CHECK_EQ(dw_rotate(store), 0);
	stores_put(store, "dead", "2");
	stores_put(store, "c", "1");
	CHECK_EQ(dw_rotate(store), 0);
	stores_put(store, "d", "1");
	struct dw_tail *tail = open_tail(dir, NULL);
	at = expect(tail, 1, "dead", "0123456789012345678901234567890123456789");
	dw_tail_free(tail);
	CHECK_EQ(dw_compact_with(store, &options, &report), 0);
	CHECK_EQ(report.segments_before, 1);
	tail = open_tail(dir, &at);
	for (int i = 0; i < 2; i++) { /* the second time from the middle of the copies */
		if (!i)
			at = expect(tail, 2, "a", "1");
		expect(tail, 3, "b", "1");
		expect(tail, 4, "dead", "2");
		expect(tail, 5, "c", "1");
		expect(tail, 6, "d", "1");
		expect_end(tail);
		dw_tail_free(tail);
		tail = open_tail(dir, &at);
	}
	dw_tail_free(tail);
	stores_close(store);
}

/* --- ends that are no records --- */

static void append_bytes(const char *dir, const void *bytes, size_t size)
{
	int fd = open(stores_path(dir, "00000001.dwal"), O_WRONLY | O_APPEND | O_CLOEXEC);

	CHECK(fd >= 0);
	CHECK_EQ(write(fd, bytes, size), size);
	(void)close(fd);
}

/* A guard, zeros ahead, a part of a record: nothing of them is given, and records over them are. */
static void test_unfinished(void)
{
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, 0);
	static const uint8_t zeros[5000];
	struct dw_tail *tail = open_tail(dir, NULL);

	for (unsigned i = 1; i <= 40; i++) { /* the writer puts up a guard */
		stores_put(store, "a", "1");
		CHECK_EQ(dw_sync(store), 0);
		expect(tail, i, "a", "1");
		expect_end(tail);
	}
	CHECK(store->core->log.prealloc.on);
	stores_kill(store);
	expect_end(tail);
	store = stores_open(dir, 0); /* takes the guard down */
	stores_put(store, "b", "1");
	expect(tail, 41, "b", "1");
	stores_kill(store);
	append_bytes(dir, "DWAL\1\0\1\0\52\0\0\0\0\0\0\0\1\0\0\0\1\0\0\0k", 25);
	expect_end(tail);
	store = stores_open(dir, 0); /* cuts the torn record off */
	stores_put(store, "c", "1");
	expect(tail, 42, "c", "1");
	stores_kill(store);
	append_bytes(dir, zeros, sizeof zeros);
	expect_end(tail);
	store = stores_open(dir, 0);
	stores_put(store, "d", "1");
	expect(tail, 43, "d", "1");
	dw_tail_free(tail);
	stores_close(store);
}

static void note_damage(void *context, const struct dw_finding *finding)
{
	*(struct dw_finding *)context = *finding;
}

static void test_damage(void)
{
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, 0);
	struct dw_finding finding = {0};
	const struct dw_tail_options options = {.on_finding = note_damage, .context = &finding};
	struct dw_change change;
	struct dw_tail *tail;

	stores_put(store, "a", "1");
	CHECK_EQ(dw_rotate(store), 0);
	stores_put(store, "b", "1");
	stores_close(store);
	CHECK_EQ(truncate(stores_path(dir, "00000001.dwal"), 20), 0);
	CHECK_EQ(dw_tail_open(dir, NULL, &options, &tail), 0);
	CHECK_EQ(dw_tail_next(tail, &change), -EBADMSG);
	CHECK_EQ(finding.kind, DW_FINDING_DAMAGE);
	CHECK_EQ(finding.segment, 1);
	CHECK_EQ(finding.damage, DW_DAMAGE_TRUNCATED);
	CHECK_EQ(dw_tail_next(tail, &change), -EBADMSG);
	dw_tail_free(tail);
}

/* --- what is taken back --- */

/* As a power cut leaves it that took the last record. */
static void take_last_back(struct dw_store *store, const char *dir, const struct dw_position *end)
{
	stores_kill(store);
	CHECK_EQ(truncate(stores_path(dir, "00000001.dwal"), (off_t)end->offset), 0);
}

static void test_taken_back(void)
{
	static const char *const others[] = {NULL, "x", "another length"};

	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		const char *dir = stores_dir();
		struct dw_store *store = stores_open(dir, 0);
		struct dw_tail *tail = open_tail(dir, NULL);
		struct dw_position kept, lost;

		stores_put(store, "a", "1");
		stores_put(store, "b", "1");
		kept = expect(tail, 1, "a", "1");
		lost = expect(tail, 2, "b", "1");
		expect_end(tail);
		take_last_back(store, dir, &kept);
		store = stores_open(dir, 0);
		if (others[i]) /* it gets the txid, and the place, of the one that is lost */
			stores_put(store, "b", others[i]);
		struct dw_tail *back = open_tail(dir, &lost);
		expect_reset(tail, DW_RESET_TAKEN_BACK, others[i] ? 2 : 1);
		expect_reset(back, DW_RESET_TAKEN_BACK, others[i] ? 2 : 1);
		stores_put(store, "c", "1");
		expect(tail, others[i] ? 3 : 2, "c", "1");
		expect(back, others[i] ? 3 : 2, "c", "1");
		expect_end(back);
		dw_tail_free(back);
		back = open_tail(dir, &kept);
		if (others[i])
			expect(back, 2, "b", others[i]);
		expect(back, others[i] ? 3 : 2, "c", "1");
		dw_tail_free(back);
		dw_tail_free(tail);
		stores_close(store);
	}
}

/* A repair writes a segment anew: the record is elsewhere, and still the same. */
static void test_repair(void)
{
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, 0);
	struct dw_repair_report report;
	struct dw_position first, at;
	struct dw_change change;

	stores_put(store, "a", "1");
	stores_put(store, "b", "1");
	stores_put(store, "c", "1");
	struct dw_tail *tail = open_tail(dir, NULL);
	first = expect(tail, 1, "a", "1");
	at = expect(tail, 2, "b", "1");
	dw_tail_free(tail);
	stores_close(store);
	int fd = open(stores_path(dir, "00000001.dwal"), O_WRONLY | O_CLOEXEC);
	CHECK_EQ(pwrite(fd, "X", 1, 0), 1);
	(void)close(fd);
	CHECK_EQ(dw_repair(dir, true, NULL, NULL, NULL, &report), 0);
	tail = open_tail(dir, &at);
	expect(tail, 3, "c", "1");
	expect_end(tail);
	dw_tail_free(tail);
	/* the record of this one is gone, and nothing tells that others are not */
	tail = open_tail(dir, &first);
	CHECK_EQ(dw_tail_next(tail, &change), 1);
	CHECK_EQ(change.kind, DW_CHANGE_RESET);
	dw_tail_free(tail);
}

/* --- waiting, and the disk --- */

static void *put_soon(void *store)
{
	(void)usleep(20000);
	stores_put(store, "a", "1");
	return NULL;
}

static void test_waits(void)
{
	static const struct dw_tail_options options = {.interval_ms = 60000};
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, 0);
	struct dw_tail *tail;
	pthread_t thread;

	CHECK_EQ(dw_tail_open(dir, NULL, &options, &tail), 0);
	expect_end(tail);
	CHECK_EQ(dw_tail_wait(tail, 0), 0);
	CHECK_EQ(dw_tail_wait(tail, 10), 0);
	if (tail->wait.events < 0) {
		check_skip("no inotify here");
	} else {
		CHECK_EQ(pthread_create(&thread, NULL, put_soon, store), 0);
		CHECK_EQ(dw_tail_wait(tail, 30000), 1);
		CHECK_EQ(pthread_join(thread, NULL), 0);
		expect(tail, 1, "a", "1");
	}
	dw_tail_cancel(tail);
	CHECK_EQ(dw_tail_wait(tail, -1), -ECANCELED);
	CHECK_EQ(dw_tail_wait(tail, -1), -ECANCELED);
	dw_tail_free(tail);
	stores_close(store);
}

static int syncs, sync_error;

static int count_fdatasync(struct io *io, int fd)
{
	(void)io;
	(void)fd;
	syncs++;
	return sync_error;
}

static void test_durable(void)
{
	static const struct dw_tail_options options = {.durable = true};
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, 0);
	struct dw_change change;
	struct dw_tail *tail;
	struct io io = io_posix;

	io.fdatasync = count_fdatasync;
	syncs = sync_error = 0;
	CHECK_EQ(tail_open(&io, open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), NULL, &options,
			   &tail),
		 0);
	stores_put(store, "a", "1");
	stores_put(store, "b", "1");
	stores_put(store, "c", "1");
	sync_error = -EIO;
	CHECK_EQ(dw_tail_next(tail, &change), -EIO);
	CHECK_EQ(dw_tail_next(tail, &change), -EIO);
	CHECK_EQ(syncs, 2);
	sync_error = 0;
	expect(tail, 1, "a", "1");
	expect(tail, 2, "b", "1");
	expect(tail, 3, "c", "1");
	CHECK_EQ(syncs, 3); /* one for what was read at once */
	expect_end(tail);
	CHECK_EQ(syncs, 3);
	stores_put(store, "d", "1");
	expect(tail, 4, "d", "1");
	CHECK_EQ(syncs, 4);
	/* what was read of the zeros ahead when there was no record is not what is there now */
	for (unsigned i = 5; i < 40; i++) {
		stores_put(store, "d", "1");
		CHECK_EQ(dw_sync(store), 0);
		expect(tail, i, "d", "1");
		CHECK_EQ(syncs, (int)i);
		expect_end(tail);
	}
	CHECK(store->core->log.prealloc.on);
	dw_tail_free(tail);
	stores_close(store);
}

/* Whatever happens to the store: a follower that has come to the end has its view. */
static void test_random(void)
{
	enum { FOLLOWERS = 4, STEPS = 3000, KEYS = 12 };
	struct rng rng = check_rng();
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, 4096);
	struct follower followers[FOLLOWERS];
	char key[20], value[300];

	for (int i = 0; i < FOLLOWERS; i++)
		follower_init(&followers[i], dir);
	memset(value, 'v', sizeof value);
	for (int step = 0; step < STEPS; step++) {
		const struct dw_compact_options options = {.dead_percent =
								   (unsigned)rng_below(&rng, 60)};
		(void)snprintf(key, sizeof key, "k%d", (int)rng_below(&rng, KEYS));
		(void)snprintf(value, sizeof value, "%d", step);
		struct dw_bytes bytes = {value, rng_below(&rng, sizeof value)};
		uint64_t what = rng_below(&rng, 100);
		if (what < 60)
			CHECK_EQ(dw_put(store, stores_bytes(key), bytes), 0);
		else if (what < 80)
			stores_delete(store, key);
		else if (what < 85)
			CHECK_EQ(dw_rotate(store), 0);
		else if (what < 90)
			CHECK_EQ(dw_compact_with(store, &options, NULL), 0);
		else if (what < 95)
			CHECK_EQ(dw_sync(store), 0);
		else {
			if (what < 98)
				stores_kill(store);
			else
				stores_close(store);
			store = stores_open(dir, 4096);
		}
		for (int i = 0; i < FOLLOWERS; i++) {
			/* the first one is always there, others fall behind, are closed, come back
			 */
			if (i && rng_below(&rng, 20) == 0)
				follower_restart(&followers[i], i == 1);
			if (!i || rng_below(&rng, (uint64_t)(5 * i)) == 0)
				follower_follow(&followers[i],
						i ? rng_below(&rng, 30) : UINT64_MAX);
			if (followers[i].at_end)
				model_check(&followers[i].model, store);
			followers[i].at_end = false;
		}
	}
	CHECK_EQ(followers[0].resets, 0);
	CHECK(followers[FOLLOWERS - 1].resets > 0);
	for (int i = 0; i < FOLLOWERS; i++) {
		follower_follow(&followers[i], UINT64_MAX);
		model_check(&followers[i].model, store);
		follower_release(&followers[i]);
	}
	stores_close(store);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"records come as they are appended", test_follows},
		{"each position leads to the records behind it", test_positions},
		{"from now on, and from the state on", test_from_now_and_state},
		{"over a compaction, and behind one", test_compaction},
		{"copies that a compaction put behind younger records", test_out_of_order},
		{"a guard, zeros and parts of records are waited for", test_unfinished},
		{"damage is told", test_damage},
		{"records that a power cut took back", test_taken_back},
		{"a segment that was repaired", test_repair},
		{"waiting", test_waits},
		{"only what is on disk", test_durable},
		{"followers of a store at random", test_random},
		{NULL, NULL},
	};

	return check_main(argc, argv, tests);
}
