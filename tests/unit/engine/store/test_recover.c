/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_recover.c - what a writer finds in the directory and must live with: blocks that a
 * killed one left allocated, names that are taken by something else, a segment that became
 * shorter, limits.  And what an export must not replace.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/stores.h"

static struct stat stat_of(const char *path)
{
	struct stat st;

	CHECK_EQ(stat(path, &st), 0);
	return st;
}

static int open_writer(const char *dir)
{
	struct dw_store *store = NULL;
	int rc = dw_open(dir, NULL, NULL, &store);

	if (!rc)
		stores_close(store);
	return rc;
}

/* --- blocks --- */

enum { LEFT = 9 << 20 };

/* As a writer leaves it that is killed. */
static void leave_blocks(const char *path)
{
	const struct timespec times[2] = {{1000, 0}, {1000, 0}};
	int fd = open(path, O_RDWR | O_CLOEXEC);

	CHECK(fd >= 0);
	if (fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, LEFT) < 0)
		check_skip("the file system of /tmp cannot allocate ahead");
	CHECK_EQ(futimens(fd, times), 0);
	CHECK_EQ(close(fd), 0);
	CHECK(stat_of(path).st_blocks * 512 >= LEFT);
}

static void expect_trimmed(const char *path, off_t size)
{
	struct stat st = stat_of(path);

	CHECK_EQ(st.st_size, size);
	CHECK(st.st_blocks * 512 < 1 << 20);
}

static void test_blocks(void)
{
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, 0);
	struct dw_repair_report repaired;

	stores_put(store, "a", "1");
	CHECK_EQ(dw_rotate(store), 0);
	stores_put(store, "b", "2");
	stores_close(store);
	const off_t size = stat_of(stores_path(dir, "00000001.dwal")).st_size;
	leave_blocks(stores_path(dir, "00000001.dwal"));
	leave_blocks(stores_path(dir, "00000002.dwal"));
	CHECK_EQ(truncate(stores_path(dir, "00000002.dwal"), size + 5), 0); /* a torn tail, too */
	stores_close(stores_open_reader(dir));
	CHECK(stat_of(stores_path(dir, "00000001.dwal")).st_blocks * 512 >=
	      LEFT); /* a reader changes nothing */
	store = stores_open(dir, 0);
	expect_trimmed(stores_path(dir, "00000001.dwal"), size);
	CHECK_EQ(stat_of(stores_path(dir, "00000001.dwal")).st_mtime,
		 1000); /* it may be a value's */
	stores_expect(store, "a", "1");
	stores_expect(store, "b", "2");
	stores_close(store);
	expect_trimmed(stores_path(dir, "00000002.dwal"), size);
	leave_blocks(stores_path(dir, "00000001.dwal"));
	leave_blocks(stores_path(dir, "00000002.dwal"));
	CHECK_EQ(dw_repair(dir, false, NULL, NULL, NULL, &repaired), 0);
	CHECK(stat_of(stores_path(dir, "00000002.dwal")).st_blocks * 512 >= LEFT);
	CHECK_EQ(dw_repair(dir, true, NULL, NULL, NULL, &repaired), 0);
	expect_trimmed(stores_path(dir, "00000001.dwal"), size);
	expect_trimmed(stores_path(dir, "00000002.dwal"), size);
}

/* --- names --- */

static void test_directories_in_the_way(void)
{
	static const char *const names[] = {"00009999.hint", "00009999.dwal.compact",
					    "00000001.dwal.torn-5.tmp"};
	const char *dir = stores_dir();
	struct dw_repair_report repaired;

	stores_close(stores_open(dir, 0));
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		CHECK_EQ(mkdir(stores_path(dir, names[i]), 0755), 0);
	/* files that can be removed are, whatever else there is */
	CHECK_EQ(close(open(stores_path(dir, "00009998.hint"), O_CREAT | O_WRONLY, 0644)), 0);
	CHECK_EQ(open_writer(dir), 0);
	CHECK_EQ(dw_repair(dir, true, NULL, NULL, NULL, &repaired), 0);
	CHECK(access(stores_path(dir, "00009998.hint"), F_OK) < 0);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		CHECK_EQ(access(stores_path(dir, names[i]), F_OK), 0);
}

static void test_odd_lock(void)
{
	const char *dir = stores_dir();
	struct dw_repair_report repaired;

	stores_close(stores_open(dir, 0));
	CHECK_EQ(unlink(stores_path(dir, ".lock")), 0);
	CHECK_EQ(mkfifo(stores_path(dir, ".lock"), 0644), 0);
	CHECK_EQ(open_writer(dir), -EEXIST);
	CHECK_EQ(dw_repair(dir, false, NULL, NULL, NULL, &repaired), -EEXIST); /* and no hang */
	CHECK_EQ(dw_repair(dir, true, NULL, NULL, NULL, &repaired), -EEXIST);
	CHECK_EQ(unlink(stores_path(dir, ".lock")), 0);
	CHECK_EQ(symlink("elsewhere", stores_path(dir, ".lock")), 0);
	CHECK_EQ(open_writer(dir), -EEXIST);
	CHECK(access(stores_path(dir, "elsewhere"), F_OK) < 0);
	CHECK_EQ(unlink(stores_path(dir, ".lock")), 0);
	CHECK_EQ(open_writer(dir), 0);
}

