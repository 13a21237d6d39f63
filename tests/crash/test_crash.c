/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_crash.c - the store after a crash at every point of a scenario
 * (tests/support/history.h).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/store.h"
#include "tests/support/history.h"

/* --- scenarios --- */

static void test_puts(void)
{
	struct history *h = history_new();

	history_start(h);
	crashio_init(&h->crash, h->dir);
	history_open(h);
	for (int i = 0; i < 60; i++) {
		history_random(h, 12);
		if (i % 7 == 6)
			history_sync(h);
		if (i % 25 == 24)
			CHECK_EQ(dw_rotate(h->store), 0);
	}
	history_close(h);
	history_finish(h);
}

/* Little, and a segment sealed each time. */
static void test_rotations(void)
{
	struct history *h = history_new();

	history_start(h);
	crashio_init(&h->crash, h->dir);
	history_open(h);
	for (int i = 0; i < 3; i++) {
		history_random(h, 3);
		CHECK_EQ(dw_rotate(h->store), 0);
		history_random(h, 3);
		history_sync(h);
	}
	history_close(h);
	history_finish(h);
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
	history_batch(h, ops, 2);
	h->crash.hook = write_meanwhile;
}

static void test_compaction(void)
{
	struct history *h = history_new();

	history_start(h);
	crashio_init(&h->crash, h->dir);
	history_open(h);
	h->crash.hook = write_meanwhile;
	h->crash.context = h;
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 12; i++)
			history_random(h, 8);
		if (round)
			history_sync(h);
		CHECK_EQ(dw_compact(h->store, NULL), 0);
	}
	history_random(h, 8);
	history_close(h);
	history_finish(h);
}

static void put_five(struct history *h)
{
	static const char *const keys[] = {"key 1", "key 3", "key 5", "key 7", "key 9"};
	struct dw_op ops[5];

	for (int i = 0; i < 5; i++)
		ops[i] = (struct dw_op){
			.type = DW_PUT, .key = {keys[i], 5}, .value = {"one of five", 11}};
	history_batch(h, ops, 5);
}

/* The same with an index on disk that is written anew after a few keys each, so that every moment
 * of log, runs and index together comes by. */
static void test_index(void)
{
	struct history *h = history_new();

	h->index_keys = 4;
	history_start(h);
	crashio_init(&h->crash, h->dir);
	for (int life = 0; life < 2; life++) {
		history_open(h);
		for (int i = 0; i < 4; i++)
			history_random(h, 12);
		put_five(h);
		CHECK(index_is_on_disk(&h->store->core->index));
		CHECK_EQ(dw_rotate(h->store), 0);
		history_random(h, 8);
		history_close(h);
	}
	history_finish(h);
}

static void test_index_compaction(void)
{
	struct history *h = history_new();

	h->index_keys = 4;
	history_start(h);
	crashio_init(&h->crash, h->dir);
	history_open(h);
	h->crash.hook = write_meanwhile;
	h->crash.context = h;
	for (int round = 0; round < 2; round++) {
		put_five(h);
		for (int i = 0; i < 6; i++)
			history_random(h, 8);
		CHECK_EQ(dw_compact(h->store, NULL), 0);
	}
	history_close(h);
	history_finish(h);
}

/* A machine that crashes while a writer recovers from the crash before. */
static void test_recovery(void)
{
	struct history *h = history_new();
	struct dw_store *store;
	char path[160];

	history_start(h);
	store = stores_open(h->dir, HISTORY_SEGMENT_SIZE);
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
		history_open(h);
		for (int j = 0; j < 3; j++)
			history_random(h, 3);
		history_sync(h);
		history_random(h, 3);
		history_close(h);
	}
	history_finish(h);
}

