/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_owner.c - owner and mode of the files of a store: its maker's alone when it is new, as its
 * owner chose when it is there.  And that nothing below its directory is reached by a link.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disk/owner.h"
#include "tests/support/files.h"
#include "tests/support/stores.h"

enum { SEGMENT_SIZE = 400, USER = 4242, GROUP = 4343 };

static mode_t mode_of(const char *path)
{
	struct stat st;

	CHECK_EQ(lstat(path, &st), 0);
	return st.st_mode & 07777;
}

typedef void file_fn(const char *path, const char *name);

static void each_file(const char *dir, file_fn *call)
{
	char path[900];
	DIR *d = opendir(dir);
	struct dirent *entry;

	CHECK(d != NULL);
	(void)snprintf(path, sizeof path, "%s", dir); /* stores_path() uses its memory again */
	while ((entry = readdir(d)))
		if (entry->d_type == DT_REG)
			call(stores_path(path, entry->d_name), entry->d_name);
	(void)closedir(d);
}

static mode_t want, want_lock;
static uid_t want_uid;
static gid_t want_gid;
static int seen;

static void see(const char *path, const char *name)
{
	struct stat st;

	CHECK_EQ(lstat(path, &st), 0);
	printf("    %s %o\n", name, st.st_mode & 07777);
	CHECK_EQ(st.st_mode & 07777, strcmp(name, ".lock") ? want : want_lock);
	CHECK_EQ(st.st_uid, want_uid);
	CHECK_EQ(st.st_gid, want_gid);
	seen++;
}

static void expect_modes(const char *dir, mode_t mode, mode_t lock)
{
	want = mode;
	want_lock = lock;
	seen = 0;
	each_file(dir, see);
	CHECK(seen > 1);
}

static void change(const char *path, const char *name)
{
	(void)name;
	CHECK_EQ(chmod(path, want), 0);
	CHECK_EQ(chown(path, want_uid, want_gid), 0);
}

/* Every way by which files come to be: appends, rotations, compaction, recovery, repair. */
static void use(const char *dir)
{
	const struct dw_options making = {.create = true, .segment_size = SEGMENT_SIZE};
	struct dw_store *store = stores_open(dir, SEGMENT_SIZE), *attrs = NULL;
	struct dw_repair_report report;
	char key[16];

	for (int i = 0; i < 40; i++) {
		(void)snprintf(key, sizeof key, "key%d", i % 7);
		stores_put(store, key, "some value of a length that fills segments");
	}
	CHECK_EQ(dw_compact(store, NULL), 0);
	stores_put(store, "last", "value");
	CHECK_EQ(dw_open_in(store, DW_ATTR_DIRECTORY, &making, NULL, &attrs), 0);
	stores_put(attrs, "fkey", "mode");
	stores_close(attrs);
	stores_close(store);
	store = stores_open(dir, SEGMENT_SIZE);
	stores_close(store);
	CHECK_EQ(dw_repair(dir, true, NULL, NULL, NULL, &report), 0);
}

/* The last segment of a store. */
static const char *last_of(const char *dir)
{
	static char last[256];
	DIR *d = opendir(dir);
	struct dirent *entry;

	CHECK(d != NULL);
	last[0] = '\0';
	while ((entry = readdir(d)))
		if (strlen(entry->d_name) == 13 && strstr(entry->d_name, ".dwal") &&
		    strcmp(entry->d_name, last) > 0)
			(void)snprintf(last, sizeof last, "%s", entry->d_name);
	(void)closedir(d);
	CHECK(*last);
	return stores_path(dir, last);
}

/* Lost hints, which opening writes anew, a torn tail, and damage in front of sound records. */
static void spoil(const char *dir)
{
	files_remove_suffixed(dir, ".hint");
	struct dw_store *store = stores_open(dir, 1 << 20);
	struct dw_repair_report report;
	struct stat st;

	stores_put(store, "spoilt", "value");
	stores_put(store, "sound", "value");
	stores_close(store);
	const char *last = last_of(dir);
	CHECK_EQ(stat(last, &st), 0);
	int fd = open(last, O_WRONLY | O_CLOEXEC);
	CHECK(fd >= 0);
	CHECK_EQ(pwrite(fd, "DWAL", 4, st.st_size), 4); /* as much of an append came to the disk */
	stores_close(stores_open(dir, 1 << 20));
	CHECK_EQ(files_count_suffixed(dir, ".torn-"), 1);
	CHECK_EQ(pwrite(fd, "x", 1, 0), 1);
	(void)close(fd);
	CHECK_EQ(dw_repair(dir, true, NULL, NULL, NULL, &report), 0);
	CHECK_EQ(report.segments_damaged, 1);
	stores_close(stores_open(dir, 1 << 20));
}

