/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_dirfiles.c - engine/disk: files that appear whole, the writer's lock.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "disk/atomicfile.h"
#include "disk/dirlock.h"
#include "tests/support/files.h"
#include "tests/support/stores.h"

static int open_dir(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	CHECK(fd >= 0);
	return fd;
}

/* --- atomicfile --- */

static void expect_file(int dirfd, const char *name, const char *want)
{
	struct buf got = files_read(dirfd, name);

	CHECK_EQ(got.size, strlen(want));
	CHECK(!memcmp(got.data, want, got.size));
	buf_release(&got);
}

static void test_atomicfile(void)
{
	const char *dir = stores_dir();
	int dirfd = open_dir(dir), before = stores_fd_count();
	struct atomicfile file;

	files_write(dirfd, "name", "old", 3);
	files_write(dirfd, "temp", "leftover of a crash", 19);
	CHECK_EQ(atomicfile_init(&file, &io_posix, dirfd, "name", "temp", 0600), 0);
	CHECK_EQ(atomicfile_write(&file, "n", 1), 0);
	CHECK_EQ(atomicfile_write(&file, "ew!", 3), 0);
	CHECK_EQ(atomicfile_sync(&file), 0);
	expect_file(dirfd, "name", "old");
	CHECK_EQ(atomicfile_commit(&file, true), 0);
	atomicfile_release(&file);
	expect_file(dirfd, "name", "new!");
	CHECK_EQ(files_count_suffixed(dir, "temp"), 0);

	CHECK_EQ(atomicfile_init(&file, &io_posix, dirfd, "name", "temp", 0600), 0);
	CHECK_EQ(atomicfile_write(&file, "given up", 8), 0);
	atomicfile_release(&file);
	expect_file(dirfd, "name", "new!");
	CHECK_EQ(files_count_suffixed(dir, "temp"), 0);
	CHECK_EQ(stores_fd_count(), before);
	(void)close(dirfd);
}

/* The temporary name of a symlink is replaced, never followed. */
static void test_atomicfile_symlink(void)
{
	int dirfd = open_dir(check_dir());
	struct atomicfile file;

	files_write(dirfd, "victim", "safe", 4);
	CHECK_EQ(symlinkat("victim", dirfd, "temp"), 0);
	CHECK_EQ(atomicfile_init(&file, &io_posix, dirfd, "name", "temp", 0600), 0);
	CHECK_EQ(atomicfile_write(&file, "xxxx", 4), 0);
	CHECK_EQ(atomicfile_commit(&file, true), 0);
	atomicfile_release(&file);
	expect_file(dirfd, "victim", "safe");
	expect_file(dirfd, "name", "xxxx");
	(void)close(dirfd);
}

/* --- dirlock --- */

/* A process that holds the lock of `dir` until its pipe is closed. */
static pid_t hold_lock(int dirfd, int *release_ret)
{
	int ready[2], go[2];
	char byte;

	CHECK_EQ(pipe(ready), 0);
	CHECK_EQ(pipe(go), 0);
	pid_t pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		struct dirlock_holder holder;
		(void)close(go[1]);
		int fd = dirlock_take(&io_posix, dirfd, 0, &holder);
		(void)!write(ready[1], fd >= 0 ? "y" : "n", 1);
		(void)!read(go[0], &byte, 1);
		_exit(0);
	}
	(void)close(go[0]);
	(void)close(ready[1]);
	CHECK_EQ(read(ready[0], &byte, 1), 1);
	CHECK_EQ(byte, 'y');
	(void)close(ready[0]);
	*release_ret = go[1];
	return pid;
}

static void test_dirlock(void)
{
	int dirfd = open_dir(check_dir()), release, before = stores_fd_count();
	struct dirlock_holder holder = {.pid = -1};
	pid_t pid = hold_lock(dirfd, &release);
	char text[32], host[DIRLOCK_HOST_SIZE] = "";

	CHECK_EQ(dirlock_take(&io_posix, dirfd, 0, &holder), -EBUSY);
	CHECK_EQ(holder.pid, pid);
	CHECK_EQ(gethostname(host, sizeof host - 1), 0);
	CHECK(!strcmp(holder.host, host));
	CHECK_EQ(dirlock_take(&io_posix, dirfd, 50, &holder), -EBUSY);
	(void)close(release);
	CHECK_EQ(waitpid(pid, NULL, 0), pid);
	int fd = dirlock_take(&io_posix, dirfd, 0, &holder);
	CHECK(fd >= 0);
	(void)snprintf(text, sizeof text, "%ld\n", (long)getpid());
	expect_file(dirfd, ".lock", text);
	/* a second description in the same process is locked out as well */
	CHECK_EQ(dirlock_take(&io_posix, dirfd, 0, &holder), -EBUSY);
	CHECK_EQ(holder.pid, getpid());
	(void)close(fd);
	CHECK_EQ(stores_fd_count(), before);
	(void)close(dirfd);
}

/* A waiting process gets the lock once it is released, also by the holder's death. */
static void test_dirlock_waits(void)
{
	int dirfd = open_dir(check_dir()), release;
	struct dirlock_holder holder;
	pid_t pid = hold_lock(dirfd, &release);

	pid_t killer = fork();
	CHECK(killer >= 0);
	if (!killer) {
		(void)kill(pid, SIGKILL);
		_exit(0);
	}
	int fd = dirlock_take(&io_posix, dirfd, 60000, &holder);
	CHECK(fd >= 0);
	(void)close(fd);
	CHECK_EQ(waitpid(killer, NULL, 0), killer);
	CHECK_EQ(waitpid(pid, NULL, 0), pid);
	(void)close(release);
	(void)close(dirfd);
}

/* The text of the file proves nothing: the kernel knows the holder of the lock. */
static void test_dirlock_garbage(void)
{
	static const char *const texts[] = {"", "abc", "-5\n", "99999999999999999999\n", "0"};
	int dirfd = open_dir(check_dir());
	struct dirlock_holder holder;

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		int fd = dirlock_take(&io_posix, dirfd, 0, &holder);
		CHECK(fd >= 0);
		files_write(dirfd, ".lock", texts[i], strlen(texts[i]));
		holder.pid = -1;
		CHECK_EQ(dirlock_take(&io_posix, dirfd, 0, &holder), -EBUSY);
		CHECK_EQ(holder.pid, getpid());
		(void)close(fd);
	}
	(void)close(dirfd);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"disk_atomicfile", test_atomicfile},
		{"disk_atomicfile_symlink", test_atomicfile_symlink},
		{"disk_dirlock", test_dirlock},
		{"disk_dirlock_waits", test_dirlock_waits},
		{"disk_dirlock_garbage", test_dirlock_garbage},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
