/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * transfer.c - the live view as a fresh store.
 *
 * Walks a dw_iter, so that it is one moment of the store while that goes on.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>

#include "base/buf.h"
#include "store/store.h"

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
	struct throttle throttle;

	throttle_init(&throttle, &store->core->work.wakeup, &store->copy_cancels, 0);
	int rc = dw_iter_open(store, &iter);
	while (!rc && (rc = dw_iter_next(iter, &item)) == 1) {
		rc = throttle_take(&throttle, item.stat.size);
		if (!rc)
			rc = copy_item(iter, &item, &value, to);
	}
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

/* A part of a copy looks like a whole store: it goes, with no look at its path, which may lead to
 * another store by now, and under its lock. */
static void remove_copy(struct dw_store *to)
{
	struct core *core = to->core;
	struct segset_ids ids = {0};
	char name[SEGNAME_SIZE];
	struct io *io = core->io;
	int dirfd = core->dirfd;

	if (!segset_list(io, dirfd, &ids))
		while (ids.count) {
			uint32_t id = ids.items[--ids.count];
			segname_format(id, name);
			(void)io->unlink(io, dirfd, name); /* the failure before is told */
			segname_format_hint(id, name);
			(void)io->unlink(io, dirfd, name); /* it may not be there */
		}
	(void)index_disown(&core->index); /* it names runs that go */
	for (uint32_t id = 1; id < core->index.next_run; id++) {
		segname_format_run(id, name);
		(void)io->unlink(io, dirfd, name); /* most are gone already */
	}
	(void)io->unlink(io, dirfd, ".lock"); /* else the directory would not be empty */
	segset_ids_release(&ids);
	/* not closed: there is nothing left to bring to disk */
	store_drop(to);
	core_free(core);
}

static int compact_to(struct dw_store *store, const char *path, bool among_files)
{
	const struct core *core = store->core;
	const struct dw_options options = {
		.create = true,
		.among_files = among_files,
		.segment_size = core->log.segment_size,
		.on_finding = core->on_finding,
		.context = core->context,
	};
	struct dw_store *to = NULL;
	int rc = check_fresh(core->io, path);

	if (!rc)
		rc = store_open(core->io, path, &options, NULL, &to);
	if (rc < 0)
		return rc;
	assert(to);
	rc = copy_live(store, to);
	if (!rc)
		rc = dw_sync(to);
	if (!rc)
		return store_close(to);
	remove_copy(to);
	return rc;
}

void dw_copy_cancel(struct dw_store *store)
{
	throttle_cancel(&store->core->work.wakeup, &store->copy_cancels);
}

int dw_compact_to(struct dw_store *store, const char *path)
{
	return compact_to(store, path, false);
}

int dw_compact_to_among(struct dw_store *store, const char *path)
{
	return compact_to(store, path, true);
}
