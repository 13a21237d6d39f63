/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_compact_order.c - the system calls of a compaction: the order in which files come to disk,
 * and the state after a call that fails.
 *
 * docs/ARCHITECTURE.md, invariants 8 to 13.  tests/crash has the states that a crash may leave;
 * here the order itself is looked at, so that a sync that is missing shows without luck.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/segname.h"
#include "store/store.h"
#include "tests/support/crashio.h"
#include "tests/support/faultio.h"
#include "tests/support/files.h"
#include "tests/support/stores.h"

enum { SEALED = 4, KEYS = 6, FILES_MAX = 100 };

/* Sealed segments that a compaction makes smaller, and one that is written to. */
static void fill(struct dw_store *store)
{
	char key[16];

	for (int segment = 0; segment < SEALED; segment++) {
		for (int i = 0; i < KEYS; i++) {
			(void)snprintf(key, sizeof key, "key %d", i);
			if (segment == i || segment == 0)
				stores_put(store, key, "some bytes that are a value");
			else if (segment == 2 && i == 5)
				stores_delete(store, key);
		}
		CHECK_EQ(dw_rotate(store), 0);
	}
	stores_put(store, "key 0", "the newest");
	CHECK_EQ(dw_sync(store), 0);
}

/* --- the order --- */

struct syncs {
	struct crashio crash;
	struct dw_store *store;
	bool pending[FILES_MAX]; /* by the file's number: written and not synced */
	bool segment[FILES_MAX]; /* it has the name of one */
	bool renames_pending, unlinks_pending;
	int hints, renames, unlinks;
	uint32_t last_unlinked;
};

/* While records are copied one is hidden by a newer one that is not synced. */
static void write_meanwhile(void *context, const struct crash_event *event)
{
	struct syncs *order = context;

	if (event->kind != CRASH_CREATE || !strstr(event->name, ".compact"))
		return;
	order->crash.hook = NULL;
	stores_put(order->store, "key 4", "written meanwhile");
}

static int number_of(const struct syncs *order, size_t until, const char *name)
{
	int file = -1;

	for (size_t i = 0; i < until; i++) {
		const struct crash_event *event = &order->crash.events[i];
		if (event->kind == CRASH_CREATE && !strcmp(event->name, name))
			file = event->file;
	}
	return file;
}

static void on_unlink(struct syncs *order, const char *name)
{
	uint32_t id;

	CHECK(order->renames > 0 && !order->renames_pending);
	for (int i = 0; i < FILES_MAX; i++)
		CHECK(!order->segment[i] || !order->pending[i]);
	if (segname_parse_hint(name, &id)) {
		CHECK_EQ(order->unlinks, 0);
		order->hints++;
	} else if (segname_parse(name, &id)) {
		CHECK(!order->unlinks_pending);
		CHECK(id > order->last_unlinked);
		CHECK(order->hints >= SEALED);
		order->last_unlinked = id;
		order->unlinks++;
	}
	order->unlinks_pending = true;
}

static void on_event(struct syncs *order, size_t at, bool compacting)
{
	const struct crash_event *event = &order->crash.events[at];
	uint32_t id;
	int file;

	switch (event->kind) {
	case CRASH_CREATE: order->segment[event->file] = segname_parse(event->name, &id); break;
	case CRASH_WRITE:
	case CRASH_TRUNCATE: order->pending[event->file] = true; break;
	case CRASH_SYNC: order->pending[event->file] = false; break;
	case CRASH_SYNC_DIR: order->renames_pending = order->unlinks_pending = false; break;
	case CRASH_RENAME:
		if (!segname_parse(event->to, &id))
			break;
		file = number_of(order, at, event->name);
		CHECK(file >= 0 && !order->pending[file]);
		order->segment[file] = true;
		order->renames_pending = true;
		order->renames++;
		break;
	case CRASH_UNLINK:
		if (compacting)
			on_unlink(order, event->name);
		break;
	}
}

static void test_order(void)
{
	struct syncs *order = calloc(1, sizeof *order);
	const char *dir = stores_dir();
	const struct dw_options options = {.create = true};

	crashio_init(&order->crash, dir);
	CHECK_EQ(store_open(&order->crash.io, dir, &options, NULL, &order->store), 0);
	fill(order->store);
	size_t from = order->crash.count;
	order->crash.hook = write_meanwhile;
	order->crash.context = order;
	CHECK_EQ(dw_compact(order->store, NULL), 0);
	size_t until = order->crash.count;
	CHECK(order->crash.file_count < FILES_MAX);
	for (size_t i = 0; i < until; i++)
		on_event(order, i, i >= from);
	CHECK(order->renames >= 1);
	CHECK_EQ(order->unlinks, SEALED + 1); /* and the active one, which was sealed for it */
	CHECK(!order->unlinks_pending);
	stores_expect(order->store, "key 4", "written meanwhile");
	stores_close(order->store);
	crashio_release(&order->crash);
	free(order);
}

/* --- a call that fails --- */

static void expect_view(struct dw_store *store)
{
	char key[16];

	CHECK_EQ(dw_count(store), KEYS - 1);
	stores_expect(store, "key 0", "the newest");
	for (int i = 1; i < KEYS; i++) {
		(void)snprintf(key, sizeof key, "key %d", i);
		stores_expect(store, key, i == 5 ? NULL : "some bytes that are a value");
	}
}

/* Whatever failed: nothing comes back, also when the next compaction has dropped all tombstones. */
static bool fail_once(uint64_t fail_at)
{
	const struct dw_options options = {.create = true};
	const char *dir = check_dir();
	struct faultio fault;
	struct dw_store *store = NULL;
	struct dw_stats stats;
	char key[16];

	faultio_init(&fault);
	CHECK_EQ(store_open(&fault.io, dir, &options, NULL, &store), 0);
	fill(store);
	faultio_arm(&fault, FAULTIO_ERROR, EIO, fail_at);
	int rc = dw_compact(store, NULL);
	bool hit = fault.hit;
	fault.fail_at = 0;
	expect_view(store);
	dw_get_stats(store, &stats);
	/* of what a sync failed to bring to disk a part may come back behind what goes next */
	bool begun = files_count_suffixed(dir, ".hint") < SEALED + 1;
	if (rc && begun && !strcmp(fault.where, "fsync"))
		CHECK_EQ(stats.poisoned, EIO);
	if (stats.poisoned) {
		(void)dw_close(store); /* says what poisoned it */
		CHECK_EQ(store_open(&fault.io, dir, &options, NULL, &store), 0);
		expect_view(store);
	}
	CHECK_EQ(dw_compact(store, NULL), 0);
	for (int i = 0; i < KEYS; i++) {
		(void)snprintf(key, sizeof key, "key %d", i);
		stores_delete(store, key);
	}
	CHECK_EQ(dw_compact(store, NULL), 0);
	CHECK_EQ(dw_compact(store, NULL), 0);
	dw_get_stats(store, &stats);
	CHECK_EQ(files_count_suffixed(dir, ".dwal"), stats.segments);
	stores_close(store);
	store = stores_open(dir, 0);
	CHECK_EQ(dw_count(store), 0);
	stores_close(store);
	return hit;
}

static void test_failures(void)
{
	uint64_t n = 1;

	while (n < 300 && fail_once(n))
		n++;
	CHECK(n > 40 && n < 300);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"compact_order", test_order},
		{"compact_failures", test_failures},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
