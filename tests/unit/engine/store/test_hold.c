/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_hold.c - engine/store/hold: no second writer, whatever was removed, and no sync that says
 * yes for a store that is gone.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "store/store.h"
#include "tests/support/files.h"
#include "tests/support/stores.h"

static const char *in(const char *dir, const char *name)
{
	static char paths[4][1200];
	static int next;
	char *path = paths[next++ % 4];

	(void)snprintf(path, sizeof paths[0], "%s/%s", dir, name);
	return path;
}

/* What was found last. */
static struct dw_finding found;
static char found_host[128];

static void note(void *context, const struct dw_finding *finding)
{
	(void)context;
	found = *finding;
	(void)snprintf(found_host, sizeof found_host, "%s", finding->host ? finding->host : "");
}

/* Rotations look at the segment as well: none comes unasked. */
static const struct dw_options noting = {
	.create = true, .on_finding = note, .segment_size = UINT64_C(16) << 30};

static struct dw_store *open_noting(const char *dir)
{
	struct dw_store *store = NULL;

	CHECK_EQ(dw_open(dir, &noting, NULL, &store), 0);
	return store;
}

static int try_open(const char *dir)
{
	struct dw_store *store = NULL;
	int rc = dw_open(dir, &noting, NULL, &store);

	CHECK_EQ(dw_close(store), 0);
	return rc;
}

static void expect_busy(const char *dir, pid_t pid)
{
	struct dw_repair_report report;
	char host[100] = "";

	CHECK_EQ(gethostname(host, sizeof host - 1), 0);
	found.kind = DW_FINDING_IO;
	CHECK_EQ(try_open(dir), -EBUSY);
	CHECK_EQ(found.kind, DW_FINDING_LOCKED);
	CHECK_EQ(found.pid, pid);
	CHECK(!strcmp(found_host, host));
	CHECK_EQ(dw_repair(dir, false, NULL, NULL, NULL, &report), -EBUSY);
	CHECK_EQ(dw_repair(dir, true, NULL, NULL, NULL, &report), -EBUSY);
}

/* --- one writer --- */

static void remove_files(const char *dir, const char *part)
{
	DIR *d = opendir(dir);
	struct dirent *entry;

	CHECK(d != NULL);
	while ((entry = readdir(d)))
		if (entry->d_type == DT_REG && strstr(entry->d_name, part))
			CHECK_EQ(unlinkat(dirfd(d), entry->d_name, 0), 0);
	(void)closedir(d);
}

/* By the directory where nobody else may read it, by the segment where others may. */
static void test_lock_file_removed(void)
{
	static const mode_t modes[] = {0700, 0755};
	struct dw_store *attrs = NULL;

	for (int i = 0; i < 2; i++) {
		const char *dir = stores_dir();
		CHECK_EQ(chmod(dir, modes[i]), 0);
		struct dw_store *store = open_noting(dir);
		stores_put(store, "k", "v");
		CHECK_EQ(unlink(in(dir, ".lock")), 0);
		expect_busy(dir, getpid());
		CHECK_EQ(dw_open_in(store, DW_ATTR_DIRECTORY, &noting, NULL, &attrs), 0);
		CHECK_EQ(unlink(in(dir, DW_ATTR_DIRECTORY "/.lock")), 0);
		expect_busy(in(dir, DW_ATTR_DIRECTORY), getpid());
		CHECK_EQ(rename(in(dir, ".lock"), in(dir, "away")), 0);
		expect_busy(dir, getpid());
		stores_close(stores_open_reader(dir)); /* which takes none */
		stores_close(attrs);
		stores_close(store);
		CHECK_EQ(unlink(in(dir, "away")), 0);
		CHECK_EQ(try_open(dir), 0);
	}
}

