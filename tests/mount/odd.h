/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * odd.h - what programs that ask odd but legal things of a mount share.
 *
 * Such a program is one process of a shell test: it is given the test and the
 * directory, says what it did not get, and ends with 1.  Processes, not threads,
 * stand for the others that use the mount; a child that finds a fault exits with 1.
 */
#ifndef MOUNT_ODD_H
#define MOUNT_ODD_H

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MUST(condition)                                                                            \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: not so: %s (errno: %s)\n", __FILE__, __LINE__,     \
				#condition, strerror(errno));                                      \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

/* The call must fail with this errno. */
#define MUST_FAIL(call, code)                                                                      \
	do {                                                                                       \
		errno = 0;                                                                         \
		MUST((call) < 0);                                                                  \
		MUST(errno == (code));                                                             \
	} while (0)

struct odd_test {
	const char *name;
	void (*run)(void); /* in the directory */
};

/* Run the test that argv[1] names in the directory argv[2]. */
static inline int odd_main(int argc, char **argv, const struct odd_test *tests)
{
	if (argc != 3 || chdir(argv[2]) < 0) {
		fprintf(stderr, "usage: %s TEST DIRECTORY\n", argv[0]);
		return 2;
	}
	for (; tests->name; tests++)
		if (!strcmp(argv[1], tests->name)) {
			tests->run();
			return 0;
		}
	fprintf(stderr, "no test '%s'\n", argv[1]);
	return 2;
}

static inline pid_t odd_fork(void)
{
	pid_t pid = fork();

	MUST(pid >= 0);
	return pid;
}

/* Wait for `count` children, all of which must be content. */
static inline void odd_wait(unsigned count)
{
	int status;

	for (unsigned i = 0; i < count; i++) {
		MUST(wait(&status) > 0);
		MUST(WIFEXITED(status) && !WEXITSTATUS(status));
	}
}

static inline int odd_open(const char *name, int flags)
{
	int fd = open(name, flags | O_CLOEXEC, 0644);

	MUST(fd >= 0);
	return fd;
}

/* A file with this value. */
static inline void odd_write(const char *name, const void *data, size_t size)
{
	int fd = odd_open(name, O_WRONLY | O_CREAT | O_TRUNC);

	MUST(write(fd, data, size) == (ssize_t)size);
	MUST(!close(fd));
}

/* An open file reads as this, from its start, and no more. */
static inline void odd_expect(int fd, const void *data, size_t size)
{
	char *got = malloc(size + 1);
	size_t have = 0;
	ssize_t n;

	MUST(got != NULL);
	while ((n = pread(fd, got + have, size + 1 - have, (off_t)have)) > 0)
		have += (size_t)n;
	MUST(n == 0);
	MUST(have == size);
	MUST(!memcmp(got, data, size));
	free(got);
}

static inline void odd_expect_file(const char *name, const void *data, size_t size)
{
	int fd = odd_open(name, O_RDONLY);

	odd_expect(fd, data, size);
	MUST(!close(fd));
}

#endif
