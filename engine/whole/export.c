/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * export.c - the store as a JSONL stream, and as a file of that.
 *
 * Walks a dw_iter, so that it is one moment of the store while that goes on.  Where there
 * are processors to spare, a worker pool reads, checks and encodes blocks of items ahead of who
 * takes the stream; values that are too large for that are read and encoded in pieces when their
 * turn comes.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/workers.h"
#include "codec/jsonl.h"
#include "disk/atomicfile.h"
#include "store/store.h"
#include "whole/iter.h"

/* Bytes of a value that are encoded at once; what a worker takes; output gathered. */
enum { PIECE_SIZE = 768 << 10, WORKER_VALUE_MAX = 64 << 10, GATHER_SIZE = 256 << 10 };
_Static_assert(PIECE_SIZE % JSONL_PIECE == 0, "base64 pads only the last piece");

struct dw_export {
	struct dw_store *store;
	struct dw_iter *iter;
	bool begun;
	int failed;              /* -errno: what it came to; from then on it stays */
	struct workers *workers; /* NULL: there is none */
	size_t next, end;        /* items that are to be encoded here */
	bool in_value;           /* a line is open; the next piece starts at value_offset */
	struct dw_item item;     /* of it */
	struct dw_ref ref;
	uint64_t value_offset;
	uint8_t *piece; /* PIECE_SIZE bytes, once needed */
	struct buf out;
	const uint8_t *bytes; /* of the stream: of a block of the worker pool's, or in `out` */
	size_t size, given;   /* of these; and handed to the caller */
};

int dw_export_open(struct dw_store *store, struct dw_export **ret)
{
	struct dw_export *export = calloc(1, sizeof *export);

	if (!export)
		return -ENOMEM;
	export->store = store;
	int rc = dw_iter_open(store, &export->iter);
	if (rc < 0) {
		dw_export_close(export);
		return rc;
	}
	*ret = export;
	return 0;
}

void dw_export_close(struct dw_export *export)
{
	if (!export)
		return;
	workers_free(export->workers);
	dw_iter_close(export->iter);
	buf_release(&export->out);
	free(export->piece);
	free(export);
}

/* --- by the worker pool --- */

/* A whole line; in a thread of the worker pool. */
static int add_line(void *context, size_t index, struct buf *out)
{
	const struct dw_export *export = context;
	uint8_t value[WORKER_VALUE_MAX];
	struct dw_item item;
	struct dw_ref ref;

	iter_at(export->iter, index, &item, &ref);
	if (item.stat.size > sizeof value)
		return 1;
	ssize_t n = dw_ref_read(export->store, &ref, item.key, value, sizeof value, 0);
	const struct dw_bytes bytes = {value, (size_t)n};
	return n < 0 ? (int)n : jsonl_add_line(out, item.key, bytes);
}

/* The next block; what it has left over is to be done here. */
static int take_block(struct dw_export *export)
{
	const struct workers_block *block = workers_next(export->workers);

	if (!block)
		return 0;
	if (block->rc < 0)
		return block->rc;
	export->bytes = block->out.data;
	export->size = block->out.size;
	export->next = block->done;
	export->end = block->end;
	return 1;
}

/* --- here --- */

static int begin_line(struct dw_export *export)
{
	iter_at(export->iter, export->next++, &export->item, &export->ref);
	export->in_value = true;
	export->value_offset = 0;
	return jsonl_add_key(&export->out, export->item.key);
}

static int add_piece(struct dw_export *export)
{
	ssize_t n = dw_ref_read(export->store, &export->ref, export->item.key, export->piece,
				PIECE_SIZE, export->value_offset);

	if (n < 0)
		return (int)n;
	int rc = jsonl_add_value(&export->out, export->piece, (size_t)n);
	export->value_offset += (uint64_t)n;
	if (rc < 0 || export->value_offset < export->item.stat.size)
		return rc;
	export->in_value = false;
	return jsonl_add_end(&export->out);
}

static int gather(struct dw_export *export)
{
	int rc = 0;

	if (!export->piece && !(export->piece = malloc(PIECE_SIZE)))
		return -ENOMEM;
	export->out.size = 0;
	while (!rc && (export->in_value || export->next < export->end) &&
	       export->out.size < GATHER_SIZE)
		rc = export->in_value ? add_piece(export) : begin_line(export);
	export->bytes = export->out.data;
	export->size = export->out.size;
	return rc;
}

/* --- the stream --- */

static int fill_from(struct dw_export *export)
{
	size_t count = dw_iter_count(export->iter);

	if (!export->begun) {
		export->begun = true;
		/* without a worker pool everything is done here */
		if (workers_start(count, add_line, export, &export->workers) < 0)
			export->end = count;
	}
	export->size = export->given = 0;
	for (int rc = 1; !export->size && rc > 0;) {
		if (export->in_value || export->next < export->end)
			return gather(export);
		rc = export->workers ? take_block(export) : 0;
		if (rc <= 0)
			return rc;
	}
	return 0;
}

