/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_crash.c - the store after a crash at every point of a scenario.
 *
 * A scenario is recorded call by call; then the directory is rebuilt as a crash
 * behind each call would leave it, in many ways (tests/support/crashio.h).  Each
 * state must be a store for a strict reader, torn in its last segment at most;
 * a writer must open it and find the view as it was after some operation, not
 * older than the last completed sync; and what it writes must be there next time.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "codec/record.h"
#include "store/store.h"
#include "tests/support/crashio.h"
#include "tests/support/faultio.h"
#include "tests/support/stores.h"

enum { SEGMENT_SIZE = 2000, OPS_MAX = 400, RANDOM_TRIES = 3 };

static size_t refused; /* states with a hole, see open_rebuilt() */

struct history {
	struct crashio crash;
	struct rng rng;
	const char *dir;
	struct dw_store *store;
	struct model views[OPS_MAX]; /* after so many records */
	size_t begun[OPS_MAX];       /* events before record i was appended */
	size_t acked[OPS_MAX];       /* events when its call had returned */
	size_t count;                /* records */
	struct {
		size_t event, records; /* from this event on so many records are durable */
	} syncs[OPS_MAX];
	size_t sync_count;
};

/* --- recording --- */

static void open_store(struct history *h)
{
	const struct dw_options options = {.segment_size = SEGMENT_SIZE};

	CHECK_EQ(store_open(&h->crash.io, h->dir, &options, NULL, &h->store), 0);
}

static void start(struct history *h)
{
	h->rng = check_rng();
	h->dir = stores_dir();
}

static void do_batch(struct history *h, const struct dw_op *ops, size_t count)
{
	size_t begun = h->crash.count;

	CHECK(h->count + count < OPS_MAX);
	for (size_t i = 0; i < count; i++) {
		struct model *view = &h->views[h->count + i + 1];
		model_copy(view - 1, view);
		if (ops[i].type == DW_PUT)
			model_put(view, ops[i].key, ops[i].value);
		else if (ops[i].type == DW_DELETE)
			model_delete(view, ops[i].key);
		h->begun[h->count + i] = begun;
		h->acked[h->count + i] = SIZE_MAX;
	}
	size_t first = h->count;
	h->count += count;
	CHECK_EQ(dw_batch(h->store, ops, count), 0);
	for (size_t i = 0; i < count; i++)
		h->acked[first + i] = h->crash.count;
}

static void do_sync(struct history *h)
{
	size_t records = h->count;

	CHECK_EQ(dw_sync(h->store), 0);
	h->syncs[h->sync_count].event = h->crash.count;
	h->syncs[h->sync_count++].records = records;
}

static void do_close(struct history *h)
{
	CHECK_EQ(dw_close(h->store), 0);
	h->store = NULL;
	h->syncs[h->sync_count].event = h->crash.count;
	h->syncs[h->sync_count++].records = h->count;
}

static void do_random(struct history *h, int keys)
{
	char texts[5][16];
	struct dw_op ops[5];
	size_t count = rng_below(&h->rng, 4) ? 1 : (size_t)rng_below(&h->rng, 5) + 1;
	uint8_t *data = stores_noise(rng_next(&h->rng), 1600);

	for (size_t i = 0; i < count; i++) {
		bool gone = !rng_below(&h->rng, 4);
		size_t size = (size_t)rng_below(&h->rng, rng_below(&h->rng, 3) ? 100 : 1500);
		(void)snprintf(texts[i], 16, "key %d", (int)rng_below(&h->rng, (uint64_t)keys));
		ops[i] = (struct dw_op){.type = gone ? DW_DELETE : DW_PUT,
					.key = stores_bytes(texts[i]),
					.value = {data, gone ? 0 : size}};
	}
	do_batch(h, ops, count);
	free(data);
}

/* --- checking --- */

/* Records durable, acknowledged and begun when the crash came behind `point` events. */
static size_t durable_at(const struct history *h, size_t point)
{
	size_t records = 0;

	for (size_t i = 0; i < h->sync_count; i++)
		if (h->syncs[i].event <= point && h->syncs[i].records > records)
			records = h->syncs[i].records;
	return records;
}

static size_t acked_at(const struct history *h, size_t point)
{
	size_t n = 0;

	while (n < h->count && h->acked[n] <= point)
		n++;
	return n;
}

static size_t begun_at(const struct history *h, size_t point)
{
	size_t n = 0;

	while (n < h->count && h->begun[n] < point)
		n++;
	return n;
}

static bool all_zero(const uint8_t *data, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (data[i])
			return false;
	return true;
}

/* What a reader that knows the table of docs/FORMAT.md and nothing else says of a
 * segment.  `lossy`: a sector may be missing below others that came through. */
static void check_strict(const struct buf *data, bool last, bool lossy)
{
	struct record_header header;
	enum dw_damage damage;

	for (size_t at = 0; at < data->size; at += (size_t)record_size(&header)) {
		damage = record_decode(data->data + at, data->size - at, &header);
		if (!damage)
			continue;
		CHECK(last);
		CHECK(damage == DW_DAMAGE_TRUNCATED || damage == DW_DAMAGE_CRC || lossy ||
		      all_zero(data->data + at, data->size - at));
		return;
	}
}

