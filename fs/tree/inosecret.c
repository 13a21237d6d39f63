/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * inosecret.c - see inosecret.h.
 */
#include "fs/tree/inosecret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/base/seed.h"

enum { TEXT_SIZE = 2 * INO_SECRET_SIZE + 1 };

static const char temporary[] = INOSECRET_NAME ".tmp";

/* 0, -EINVAL: it is no secret, or -errno. */
static int parse(const char text[TEXT_SIZE], uint8_t ret[INO_SECRET_SIZE])
{
	for (int i = 0; i < INO_SECRET_SIZE; i++) {
		unsigned byte = 0;
		for (int j = 0; j < 2; j++) {
			char c = text[2 * i + j];
			bool digit = c >= '0' && c <= '9', letter = c >= 'a' && c <= 'f';
			if (!digit && !letter)
				return -EINVAL;
			byte = byte << 4 | (unsigned)(digit ? c - '0' : c - 'a' + 10);
		}
		ret[i] = (uint8_t)byte;
	}
	return text[TEXT_SIZE - 1] == '\n' ? 0 : -EINVAL;
}

static int read_secret(int dirfd, uint8_t ret[INO_SECRET_SIZE])
{
	char text[TEXT_SIZE + 1];
	struct stat st;
	int fd = openat(dirfd, INOSECRET_NAME, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	int rc = fstat(fd, &st) < 0 ? -errno : S_ISREG(st.st_mode) ? 0 : -ENOTSUP;
	ssize_t n = rc ? 0 : read(fd, text, sizeof text);
	if (n < 0)
		rc = -errno;
	(void)close(fd); /* it was only read */
	if (rc < 0)
		return rc;
	return n == TEXT_SIZE ? parse(text, ret) : -EINVAL;
}

/* The next one to mount the store may be its owner.  Without that right it stays with its maker.
 */
static void give_to_owner(int dirfd, int fd)
{
	struct stat dir;

	if (!fstat(dirfd, &dir) && !geteuid())
		(void)!fchown(fd, dir.st_uid, dir.st_gid);
}

/* Under a name of its own first: a crash leaves the whole secret or none. */
static int write_secret(int dirfd, const uint8_t secret[INO_SECRET_SIZE])
{
	char text[TEXT_SIZE + 1];

	for (int i = 0; i < INO_SECRET_SIZE; i++)
		(void)snprintf(text + (size_t)2 * (size_t)i, 3, "%02x", secret[i]); /* it fits */
	text[TEXT_SIZE - 1] = '\n';
	(void)unlinkat(dirfd, temporary, 0); /* of a process that was killed */
	int fd = openat(dirfd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
			0600);
	if (fd < 0)
		return -errno;
	give_to_owner(dirfd, fd);
	ssize_t n = write(fd, text, TEXT_SIZE);
	int rc = n < 0 ? -errno : n == TEXT_SIZE ? 0 : -ENOSPC;
	if (!rc && fdatasync(fd) < 0)
		rc = -errno;
	if (close(fd) < 0 && !rc)
		rc = -errno;
	if (!rc && renameat(dirfd, temporary, dirfd, INOSECRET_NAME) < 0)
		rc = -errno;
	if (rc < 0)
		(void)unlinkat(dirfd, temporary,
			       0); /* or it stays, and the next one takes it away */
	/* before anybody is told a number */
	else if (fsync(dirfd) < 0)
		rc = -errno;
	return rc;
}

/* Waits at boot until there is entropy, as a secret that lasts must. */
static int make_secret(uint8_t ret[INO_SECRET_SIZE])
{
	return getrandom(ret, INO_SECRET_SIZE, 0) == INO_SECRET_SIZE ? 0 : -EIO;
}

enum inosecret_source inosecret_take(int dirfd, bool writes, uint8_t ret[INO_SECRET_SIZE],
				     int *error_ret)
{
	int rc = read_secret(dirfd, ret);
	bool none = rc == -ENOENT || rc == -EINVAL;

	*error_ret = 0;
	if (!rc)
		return INOSECRET_READ;
	if (none)
		rc = make_secret(ret);
	if (none && !rc && writes) {
		rc = write_secret(dirfd, ret);
		if (!rc)
			return INOSECRET_MADE;
	}
	*error_ret = -rc;
	uint64_t seeds[INO_SECRET_SIZE / sizeof(uint64_t)] = {seed_get(), ~seed_get()};
	if (rc < 0)
		memcpy(ret, seeds, INO_SECRET_SIZE);
	return INOSECRET_BRIEF;
}
