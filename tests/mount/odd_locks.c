/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * odd_locks.c - locks of whole files and of ranges, between processes.
 */
#include <sys/file.h>

#include "tests/mount/odd.h"

/* The answer that a second process gets about the file. */
static void in_child(void (*look)(int fd))
{
	if (!odd_fork()) {
		look(odd_open("locked", O_RDWR));
		_exit(0);
	}
	odd_wait(1);
}

static int lock_range(int fd, int command, short type, off_t start, off_t size)
{
	struct flock lock = {.l_type = type, .l_start = start, .l_len = size};

	return fcntl(fd, command, &lock);
}

static void look_flock_taken(int fd)
{
	MUST_FAIL(flock(fd, LOCK_EX | LOCK_NB), EWOULDBLOCK);
	MUST_FAIL(flock(fd, LOCK_SH | LOCK_NB), EWOULDBLOCK);
}

static void look_flock_shared(int fd)
{
	MUST(!flock(fd, LOCK_SH | LOCK_NB));
	MUST_FAIL(flock(fd, LOCK_EX | LOCK_NB), EWOULDBLOCK);
}

static void look_range_taken(int fd)
{
	struct flock lock = {.l_type = F_WRLCK, .l_start = 0, .l_len = 0};

	MUST_FAIL(lock_range(fd, F_SETLK, F_WRLCK, 50, 100), EAGAIN);
	MUST(!lock_range(fd, F_SETLK, F_WRLCK, 200, 10));
	MUST(!fcntl(fd, F_GETLK, &lock));
	MUST(lock.l_type == F_WRLCK && lock.l_pid == getppid() && lock.l_start == 100);
	MUST_FAIL(lock_range(fd, F_OFD_SETLK, F_RDLCK, 100, 1), EAGAIN);
}

static void test_locks(void)
{
	char got;
	int ends[2];

	odd_write("locked", "x", 1);
	int fd = odd_open("locked", O_RDWR);
	MUST(!flock(fd, LOCK_EX));
	in_child(look_flock_taken);
	MUST(!flock(fd, LOCK_SH));
	in_child(look_flock_shared);
	MUST(!flock(fd, LOCK_UN));
	MUST(!lock_range(fd, F_SETLK, F_WRLCK, 100, 100));
	in_child(look_range_taken);
	/* a waiting process gets it as soon as it is free, and not before */
	MUST(!pipe(ends));
	if (!odd_fork()) {
		int own = odd_open("locked", O_RDWR);
		MUST(write(ends[1], "w", 1) == 1);
		MUST(!lock_range(own, F_SETLKW, F_WRLCK, 150, 1));
		MUST(pread(own, &got, 1, 0) == 1 && got == 'y');
		_exit(0);
	}
	MUST(read(ends[0], &got, 1) == 1);
	MUST(pwrite(fd, "y", 1, 0) == 1);
	MUST(!lock_range(fd, F_SETLK, F_UNLCK, 0, 0));
	odd_wait(1);
	MUST(!close(fd));
}

int main(int argc, char **argv)
{
	static const struct odd_test tests[] = {
		{"locks", test_locks},
		{NULL, NULL},
	};
	return odd_main(argc, argv, tests);
}