static bool is_locked(const char *dir, const char *name)
{
	int fd = open(in(dir, name), O_RDONLY | O_CLOEXEC);

	CHECK(fd >= 0);
	bool locked = flock(fd, LOCK_EX | LOCK_NB) < 0;
	CHECK(!locked || errno == EWOULDBLOCK);
	(void)close(fd);
	return locked;
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
	CHECK(is_locked(dir, "00000001.dwal"));
	CHECK_EQ(dw_rotate(store), 0);
	CHECK(!is_locked(dir, "00000001.dwal"));
	CHECK(is_locked(dir, "00000002.dwal"));
	stores_put(store, "a", "2");
	CHECK_EQ(dw_compact(store, NULL), 0);
	CHECK_EQ(unlink(in(dir, ".lock")), 0);
	expect_busy(dir, getpid());
	stores_expect(snapshot, "a", "1");
	stores_close(snapshot);
	stores_close(store);
	CHECK_EQ(try_open(dir), 0);
}

/* As a writer has it between making a segment and letting the old one go. */
static void test_in_a_rotation(void)
{
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, 0);

	stores_put(store, "a", "1");
	CHECK_EQ(dw_rotate(store), 0);
	stores_close(store);
	int fd = open(in(dir, "00000001.dwal"), O_RDONLY | O_CLOEXEC);
	CHECK(fd >= 0);
	CHECK_EQ(flock(fd, LOCK_EX | LOCK_NB), 0);
	CHECK_EQ(unlink(in(dir, ".lock")), 0);
	expect_busy(dir, getpid());
	(void)close(fd);
	CHECK_EQ(try_open(dir), 0);
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
	CHECK_EQ(try_open(open_dir), 0);
	(void)close(fd);
	store = open_noting(private_dir);
	stores_put(store, "k", "v");
	remove_files(private_dir, "");
	found.kind = DW_FINDING_IO;
	CHECK_EQ(try_open(private_dir), -EBUSY);
	CHECK_EQ(found.kind, DW_FINDING_LOCKED);
	CHECK_EQ(found.pid, getpid());
	CHECK_EQ(dw_close(store), -ESTALE);
	CHECK_EQ(try_open(private_dir), 0);
}

/* A process that writes and rotates, and has the store until it is killed.  Each segment makes the
 * next opening longer: beyond some thousands nobody would see its end. */
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
		(void)unlink(in(dir, ".lock"));
		CHECK_EQ(try_open(dir), -EBUSY);
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

/* A lock of somebody else's: who can be seen is named, and who is gone is not. */
static void test_holder(void)
{
	const char *dir = stores_dir();

	stores_close(stores_open(dir, 0));
	int fd = open(in(dir, ".lock"), O_RDWR | O_CLOEXEC);
	CHECK(fd >= 0);
	pid_t pid = fork();
	CHECK(pid >= 0);
	if (!pid)
		_exit(flock(fd, LOCK_EX | LOCK_NB));
	CHECK_EQ(waitpid(pid, NULL, 0), pid);
	CHECK_EQ(try_open(dir), -EBUSY); /* the kernel names the child, which is gone */
	CHECK_EQ(found.pid, 0);
	CHECK_EQ(found_host[0], 0);
	CHECK_EQ(flock(fd, LOCK_UN), 0);
	CHECK_EQ(flock(fd, LOCK_EX), 0);
	CHECK_EQ(pwrite(fd, "1\n", 2, 0), 2);
	expect_busy(dir, getpid());
	(void)close(fd);
}

/* --- a store that is gone --- */

static void expect_gone(struct dw_store *store, uint32_t segment)
{
	struct dw_stats stats;
	char text[300];

	CHECK_EQ(found.kind, DW_FINDING_REMOVED);
	CHECK_EQ(found.segment, segment);
	CHECK(dw_finding_text(&found, text, sizeof text) < (int)sizeof text);
	CHECK(strstr(text, "was removed") != NULL);
	CHECK_EQ(dw_sync(store), -ESTALE);
	CHECK_EQ(dw_put(store, stores_bytes("x"), stores_bytes("y")), -ESTALE);
	CHECK_EQ(dw_rotate(store), -ESTALE);
	dw_get_stats(store, &stats);
	CHECK_EQ(stats.poisoned, ESTALE);
	stores_expect(store, "a", "1"); /* it can still be copied */
	CHECK_EQ(dw_close(store), -ESTALE);
}