static void check_segments(const struct files *files, bool lossy)
{
	const struct file_image *last = NULL;

	for (int pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < files->count; i++) {
			const struct file_image *file = &files->items[i];
			uint32_t id;
			if (!segname_parse(file->name, &id))
				continue;
			if (pass)
				check_strict(&file->data, file == last, lossy);
			else if (!last || strcmp(file->name, last->name) > 0)
				last = file;
		}
	}
}

static void empty_dir(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;

	CHECK(dir != NULL);
	while ((entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			CHECK_EQ(unlinkat(dirfd(dir), entry->d_name, 0), 0);
	(void)closedir(dir);
}

static bool same_view(const struct model *model, struct dw_store *store)
{
	if (dw_count(store) != model->count)
		return false;
	for (size_t i = 0; i < model->count; i++)
		if (!stores_holds(store, model->items[i].key, model->items[i].value))
			return false;
	return true;
}

static bool any_view(const struct history *h, struct dw_store *store, size_t least, size_t most)
{
	for (size_t n = most + 1; n-- > least;)
		if (same_view(&h->views[n], store))
			return true;
	printf("  none of the views after %zu to %zu records\n", least, most);
	return false;
}

/* Open as a writer.  Where calls were lost below others that came through, zeros can
 * stand before bytes that are none, in place of a header: that is a bad magic, which
 * refuses the store, changing nothing.  Cut there, as a repair does, it must open. */
static struct dw_store *open_rebuilt(struct faultio *quick, const char *dir, bool lossy,
				     struct dw_report *report)
{
	const struct dw_options options = {.segment_size = SEGMENT_SIZE};
	struct dw_store *store = NULL;
	char path[160];

	int rc = store_open(&quick->io, dir, &options, report, &store);
	if (rc == -EBADMSG && lossy) {
		(void)snprintf(path, sizeof path, "%s/%08u.dwal", dir, report->segment);
		struct buf bytes = files_read(AT_FDCWD, path);
		CHECK(memchr(bytes.data + report->offset, 0, 4) != NULL);
		buf_release(&bytes);
		CHECK_EQ(truncate(path, (off_t)report->offset), 0);
		refused++;
		rc = store_open(&quick->io, dir, &options, report, &store);
	}
	if (rc)
		printf("  open: %s, segment %u offset %llu %s\n", strerror(-rc), report->segment,
		       (unsigned long long)report->offset, dw_damage_name(report->damage));
	CHECK_EQ(rc, 0);
	return store;
}

static void check_state(const struct history *h, const char *dir, size_t point,
			const struct files *files, enum crash_policy policy)
{
	struct dw_report report = {0};
	struct faultio quick; /* for its syncs, which do nothing */
	size_t least = durable_at(h, point), most = begun_at(h, point);
	bool lossy = policy == CRASH_SUBSET;

	if (policy == CRASH_KEEP_ALL)
		least = acked_at(h, point);
	faultio_init(&quick);
	empty_dir(dir);
	files_restore(files, dir);
	check_segments(files, lossy);
	struct dw_store *store = open_rebuilt(&quick, dir, lossy, &report);
	CHECK(any_view(h, store, least, most));
	CHECK_EQ(files_count_suffixed(dir, ".compact"), 0);
	stores_put(store, "after the crash", "all is well");
	uint64_t count = dw_count(store);
	stores_close(store);
	store = open_rebuilt(&quick, dir, false, &report);
	CHECK_EQ(report.torn_bytes, 0);
	CHECK_EQ(dw_count(store), count);
	stores_expect(store, "after the crash", "all is well");
	stores_close(store);
}

static void check_policy(struct history *h, const char *dir, size_t point, enum crash_policy policy,
			 size_t cut)
{
	struct files files;

	crashio_rebuild(&h->crash, point, policy, cut, &h->rng, &files);
	check_state(h, dir, point, &files, policy);
	files_release(&files);
}

static void check_torn(struct history *h, const char *dir, size_t point)
{
	static const size_t places[] = {1, 3, 10, 23, 24, 25, 27, 28};
	const struct crash_event *write = crashio_last_write(&h->crash, point);

	if (!write)
		return;
	for (size_t i = 0; i < sizeof places / sizeof *places; i++)
		if (places[i] < write->data.size)
			check_policy(h, dir, point, CRASH_TORN, places[i]);
	for (size_t cut = 512 - (size_t)(write->offset % 512); cut < write->data.size; cut += 512)
		check_policy(h, dir, point, CRASH_TORN, cut);
	check_policy(h, dir, point, CRASH_TORN, write->data.size - 1);
}

static void check_all(struct history *h)
{
	const char *dir = stores_dir();

	refused = 0;
	printf("  %zu calls, %zu records\n", h->crash.count, h->count);
	for (size_t point = 0; point <= h->crash.count; point++) {
		check_policy(h, dir, point, CRASH_KEEP_ALL, 0);
		check_policy(h, dir, point, CRASH_DROP, 0);
		check_torn(h, dir, point);
		for (int i = 0; i < RANDOM_TRIES; i++) {
			check_policy(h, dir, point, CRASH_PREFIX, 0);
			check_policy(h, dir, point, CRASH_SUBSET, 0);
		}
	}
	printf("  %zu states with a hole were refused until cut\n", refused);
}

static void finish(struct history *h)
{
	check_all(h);
	for (size_t i = 0; i <= h->count; i++)
		model_release(&h->views[i]);
	crashio_release(&h->crash);
	free(h);
}

static struct history *history_new(void)
{
	struct history *h = calloc(1, sizeof *h);

	CHECK(h != NULL);
	return h;
}

/* --- scenarios --- */

static void test_puts(void)
{
	struct history *h = history_new();

	start(h);
	crashio_init(&h->crash, h->dir);
	open_store(h);
	for (int i = 0; i < 60; i++) {
		do_random(h, 12);
		if (i % 7 == 6)
			do_sync(h);
		if (i % 25 == 24)
			CHECK_EQ(dw_rotate(h->store), 0);
	}
	do_close(h);
	finish(h);
}

/* Writes that arrive while a compaction copies: over keys it has yet to come by. */
static void write_meanwhile(void *context, const struct crash_event *event)
{
	struct history *h = context;
	const struct dw_op ops[2] = {
		{.type = DW_PUT, .key = {"key 5", 5}, .value = {"written meanwhile", 17}},
		{.type = DW_DELETE, .key = {"key 6", 5}},
	};

	if (event->kind != CRASH_CREATE || !strstr(event->name, ".compact"))
		return;
	h->crash.hook = NULL;
	do_batch(h, ops, 2);
	h->crash.hook = write_meanwhile;
}

static void test_compaction(void)
{
	struct history *h = history_new();

	start(h);
	crashio_init(&h->crash, h->dir);
	open_store(h);
	h->crash.hook = write_meanwhile;
	h->crash.context = h;
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 12; i++)
			do_random(h, 8);
		if (round)
			do_sync(h);
		CHECK_EQ(dw_compact(h->store, NULL), 0);
	}
	do_random(h, 8);
	do_close(h);
	finish(h);
}

