/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_crash_compact.c - compaction of runs, crash upon crash.
 *
 * One crash leaves copies beside their originals; later writes, deletes and compactions must not
 * bring an old copy back.  So here the states that a crash leaves go on being used.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/segname.h"
#include "store/store.h"
#include "tests/support/faultio.h"
#include "tests/support/history.h"

enum { KEYS = 8, CYCLES = 150 };

/* The hook of a history: writes that arrive while a compaction copies. */
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
	history_batch(h, ops, 2);
	if (h->rotates && rng_below(&h->rng, 2))
		CHECK_EQ(dw_rotate(h->store), 0); /* the outputs have their ids by now */
	h->crash.hook = write_meanwhile;
}

static void compact_some(struct history *h, struct dw_store *store)
{
	static const unsigned percents[] = {1, 20, 40, 60, 90, 100, 0};
	const struct dw_compact_options options = {.dead_percent = percents[rng_below(&h->rng, 7)]};

	CHECK_EQ(dw_compact_with(store, &options, NULL), 0);
}

/* Every crash in compactions of runs. */
static void test_runs(void)
{
	struct history *h = history_new();
	struct dw_compact_report report;
	uint32_t runs = 0;

	history_start(h);
	h->rotates = true;
	crashio_init(&h->crash, h->dir);
	history_open(h);
	for (int round = 0; round < 6; round++) {
		const struct dw_compact_options options = {.dead_percent = round % 2 ? 60 : 30};
		struct dw_stats stats;
		for (int i = 0; i < 5; i++)
			history_random(h, KEYS);
		if (round % 3 == 1)
			CHECK_EQ(dw_rotate(h->store), 0);
		if (round % 3 == 2)
			history_sync(h);
		h->crash.hook = round % 2 ? write_meanwhile : NULL;
		h->crash.context = h;
		dw_get_stats(h->store, &stats);
		CHECK_EQ(dw_compact_with(h->store, &options, &report), 0);
		runs += report.segments_before && report.segments_before < stats.segments;
		h->crash.hook = NULL;
	}
	printf("  %u compactions of a part\n", runs);
	history_close(h);
	history_finish(h);
}

/* Records of a later input that are overwritten or deleted after the copying began, so
 * that only what was written meanwhile tells of their keys: it must be on disk before
 * they go. */
static void test_hidden(void)
{
	const struct dw_op first = {.type = DW_PUT, .key = {"key 1", 5}, .value = {"a", 1}};
	const struct dw_op later[2] = {
		{.type = DW_PUT, .key = {"key 5", 5}, .value = {"old", 3}},
		{.type = DW_PUT, .key = {"key 6", 5}, .value = {"old", 3}},
	};
	struct history *h = history_new();

	history_start(h);
	crashio_init(&h->crash, h->dir);
	history_open(h);
	history_batch(h, &first, 1);
	history_batch(h, &first, 1); /* now there is something to free */
	CHECK_EQ(dw_rotate(h->store), 0);
	history_batch(h, later, 2);
	history_sync(h);
	h->crash.hook = write_meanwhile;
	h->crash.context = h;
	CHECK_EQ(dw_compact(h->store, NULL), 0);
	h->crash.hook = NULL;
	history_close(h);
	history_finish(h);
}

/* Which of the views that a crash may leave a store has; SIZE_MAX: none. */
static size_t find_view(const struct history *h, struct dw_store *store, size_t least, size_t most)
{
	for (size_t n = most + 1; n-- > least;)
		if (history_same_view(&h->views[n], store))
			return n;
	return SIZE_MAX;
}

static struct dw_store *open_plainly(struct faultio *quick, const char *dir)
{
	const struct dw_options options = {.segment_size = HISTORY_SEGMENT_SIZE};
	struct dw_store *store = NULL;

	CHECK_EQ(store_open(&quick->io, dir, &options, NULL, &store), 0);
	return store;
}

/* Go on with what a crash behind `point` left: delete and write, compact runs, and see
 * that nothing comes back. */
