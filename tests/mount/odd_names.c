/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * odd_names.c - odd but legal names, and names that change while others look.
 */
#include <dirent.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <time.h>

#include "tests/mount/odd.h"

enum { NAME_LONGEST = 255 };

/* `size` times `c`. */
static const char *name_of(char c, size_t size)
{
	static char names[8][NAME_LONGEST + 2];
	static unsigned next;
	char *name = names[next++ % 8];

	memset(name, c, size);
	name[size] = '\0';
	return name;
}

static bool is_listed(const char *dir, const char *name)
{
	DIR *listing = opendir(dir);
	const struct dirent *entry;
	unsigned seen = 0;

	MUST(listing != NULL);
	while ((entry = readdir(listing)))
		seen += !strcmp(entry->d_name, name);
	MUST(!closedir(listing));
	MUST(seen <= 1);
	return seen;
}

static void test_long(void)
{
	const char *longest = name_of('a', NAME_LONGEST), *over = name_of('b', NAME_LONGEST + 1);
	struct stat st;

	odd_write(longest, "value", 5);
	odd_expect_file(longest, "value", 5);
	MUST(is_listed(".", longest));
	MUST(!mkdir(name_of('d', NAME_LONGEST), 0755));
	MUST(!rename(longest, name_of('c', NAME_LONGEST)));
	MUST_FAIL(stat(longest, &st), ENOENT);
	odd_expect_file(name_of('c', NAME_LONGEST), "value", 5);
	MUST_FAIL(open(over, O_RDWR | O_CREAT, 0644), ENAMETOOLONG);
	MUST_FAIL(mkdir(over, 0755), ENAMETOOLONG);
	MUST_FAIL(stat(over, &st), ENAMETOOLONG);
	MUST_FAIL(unlink(over), ENAMETOOLONG);
	MUST_FAIL(rename(name_of('c', NAME_LONGEST), over), ENAMETOOLONG);
	odd_write("short", "s", 1);
	MUST(!rename("short", longest));
	odd_expect_file(longest, "s", 1);
}

/* Each byte that a name may hold: alone, and among others; and what looks like ours. */
static void test_bytes(void)
{
	static const char *const odd[] = {"%~",    "%~a",     "%~.",   "%~..",     "%00",  "%2500",
					  "%2F",   "a%=",     "a%=%=", "%",        "%%",   "...",
					  " ",     "-rf",     "\n",    "\xff\xfe", "a\\b", "\"'`$",
					  "*?[x]", "a:b|c<>", "%~%~",  "\xc3\xa4"};
	char name[8];

	for (unsigned c = 1; c < 256; c++) {
		if (c == '/')
			continue;
		(void)snprintf(name, sizeof name, "x%cy", (char)c);
		odd_write(name, &c, 1);
	}
	for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
		int fd = open(odd[i], O_RDWR | O_CREAT | O_EXCL, 0644);
		MUST(fd >= 0 && write(fd, odd[i], strlen(odd[i])) > 0 && !close(fd));
	}
	for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
		odd_expect_file(odd[i], odd[i], strlen(odd[i]));
		MUST(is_listed(".", odd[i]));
	}
	for (unsigned c = 1; c < 256; c++) {
		if (c == '/')
			continue;
		(void)snprintf(name, sizeof name, "x%cy", (char)c);
		odd_expect_file(name, &c, 1);
		MUST(is_listed(".", name));
	}
}

static int enter(int dir, const char *name)
{
	int below = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	MUST(below >= 0);
	MUST(!close(dir));
	return below;
}

/* The bottom of `levels` directories, made if they are not there. */
static int bottom(unsigned levels)
{
	int dir = odd_open(".", O_RDONLY | O_DIRECTORY);
	char name[32];

	for (unsigned i = 0; i < levels; i++) {
		(void)snprintf(name, sizeof name, "level-%u", i);
		MUST(!mkdirat(dir, name, 0755) || errno == EEXIST);
		dir = enter(dir, name);
	}
	return dir;
}

static void test_deep(void)
{
	enum { LEVELS = 64 };
	char got[8];
	int dir = bottom(LEVELS);
	int fd = openat(dir, "file", O_RDWR | O_CREAT | O_CLOEXEC, 0644);

	MUST(fd >= 0 && write(fd, "deep", 4) == 4 && !close(fd));
	MUST(!rename("level-0", "elsewhere"));
	/* the other files are still there */
	MUST((fd = openat(dir, "file", O_RDONLY | O_CLOEXEC)) >= 0);
	MUST(read(fd, got, sizeof got) == 4 && !memcmp(got, "deep", 4) && !close(fd));
	MUST_FAIL(rename("elsewhere", "elsewhere/level-1/x"), EINVAL);
	MUST(!rename("elsewhere", "level-0"));
	MUST(!close(dir));
	dir = bottom(LEVELS);
	MUST((fd = openat(dir, "file", O_RDONLY | O_CLOEXEC)) >= 0);
	MUST(!close(fd) && !close(dir));
}

