/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_hold.c - engine/store/hold: no second writer, whatever was removed.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/store.h"
#include "tests/support/holds.h"
#include "tests/support/stores.h"

static void expect_busy(const char *dir, pid_t pid)
{
	struct dw_repair_report report;
	char host[100] = "";

	CHECK_EQ(gethostname(host, sizeof host - 1), 0);
	holds_found.kind = DW_FINDING_IO;
	CHECK_EQ(holds_try(dir), -EBUSY);
	CHECK_EQ(holds_found.kind, DW_FINDING_LOCKED);
	CHECK_EQ(holds_found.pid, pid);
	CHECK(!strcmp(holds_found_host, host));
	CHECK_EQ(dw_repair(dir, false, NULL, NULL, NULL, &report), -EBUSY);
	CHECK_EQ(dw_repair(dir, true, NULL, NULL, NULL, &report), -EBUSY);
}

/* --- one writer --- */

/* The lock is the directory's if only its owner may read it, else the segment's. */
static void test_lock_file_removed(void)
{
	static const mode_t modes[] = {0700, 0755};
	struct dw_store *attrs = NULL;

	for (int i = 0; i < 2; i++) {
		const char *dir = stores_dir();
		CHECK_EQ(chmod(dir, modes[i]), 0);
		struct dw_store *store = holds_open(dir);
		stores_put(store, "k", "v");
		CHECK_EQ(unlink(stores_path(dir, ".lock")), 0);
		expect_busy(dir, getpid());
		CHECK_EQ(dw_open_in(store, DW_ATTR_DIRECTORY, &holds_options, NULL, &attrs), 0);
		CHECK_EQ(unlink(stores_path(dir, DW_ATTR_DIRECTORY "/.lock")), 0);
		expect_busy(stores_path(dir, DW_ATTR_DIRECTORY), getpid());
		CHECK_EQ(rename(stores_path(dir, ".lock"), stores_path(dir, "away")), 0);
		expect_busy(dir, getpid());
		stores_close(stores_open_reader(dir)); /* which takes none */
		stores_close(attrs);
		stores_close(store);
		CHECK_EQ(unlink(stores_path(dir, "away")), 0);
		CHECK_EQ(holds_try(dir), 0);
	}
}

/* The lock goes with the active segment, though a snapshot keeps the old one's descriptor. */
static void test_rotations(void)
{
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, 0), *snapshot = NULL;

	CHECK_EQ(chmod(dir, 0755), 0); /* so that the segment's is what counts */
	stores_put(store, "a", "1");
	CHECK_EQ(dw_snapshot(store, &snapshot), 0);
	stores_expect(snapshot, "a", "1");
	CHECK(holds_is_locked(dir, "00000001.dwal"));
	CHECK_EQ(dw_rotate(store), 0);
	CHECK(!holds_is_locked(dir, "00000001.dwal"));
	CHECK(holds_is_locked(dir, "00000002.dwal"));
	stores_put(store, "a", "2");
	CHECK_EQ(dw_compact(store, NULL), 0);
	CHECK_EQ(unlink(stores_path(dir, ".lock")), 0);
	expect_busy(dir, getpid());
	stores_expect(snapshot, "a", "1");
	stores_close(snapshot);
	stores_close(store);
	CHECK_EQ(holds_try(dir), 0);
}

/* As a writer has it between making a segment and letting the old one go. */
static void test_in_a_rotation(void)
{
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, 0);

	stores_put(store, "a", "1");
	CHECK_EQ(dw_rotate(store), 0);
	stores_close(store);
	int fd = open(stores_path(dir, "00000001.dwal"), O_RDONLY | O_CLOEXEC);
	CHECK(fd >= 0);
	CHECK_EQ(flock(fd, LOCK_EX | LOCK_NB), 0);
	CHECK_EQ(unlink(stores_path(dir, ".lock")), 0);
	expect_busy(dir, getpid());
	(void)close(fd);
	CHECK_EQ(holds_try(dir), 0);
}

/* Of a directory that others may read anybody can hold the lock, so there it does not count;
 * of one that is private it does, whatever was removed in it. */