/* --- compaction of what is no longer there --- */

static void test_segment_became_shorter(void)
{
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, 0);
	struct dw_stats before, after;
	char key[2] = "a";

	for (; *key <= 'i'; ++*key)
		stores_put(store, key, "");
	dw_get_stats(store, &before);
	CHECK_EQ(dw_rotate(store), 0);
	stores_put(store, "z", "");
	stores_put(store, "a", ""); /* else there is nothing to compact */
	/* between records, in one, and all of it */
	for (off_t left = (off_t)before.bytes / 9 * 2; left >= 0;
	     left -= (off_t)before.bytes / 9 - 1) {
		CHECK_EQ(truncate(stores_path(dir, "00000001.dwal"), left), 0);
		CHECK_EQ(dw_compact(store, NULL), -EBADMSG);
	}
	stores_put(store, "y", "");
	stores_expect(store, "z", "");
	dw_get_stats(store, &after);
	CHECK_EQ(after.keys, 11);
	CHECK_EQ(dw_close(store), -ESTALE); /* a clean end would say that all is there */
}

/* --- limits --- */

/* A limit that blocks ahead do not fit into, and the records do. */
static void test_file_size_limit(void)
{
	const char *dir = stores_dir();
	struct rlimit old, low;
	char value[1 << 16];

	memset(value, 'v', sizeof value);
	CHECK_EQ(getrlimit(RLIMIT_FSIZE, &old), 0);
	low = (struct rlimit){.rlim_cur = 1 << 20, .rlim_max = old.rlim_max};
	(void)signal(SIGXFSZ, SIG_IGN);
	CHECK_EQ(setrlimit(RLIMIT_FSIZE, &low), 0);
	struct dw_store *store = stores_open(dir, 0);
	int rc = 0, puts = 0;
	for (; !rc && puts < 32; puts += !rc)
		rc = dw_put(store, stores_bytes("k"), (struct dw_bytes){value, sizeof value});
	CHECK_EQ(rc, -EFBIG);
	CHECK_EQ(puts, 15); /* as many as 1 MiB has */
	CHECK_EQ(setrlimit(RLIMIT_FSIZE, &old), 0);
	stores_put(store, "after", "x"); /* a failed append leaves no trace */
	stores_close(store);
	store = stores_open(dir, 0);
	CHECK(stores_holds(store, stores_bytes("k"), (struct dw_bytes){value, sizeof value}));
	stores_expect(store, "after", "x");
	stores_close(store);
}

/* --- exports --- */

static void test_export_targets(void)
{
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, 0), *attrs = NULL;
	const struct dw_options create = {.create = true};

	stores_put(store, "k", "v");
	CHECK_EQ(dw_export_file(store, stores_path(dir, ".attr")),
		 -EINVAL); /* also while there is none */
	CHECK_EQ(dw_open_in(store, ".attr", &create, NULL, &attrs), 0);
	stores_close(attrs);
	CHECK_EQ(dw_export_file(store, stores_path(dir, ".attr")), -EINVAL);
	CHECK_EQ(dw_export_file(store, stores_path(dir, ".attr/00000001.dwal")), -EINVAL);
	CHECK_EQ(dw_export_file(store, stores_path(dir, ".attr/00000007.hint")), -EINVAL);
	CHECK_EQ(dw_export_file(store, stores_path(dir, ".attr/.lock")), -EINVAL);
	CHECK_EQ(stat_of(stores_path(dir, ".attr/00000001.dwal")).st_size, 0);
	CHECK_EQ(mkfifo(stores_path(dir, "fifo"), 0644), 0);
	CHECK_EQ(symlink("fifo", stores_path(dir, "to_fifo")), 0);
	CHECK_EQ(dw_export_file(store, stores_path(dir, "fifo")), -EINVAL);
	CHECK_EQ(dw_export_file(store, stores_path(dir, "to_fifo")), -EINVAL);
	CHECK(S_ISFIFO(stat_of(stores_path(dir, "to_fifo")).st_mode));
	CHECK_EQ(symlink("nowhere", stores_path(dir, "dangling")), 0);
	CHECK_EQ(dw_export_file(store, stores_path(dir, "dangling")), 0);
	CHECK_EQ(dw_export_file(store, stores_path(dir, "out.jsonl")), 0);
	CHECK_EQ(stat_of(stores_path(dir, "out.jsonl")).st_size,
		 stat_of(stores_path(dir, "dangling")).st_size);
	CHECK_EQ(mkdir(stores_path(dir, "sub"), 0755), 0);
	CHECK_EQ(dw_export_file(store, stores_path(dir, "sub")), -EISDIR);
	stores_close(store);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"recover_blocks", test_blocks},
		{"recover_directories_in_the_way", test_directories_in_the_way},
		{"recover_odd_lock", test_odd_lock},
		{"recover_segment_became_shorter", test_segment_became_shorter},
		{"recover_file_size_limit", test_file_size_limit},
		{"recover_export_targets", test_export_targets},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
