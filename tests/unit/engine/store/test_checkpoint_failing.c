/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_checkpoint_failing.c - checkpoints fail for a long time, and then no more: meanwhile the
 * index does not come to consist of ever more parts.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "store/checkpoint.h"
#include "store/store.h"
#include "tests/support/stores.h"

enum { ROUNDS = 40, SEALED = 8, MANY_ROUNDS = 12, MANY = 66000, BATCH = 1000 };

static bool full; /* no file is made any more, as where inodes are used up */

static int open_or_fail(struct io *io, int dirfd, const char *name, int flags, mode_t mode)
{
	if (full && (flags & O_CREAT))
		return -EDQUOT;
	return io_posix.open(io, dirfd, name, flags, mode);
}

static struct dw_store *open_failing(struct io *io, const char *dir)
{
	const struct dw_options options = {.create = true};
	struct dw_store *store = NULL;

	*io = io_posix;
	io->open = open_or_fail;
	CHECK_EQ(store_open(io, dir, &options, NULL, &store), 0);
	return store;
}

/* Few keys come between two of them. */
static void test_few(void)
{
	const char *dir = stores_dir();
	struct io io;
	struct dw_store *store = open_failing(&io, dir);
	struct core *core = store->core;
	char key[20];

	full = true;
	for (int i = 0; i < ROUNDS; i++) {
		(void)snprintf(key, sizeof key, "key %d", i);
		stores_put(store, key, "value");
		CHECK_EQ(checkpoint_write(core, NULL), -EDQUOT);
		CHECK(core->index.sealed_count <= SEALED);
	}
	full = false;
	CHECK_EQ(checkpoint_write(core, NULL), 0);
	CHECK_EQ(index_pending(&core->index), 0);
	stores_kill(store);
	struct dw_report report;
	CHECK_EQ(dw_open(dir, NULL, &report, &store), 0);
	CHECK_EQ(report.records, 0);
	CHECK_EQ(dw_count(store), ROUNDS);
	stores_close(store);
}

static void put_many(struct dw_store *store, int round)
{
	static char keys[BATCH][20];
	struct dw_op ops[BATCH];

	for (int i = 0; i < MANY; i++) {
		char *key = keys[i % BATCH];
		(void)snprintf(key, sizeof keys[0], "%d/%d", round, i);
		ops[i % BATCH] = (struct dw_op){.type = DW_PUT, .key = stores_bytes(key)};
		if (i % BATCH == BATCH - 1)
			CHECK_EQ(dw_batch(store, ops, BATCH), 0);
	}
}

/* So many that writers would not be kept waiting for them but for this. */
static void test_many(void)
{
	struct dw_store *store = stores_open(stores_dir(), 0);
	struct core *core = store->core;
	const struct index_position position = {1, core->log.end, 1};

	core->checkpoint_after_ns = INT64_MAX;
	for (int i = 0; i < MANY_ROUNDS; i++) {
		log_lock(&core->log);
		CHECK_EQ(index_checkpoint_begin(&core->index, &core->segments, &position), 0);
		log_unlock(&core->log);
		put_many(store, i);
		index_checkpoint_cancel(&core->index);
		core_tidy(core);
		CHECK(core->index.sealed_count <= SEALED);
	}
	CHECK_EQ(dw_count(store), MANY_ROUNDS * MANY);
	stores_kill(store);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {{"checkpoint_failing_few", test_few},
						  {"checkpoint_failing_many", test_many},
						  {NULL, NULL}};

	return check_main(argc, argv, tests);
}
