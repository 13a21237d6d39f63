/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * recover.c - what a writer does before its first append.
 *
 * A torn tail is saved to a file of its own, synced, and only then cut off: at
 * no instant are its bytes in neither place.  Output files of a compaction that
 * never got their final name, and unfinished copies of torn bytes, are removed;
 * nothing refers to them.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "disk/atomicfile.h"
#include "store/store.h"

enum { COPY_SIZE = 1 << 20 };

static int copy_range(struct io *io, int fd, uint64_t offset, uint64_t end, struct atomicfile *to)
{
	uint8_t *chunk = malloc(COPY_SIZE);
	int rc = chunk ? 0 : -ENOMEM;

	while (!rc && offset < end) {
		size_t n = end - offset < COPY_SIZE ? (size_t)(end - offset) : COPY_SIZE;
		rc = io_read_full(io, fd, chunk, n, offset);
		if (!rc)
			rc = atomicfile_write(to, chunk, n);
		offset += n;
	}
	free(chunk);
	return rc;
}

/* Save the bytes from `valid` on as `name`, durably. */
static int quarantine(struct dw_store *store, int fd, uint64_t valid, uint64_t file_size,
		      const char *name)
{
	struct atomicfile file;
	char temporary[SEGNAME_SIZE + 8];

	(void)snprintf(temporary, sizeof temporary, "%s.tmp", name); /* cannot be cut */
	int rc = atomicfile_init(&file, store->io, store->dirfd, name, temporary, 0644);
	if (!rc)
		rc = copy_range(store->io, fd, valid, file_size, &file);
	if (!rc)
		rc = atomicfile_sync(&file);
	if (!rc)
		rc = atomicfile_commit(&file, true);
	atomicfile_release(&file);
	return rc;
}

int recover_tail(struct dw_store *store, struct dw_segment *segment, uint64_t valid,
		 uint64_t file_size)
{
	char name[SEGNAME_SIZE];
	struct timespec now;
	int fd = segment_pin(segment);

	if (fd < 0)
		return fd;
	(void)clock_gettime(CLOCK_REALTIME, &now); /* cannot fail */
	segname_format_torn(segment->id, (int64_t)now.tv_sec * 1000000000 + now.tv_nsec, name);
	int rc = quarantine(store, fd, valid, file_size, name);
	if (!rc)
		rc = store->io->ftruncate(store->io, fd, (off_t)valid);
	/* Else a crash could bring the torn bytes back under records appended meanwhile. */
	if (!rc)
		rc = store->io->fsync(store->io, fd);
	segment_unpin(segment);
	const struct dw_finding finding = {
		.kind = rc ? DW_FINDING_IO : DW_FINDING_QUARANTINED,
		.error = -rc,
		.segment = segment->id,
		.offset = valid,
		.size = file_size - valid,
		.name = rc ? "saving the torn tail" : name,
	};
	store_report(store, &finding);
	return rc;
}

struct leftovers {
	char (*names)[SEGNAME_SIZE + 8];
	size_t count;
};

static int note_leftover(void *context, const char *name)
{
	struct leftovers *left = context;

	if (!segname_is_unfinished(name))
		return 0;
	char(*names)[SEGNAME_SIZE + 8] = reallocarray(left->names, left->count + 1, sizeof *names);
	if (!names)
		return -ENOMEM;
	left->names = names;
	(void)snprintf(names[left->count++], sizeof *names, "%s", name); /* its form fits */
	return 0;
}

int recover_leftovers(struct dw_store *store)
{
	struct leftovers left = {0};
	int rc = store->io->list(store->io, store->dirfd, note_leftover, &left);

	for (size_t i = 0; !rc && i < left.count; i++)
		rc = store->io->unlink(store->io, store->dirfd, left.names[i]);
	free(left.names);
	return rc == -ENOENT ? 0 : rc;
}
