/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_maintain.c - what goes on in the background; verifying at a rate.
 *
 * The threads are waited for by what they do, for as long as the runner lets a test run.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "compact/compact.h"
#include "store/store.h"
#include "tests/support/files.h"
#include "tests/support/spaceio.h"
#include "tests/support/stores.h"

struct found {
	atomic_int damage, io;
	atomic_uint segment;
	atomic_uint_fast64_t offset;
	atomic_int error;
};

static void note(void *context, const struct dw_finding *finding)
{
	struct found *found = context;

	atomic_store(&found->segment, finding->segment);
	atomic_store(&found->offset, finding->offset);
	atomic_store(&found->error, finding->error);
	atomic_fetch_add(&found->damage, finding->kind == DW_FINDING_DAMAGE);
	atomic_fetch_add(&found->io, finding->kind == DW_FINDING_IO);
}

static struct dw_store *open_noting(struct io *io, const char *dir, struct found *found)
{
	const struct dw_options options = {
		.create = true, .segment_size = 1000, .on_finding = note, .context = found};
	struct dw_store *store = NULL;

	CHECK_EQ(store_open(io, dir, &options, NULL, &store), 0);
	return store;
}

static void nap(void)
{
	(void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

static uint64_t compactions(struct dw_store *store)
{
	struct dw_stats stats;

	dw_get_stats(store, &stats);
	return stats.compactions;
}

static uint64_t dead_bytes(struct dw_store *store)
{
	struct dw_stats stats;

	dw_get_stats(store, &stats);
	return stats.bytes - stats.live_bytes;
}

static void overwrite(struct dw_store *store, int times)
{
	for (int i = 0; i < times; i++)
		stores_put(store, "key", "a value that is soon replaced by another one");
}

/* Dead bytes go by themselves, again and again; too few of them stay. */
static void test_auto(void)
{
	const struct dw_maintain_options options = {
		.compact = true, .dead_bytes_min = 2000, .look_ms = 1};
	struct found found = {0};
	struct dw_store *store = open_noting(&io_posix, stores_dir(), &found);

	overwrite(store, 40); /* before, too */
	CHECK_EQ(dw_maintain(store, &options), 0);
	for (uint64_t round = 1; round <= 3; round++) {
		while (dead_bytes(store) >= 2000)
			nap();
		overwrite(store, 40);
	}
	while (dead_bytes(store) >= 2000)
		nap();
	CHECK_EQ(dw_maintain(store, NULL), 0);
	uint64_t done = compactions(store);
	CHECK(done >= 1);
	overwrite(store, 400);
	CHECK_EQ(compactions(store), done); /* no thread looks any more */
	CHECK_EQ(atomic_load(&found.io), 0);
	stores_close(store);
}

/* While nothing is appended the thread sleeps, and an append wakes it. */
static void test_idle(void)
{
	const struct dw_maintain_options options = {
		.compact = true, .dead_bytes_min = 1, .look_ms = 1};
	struct found found = {0};
	struct dw_store *store = open_noting(&io_posix, stores_dir(), &found);

	CHECK_EQ(dw_maintain(store, &options), 0);
	while (!atomic_load(&store->core->work.idle))
		nap();
	overwrite(store, 10);
	while (!compactions(store))
		nap();
	while (!atomic_load(&store->core->work.idle))
		nap();
	stores_expect(store, "key", "a value that is soon replaced by another one");
	stores_close(store); /* with the thread asleep */
}

/* Closing does not wait for one that would take an hour, and one on demand goes before. */
static void test_gives_way(void)
{
	const struct dw_maintain_options options = {
		.compact = true, .dead_bytes_min = 1000, .look_ms = 1, .compact_rate = 1};
	struct dw_compact_progress progress;
	struct found found = {0};
	const char *dir = stores_dir();
	struct dw_store *store = open_noting(&io_posix, dir, &found);

	for (int i = 0; i < 2; i++) {
		overwrite(store, 40);
		CHECK_EQ(dw_maintain(store, &options), 0);
		do {
			nap();
			dw_compact_progress(store, &progress);
		} while (progress.phase != DW_COMPACT_COPYING || !progress.bytes_done);
		if (!i) {
			CHECK_EQ(dw_compact(store, NULL), 0);
			CHECK_EQ(dead_bytes(store), 0);
		}
	}
	stores_close(store);
	CHECK_EQ(files_count_suffixed(dir, ".compact"), 0);
	store = open_noting(&io_posix, dir, &found);
	stores_expect(store, "key", "a value that is soon replaced by another one");
	CHECK_EQ(atomic_load(&found.io), 0);
	stores_close(store);
}

/* An error is told, and the thread tries again. */
static void test_goes_on(void)
{
	const struct dw_maintain_options options = {
		.compact = true, .dead_bytes_min = 1, .look_ms = 1};
	struct found found = {0};
	struct spaceio space;

	spaceio_init(&space);
	space.file_cost = 100;
	struct dw_store *store = open_noting(&space.io, stores_dir(), &found);
	overwrite(store, 5);
	(void)pthread_mutex_lock(&space.lock);
	space.room = 50;
	(void)pthread_mutex_unlock(&space.lock);
	CHECK_EQ(dw_maintain(store, &options), 0);
	while (!atomic_load(&found.io))
		nap();
	CHECK_EQ(atomic_load(&found.error), ENOSPC);
	CHECK_EQ(compactions(store), 0);
	(void)pthread_mutex_lock(&space.lock);
	space.room = 1 << 20;
	(void)pthread_mutex_unlock(&space.lock);
	while (!compactions(store))
		nap();
	CHECK_EQ(dead_bytes(store), 0);
	stores_close(store);
}

/* A rate is for those who share the disk, not a way to lose it: far behind, none counts. */
static void test_hurries(void)
{
	const struct dw_maintain_options options = {
		.compact = true, .dead_bytes_min = 1000, .look_ms = 1, .compact_rate = 1};
	struct found found = {0};
	struct dw_store *store = open_noting(&io_posix, stores_dir(), &found);

	overwrite(store, 80); /* more than four times the least, and what lives */
	CHECK(dead_bytes(store) > 5000);
	CHECK_EQ(dw_maintain(store, &options), 0);
	while (!compactions(store))
		nap();
	CHECK_EQ(dead_bytes(store), 0);
	stores_close(store);
}

/* The same when writers get ahead while one is under way: at its rate it would take minutes. */
static void test_hurries_on(void)
{
	const struct dw_maintain_options options = {
		.compact = true, .dead_bytes_min = 20 << 20, .look_ms = 1, .compact_rate = 1 << 20};
	struct dw_compact_progress progress;
	struct found found = {0};
	struct dw_store *store = open_noting(&io_posix, stores_dir(), &found);
	uint8_t *value = stores_noise(1, 1 << 20);
	const struct dw_bytes bytes = {value, 1 << 20};
	struct timespec begun, ended;

	for (int i = 0; i < 60; i++)
		CHECK_EQ(dw_put(store, stores_bytes("key"), bytes), 0);
	(void)clock_gettime(CLOCK_MONOTONIC, &begun);
	CHECK_EQ(dw_maintain(store, &options), 0);
	do {
		nap();
		dw_compact_progress(store, &progress);
	} while (progress.phase != DW_COMPACT_COPYING || !progress.bytes_done);
	for (int i = 0; i < 60; i++)
		CHECK_EQ(dw_put(store, stores_bytes("key"), bytes), 0);
	while (dead_bytes(store) >= 80 << 20)
		nap();
	(void)clock_gettime(CLOCK_MONOTONIC, &ended);
	CHECK(ended.tv_sec - begun.tv_sec < 50);
	free(value);
	stores_close(store);
}

/* An append without room is reason enough, however little is dead. */
static void test_full(void)
{
	const struct dw_maintain_options options = {.compact = true, .look_ms = 1};
	static const uint8_t value[300];
	struct found found = {0};
	struct spaceio space;

	spaceio_init(&space);
	struct dw_store *store = open_noting(&space.io, stores_dir(), &found);
	CHECK_EQ(dw_maintain(store, &options), 0);
	(void)pthread_mutex_lock(&space.lock);
	space.room = 6000;
	(void)pthread_mutex_unlock(&space.lock);
	const struct dw_bytes bytes = {value, sizeof value};
	for (int i = 0; i < 5; i++)
		CHECK_EQ(dw_put(store, stores_bytes("old"), bytes), 0);
	int rc = 0, puts = 0;
	for (char key[2] = "a"; !rc; ++*key, puts++)
		rc = dw_put(store, stores_bytes(key), bytes);
	CHECK_EQ(rc, -ENOSPC);
	CHECK(puts > 5);
	while (!compactions(store))
		nap();
	CHECK_EQ(dw_put(store, stores_bytes("there is room again"), bytes), 0);
	stores_close(store);
}

/* Copying bytes that a snapshot holds frees nothing: compaction waits until it is closed. */
static void test_snapshot_spared(void)
{
	const struct dw_maintain_options options = {
		.compact = true, .dead_bytes_min = 1000, .look_ms = 1};
	const struct compact_limits limits = {
		.dead_percent = 50, .copy_max = UINT64_MAX, .background = true};
	struct dw_store *snapshot = NULL;
	struct compact_run run;
	struct found found = {0};
	struct dw_store *store = open_noting(&io_posix, stores_dir(), &found);

	overwrite(store, 40);
	CHECK_EQ(dw_snapshot(store, &snapshot), 0);
	CHECK_EQ(dw_rotate(store), 0);
	log_lock(&store->core->log);
	compact_choose_locked(store->core, &limits, &run);
	log_unlock(&store->core->log);
	CHECK_EQ(run.count, 0);
	CHECK_EQ(dw_maintain(store, &options), 0);
	while (!atomic_load(&store->core->work.idle))
		nap();
	CHECK_EQ(compactions(store), 0);
	CHECK_EQ(dw_close(snapshot), 0); /* nothing is appended, and yet it looks */
	while (!compactions(store))
		nap();
	CHECK_EQ(dead_bytes(store), 0);
	/* records after the snapshot are not held by it */
	CHECK_EQ(dw_snapshot(store, &snapshot), 0);
	CHECK_EQ(dw_rotate(store), 0);
	overwrite(store, 80);
	while (dead_bytes(store) > 2000)
		nap();
	stores_expect(snapshot, "key", "a value that is soon replaced by another one");
	stores_close(snapshot);
	stores_close(store);
}

static void test_refused(void)
{
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, 0);

	CHECK_EQ(dw_maintain(store,
			     &(struct dw_maintain_options){.compact = true, .dead_percent = 101}),
		 -EINVAL);
	stores_close(store);
	store = stores_open_reader(dir);
	CHECK_EQ(dw_maintain(store, &(struct dw_maintain_options){.compact = true}), -EROFS);
	CHECK_EQ(dw_maintain(store, &(struct dw_maintain_options){.scrub_interval_ms = 1}), 0);
	CHECK_EQ(dw_maintain(store, NULL), 0);
	CHECK_EQ(dw_maintain(store, NULL), 0);
	stores_close(store);
}

/* --- verifying --- */

/* Overwrite a byte of the payload of the record at `offset` of segment 1. */
static void damage_at(const char *dir, off_t offset)
{
	char path[160];

	(void)snprintf(path, sizeof path, "%s/00000001.dwal", dir);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	CHECK(fd >= 0);
	CHECK_EQ(pwrite(fd, "X", 1, offset + 30), 1);
	(void)close(fd);
}

static void test_scrub(void)
{
	const struct dw_maintain_options options = {.scrub_interval_ms = 1};
	struct found found = {0};
	const char *dir = stores_dir();
	struct dw_store *store = open_noting(&io_posix, dir, &found);

	overwrite(store, 40);
	CHECK_EQ(dw_maintain(store, &options), 0);
	damage_at(dir, 3 * 75);                /* records of 28 + 3 + 44 bytes */
	while (atomic_load(&found.damage) < 3) /* each time anew */
		nap();
	CHECK_EQ(dw_maintain(store, NULL), 0);
	CHECK_EQ(atomic_load(&found.segment), 1);
	CHECK_EQ(atomic_load(&found.offset), 3 * 75);
	int seen = atomic_load(&found.damage);
	stores_put(store, "and", "on");
	CHECK_EQ(atomic_load(&found.damage), seen);
	stores_close(store);
}

static void *verify_slowly(void *context)
{
	const struct dw_verify_options options = {.rate = 1};
	struct dw_verify_report report;

	return (void *)(intptr_t)dw_verify_with(context, &options, &report);
}

static void test_verify_cancel(void)
{
	const struct dw_verify_options options = {.rate = 10000};
	struct dw_verify_report report;
	struct dw_store *store = stores_open(stores_dir(), 1000);
	pthread_t thread;
	void *result = NULL;

	overwrite(store, 40); /* 3000 bytes */
	int64_t begun = clock_monotonic_ns();
	CHECK_EQ(dw_verify_with(store, &options, &report), 0);
	CHECK(clock_monotonic_ns() - begun > 150000000);
	CHECK_EQ(report.bytes, 3000);
	CHECK_EQ(pthread_create(&thread, NULL, verify_slowly, store), 0);
	/* said again until it is heard: the thread may not have begun */
	while (pthread_tryjoin_np(thread, &result) == EBUSY) {
		dw_verify_cancel(store);
		nap();
	}
	CHECK_EQ((intptr_t)result, -ECANCELED);
	CHECK_EQ(dw_verify(store, &report), 0);
	stores_close(store);
}

static ssize_t fail_read(struct io *io, int fd, const struct iovec *iov, int count, off_t offset)
{
	char path[64], name[160] = "";

	(void)io;
	(void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	CHECK(readlink(path, name, sizeof name - 1) > 0);
	if (strstr(name, "00000002.dwal"))
		return -EIO;
	return io_posix.preadv(&io_posix, fd, iov, count, offset);
}

/* A segment that cannot be read does not hide damage in others. */
static void test_verify_io(void)
{
	struct spaceio space;
	struct found found = {0};
	struct dw_verify_report report;
	const char *dir = stores_dir();

	spaceio_init(&space);
	struct dw_store *store = open_noting(&space.io, dir, &found);
	overwrite(store, 40);
	space.io.preadv = fail_read;
	CHECK_EQ(dw_verify(store, &report), -EIO);
	CHECK_EQ(atomic_load(&found.io), 1);
	CHECK_EQ(atomic_load(&found.segment), 2);
	damage_at(dir, 0);
	CHECK_EQ(dw_verify(store, &report), -EIO);
	CHECK_EQ(atomic_load(&found.damage), 1);
	CHECK_EQ(atomic_load(&found.io), 2);
	stores_close(store);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"maintain_auto", test_auto},
		{"maintain_idle", test_idle},
		{"maintain_gives_way", test_gives_way},
		{"maintain_goes_on", test_goes_on},
		{"maintain_hurries", test_hurries},
		{"maintain_hurries_on", test_hurries_on},
		{"maintain_full", test_full},
		{"maintain_snapshot_spared", test_snapshot_spared},
		{"maintain_refused", test_refused},
		{"maintain_scrub", test_scrub},
		{"verify_cancel", test_verify_cancel},
		{"verify_io", test_verify_io},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