static void test_directory(void)
{
	const char *open_dir = stores_dir(), *private_dir = stores_dir();
	struct dw_store *store = NULL;

	CHECK_EQ(chmod(open_dir, 0755), 0);
	CHECK_EQ(chmod(private_dir, 0700), 0);
	int fd = open(open_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK(fd >= 0);
	CHECK_EQ(flock(fd, LOCK_EX | LOCK_NB), 0);
	CHECK_EQ(holds_try(open_dir), 0);
	(void)close(fd);
	store = holds_open(private_dir);
	stores_put(store, "k", "v");
	holds_remove_files(private_dir, "");
	holds_found.kind = DW_FINDING_IO;
	CHECK_EQ(holds_try(private_dir), -EBUSY);
	CHECK_EQ(holds_found.kind, DW_FINDING_LOCKED);
	CHECK_EQ(holds_found.pid, getpid());
	CHECK_EQ(dw_close(store), -ESTALE);
	CHECK_EQ(holds_try(private_dir), 0);
}

/* A process that writes and rotates, and has the store until it is killed.  Each segment makes the
 * next opening longer: beyond some thousands the test would not end. */
static pid_t fork_writer(const char *dir)
{
	int ready[2];
	char byte;

	CHECK_EQ(pipe(ready), 0);
	pid_t pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		struct dw_store *store = stores_open(dir, 300);
		for (int i = 0;; i++) {
			stores_put(store, "key", "some value of a length that fills segments");
			if (i == 100)
				(void)!write(ready[1], "y", 1);
			while (i == 20000)
				(void)pause();
		}
	}
	(void)close(ready[1]);
	CHECK_EQ(read(ready[0], &byte, 1), 1);
	(void)close(ready[0]);
	return pid;
}

static void test_while_rotating(void)
{
	const char *dir = stores_dir();

	CHECK_EQ(chmod(dir, 0755), 0);
	pid_t pid = fork_writer(dir);
	for (int i = 0; i < 4; i++) {
		(void)unlink(stores_path(dir, ".lock"));
		CHECK_EQ(holds_try(dir), -EBUSY);
	}
	CHECK_EQ(kill(pid, SIGKILL), 0);
	CHECK_EQ(waitpid(pid, NULL, 0), pid);
	struct dw_store *store = stores_open(dir, 300);
	stores_expect(store, "key", "some value of a length that fills segments");
	stores_close(store);
}

/* The next writer waits for no more than it has to. */
static void test_killed(void)
{
	const struct dw_options waiting = {.lock_wait_ms = 60000};
	struct dw_store *store = NULL;

	for (int i = 0; i < 20; i++) {
		const char *dir = stores_dir();
		CHECK_EQ(chmod(dir, i % 2 ? 0755 : 0700), 0);
		pid_t pid = fork_writer(dir);
		CHECK_EQ(kill(pid, SIGKILL), 0);
		CHECK_EQ(dw_open(dir, &waiting, NULL, &store), 0);
		stores_close(store);
		CHECK_EQ(waitpid(pid, NULL, 0), pid);
	}
}

/* A lock of another process: a visible holder is named, and one that is gone is not. */
static void test_holder(void)
{
	const char *dir = stores_dir();

	stores_close(stores_open(dir, 0));
	int fd = open(stores_path(dir, ".lock"), O_RDWR | O_CLOEXEC);
	CHECK(fd >= 0);
	pid_t pid = fork();
	CHECK(pid >= 0);
	if (!pid)
		_exit(flock(fd, LOCK_EX | LOCK_NB));
	CHECK_EQ(waitpid(pid, NULL, 0), pid);
	CHECK_EQ(holds_try(dir), -EBUSY); /* the kernel names the child, which is gone */
	CHECK_EQ(holds_found.pid, 0);
	CHECK_EQ(holds_found_host[0], 0);
	CHECK_EQ(flock(fd, LOCK_UN), 0);
	CHECK_EQ(flock(fd, LOCK_EX), 0);
	CHECK_EQ(pwrite(fd, "1\n", 2, 0), 2);
	expect_busy(dir, getpid());
	(void)close(fd);
}

