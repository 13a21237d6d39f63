/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * export.c - the store as a JSONL stream, and as a file of that.
 *
 * Walks one moment of the store, while that goes on.  Where there
 * are processors to spare, a worker pool reads, checks and encodes blocks of items ahead of the
 * thread that takes the stream; values that are too large for that are read and encoded in pieces
 * when their turn comes.
 */
#include <assert.h>
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
#include "store/walk.h"

/* Bytes of a value encoded at once; limit of a worker's value; output gathered. */
enum { PIECE_SIZE = 768 << 10, WORKER_VALUE_MAX = 64 << 10, GATHER_SIZE = 256 << 10 };
_Static_assert(PIECE_SIZE % JSONL_PIECE == 0, "base64 pads only the last piece");

/* The source of one line. */
struct line {
	struct dw_ref ref; /* borrows the moment's segment */
	size_t key_at;     /* in the bytes beside */
};

struct dw_export {
	struct dw_store *store;
	struct walk walk; /* once there are workers, under the lock of the pool */
	bool begun;
	int failed;                        /* -errno of the first failure; it stays */
	struct workers *workers;           /* NULL: there is none */
	const struct workers_block *block; /* of them; the lines next..end are to be done here */
	size_t next, end;                  /* without workers: of the whole walk */
	bool in_value;       /* a line is open; the next piece starts at value_offset */
	struct dw_bytes key; /* of it */
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
	int rc = walk_init(&export->walk, store, (struct dw_bytes){0});
	if (rc < 0)
		free(export);
	else
		*ret = export;
	return rc;
}

void dw_export_close(struct dw_export *export)
{
	if (!export)
		return;
	workers_free(export->workers);
	walk_release(&export->walk);
	buf_release(&export->out);
	free(export->piece);
	free(export);
}

/* --- by the worker pool --- */

/* The next key; that there is none is a fault of the index. */
static int walk_on(struct dw_export *export, struct dw_bytes *key_ret, struct dw_ref *ref_ret)
{
	struct keydir_place place;
	int rc = walk_next(&export->walk, key_ret, &place);

	if (rc != 1)
		return rc ? rc : -EIO;
	*ref_ret = walk_ref(*key_ret, &place);
	return 0;
}

static int take_lines(void *context, struct workers_block *block)
{
	struct dw_export *export = context;
	struct dw_bytes key;
	int rc = 0;

	for (size_t i = block->first; !rc && i < block->end; i++) {
		struct line line = {.key_at = block->bytes.size};
		rc = walk_on(export, &key, &line.ref);
		if (!rc)
			rc = buf_add(&block->bytes, key.data, key.size);
		if (!rc)
			rc = buf_add(&block->items, &line, sizeof line);
	}
	return rc;
}

static void get_line(const struct workers_block *block, size_t index, struct dw_bytes *key_ret,
		     struct dw_ref *ref_ret)
{
	struct line line;

	assert((index - block->first + 1) * sizeof line <= block->items.size);
	memcpy(&line, block->items.data + (index - block->first) * sizeof line, sizeof line);
	*ref_ret = line.ref;
	*key_ret = (struct dw_bytes){block->bytes.data + line.key_at, line.ref.key_size};
}

enum { AHEAD = 8 }; /* lines whose records are fetched while one is made */

/* A whole line; in a thread of the pool. */
static int add_line(void *context, const struct workers_block *block, size_t index, struct buf *out)
{
	const struct dw_export *export = context;
	uint8_t value[WORKER_VALUE_MAX];
	struct dw_bytes key;
	struct dw_ref ref;

	if (index + AHEAD < block->end) {
		get_line(block, index + AHEAD, &key, &ref);
		segment_prefetch(ref.segment, ref.offset);
	}
	get_line(block, index, &key, &ref);
	if (ref.value_size > sizeof value)
		return 1;
	ssize_t n = dw_ref_read(export->store, &ref, key, value, sizeof value, 0);
	const struct dw_bytes bytes = {value, (size_t)n};
	return n < 0 ? (int)n : jsonl_add_line(out, key, bytes);
}

/* Take the next block; its unfinished items are done here. */
static int take_block(struct dw_export *export)
{
	const struct workers_block *block = workers_next(export->workers);

	if (!block)
		return 0;
	if (block->rc < 0)
		return block->rc;
	export->block = block;
	export->bytes = block->out.data;
	export->size = block->out.size;
	export->next = block->done;
	export->end = block->end;
	return 1;
}

/* --- here --- */

static int begin_line(struct dw_export *export)
{
	int rc = 0;

	if (export->block)
		get_line(export->block, export->next, &export->key, &export->ref);
	else
		rc = walk_on(export, &export->key, &export->ref);
	if (rc < 0)
		return rc;
	export->next++;
	export->in_value = true;
	export->value_offset = 0;
	return jsonl_add_key(&export->out, export->key);
}

static int add_piece(struct dw_export *export)
{
	ssize_t n = dw_ref_read(export->store, &export->ref, export->key, export->piece, PIECE_SIZE,
				export->value_offset);

	if (n < 0)
		return (int)n;
	int rc = jsonl_add_value(&export->out, export->piece, (size_t)n);
	export->value_offset += (uint64_t)n;
	if (rc < 0 || export->value_offset < export->ref.value_size)
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
	const struct workers_job job = {export->walk.count, take_lines, add_line, export};

	if (!export->begun) {
		export->begun = true;
		/* without a worker pool everything is done here */
		if (workers_start(&job, &export->workers) < 0)
			export->end = job.count;
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

/* Have further bytes, none at the end.  0 or -errno: a read after a failure must not return the
 * bytes after the place that failed. */
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
	bool own_name = !strcmp(name, ".lock") || !strcmp(name, SEGNAME_INDEX) ||
			!strcmp(name, SEGNAME_INDEX_NEW) || strspn(name, "0123456789") == 8;
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
