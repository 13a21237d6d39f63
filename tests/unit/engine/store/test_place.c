/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_place.c - engine/store/place: which directories are stores, which may become one, and
 * that nothing is left in those that are something else.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/place.h"
#include "tests/support/files.h"
#include "tests/support/stores.h"

struct sample {
	const char *names; /* separated by blanks; a directory ends in a slash */
	enum place place;
};

static const struct sample samples[] = {
	{"", PLACE_EMPTY},
	{"lost+found/", PLACE_EMPTY},
	{"00000001.dwal", PLACE_STORE},
	{"00000000.dwal", PLACE_STORE},
	{"00000001.dwal README lost+found/", PLACE_STORE},
	{".lock", PLACE_STORE},
	{".lock lost+found/ .attr/ .export/ .snapshots/ .inode-secret 00000001.dwal.torn-17",
	 PLACE_STORE},
	{"00000007.hint", PLACE_STORE},
	{"00000007.hint .lock", PLACE_STORE},
	{".lock README", PLACE_OTHER},
	{"00000007.hint README", PLACE_OTHER},
	{"00000001.DWAL", PLACE_OTHER},
	{"000000001.dwal", PLACE_OTHER},
	{"README", PLACE_OTHER},
	{".hidden", PLACE_OTHER},
	{"directory/", PLACE_OTHER},
	{".attr/", PLACE_OTHER},
	{"00000001.dwal.torn-17", PLACE_OTHER},
	{"00000001.dwal.compact", PLACE_OTHER},
	{".lock 00000001.dwal.compact", PLACE_OTHER},
	{".lock 00000001.dwal.torn-17.tmp", PLACE_OTHER},
	{".lock 00000001.dwal.torn-", PLACE_OTHER},
};
enum { SAMPLES = sizeof samples / sizeof *samples };

static int fill(const char *dir, const char *names)
{
	char *copy = strdup(names), *rest = copy, *name;
	int dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	CHECK(dirfd >= 0 && copy != NULL);
	while ((name = strsep(&rest, " "))) {
		size_t size = strlen(name);
		if (size && name[size - 1] == '/') {
			name[size - 1] = '\0';
			CHECK_EQ(mkdirat(dirfd, name, 0755), 0);
		} else if (size) {
			files_write(dirfd, name, "", 0);
		}
	}
	free(copy);
	return dirfd;
}

static void test_look(void)
{
	for (size_t i = 0; i < SAMPLES; i++) {
		int dirfd = fill(check_dir(), samples[i].names);
		enum place place = (enum place) - 1;
		printf("  %s\n", samples[i].names);
		CHECK_EQ(place_look(&io_posix, dirfd, &place), 0);
		CHECK_EQ(place, samples[i].place);
		(void)close(dirfd);
	}
}

static int try_open(const char *dir, const struct dw_options *options)
{
	struct dw_store *store = NULL;
	int rc = dw_open(dir, options, NULL, &store);

	CHECK_EQ(dw_close(store), 0);
	return rc;
}

static int try_log(const char *dir)
{
	struct dw_log *log = NULL;
	int rc = dw_log_open(dir, 0, 0, NULL, &log);

	dw_log_close(log);
	return rc;
}

/* Every way to open a store, on one that is none. */
static void expect_refused(const char *dir, int want)
{
	const struct dw_options reading = {.read_only = true}, there = {.must_exist = true};
	struct dw_repair_report report;
	struct files before = files_snapshot(dir);

	CHECK_EQ(try_open(dir, &reading), want);
	CHECK_EQ(try_open(dir, &there), want);
	CHECK_EQ(try_log(dir), want);
	CHECK_EQ(dw_repair(dir, false, NULL, NULL, NULL, &report), want);
	CHECK_EQ(dw_repair(dir, true, NULL, NULL, NULL, &report), want);
	struct files after = files_snapshot(dir);
	CHECK(files_equal(&before, &after));
	files_release(&before);
	files_release(&after);
}

static void test_open(void)
{
	const struct dw_options making = {.create = true};
	struct dw_store *store = NULL;

	for (size_t i = 0; i < SAMPLES; i++) {
		const char *dir = stores_dir();
		(void)close(fill(dir, samples[i].names));
		printf("  %s\n", samples[i].names);
		if (samples[i].place == PLACE_OTHER) {
			expect_refused(dir, -ENOMEDIUM);
			CHECK_EQ(try_open(dir, NULL), -ENOMEDIUM);
			CHECK_EQ(try_open(dir, &making), -ENOMEDIUM);
			CHECK_EQ(files_count_suffixed(dir, ".lock"),
				 !!strstr(samples[i].names, ".lock"));
			continue;
		}
		if (samples[i].place == PLACE_EMPTY)
			expect_refused(dir, -ENOENT);
		if (strstr(samples[i].names, ".hint"))
			continue; /* a store whose segment is missing: damage, not a place */
		CHECK_EQ(dw_open(dir, &making, NULL, &store), 0);
		stores_put(store, "k", "v");
		stores_close(store);
		store = stores_open_reader(dir);
		stores_expect(store, "k", "v");
		stores_close(store);
	}
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"place_look", test_look},
		{"place_open", test_open},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