/* Levels of the longest names, until the key is too long; and all the way back. */
static void test_deepest(void)
{
	const char *name = name_of('n', NAME_LONGEST), *top = name_of('t', NAME_LONGEST);
	char longer[2 * NAME_LONGEST];
	int dir = odd_open(".", O_RDONLY | O_DIRECTORY);
	unsigned levels = 0;

	while (!mkdirat(dir, name, 0755)) {
		dir = enter(dir, name);
		levels++;
	}
	MUST(errno == ENAMETOOLONG && levels == 65536 / (NAME_LONGEST + 1));
	MUST_FAIL(openat(dir, "f", O_RDWR | O_CREAT, 0644), ENAMETOOLONG);
	/* the moved directory may have a short name, a name below it may not */
	MUST(!mkdir(top, 0755));
	(void)snprintf(longer, sizeof longer, "%s/longer", top);
	MUST_FAIL(rename(name, longer), ENAMETOOLONG);
	MUST(!access(name, F_OK));
	for (unsigned i = 0; i < levels; i++) {
		dir = enter(dir, "..");
		MUST(!unlinkat(dir, name, AT_REMOVEDIR));
	}
	MUST(!close(dir));
}

/* --- renaming --- */

static int rename_flags(const char *from, const char *to, unsigned flags)
{
	return renameat2(AT_FDCWD, from, AT_FDCWD, to, flags);
}

static void test_noreplace(void)
{
	enum { RIVALS = 4 };
	char name[32];

	odd_write("f", "f", 1);
	odd_write("g", "g", 1);
	MUST_FAIL(rename_flags("f", "g", RENAME_NOREPLACE), EEXIST);
	MUST(!rename_flags("f", "h", RENAME_NOREPLACE));
	odd_expect_file("h", "f", 1);
	odd_expect_file("g", "g", 1);
	/* of several processes that want a name one gets it */
	for (unsigned r = 0; r < RIVALS; r++) {
		if (odd_fork())
			continue;
		(void)snprintf(name, sizeof name, "rival-%u", r);
		odd_write(name, name, 7);
		MUST(!rename_flags(name, "prize", RENAME_NOREPLACE) || errno == EEXIST);
		_exit(0);
	}
	odd_wait(RIVALS);
	unsigned left = 0;
	for (unsigned r = 0; r < RIVALS; r++) {
		(void)snprintf(name, sizeof name, "rival-%u", r);
		left += !access(name, F_OK);
	}
	MUST(left == RIVALS - 1 && !access("prize", F_OK));
}

/* Names that are exchanged over and over are always there, with one value or the other. */
static void test_exchange(void)
{
	time_t stop = time(NULL) + 2;
	char got[8];

	odd_write("left", "1", 1);
	MUST(!mkdir("dir", 0755));
	odd_write("dir/right", "two", 3);
	int left = odd_open("left", O_RDWR);
	if (!odd_fork()) {
		for (unsigned i = 0; time(NULL) < stop; i++) {
			int fd = open(i % 2 ? "left" : "dir/right", O_RDONLY);
			MUST(fd >= 0);
			ssize_t n = read(fd, got, sizeof got);
			MUST((n == 1 && got[0] == '1') || (n == 3 && !memcmp(got, "two", 3)));
			MUST(!close(fd));
		}
		_exit(0);
	}
	unsigned rounds = 0;
	for (; time(NULL) < stop || rounds % 2 == 0; rounds++)
		MUST(!rename_flags("left", "dir/right", RENAME_EXCHANGE));
	odd_wait(1);
	odd_expect_file("left", "two", 3);
	odd_expect_file("dir/right", "1", 1);
	MUST(pwrite(left, "one", 3, 0) == 3); /* it follows the file */
	odd_expect_file("dir/right", "one", 3);
	MUST(!close(left));
	MUST(is_listed(".", "left") && is_listed("dir", "right"));
	MUST_FAIL(rename_flags("left", "none", RENAME_EXCHANGE), ENOENT);
	MUST_FAIL(rename_flags("left", "dir", RENAME_EXCHANGE), EINVAL);
}

/* --- listing --- */

/* Until `stop`: remove, create, rename, replace, exchange files. */
static void churn(unsigned who, time_t stop)
{
	char name[64], other[64];
	unsigned n = 0;

	for (unsigned i = 6 + 6 * who; time(NULL) < stop; i += 12, n++) {
		(void)snprintf(name, sizeof name, "%06u-goes", i);
		MUST(i > 120000 || !unlink(name));
		(void)snprintf(name, sizeof name, "new-%u-%u", who, n);
		odd_write(name, "x", 1);
		(void)snprintf(other, sizeof other, "moved-%u-%u", who, n);
		MUST(!rename(name, other));
		(void)snprintf(name, sizeof name, "moved-%u-%u", who, n / 2);
		MUST(!unlink(name) || errno == ENOENT);
		/* names that stay, though with another file: two of each process */
		unsigned a = 1 + 12 * (n % 8000) + 6 * who, b = 1 + 12 * (n * 7 % 8000) + 6 * who;
		(void)snprintf(name, sizeof name, "%06u-stays", a);
		(void)snprintf(other, sizeof other, "%06u-stays", b);
		if (n % 16 == 0 && a != b)
			MUST(!rename_flags(name, other, RENAME_EXCHANGE));
		(void)snprintf(other, sizeof other, "over-%u", who);
		odd_write(other, "y", 1);
		MUST(!rename(other, name));
	}
}

