/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * features.c - see features.h.
 *
 * libfuse agrees with the kernel on features by the first request, INIT, of whose answer
 * it leaves out what came after it was written.  Here we read along, and add to the answer.
 */
#include "fs/fuse/features.h"

#include <errno.h>
#include <linux/fuse.h>
#include <stddef.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

/* Since Linux 6.6: files that are opened past the kernel's pages may be mapped, and what is
 * written to them drops the pages that it changes. */
#define DIRECT_IO_ALLOW_MMAP (UINT64_C(1) << 36)

enum { JOINED_MAX = 2048 };

/* Look at the kernel's first request. */
static void note_offer(struct mount *mount, const void *buf, size_t size)
{
	struct fuse_in_header header;
	struct fuse_init_in offer = {0};

	if (size < sizeof header)
		return;
	memcpy(&header, buf, sizeof header);
	if (header.opcode != FUSE_INIT)
		return;
	size -= sizeof header;
	memcpy(&offer, (const char *)buf + sizeof header,
	       size < sizeof offer ? size : sizeof offer);
	uint64_t flags = offer.flags | (uint64_t)offer.flags2 << 32;
	mount->init_unique = header.unique;
	mount->direct = flags & FUSE_INIT_EXT && flags & DIRECT_IO_ALLOW_MMAP;
}

/* O_TMPFILE: the request and its answer are those of CREATE, but for the name, "/", which no
 * file can have (Linux 6.1). */
static void translate(void *buf, size_t size)
{
	struct fuse_in_header header;

	if (size < sizeof header)
		return;
	memcpy(&header, buf, sizeof header);
	if (header.opcode != FUSE_TMPFILE)
		return;
	header.opcode = FUSE_CREATE;
	memcpy(buf, &header, sizeof header);
}

static ssize_t read_request(int fd, void *buf, size_t size, void *userdata)
{
	struct mount *mount = userdata;
	ssize_t n = read(fd, buf, size);

	if (n > 0 && !mount->init_unique)
		note_offer(mount, buf, (size_t)n);
	if (n > 0)
		translate(buf, (size_t)n);
	return n;
}

/* libfuse's answer to INIT, and ours. */
static ssize_t write_init(int fd, struct iovec *iov, int count, struct mount *mount)
{
	struct fuse_init_out answer = {0};

	if (count != 2 || iov[1].iov_len > sizeof answer ||
	    iov[1].iov_len < offsetof(struct fuse_init_out, flags2) + sizeof answer.flags2) {
		mount->direct = false;
		return writev(fd, iov, count);
	}
	struct iovec with_ours[] = {iov[0], {&answer, iov[1].iov_len}};
	memcpy(&answer, iov[1].iov_base, iov[1].iov_len);
	answer.flags |= FUSE_INIT_EXT;
	answer.flags2 |= (uint32_t)(DIRECT_IO_ALLOW_MMAP >> 32);
	return writev(fd, with_ours, count);
}

/* The kernel looks up the pages of each piece of an answer: small ones are put together. */
static ssize_t write_joined(int fd, const struct iovec *iov, int count)
{
	char joined[JOINED_MAX];
	size_t size = 0;

	for (int i = 0; i < count; i++) {
		if (iov[i].iov_len > sizeof joined - size)
			return writev(fd, iov, count);
		memcpy(joined + size, iov[i].iov_base, iov[i].iov_len);
		size += iov[i].iov_len;
	}
	return write(fd, joined, size);
}

static ssize_t write_answer(int fd, struct iovec *iov, int count, void *userdata)
{
	struct mount *mount = userdata;
	struct fuse_out_header header;

	if (atomic_load(&mount->init_answered) || !mount->init_unique ||
	    iov[0].iov_len < sizeof header)
		return write_joined(fd, iov, count);
	memcpy(&header, iov[0].iov_base, sizeof header);
	if (header.unique != mount->init_unique)
		return write_joined(fd, iov, count);
	atomic_store(&mount->init_answered, true);
	return mount->direct ? write_init(fd, iov, count, mount) : writev(fd, iov, count);
}

int features_attach(struct mount *mount)
{
	static const struct fuse_custom_io io = {.read = read_request, .writev = write_answer};

	return fuse_session_custom_io(mount->session, &io, fuse_session_fd(mount->session));
}
