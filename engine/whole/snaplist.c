/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * snaplist.c - the snapshots that a store has: what they are, opening one, removing one.
 *
 * Needs no lock and no open store: a snapshot has its name while it is whole.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "store/snapdir.h"
#include "store/store.h"

/* --- listing --- */

struct list {
	struct io *io;
	int fd;                         /* `.snapshots` */
	struct dw_snapshot_info *items; /* owned */
	size_t count, capacity;
};

static int list_one(void *context, const char *name)
{
	struct list *list = context;

	if (!snapmark_may_name(name))
		return 0;
	if (list->count == list->capacity) {
		size_t capacity = list->capacity ? 2 * list->capacity : 16;
		struct dw_snapshot_info *items = reallocarray(list->items, capacity, sizeof *items);
		if (!items)
			return -ENOMEM;
		list->items = items;
		list->capacity = capacity;
	}
	int rc = snapdir_look(list->io, list->fd, name, &list->items[list->count]);
	list->count += !rc;
	return rc == -ENOENT || rc == -ENOTDIR ? 0 : rc; /* removed meanwhile, or none */
}

static int compare(const void *a, const void *b)
{
	const struct dw_snapshot_info *x = a, *y = b;

	if (x->time_ns != y->time_ns)
		return x->time_ns < y->time_ns ? -1 : 1;
	return strcmp(x->name, y->name);
}

int dw_snapshot_list(int dirfd, struct dw_snapshot_info **ret, size_t *count_ret)
{
	struct list list = {.io = &io_posix};

	list.fd = snapdir_open(list.io, dirfd, DW_SNAPSHOT_DIRECTORY);
	int rc = list.fd < 0 ? list.fd : list.io->list(list.io, list.fd, list_one, &list);
	if (list.fd >= 0)
		(void)list.io->close(list.io, list.fd); /* only read */
	if (rc == -ENOENT)
		rc = 0; /* none was ever made */
	if (!rc && !list.items && !(list.items = malloc(sizeof *list.items)))
		rc = -ENOMEM;
	if (rc < 0) {
		free(list.items);
		return rc;
	}
	qsort(list.items, list.count, sizeof *list.items, compare);
	*ret = list.items;
	*count_ret = list.count;
	return 0;
}

/* --- removing, opening --- */

int dw_snapshot_remove(int dirfd, const char *name)
{
	struct io *io = &io_posix;

	if (!snapmark_may_name(name))
		return -ENOENT;
	int fd = snapdir_open(io, dirfd, DW_SNAPSHOT_DIRECTORY);
	if (fd < 0)
		return fd;
	int rc = snapdir_remove(io, fd, name);
	(void)io->close(io, fd); /* it is synced */
	return rc == -ENOTDIR ? -ENOENT : rc;
}

int dw_snapshot_open(int dirfd, const char *name, const struct dw_options *options,
		     struct dw_report *report_ret, struct dw_store **ret)
{
	struct dw_options reader = options ? *options : (struct dw_options){.read_only = true};
	struct io *io = &io_posix;

	reader.read_only = true;
	if (!snapmark_may_name(name))
		return -ENOENT;
	int fd = snapdir_open(io, dirfd, DW_SNAPSHOT_DIRECTORY);
	if (fd < 0)
		return fd;
	int rc = store_open_at(io, fd, name, &reader, report_ret, ret);
	(void)io->close(io, fd); /* only read */
	return rc;
}

bool dw_snapshot_is(int dirfd)
{
	struct snapmark mark;

	return !snapdir_read_mark(&io_posix, dirfd, &mark);
}

const char *dw_snapshot_method_name(enum dw_snapshot_method method)
{
	return snapmark_method(method);
}