static struct dw_store *two_segments(const char *dir)
{
	struct dw_store *store = open_noting(dir);

	stores_put(store, "a", "1");
	CHECK_EQ(dw_rotate(store), 0);
	stores_put(store, "b", "2");
	CHECK_EQ(dw_sync(store), 0);
	found.kind = DW_FINDING_IO;
	return store;
}

enum way { SYNC, SYNC_NOTHING, ROTATE, PUTS, CLOSE, WAYS };

/* Each call that says yes to something. */
static void meet(struct dw_store *store, enum way way)
{
	int rc = 0;

	switch (way) {
	case SYNC:
		stores_put(store, "c", "3");
		CHECK_EQ(dw_sync(store), -ESTALE);
		break;
	case SYNC_NOTHING: CHECK_EQ(dw_sync(store), -ESTALE); break;
	case ROTATE: CHECK_EQ(dw_rotate(store), -ESTALE); break;
	case PUTS:
		while (!rc) /* a second; without end, and the test's time limit, if it never is */
			rc = dw_put(store, stores_bytes("c"), stores_bytes("3"));
		CHECK_EQ(rc, -ESTALE);
		break;
	case CLOSE:
	case WAYS: break;
	}
}

static void test_segments_removed(void)
{
	for (int way = 0; way < WAYS; way++) {
		const char *dir = stores_dir();
		struct dw_store *store = two_segments(dir);
		remove_files(dir, ".dwal");
		meet(store, (enum way)way);
		if (way == CLOSE)
			CHECK_EQ(dw_close(store), -ESTALE);
		else
			expect_gone(store, 2);
	}
}

static void test_directory_removed(void)
{
	for (int way = 0; way < WAYS; way++) {
		char dir[600];
		(void)snprintf(dir, sizeof dir, "%s/store", stores_dir());
		struct dw_store *store = two_segments(dir);
		/* the segment lives on under another name */
		CHECK_EQ(link(in(dir, "00000002.dwal"), in(dir, "../kept")), 0);
		remove_files(dir, "");
		CHECK_EQ(rmdir(dir), 0);
		meet(store, (enum way)way);
		if (way == CLOSE)
			CHECK_EQ(dw_close(store), -ESTALE);
		else
			expect_gone(store, 0);
	}
}

/* The file goes on under another name, as after `cp -al` and `rm`, or `mv`. */
static void move_away(const char *dir, const char *name)
{
	CHECK_EQ(rename(in(dir, name), in(dir, "elsewhere")), 0);
}

static void replace(const char *dir, const char *name)
{
	move_away(dir, name);
	CHECK_EQ(close(open(in(dir, name), O_CREAT | O_EXCL | O_WRONLY, 0600)), 0);
}

static void cut(const char *dir, const char *name)
{
	CHECK_EQ(truncate(in(dir, name), 5), 0);
}

static void lose_active(void (*lose)(const char *dir, const char *name), enum way way)
{
	const char *dir = stores_dir();
	struct dw_store *store = two_segments(dir);

	lose(dir, "00000002.dwal");
	meet(store, way);
	if (way == CLOSE)
		CHECK_EQ(dw_close(store), -ESTALE);
	else
		expect_gone(store, 2);
}

static void test_segment_elsewhere(void)
{
	for (int way = 0; way < WAYS; way++) {
		lose_active(move_away, (enum way)way);
		lose_active(replace, (enum way)way);
	}
	/* an append would make it as long as it was */
	lose_active(cut, SYNC_NOTHING);
	lose_active(cut, ROTATE);
	lose_active(cut, CLOSE);
}

