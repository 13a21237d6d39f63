/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * odd_tmpfile.c - files that are opened without a name (O_TMPFILE), and may be given one.
 */
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "tests/mount/odd.h"

enum { SIZE = 300000, LARGE = 5000 };

static int open_nameless(const char *dir, int flags, mode_t mode)
{
	int fd = open(dir, O_TMPFILE | O_CLOEXEC | flags, mode);

	MUST(fd >= 0);
	return fd;
}

/* As a program does that has no right to linkat(AT_EMPTY_PATH). */
static int give_name(int fd, const char *name)
{
	char path[64];

	(void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, path, AT_FDCWD, name, AT_SYMLINK_FOLLOW);
}

static void test_named(void)
{
	char *bytes = malloc(SIZE), got[8];
	struct stat st;

	MUST(bytes != NULL);
	memset(bytes, 'n', SIZE);
	MUST(!mkdir("dir", 0755));
	int fd = open_nameless("dir", O_RDWR, 0640);
	MUST(write(fd, bytes, SIZE) == SIZE);
	MUST(!fstat(fd, &st) && !st.st_nlink && st.st_size == SIZE);
	MUST(!fchmod(fd, 0604) && !fsetxattr(fd, "user.what", "label", 5, 0));
	MUST(!fsetxattr(fd, "user.large", bytes, LARGE, 0));
	MUST(!fsync(fd));
	MUST(rmdir("dir") == 0 && !mkdir("dir", 0755)); /* nothing is in it */
	odd_write("taken", "x", 1);
	MUST_FAIL(give_name(fd, "taken"), EEXIST);
	MUST_FAIL(give_name(fd, "none/name"), ENOENT);
	MUST(!give_name(fd, "dir/name"));
	MUST(!fstat(fd, &st) && st.st_nlink == 1);
	MUST_FAIL(give_name(fd, "second"), EPERM); /* a key has one name */
	odd_expect_file("dir/name", bytes, SIZE);
	MUST(!stat("dir/name", &st) && (st.st_mode & 07777) == 0604 && st.st_size == SIZE);
	MUST(getxattr("dir/name", "user.what", got, sizeof got) == 5 && !memcmp(got, "label", 5));
	MUST(getxattr("dir/name", "user.large", NULL, 0) == LARGE);
	/* it is a file as others are */
	MUST(pwrite(fd, "N", 1, 0) == 1 && !close(fd));
	bytes[0] = 'N';
	odd_expect_file("dir/name", bytes, SIZE);
	MUST(!rename("dir/name", "renamed"));
	odd_expect_file("renamed", bytes, SIZE);
	MUST_FAIL(link("renamed", "third"), EPERM);
	fd = open_nameless(".", O_WRONLY, 0644);
	MUST(!give_name(fd, "empty") && !close(fd));
	odd_expect_file("empty", "", 0);
	free(bytes);
}

static void test_nameless(void)
{
	struct stat st;

	/* never to be given one */
	int fd = open_nameless(".", O_RDWR | O_EXCL, 0600);
	MUST(write(fd, "bytes", 5) == 5);
	MUST_FAIL(give_name(fd, "excl"), ENOENT);
	odd_expect(fd, "bytes", 5);
	char *map = mmap(NULL, 5, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	MUST(map != MAP_FAILED);
	map[0] = 'B';
	MUST(!msync(map, 5, MS_SYNC) && !munmap(map, 5));
	odd_expect(fd, "Bytes", 5);
	MUST(!ftruncate(fd, 2) && !fstat(fd, &st) && st.st_size == 2);
	MUST(!close(fd));
	/* two are two */
	struct stat other;
	int a = open_nameless(".", O_RDWR, 0600), b = open_nameless(".", O_RDWR, 0600);
	MUST(!fstat(a, &st) && !fstat(b, &other) && st.st_ino != other.st_ino);
	MUST(write(a, "a", 1) == 1 && write(b, "bb", 2) == 2);
	odd_expect(a, "a", 1);
	odd_expect(b, "bb", 2);
	MUST(!close(a) && !close(b));
	/* a removed file's directory, and the control directory, take none */
	MUST_FAIL(open(".datawal", O_TMPFILE | O_RDWR, 0600), EPERM);
	odd_write("left", "x", 1);
}

int main(int argc, char **argv)
{
	static const struct odd_test tests[] = {
		{"named", test_named},
		{"nameless", test_nameless},
		{NULL, NULL},
	};
	return odd_main(argc, argv, tests);
}