/* A machine that crashes while a writer recovers from the crash before. */
static void test_recovery(void)
{
	struct history *h = history_new();
	struct dw_store *store;
	char path[160];

	start(h);
	store = stores_open(h->dir, SEGMENT_SIZE);
	stores_put(store, "key 1", "of the past");
	stores_close(store);
	model_put(&h->views[0], stores_bytes("key 1"), stores_bytes("of the past"));
	(void)snprintf(path, sizeof path, "%s/00000001.dwal", h->dir);
	struct buf bytes = files_read(AT_FDCWD, path);
	uint8_t *noise = stores_noise(1, 700);
	CHECK_EQ(buf_add(&bytes, "DWAL\1\0\1\0\2\0\0\0\0\0\0\0\5\0\0\0\0\3\0\0", 24), 0);
	CHECK_EQ(buf_add(&bytes, noise, 700), 0);
	files_write(AT_FDCWD, path, bytes.data, bytes.size);
	free(noise);
	buf_release(&bytes);
	crashio_init(&h->crash, h->dir);
	for (int i = 0; i < 2; i++) {
		open_store(h);
		for (int j = 0; j < 3; j++)
			do_random(h, 3);
		do_sync(h);
		do_random(h, 3);
		do_close(h);
	}
	finish(h);
}

/* What a killed writer had appended is synced by its successor's sync. */
static void test_inherited(void)
{
	struct history *h = history_new();

	start(h);
	crashio_init(&h->crash, h->dir);
	open_store(h);
	for (int i = 0; i < 3; i++)
		do_random(h, 3);
	log_poison(&h->store->log, -EIO, "killed by the test");
	CHECK_EQ(dw_close(h->store), -EIO); /* syncs nothing */
	open_store(h);
	do_sync(h);
	do_random(h, 3);
	do_close(h);
	finish(h);
}

static int forget_sync(struct io *io, int fd)
{
	(void)io;
	(void)fd;
	return 0;
}

/* A writer killed between the creation of its segment and the sync of the directory:
 * its successor must not believe in a name that is not on disk. */
static void test_inherited_name(void)
{
	struct history *h = history_new();

	start(h);
	crashio_init(&h->crash, h->dir);
	int (*fsync_before)(struct io * io, int fd) = h->crash.io.fsync;
	h->crash.io.fsync = forget_sync;
	open_store(h);
	h->crash.io.fsync = fsync_before;
	log_poison(&h->store->log, -EIO, "killed by the test");
	CHECK_EQ(dw_close(h->store), -EIO);
	open_store(h);
	do_random(h, 3);
	do_sync(h);
	do_random(h, 3);
	do_close(h);
	finish(h);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"crash_puts", test_puts},
		{"crash_compaction", test_compaction},
		{"crash_recovery", test_recovery},
		{"crash_inherited", test_inherited},
		{"crash_inherited_name", test_inherited_name},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