static void lose_sealed(void (*lose)(const char *dir, const char *name))
{
	const char *dir = stores_dir();
	struct dw_store *store = two_segments(dir);
	int rc = 0;

	lose(dir, "00000001.dwal");
	for (int i = 0; !rc && i < 2; i++)
		rc = dw_sync(store);
	CHECK_EQ(rc, -ESTALE);
	CHECK_EQ(found.kind, DW_FINDING_REMOVED);
	CHECK_EQ(found.segment, 1);
	CHECK_EQ(dw_close(store), -ESTALE);
}

static void test_sealed_segment_elsewhere(void)
{
	lose_sealed(move_away);
	lose_sealed(replace);
	lose_sealed(cut);
}

/* A sealed one is looked at in turn. */
static void test_sealed_segment_removed(void)
{
	const char *dir = stores_dir();
	struct dw_store *store = two_segments(dir);
	int rc = 0;

	CHECK_EQ(dw_rotate(store), 0);
	stores_put(store, "c", "3");
	CHECK_EQ(unlink(in(dir, "00000001.dwal")), 0);
	for (int i = 0; !rc && i < 3; i++)
		rc = dw_sync(store);
	CHECK_EQ(rc, -ESTALE);
	expect_gone(store, 1);
}

/* Of the attributes' store, too, before the values are said to be safe. */
static void test_attributes_removed(void)
{
	const char *dir = stores_dir();
	struct dw_store *store = two_segments(dir), *attrs = NULL;

	CHECK_EQ(dw_open_in(store, DW_ATTR_DIRECTORY, &noting, NULL, &attrs), 0);
	stores_put(attrs, "fa", "mode");
	CHECK_EQ(dw_sync(store), 0);
	remove_files(in(dir, DW_ATTR_DIRECTORY), ".dwal");
	stores_put(store, "c", "3");
	CHECK_EQ(dw_sync(store), -ESTALE);
	CHECK_EQ(found.kind, DW_FINDING_REMOVED);
	CHECK_EQ(dw_sync(store), -ESTALE);
	CHECK_EQ(dw_close(attrs), -ESTALE);
	CHECK(dw_close(store) < 0);
}