/* Whether the bytes are the end of the segment, or all of a file that was set aside. */
static bool is_kept(const struct files *files, const uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < files->count; i++) {
		const struct file_image *file = &files->items[i];
		bool aside = strstr(file->name, ".torn-") && !strstr(file->name, ".tmp");
		bool segment = !strcmp(file->name, "00000001.dwal");
		if ((aside && file->data.size == size && !memcmp(file->data.data, bytes, size)) ||
		    (segment && file->data.size >= size &&
		     !memcmp(file->data.data + file->data.size - size, bytes, size)))
			return true;
	}
	return false;
}

/* A torn tail is at no instant in neither place, wherever a crash comes. */
static void test_quarantine(void)
{
	enum { TORN = 9000, TRIES = 200 };
	static const enum crash_policy policies[] = {CRASH_KEEP_ALL, CRASH_DROP, CRASH_PREFIX,
						     CRASH_SUBSET};
	const char *dir = stores_dir();
	struct rng rng = check_rng();
	uint8_t *torn = stores_noise(1, TORN);
	struct crashio crash;
	struct files files;
	char path[160];

	struct dw_store *store = stores_open(dir, 0);
	stores_put(store, "key", "value");
	stores_close(store);
	(void)snprintf(path, sizeof path, "%s/00000001.dwal", dir);
	struct buf bytes = files_read(AT_FDCWD, path);
	memcpy(torn, "DWAL\1\0\1\0\2\0\0\0\0\0\0\0\5\0\0\0\0\377\0\0", 24);
	CHECK_EQ(buf_add(&bytes, torn, TORN), 0);
	files_write(AT_FDCWD, path, bytes.data, bytes.size);
	crashio_init(&crash, dir);
	CHECK_EQ(store_open(&crash.io, dir, &(struct dw_options){.create = true}, NULL, &store), 0);
	/* that it is cut off is on disk before anything is written there */
	bool cut = false, pending = false;
	int segment = -1;
	for (size_t i = 0; i < crash.initial_count; i++)
		if (!strcmp(crash.initial[i].name, "00000001.dwal"))
			segment = crash.initial[i].file;
	CHECK(segment >= 0);
	for (size_t i = 0; i < crash.count; i++) {
		const struct crash_event *event = &crash.events[i];
		if (event->file != segment || event->kind < CRASH_WRITE)
			continue;
		cut = cut || event->kind == CRASH_TRUNCATE;
		pending = event->kind != CRASH_SYNC && (pending || event->kind == CRASH_TRUNCATE);
	}
	CHECK(cut && !pending);
	stores_put(store, "key", "later");
	CHECK_EQ(dw_close(store), 0);
	for (size_t point = 0; point <= crash.count; point++)
		for (size_t try = 0; try < TRIES; try++) {
			crashio_rebuild(&crash, point, policies[try % 4], 0, &rng, &files);
			CHECK(is_kept(&files, torn, TORN));
			files_release(&files);
		}
	crashio_release(&crash);
	buf_release(&bytes);
	free(torn);
}

/* A writer's sync includes the records that a killed one had appended. */
static void test_inherited(void)
{
	struct history *h = history_new();

	history_start(h);
	crashio_init(&h->crash, h->dir);
	history_open(h);
	for (int i = 0; i < 3; i++)
		history_random(h, 3);
	log_poison(&h->store->core->log, -EIO, "killed by the test");
	CHECK_EQ(dw_close(h->store), -EIO); /* syncs nothing */
	history_open(h);
	history_sync(h);
	history_random(h, 3);
	history_close(h);
	history_finish(h);
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

	history_start(h);
	crashio_init(&h->crash, h->dir);
	int (*fsync_before)(struct io * io, int fd) = h->crash.io.fsync;
	h->crash.io.fsync = forget_sync;
	history_open(h);
	h->crash.io.fsync = fsync_before;
	log_poison(&h->store->core->log, -EIO, "killed by the test");
	CHECK_EQ(dw_close(h->store), -EIO);
	history_open(h);
	history_random(h, 3);
	history_sync(h);
	history_random(h, 3);
	history_close(h);
	history_finish(h);
}