/* Have further bytes, none at the end.  0 or -errno: who reads on behind a failure must not
 * get what comes behind the place of it. */
static int fill(struct dw_export *export)
{
	if (!export->failed)
		export->failed = fill_from(export);
	if (export->failed)
		export->size = export->given = 0;
	return export->failed;
}

ssize_t dw_export_read(struct dw_export *export, void *ret, size_t size)
{
	size_t done = 0;

	while (done < size) {
		if (export->given == export->size) {
			int rc = fill(export);
			if (rc < 0)
				return rc;
			if (!export->size)
				break;
		}
		size_t n = export->size - export->given;
		if (n > size - done)
			n = size - done;
		memcpy((char *)ret + done, export->bytes + export->given, n);
		export->given += n;
		done += n;
	}
	return (ssize_t)done;
}

/* --- a file --- */

/* The stream to the end, as it comes. */
static int write_export(struct dw_export *export, struct throttle *throttle,
			struct atomicfile *file)
{
	int rc = 0;

	while (!rc && !(rc = fill(export)) && export->size) {
		rc = throttle_take(throttle, export->size);
		if (!rc)
			rc = atomicfile_write(file, export->bytes, export->size);
	}
	return rc;
}

static int export_to(struct dw_store *store, int dirfd, const char *name)
{
	struct atomicfile file = {.fd = -1};
	struct dw_export *export = NULL;
	char *temporary = NULL;
	struct throttle throttle;

	throttle_init(&throttle, &store->core->work.wakeup, &store->copy_cancels, 0);
	int rc = asprintf(&temporary, ".%s.tmp", name) < 0 ? -ENOMEM : 0;

	if (!rc)
		rc = dw_export_open(store, &export);
	if (!rc)
		rc = atomicfile_init(&file, store->core->io, dirfd, name, temporary, 0600);
	if (!rc)
		rc = write_export(export, &throttle, &file);
	if (!rc)
		rc = atomicfile_sync(&file);
	if (!rc)
		rc = atomicfile_commit(&file, true);
	atomicfile_release(&file);
	dw_export_close(export);
	free(temporary);
	return rc;
}

/* Whether `dirfd` is the store's directory, or the one of its attributes. */
static int is_own_directory(struct dw_store *store, int dirfd, const char *own)
{
	struct io *io = store->core->io;
	struct stat there, here;
	int fd = io->open(io, store->core->dirfd, own, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0);

	if (fd < 0)
		return fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP ? 0 : fd;
	int rc = io->fstat(io, dirfd, &there);
	if (!rc)
		rc = io->fstat(io, fd, &here);
	(void)io->close(io, fd); /* was only looked at */
	return rc ? rc : there.st_dev == here.st_dev && there.st_ino == here.st_ino;
}

/* An export must not take the place of a segment, of what lies beside it, of the lock, or of
 * the attributes. */
static int refuse_own_files(struct dw_store *store, int dirfd, const char *name)
{
	bool own_name = !strcmp(name, ".lock") || strspn(name, "0123456789") == 8;
	int rc = is_own_directory(store, dirfd, ".");

	if (rc > 0 && !strcmp(name, DW_ATTR_DIRECTORY))
		return -EINVAL;
	if (!rc)
		rc = is_own_directory(store, dirfd, DW_ATTR_DIRECTORY);
	return rc > 0 ? own_name ? -EINVAL : 0 : rc;
}

/* Nor that of a device or a fifo, whatever link leads there. */
static int refuse_special(struct dw_store *store, int dirfd, const char *name)
{
	struct io *io = store->core->io;
	struct stat st;
	int fd = io->open(io, dirfd, name, O_PATH, 0);

	if (fd < 0)
		return 0; /* nothing is there, or what comes next will tell */
	int rc = io->fstat(io, fd, &st);
	if (!rc && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		rc = -EINVAL;
	(void)io->close(io, fd); /* was only looked at */
	return rc;
}

int dw_export_file(struct dw_store *store, const char *path)
{
	char *copy = strdup(path), *name_copy = strdup(path);
	struct io *io = store->core->io;
	int rc = copy && name_copy ? 0 : -ENOMEM, dirfd = -1;

	if (!rc && (!*path || path[strlen(path) - 1] == '/'))
		rc = -EISDIR;
	if (!rc)
		rc = dirfd = io->open(io, AT_FDCWD, dirname(copy), O_RDONLY | O_DIRECTORY, 0);
	if (dirfd >= 0) {
		const char *name = basename(name_copy);
		rc = refuse_own_files(store, dirfd, name);
		if (!rc)
			rc = refuse_special(store, dirfd, name);
		if (!rc)
			rc = export_to(store, dirfd, name);
		(void)io->close(io, dirfd); /* a directory: nothing to lose */
	}
	free(copy);
	free(name_copy);
	return rc;
}