/* In a directory with 100,000 files that stay and 20,000 that go. */
static void test_listing(void)
{
	enum { FILES = 120000, CHURNERS = 2, ROUNDS_MIN = 3 };
	static unsigned char seen[FILES + 1];
	time_t stop = time(NULL) + 6;
	unsigned rounds = 0, number;
	const struct dirent *entry;

	for (unsigned c = 0; c < CHURNERS; c++)
		if (!odd_fork()) {
			churn(c, stop);
			_exit(0);
		}
	for (; time(NULL) < stop || rounds < ROUNDS_MIN; rounds++) {
		DIR *dir = opendir(".");
		MUST(dir != NULL);
		memset(seen, 0, sizeof seen);
		while ((errno = 0, entry = readdir(dir)))
			if (strstr(entry->d_name, "-stays") &&
			    sscanf(entry->d_name, "%6u", &number) == 1)
				seen[number]++;
		MUST(!errno && !closedir(dir));
		for (unsigned i = 1; i <= FILES; i++)
			MUST(seen[i] == (i % 6 != 0));
	}
	odd_wait(CHURNERS);
}

/* --- handles --- */

struct handle {
	struct file_handle head;
	unsigned char bytes[MAX_HANDLE_SZ];
};

static void get_handle(const char *name, struct handle *ret)
{
	int mount_id;

	ret->head.handle_bytes = MAX_HANDLE_SZ;
	MUST(!name_to_handle_at(AT_FDCWD, name, &ret->head, &mount_id, 0));
}

/* The handle of a file that is gone opens none that came after it. */
static void test_handles(void)
{
	enum { FILES = 200 };
	static struct handle handles[FILES];
	int root = odd_open(".", O_RDONLY | O_DIRECTORY);

	for (int i = 0; i < FILES; i++) {
		odd_write("old", "old", 3);
		get_handle("old", &handles[i]);
		int fd = open_by_handle_at(root, &handles[i].head, O_RDONLY);
		MUST(fd >= 0);
		odd_expect(fd, "old", 3);
		MUST(!close(fd) && !unlink("old"));
		/* one of another name, one of the same, one that is looked up by a listing */
		odd_write("new", "new", 3);
		MUST_FAIL(open_by_handle_at(root, &handles[i].head, O_RDONLY), ESTALE);
		MUST(!unlink("new"));
		odd_write("old", "new", 3);
		MUST_FAIL(open_by_handle_at(root, &handles[i].head, O_RDONLY), ESTALE);
		MUST(!unlink("old") && !mkdir("old", 0755));
		MUST_FAIL(open_by_handle_at(root, &handles[i].head, O_RDONLY), ESTALE);
		MUST(!rmdir("old"));
	}
	odd_write("old", "new", 3);
	for (int i = 0; i < FILES; i++)
		MUST_FAIL(open_by_handle_at(root, &handles[i].head, O_RDONLY), ESTALE);
	MUST(!close(root));
}

/* Beside the mount, for the next one. */
static const char kept_handle[] = "../handle";

static void test_handle_kept(void)
{
	struct handle handle = {.head = {.handle_bytes = 0}};
	FILE *file = fopen(kept_handle, "w");

	odd_write("f", "old", 3);
	get_handle("f", &handle);
	MUST(file && fwrite(&handle, sizeof handle, 1, file) == 1 && !fclose(file));
}

static void test_handle_stale(void)
{
	FILE *file = fopen(kept_handle, "r");
	struct handle handle;

	MUST(file && fread(&handle, sizeof handle, 1, file) == 1 && !fclose(file));
	odd_write("f", "new", 3); /* first, as before: at the same address */
	int root = odd_open(".", O_RDONLY | O_DIRECTORY);
	MUST_FAIL(open_by_handle_at(root, &handle.head, O_RDONLY), ESTALE);
	MUST(!close(root));
}

int main(int argc, char **argv)
{
	static const struct odd_test tests[] = {
		{"long", test_long},
		{"bytes", test_bytes},
		{"deep", test_deep},
		{"deepest", test_deepest},
		{"noreplace", test_noreplace},
		{"exchange", test_exchange},
		{"listing", test_listing},
		{"handles", test_handles},
		{"handle-kept", test_handle_kept},
		{"handle-stale", test_handle_stale},
		{NULL, NULL},
	};
	return odd_main(argc, argv, tests);
}