static void check_aftermath(struct history *h, const char *dir, size_t point)
{
	struct faultio quick; /* for its syncs, which do nothing */
	struct files files;
	struct model model;
	char key[16];

	crashio_rebuild(&h->crash, point, CRASH_KEEP_ALL, 0, &h->rng, &files);
	history_empty_dir(dir);
	files_restore(&files, dir);
	files_release(&files);
	faultio_init(&quick);
	struct dw_store *store = open_plainly(&quick, dir);
	size_t n = find_view(h, store, history_acked_at(h, point), history_begun_at(h, point));
	CHECK(n != SIZE_MAX);
	model_copy(&h->views[n], &model);
	for (int i = 0; i < 12; i++) {
		(void)snprintf(key, sizeof key, "key %d", (int)rng_below(&h->rng, KEYS));
		if (rng_below(&h->rng, 3)) {
			stores_delete(store, key);
			model_delete(&model, stores_bytes(key));
		} else {
			stores_put(store, key, "after the crash");
			model_put(&model, stores_bytes(key), stores_bytes("after the crash"));
		}
		if (!rng_below(&h->rng, 3))
			CHECK_EQ(dw_rotate(store), 0);
		if (!rng_below(&h->rng, 2))
			compact_some(h, store);
		if (!rng_below(&h->rng, 4)) {
			stores_close(store);
			store = open_plainly(&quick, dir);
		}
		CHECK(history_same_view(&model, store));
	}
	stores_close(store);
	store = open_plainly(&quick, dir);
	CHECK(history_same_view(&model, store));
	stores_close(store);
	model_release(&model);
}

static void test_aftermath(void)
{
	struct history *h = history_new();
	const char *dir = stores_dir();

	history_start(h);
	crashio_init(&h->crash, h->dir);
	history_open(h);
	h->crash.context = h;
	h->rotates = true;
	for (int round = 0; round < 5; round++) {
		for (int i = 0; i < 6; i++)
			history_random(h, KEYS);
		h->crash.hook = round % 2 ? write_meanwhile : NULL;
		compact_some(h, h->store);
		h->crash.hook = NULL;
	}
	history_close(h);
	for (size_t point = 0; point <= h->crash.count; point++)
		for (int i = 0; i < 3; i++)
			check_aftermath(h, dir, point);
	printf("  %zu points\n", h->crash.count);
	history_free(h);
}

/* One life of a store: some writing, compactions, and a crash somewhere.  `*files` is what it
 * begins with and what it leaves, `*view` its view. */
static void live_and_crash(struct files *files, struct model *view, struct rng *rng)
{
	static const enum crash_policy policies[] = {CRASH_KEEP_ALL, CRASH_DROP, CRASH_PREFIX};
	struct history *h = history_new();
	struct faultio quick;

	h->dir = check_dir();
	h->rng = *rng;
	files_restore(files, h->dir);
	files_release(files);
	model_copy(view, &h->views[0]);
	crashio_init(&h->crash, h->dir);
	history_open(h);
	h->crash.context = h;
	h->rotates = true;
	CHECK(history_same_view(view, h->store));
	for (int i = 0; i < 10; i++) {
		history_random(h, KEYS);
		if (!rng_below(&h->rng, 5))
			history_sync(h);
		h->crash.hook = rng_below(&h->rng, 2) ? write_meanwhile : NULL;
		if (!rng_below(&h->rng, 3))
			compact_some(h, h->store);
		h->crash.hook = NULL;
	}
	size_t point = rng_below(&h->rng, h->crash.count + 1);
	enum crash_policy policy = policies[rng_below(&h->rng, 3)];
	/* the syncs of a dropped instance do nothing to what is rebuilt */
	CHECK_EQ(dw_close(h->store), 0);
	crashio_rebuild(&h->crash, point, policy, 0, &h->rng, files);
	size_t least = policy == CRASH_KEEP_ALL ? history_acked_at(h, point)
						: history_durable_at(h, point);
	history_empty_dir(h->dir);
	files_restore(files, h->dir);
	faultio_init(&quick);
	struct dw_store *store = open_plainly(&quick, h->dir);
	size_t n = find_view(h, store, least, history_begun_at(h, point));
	CHECK(n != SIZE_MAX);
	model_release(view);
	model_copy(&h->views[n], view);
	CHECK_EQ(dw_close(store), 0);
	files_release(files);
	*files = files_snapshot(h->dir);
	*rng = h->rng;
	history_free(h);
}

static void test_lives(void)
{
	struct rng rng = check_rng();
	struct files files = {0};
	struct model view = {0};

	for (int i = 0; i < CYCLES; i++)
		live_and_crash(&files, &view, &rng);
	files_release(&files);
	model_release(&view);
}