/* A writer that knows of `.lock` only, and lost it: it makes and removes segments meanwhile. */
static const char *meddled;
static int meddling; /* so many lists more are not what they were */

static int list_meddled(struct io *io, int dirfd, io_name_fn *visit, void *context)
{
	int rc = io_posix.list(io, dirfd, visit, context);

	if (meddling > 0) {
		meddling--;
		const char *extra = stores_path(meddled, "00000001.dwal");
		if (unlink(extra) < 0)
			CHECK_EQ(close(creat(extra, 0600)), 0);
	}
	return rc;
}

/* A store of the segment 2 alone, so that 1 may come and go. */
static const char *second_alone(void)
{
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, 0);

	CHECK_EQ(dw_rotate(store), 0);
	stores_put(store, "a", "1");
	stores_close(store);
	CHECK_EQ(unlink(stores_path(dir, "00000001.dwal")), 0);
	(void)unlink(stores_path(dir, "00000001.hint")); /* an empty segment may have none */
	return dir;
}

/* A lock taken by the first try does not count as another writer. */
static void test_segments_that_change(void)
{
	struct dw_options options = holds_options;
	struct dw_store *store = NULL;
	struct io io = io_posix;

	io.list = list_meddled;
	for (int tries = 0; tries < 8; tries++) {
		meddled = second_alone();
		meddling = tries;
		holds_found.kind = DW_FINDING_REMOVED;
		CHECK_EQ(store_open(&io, meddled, &options, NULL, &store), 0);
		CHECK_EQ(holds_found.kind, DW_FINDING_REMOVED);
		stores_expect(store, "a", "1");
		stores_close(store);
	}
	for (int reads = 0; reads < 2; reads++) {
		options.read_only = reads;
		meddled = second_alone();
		meddling = INT_MAX;
		holds_found.kind = DW_FINDING_REMOVED;
		CHECK_EQ(store_open(&io, meddled, &options, NULL, &store), -EBUSY);
		CHECK_EQ(holds_found.kind, DW_FINDING_IO);
		CHECK_EQ(holds_found.error, EBUSY);
		CHECK(strstr(holds_found.name, "segments come and go") != NULL);
	}
}

/* --- disks --- */

static uint32_t fs_type;

static int tell_type(struct io *io, int fd, uint32_t *ret)
{
	(void)io;
	(void)fd;
	*ret = fs_type;
	return fs_type ? 0 : -ENOSYS;
}

static void test_local_locks(void)
{
	static const struct {
		uint32_t type;
		const char *name;
	} cases[] = {{0x65735546, "FUSE"},
		     {0x01021997, "9p"},
		     {0xef53, NULL},
		     {0x6969, NULL},
		     {0, NULL}};
	struct dw_options options = holds_options;
	struct io io = io_posix;

	io.filesystem = tell_type;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const char *dir = stores_dir();
		struct dw_store *store = NULL, *attrs = NULL;
		fs_type = cases[i].type;
		for (int reads = 0; reads < 2; reads++) {
			holds_found.kind = DW_FINDING_IO;
			options.read_only = reads;
			CHECK_EQ(store_open(&io, dir, &options, NULL, &store), 0);
			bool told = holds_found.kind == DW_FINDING_LOCAL_LOCKS;
			CHECK_EQ(told, cases[i].name && !reads);
			CHECK(!told || !strcmp(holds_found.name, cases[i].name));
			holds_found.kind = DW_FINDING_IO;
			if (!reads) { /* once is enough */
				CHECK_EQ(dw_open_in(store, DW_ATTR_DIRECTORY, &options, NULL,
						    &attrs),
					 0);
				CHECK(holds_found.kind != DW_FINDING_LOCAL_LOCKS);
				stores_close(attrs);
			}
			stores_close(store);
		}
	}
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"hold_lock_file_removed", test_lock_file_removed},
		{"hold_rotations", test_rotations},
		{"hold_in_a_rotation", test_in_a_rotation},
		{"hold_directory", test_directory},
		{"hold_while_rotating", test_while_rotating},
		{"hold_killed", test_killed},
		{"hold_holder", test_holder},
		{"hold_segments_that_change", test_segments_that_change},
		{"hold_local_locks", test_local_locks},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