static void test_new_store(void)
{
	static const mode_t masks[] = {0, 022, 077};
	char dir[600];

	want_uid = getuid();
	want_gid = getgid();
	for (size_t i = 0; i < sizeof masks / sizeof *masks; i++) {
		(void)snprintf(dir, sizeof dir, "%s/new", stores_dir());
		(void)umask(masks[i]);
		use(dir);
		spoil(dir);
		CHECK_EQ(mode_of(dir), 0700);
		CHECK_EQ(mode_of(stores_path(dir, DW_ATTR_DIRECTORY)), 0700);
		expect_modes(dir, 0600, 0600);
		expect_modes(stores_path(dir, DW_ATTR_DIRECTORY), 0600, 0600);
	}
}

static void test_owners_choice(void)
{
	static const struct {
		mode_t mask, mode, lock, directory;
	} cases[] = {
		{077, 0644, 0600, 0755}, {0, 0640, 0600, 0750}, {022, 0660, 0660, 0770},
		{077, 0666, 0666, 0777}, {0, 0600, 0600, 0700},
	};

	want_uid = getuid() ? getuid() : USER;
	want_gid = getuid() ? getgid() : GROUP;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const char *dir = stores_dir();
		printf("  %o\n", cases[i].mode);
		struct dw_store *store = stores_open(dir, 0);
		stores_put(store, "k", "v");
		stores_close(store);
		want = cases[i].mode;
		each_file(dir, change);
		(void)umask(cases[i].mask);
		use(dir);
		spoil(dir);
		(void)umask(022);
		expect_modes(dir, cases[i].mode, cases[i].lock);
		CHECK_EQ(mode_of(stores_path(dir, DW_ATTR_DIRECTORY)),
			 cases[i].directory & ~cases[i].mask);
		expect_modes(stores_path(dir, DW_ATTR_DIRECTORY), cases[i].mode, cases[i].lock);
	}
}

static void test_others_can_read(void)
{
	static const struct {
		mode_t directory, file;
		bool want;
	} cases[] = {
		{0755, 0600, false}, {0700, 0644, false}, {0755, 0644, true},  {0711, 0644, true},
		{0750, 0640, true},  {0705, 0640, false}, {0744, 0644, false}, {0777, 0622, false},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const char *dir = stores_dir();
		stores_close(stores_open(dir, 0));
		CHECK_EQ(chmod(dir, cases[i].directory), 0);
		CHECK_EQ(chmod(stores_path(dir, "00000001.dwal"), cases[i].file), 0);
		struct dw_store *store = stores_open(dir, 0);
		CHECK_EQ(dw_others_can_read(store), cases[i].want);
		stores_close(store);
		CHECK_EQ(chmod(dir, 0700), 0);
	}
}

/* A directory that is a link leads anybody's writer anywhere. */
static void test_links(void)
{
	static const struct dw_options cases[] = {
		{.create = true}, {.create = false}, {.read_only = true}};
	const char *dir = stores_dir(), *victim = stores_dir();
	struct dw_store *store = stores_open(dir, 0), *inner = NULL;

	stores_close(stores_open(victim, 0));
	int victim_fd = open(victim, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK(victim_fd >= 0);
	files_write(victim_fd, "00000007.dwal.compact", "precious", 8);
	(void)close(victim_fd);
	CHECK_EQ(symlink(victim, stores_path(dir, DW_ATTR_DIRECTORY)), 0);
	struct files before = files_snapshot(victim);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		CHECK_EQ(dw_open_in(store, DW_ATTR_DIRECTORY, &cases[i], NULL, &inner), -ENOTDIR);
	struct files after = files_snapshot(victim);
	CHECK(files_equal(&before, &after));
	files_release(&before);
	files_release(&after);
	CHECK_EQ(dw_open_in(store, "a/b", &cases[0], NULL, &inner), -EINVAL);
	CHECK_EQ(dw_open_in(store, "..", &cases[0], NULL, &inner), -EINVAL);
	CHECK_EQ(dw_open_in(store, ".", &cases[0], NULL, &inner), -EINVAL);
	stores_close(store);
}

/* Files are opened in the directory that was opened, wherever that is by now. */
static void test_moved(void)
{
	const struct dw_options making = {.create = true};
	char dir[600], moved[700];
	struct dw_store *inner = NULL;

	(void)snprintf(dir, sizeof dir, "%s/a", stores_dir());
	(void)snprintf(moved, sizeof moved, "%s.moved", dir);
	struct dw_store *store = stores_open(dir, 0);
	CHECK_EQ(rename(dir, moved), 0);
	CHECK_EQ(mkdir(dir, 0700), 0);
	CHECK_EQ(dw_open_in(store, ".inner", &making, NULL, &inner), 0);
	stores_close(inner);
	CHECK(access(stores_path(dir, ".inner"), F_OK) < 0);
	CHECK_EQ(access(stores_path(moved, ".inner/00000001.dwal"), F_OK), 0);
	stores_close(store);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"owner_new_store", test_new_store},
		{"owner_owners_choice", test_owners_choice},
		{"owner_others_can_read", test_others_can_read},
		{"owner_links", test_links},
		{"owner_moved", test_moved},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