/* Programs that know of `.lock` only are kept out again from the next sync on. */
static void test_lock_file_comes_back(void)
{
	const char *dir = stores_dir();
	struct dw_store *store = two_segments(dir);
	char text[32];

	CHECK_EQ(unlink(in(dir, ".lock")), 0);
	CHECK_EQ(dw_sync(store), 0);
	CHECK(is_locked(dir, ".lock"));
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct buf got = files_read(fd, ".lock");
	(void)snprintf(text, sizeof text, "%ld\n", (long)getpid());
	CHECK(got.size == strlen(text) && !memcmp(got.data, text, got.size));
	buf_release(&got);
	(void)close(fd);
	/* and one of them that was faster has the store */
	CHECK_EQ(unlink(in(dir, ".lock")), 0);
	int other = open(in(dir, ".lock"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	CHECK(other >= 0);
	CHECK_EQ(flock(other, LOCK_EX | LOCK_NB), 0);
	stores_put(store, "c", "3");
	CHECK_EQ(dw_sync(store), -EBUSY);
	CHECK_EQ(found.kind, DW_FINDING_POISONED);
	CHECK_EQ(dw_put(store, stores_bytes("x"), stores_bytes("y")), -EBUSY);
	CHECK_EQ(dw_close(store), -EBUSY);
	(void)close(other);
}

static int refusals;

static int refuse_lock(struct io *io, int fd, int operation)
{
	return refusals > 0 && refusals-- ? -EWOULDBLOCK : io_posix.flock(io, fd, operation);
}

/* A program that was refused had it, for as long as it took. */
static void test_lock_file_had_for_a_moment(void)
{
	const char *dir = stores_dir();
	struct dw_store *store = NULL;
	struct io io = io_posix;

	io.flock = refuse_lock;
	CHECK_EQ(store_open(&io, dir, &noting, NULL, &store), 0);
	stores_put(store, "a", "1");
	CHECK_EQ(unlink(in(dir, ".lock")), 0);
	refusals = 3;
	CHECK_EQ(dw_sync(store), 0);
	CHECK_EQ(refusals, 0);
	CHECK(is_locked(dir, ".lock"));
	stores_close(store);
}

/* A writer that knows of `.lock` only, and lost it: it makes and removes segments meanwhile. */
static const char *meddled;
static int meddling; /* so many lists more are not what they were */

static int list_meddled(struct io *io, int dirfd, io_name_fn *visit, void *context)
{
	int rc = io_posix.list(io, dirfd, visit, context);

	if (meddling > 0) {
		meddling--;
		const char *extra = in(meddled, "00000001.dwal");
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
	CHECK_EQ(unlink(in(dir, "00000001.dwal")), 0);
	(void)unlink(in(dir, "00000001.hint")); /* an empty segment may have none */
	return dir;
}

/* A lock taken by the first try does not count as another writer. */
static void test_segments_that_change(void)
{
	struct dw_options options = noting;
	struct dw_store *store = NULL;
	struct io io = io_posix;

	io.list = list_meddled;
	for (int tries = 0; tries < 8; tries++) {
		meddled = second_alone();
		meddling = tries;
		found.kind = DW_FINDING_REMOVED;
		CHECK_EQ(store_open(&io, meddled, &options, NULL, &store), 0);
		CHECK_EQ(found.kind, DW_FINDING_REMOVED);
		stores_expect(store, "a", "1");
		stores_close(store);
	}
	for (int reads = 0; reads < 2; reads++) {
		options.read_only = reads;
		meddled = second_alone();
		meddling = INT_MAX;
		found.kind = DW_FINDING_REMOVED;
		CHECK_EQ(store_open(&io, meddled, &options, NULL, &store), -EBUSY);
		CHECK_EQ(found.kind, DW_FINDING_IO);
		CHECK_EQ(found.error, EBUSY);
		CHECK(strstr(found.name, "segments come and go") != NULL);
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
	struct dw_options options = noting;
	struct io io = io_posix;

	io.filesystem = tell_type;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const char *dir = stores_dir();
		struct dw_store *store = NULL, *attrs = NULL;
		fs_type = cases[i].type;
		for (int reads = 0; reads < 2; reads++) {
			found.kind = DW_FINDING_IO;
			options.read_only = reads;
			CHECK_EQ(store_open(&io, dir, &options, NULL, &store), 0);
			bool told = found.kind == DW_FINDING_LOCAL_LOCKS;
			CHECK_EQ(told, cases[i].name && !reads);
			CHECK(!told || !strcmp(found.name, cases[i].name));
			found.kind = DW_FINDING_IO;
			if (!reads) { /* once is enough */
				CHECK_EQ(dw_open_in(store, DW_ATTR_DIRECTORY, &options, NULL,
						    &attrs),
					 0);
				CHECK(found.kind != DW_FINDING_LOCAL_LOCKS);
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
		{"hold_segments_removed", test_segments_removed},
		{"hold_directory_removed", test_directory_removed},
		{"hold_sealed_segment_removed", test_sealed_segment_removed},
		{"hold_segment_elsewhere", test_segment_elsewhere},
		{"hold_sealed_segment_elsewhere", test_sealed_segment_elsewhere},
		{"hold_attributes_removed", test_attributes_removed},
		{"hold_lock_file_comes_back", test_lock_file_comes_back},
		{"hold_lock_file_had_for_a_moment", test_lock_file_had_for_a_moment},
		{"hold_segments_that_change", test_segments_that_change},
		{"hold_local_locks", test_local_locks},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