static bool full;

static int allocate(struct io *io, int fd, off_t offset, off_t size)
{
	(void)io;
	(void)fd;
	(void)offset;
	(void)size;
	return full ? -ENOSPC : 0;
}

/* A rotation that finds no room leaves nothing, durably: the next append may end torn. */
static void test_rotation_full(void)
{
	struct history *h = history_new();

	history_start(h);
	crashio_init(&h->crash, h->dir);
	h->crash.io.allocate = allocate;
	history_open(h);
	for (int i = 0; i < 3; i++) {
		history_random(h, 3);
		history_sync(h);
		full = true;
		CHECK_EQ(dw_rotate(h->store), -ENOSPC);
		full = false;
		history_random(h, 3);
	}
	history_close(h);
	history_finish(h);
}

/* A copy of a segment, as cp(1) makes it: nothing is synced. */
static void copy_segment(struct crashio *crash, const char *from, int dirfd, const char *name)
{
	char path[200];

	(void)snprintf(path, sizeof path, "%s/%s", from, name);
	struct buf bytes = files_read(AT_FDCWD, path);
	int fd = crash->io.open(&crash->io, dirfd, name, O_RDWR | O_CREAT | O_EXCL, 0600);
	CHECK(fd >= 0);
	CHECK_EQ(io_write_full(&crash->io, fd, bytes.data, bytes.size, 0), 0);
	CHECK_EQ(crash->io.close(&crash->io, fd), 0);
	buf_release(&bytes);
}

/* A hint is sealed only when segment and name are on disk, also those of an earlier writer. */
static void test_copied(void)
{
	const char *from = stores_dir(), *dir = stores_dir(), *after = stores_dir();
	struct rng rng = check_rng();
	struct crashio crash;
	struct files files;
	bool synced = false, sealed = false;

	struct dw_store *store = stores_open(from, 0);
	stores_put(store, "a", "first");
	CHECK_EQ(dw_rotate(store), 0);
	stores_put(store, "b", "second");
	stores_close(store);
	crashio_init(&crash, dir);
	int fd = crash.io.open(&crash.io, AT_FDCWD, dir, O_RDONLY | O_DIRECTORY, 0);
	CHECK(fd >= 0);
	copy_segment(&crash, from, fd, "00000001.dwal");
	copy_segment(&crash, from, fd, "00000002.dwal");
	CHECK_EQ(crash.io.close(&crash.io, fd), 0);
	CHECK_EQ(store_open(&crash.io, dir, &(struct dw_options){0}, NULL, &store), 0);
	size_t opened = crash.count;
	CHECK_EQ(dw_close(store), 0);
	for (size_t i = 0; i < crash.count; i++) {
		const struct crash_event *event = &crash.events[i];
		synced = synced || event->kind == CRASH_SYNC_DIR;
		if (event->kind != CRASH_RENAME || strcmp(event->to, "00000001.hint") != 0)
			continue;
		CHECK(synced); /* the segment's name is older */
		sealed = true;
	}
	CHECK(sealed);
	for (size_t point = 0; point <= crash.count; point++) {
		crashio_rebuild(&crash, point, CRASH_DROP, 0, &rng, &files);
		history_empty_dir(after);
		files_restore(&files, after);
		files_release(&files);
		store = stores_open(after, 0);
		if (point >= opened)
			stores_expect(store, "a", "first");
		stores_close(store);
	}
	crashio_release(&crash);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"crash_puts", test_puts},
		{"crash_rotations", test_rotations},
		{"crash_compaction", test_compaction},
		{"crash_index", test_index},
		{"crash_index_compaction", test_index_compaction},
		{"crash_recovery", test_recovery},
		{"crash_quarantine", test_quarantine},
		{"crash_inherited", test_inherited},
		{"crash_inherited_name", test_inherited_name},
		{"crash_rotation_full", test_rotation_full},
		{"crash_copied", test_copied},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