/* --- a reader that lists once, and opens each segment by its name when it comes to it --- */

static const struct file_image *find_file(const struct files *files, const char *name)
{
	for (size_t i = 0; i < files->count; i++)
		if (!strcmp(files->items[i].name, name))
			return &files->items[i];
	return NULL;
}

/* Read the log from `from` on, its last segment at `*last_ret`.  False: a segment that it listed
 * is gone, and it must begin anew. */
static bool read_lazily(struct history *h, size_t from, size_t until, const char *dir,
			size_t *last_ret)
{
	struct files listed, now;
	size_t point = from;
	bool whole = true;
	uint32_t id;

	crashio_rebuild(&h->crash, from, CRASH_KEEP_ALL, 0, &h->rng, &listed);
	history_empty_dir(dir);
	for (uint32_t want = 1; whole && want < 1000; want++)
		for (size_t i = 0; whole && i < listed.count; i++) {
			const char *name = listed.items[i].name;
			if (!segname_parse(name, &id) || id != want)
				continue;
			if (!rng_below(&h->rng, 3))
				point += (size_t)rng_below(&h->rng, until - point + 1);
			crashio_rebuild(&h->crash, point, CRASH_KEEP_ALL, 0, &h->rng, &now);
			const struct file_image *file = find_file(&now, name);
			whole = file != NULL;
			if (whole) {
				char path[300];
				(void)snprintf(path, sizeof path, "%s/%s", dir, name);
				files_write(AT_FDCWD, path, file->data.data, file->data.size);
			}
			files_release(&now);
		}
	files_release(&listed);
	*last_ret = point;
	return whole;
}

/* The reference's reader of a store that another process writes: it finds one moment of the log, or
 * that a segment is gone, never a view that there was not. */
static void test_lazy_reader(void)
{
	enum { READERS = 3000, AHEAD = 60 };
	const struct dw_options options = {.read_only = true};
	struct history *h = history_new();
	const char *dir = stores_dir();
	size_t gone = 0;

	history_start(h);
	crashio_init(&h->crash, h->dir);
	history_open(h);
	h->crash.context = h;
	h->rotates = true;
	for (int round = 0; round < 6; round++) {
		for (int i = 0; i < 5; i++)
			history_random(h, KEYS);
		h->crash.hook = round % 2 ? write_meanwhile : NULL;
		compact_some(h, h->store);
		h->crash.hook = NULL;
	}
	history_close(h);
	for (int i = 0; i < READERS; i++) {
		struct dw_store *store = NULL;
		/* not before there is a segment */
		size_t from = 10 + (size_t)rng_below(&h->rng, h->crash.count - 10), last;
		size_t until = from + AHEAD < h->crash.count ? from + AHEAD : h->crash.count;
		if (!read_lazily(h, from, until, dir, &last)) {
			gone++;
			continue;
		}
		CHECK_EQ(dw_open(dir, &options, NULL, &store), 0);
		CHECK(find_view(h, store, history_acked_at(h, from), history_begun_at(h, last)) !=
		      SIZE_MAX);
		stores_close(store);
	}
	printf("  %zu of %d readers met a segment that was gone\n", gone, READERS);
	CHECK(gone > 10 && gone < READERS / 2);
	history_free(h);
}

/* Cancelled compactions leave nothing that a crash could make something of. */
static void cancel_soon(void *context, const struct crash_event *event)
{
	struct history *h = context;

	if (event->kind == CRASH_CREATE && strstr(event->name, ".compact"))
		dw_compact_cancel(h->store);
}

static void test_cancelled(void)
{
	struct history *h = history_new();

	history_start(h);
	crashio_init(&h->crash, h->dir);
	history_open(h);
	h->crash.context = h;
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 8; i++)
			history_random(h, 4);
		h->crash.hook = cancel_soon;
		CHECK_EQ(dw_compact(h->store, NULL), -ECANCELED);
		h->crash.hook = NULL;
		history_sync(h);
	}
	CHECK_EQ(dw_compact(h->store, NULL), 0); /* under ids that were tried before */
	history_random(h, 4);
	history_close(h);
	history_finish(h);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"crash_runs", test_runs},
		{"crash_hidden", test_hidden},
		{"crash_aftermath", test_aftermath},
		{"crash_lives", test_lives},
		{"crash_cancelled", test_cancelled},
		{"crash_lazy_reader", test_lazy_reader},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
