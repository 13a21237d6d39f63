/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * transfer.c - the store as a JSONL stream, and as a fresh store.
 *
 * Both walk a dw_iter, so that they are one moment of the store while it goes on.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "codec/jsonl.h"
#include "disk/atomicfile.h"
#include "store/store.h"

/* Bytes of a value that are encoded at once, and how much output is gathered. */
enum { PIECE_SIZE = 768 << 10, GATHER_SIZE = 256 << 10 };
_Static_assert(PIECE_SIZE % JSONL_PIECE == 0, "base64 pads only the last piece");

struct dw_export {
	struct dw_iter *iter;
	struct buf out;
	size_t given;  /* bytes of `out` handed to the caller */
	bool in_value; /* a line is open; the next piece starts at value_offset */
	uint64_t value_offset, value_size;
	uint8_t *piece; /* PIECE_SIZE bytes */
	bool ended;
};

int dw_export_open(struct dw_store *store, struct dw_export **ret)
{
	struct dw_export *export = calloc(1, sizeof *export);

	if (!export)
		return -ENOMEM;
	export->piece = malloc(PIECE_SIZE);
	int rc = export->piece ? dw_iter_open(store, &export->iter) : -ENOMEM;
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
	dw_iter_close(export->iter);
	buf_release(&export->out);
	free(export->piece);
	free(export);
}

static int begin_line(struct dw_export *export)
{
	struct dw_item item;
	int rc = dw_iter_next(export->iter, &item);

	if (rc <= 0) {
		export->ended = true;
		return rc;
	}
	export->in_value = true;
	export->value_offset = 0;
	export->value_size = item.stat.size;
	return jsonl_add_key(&export->out, item.key);
}

static int add_piece(struct dw_export *export)
{
	ssize_t n = dw_iter_read(export->iter, export->piece, PIECE_SIZE, export->value_offset);

	if (n < 0)
		return (int)n;
	int rc = jsonl_add_value(&export->out, export->piece, (size_t)n);
	export->value_offset += (uint64_t)n;
	if (rc < 0 || export->value_offset < export->value_size)
		return rc;
	export->in_value = false;
	return jsonl_add_end(&export->out);
}

static int gather(struct dw_export *export)
{
	int rc = 0;

	export->out.size = 0;
	export->given = 0;
	while (!rc && !export->ended && export->out.size < GATHER_SIZE)
		rc = export->in_value ? add_piece(export) : begin_line(export);
	return rc;
}

ssize_t dw_export_read(struct dw_export *export, void *ret, size_t size)
{
	size_t done = 0;

	while (done < size) {
		if (export->given == export->out.size) {
			if (export->ended)
				break;
			int rc = gather(export);
			if (rc < 0)
				return rc;
			continue;
		}
		size_t n = export->out.size - export->given;
		if (n > size - done)
			n = size - done;
		memcpy((char *)ret + done, export->out.data + export->given, n);
		export->given += n;
		done += n;
	}
	return (ssize_t)done;
}

/* The stream to the end, in whole gatherings. */
static int write_export(struct dw_export *export, struct atomicfile *file)
{
	int rc = 0;

	while (!rc && !export->ended) {
		rc = gather(export);
		if (!rc)
			rc = atomicfile_write(file, export->out.data, export->out.size);
	}
	return rc;
}

static int export_to(struct dw_store *store, int dirfd, const char *name)
{
	struct atomicfile file = {.fd = -1};
	struct dw_export *export = NULL;
	char *temporary = NULL;
	int rc = asprintf(&temporary, ".%s.tmp", name) < 0 ? -ENOMEM : 0;

	if (!rc)
		rc = dw_export_open(store, &export);
	if (!rc)
		rc = atomicfile_init(&file, store->io, dirfd, name, temporary, 0600);
	if (!rc)
		rc = write_export(export, &file);
	if (!rc)
		rc = atomicfile_sync(&file);
	if (!rc)
		rc = atomicfile_commit(&file, true);
	atomicfile_release(&file);
	dw_export_close(export);
	free(temporary);
	return rc;
}

/* An export must not take the place of a segment, of what lies beside it, or of the lock. */
static int refuse_own_files(struct dw_store *store, int dirfd, const char *name)
{
	bool own_name = !strcmp(name, ".lock") || strspn(name, "0123456789") == 8;
	struct stat there, own;
	int rc = store->io->fstat(store->io, dirfd, &there);

	if (!rc)
		rc = store->io->fstat(store->io, store->dirfd, &own);
	if (!rc && own_name && there.st_dev == own.st_dev && there.st_ino == own.st_ino)
		rc = -EINVAL;
	return rc;
}

int dw_export_file(struct dw_store *store, const char *path)
{
	char *copy = strdup(path), *name_copy = strdup(path);
	int rc = copy && name_copy ? 0 : -ENOMEM, dirfd = -1;

	if (!rc && (!*path || path[strlen(path) - 1] == '/'))
		rc = -EISDIR;
	if (!rc)
		rc = dirfd = store->io->open(store->io, AT_FDCWD, dirname(copy),
					     O_RDONLY | O_DIRECTORY, 0);
	if (dirfd >= 0) {
		const char *name = basename(name_copy);
		rc = refuse_own_files(store, dirfd, name);
		if (!rc)
			rc = export_to(store, dirfd, name);
		(void)store->io->close(store->io, dirfd); /* a directory: nothing to lose */
	}
	free(copy);
	free(name_copy);
	return rc;
}

/* --- dw_compact_to --- */

static int copy_item(struct dw_iter *iter, const struct dw_item *item, struct buf *value,
		     struct dw_store *to)
{
	value->size = 0;
	int rc = buf_reserve(value, item->stat.size + 1);
	if (rc < 0)
		return rc;
	ssize_t n = dw_iter_read(iter, value->data, item->stat.size, 0);
	if (n < 0)
		return (int)n;
	const struct dw_op op = {
		.type = DW_PUT,
		.key = item->key,
		.value = {value->data, (size_t)n},
		.mtime_set = true,
		.mtime_ns = item->stat.mtime_ns,
	};
	return dw_batch(to, &op, 1);
}

static int copy_live(struct dw_store *store, struct dw_store *to)
{
	struct dw_iter *iter = NULL;
	struct buf value = {0};
	struct dw_item item;
	int rc = dw_iter_open(store, &iter);

	while (!rc && (rc = dw_iter_next(iter, &item)) == 1)
		rc = copy_item(iter, &item, &value, to);
	dw_iter_close(iter);
	buf_release(&value);
	return rc;
}

/* Segments in a directory that is there: -EEXIST. */
static int check_fresh(struct io *io, const char *path)
{
	struct segset_ids ids = {0};
	int dirfd = io->open(io, AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0);

	if (dirfd < 0)
		return dirfd == -ENOENT ? 0 : dirfd;
	int rc = segset_list(io, dirfd, &ids);
	if (!rc && ids.count)
		rc = -EEXIST;
	segset_ids_release(&ids);
	(void)io->close(io, dirfd); /* only listed */
	return rc;
}

int dw_compact_to(struct dw_store *store, const char *path)
{
	const struct dw_options options = {
		.create = true,
		.segment_size = store->log.segment_size,
		.on_finding = store->on_finding,
		.context = store->context,
	};
	struct dw_store *to = NULL;
	int rc = check_fresh(store->io, path);

	if (!rc)
		rc = store_open(store->io, path, &options, NULL, &to);
	if (rc < 0)
		return rc;
	rc = copy_live(store, to);
	int closed = dw_close(to);
	return rc ? rc : closed;
}
