/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * crashio.c - see crashio.h.
 */
#include "tests/support/crashio.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct crashio *self(struct io *io)
{
	return (struct crashio *)io;
}

static void copy_name(char to[64], const char *from)
{
	CHECK(strlen(from) < 64);
	(void)snprintf(to, 64, "%.63s", from);
}

static struct crash_event *add_event(struct crashio *crash, enum crash_kind kind, int file)
{
	crash->events = reallocarray(crash->events, crash->count + 1, sizeof *crash->events);
	CHECK(crash->events != NULL);
	struct crash_event *event = &crash->events[crash->count++];
	*event = (struct crash_event){.kind = kind, .file = file};
	return event;
}

static void after_event(struct crashio *crash)
{
	if (!crash->hook)
		return;
	const struct crash_event event = crash->events[crash->count - 1];
	crash->hook(crash->context, &event);
}

static int find_name(const struct crash_name *names, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(names[i].name, name))
			return (int)i;
	return -1;
}

/* Apply an event to a list of names. */
static void apply_name(const struct crash_event *event, struct crash_name *names, size_t *count)
{
	const char *gone = event->kind == CRASH_RENAME ? event->to : event->name;
	int at = find_name(names, *count, gone);

	if (at >= 0)
		names[at] = names[--*count];
	if (event->kind == CRASH_CREATE) {
		CHECK(*count < CRASH_NAMES);
		copy_name(names[*count].name, event->name);
		names[(*count)++].file = event->file;
	} else if (event->kind == CRASH_RENAME) {
		at = find_name(names, *count, event->name);
		CHECK(at >= 0);
		copy_name(names[at].name, event->to);
	}
}

static int new_file(struct crashio *crash)
{
	crash->files =
		reallocarray(crash->files, (size_t)crash->file_count + 1, sizeof *crash->files);
	CHECK(crash->files != NULL);
	crash->files[crash->file_count] = (struct buf){0};
	return crash->file_count++;
}

static int crash_open(struct io *io, int dirfd, const char *name, int flags, mode_t mode)
{
	struct crashio *crash = self(io);
	int fd = io_posix.open(&io_posix, dirfd, name, flags, mode), file = -1;

	if (fd < 0)
		return fd;
	CHECK(fd < CRASH_FDS);
	if (!(flags & O_DIRECTORY)) {
		int at = find_name(crash->names, crash->name_count, name);
		CHECK(at >= 0 || flags & O_CREAT);
		file = at >= 0 ? crash->names[at].file : new_file(crash);
		crash->fds[fd] = file;
		if (at < 0) {
			struct crash_event *event = add_event(crash, CRASH_CREATE, file);
			copy_name(event->name, name);
			apply_name(event, crash->names, &crash->name_count);
			after_event(crash);
		}
	}
	crash->fds[fd] = file;
	return fd;
}

static int crash_close(struct io *io, int fd)
{
	(void)io;
	return io_posix.close(&io_posix, fd);
}

static ssize_t crash_preadv(struct io *io, int fd, const struct iovec *iov, int count, off_t offset)
{
	(void)io;
	return io_posix.preadv(&io_posix, fd, iov, count, offset);
}

static ssize_t crash_pwritev(struct io *io, int fd, const struct iovec *iov, int count,
			     off_t offset)
{
	ssize_t n = io_posix.pwritev(&io_posix, fd, iov, count, offset);
	struct crash_event *event = add_event(self(io), CRASH_WRITE, self(io)->fds[fd]);

	event->offset = (uint64_t)offset;
	for (int i = 0; i < count; i++)
		CHECK_EQ(buf_add(&event->data, iov[i].iov_base, iov[i].iov_len), 0);
	CHECK_EQ(n, event->data.size);
	after_event(self(io));
	return n;
}

static int crash_ftruncate(struct io *io, int fd, off_t size)
{
	int rc = io_posix.ftruncate(&io_posix, fd, size);

	CHECK_EQ(rc, 0);
	add_event(self(io), CRASH_TRUNCATE, self(io)->fds[fd])->offset = (uint64_t)size;
	after_event(self(io));
	return rc;
}

static int crash_sync(struct io *io, int fd)
{
	int file = self(io)->fds[fd];

	(void)add_event(self(io), file < 0 ? CRASH_SYNC_DIR : CRASH_SYNC, file);
	after_event(self(io));
	return 0;
}

static int crash_fstat(struct io *io, int fd, struct stat *ret)
{
	(void)io;
	return io_posix.fstat(&io_posix, fd, ret);
}

static int crash_rename(struct io *io, int dirfd, const char *from, const char *to)
{
	struct crashio *crash = self(io);
	int rc = io_posix.rename(&io_posix, dirfd, from, to);

	CHECK_EQ(rc, 0);
	struct crash_event *event = add_event(crash, CRASH_RENAME, -1);
	copy_name(event->name, from);
	copy_name(event->to, to);
	apply_name(event, crash->names, &crash->name_count);
	after_event(crash);
	return rc;
}

static int crash_unlink(struct io *io, int dirfd, const char *name)
{
	struct crashio *crash = self(io);
	int rc = io_posix.unlink(&io_posix, dirfd, name);

	if (rc < 0)
		return rc;
	struct crash_event *event = add_event(crash, CRASH_UNLINK, -1);
	copy_name(event->name, name);
	apply_name(event, crash->names, &crash->name_count);
	after_event(crash);
	return rc;
}

static int crash_mkdir(struct io *io, int dirfd, const char *name, mode_t mode)
{
	(void)io;
	return io_posix.mkdir(&io_posix, dirfd, name, mode);
}

static int crash_flock(struct io *io, int fd, int operation)
{
	(void)io;
	return io_posix.flock(&io_posix, fd, operation);
}

static int crash_list(struct io *io, int dirfd, io_name_fn *visit, void *context)
{
	(void)io;
	return io_posix.list(&io_posix, dirfd, visit, context);
}

void crashio_init(struct crashio *crash, const char *dir)
{
	struct files files = files_snapshot(dir);

	*crash = (struct crashio){
		.io = {.open = crash_open,
		       .close = crash_close,
		       .preadv = crash_preadv,
		       .pwritev = crash_pwritev,
		       .ftruncate = crash_ftruncate,
		       .fdatasync = crash_sync,
		       .fsync = crash_sync,
		       .fstat = crash_fstat,
		       .rename = crash_rename,
		       .unlink = crash_unlink,
		       .mkdir = crash_mkdir,
		       .flock = crash_flock,
		       .list = crash_list},
	};
	for (size_t i = 0; i < files.count; i++) {
		int file = new_file(crash);
		struct crash_name *name = &crash->names[crash->name_count++];
		copy_name(name->name, files.items[i].name);
		name->file = file;
		CHECK_EQ(buf_add(&crash->files[file], files.items[i].data.data,
				 files.items[i].data.size),
			 0);
	}
	memcpy(crash->initial, crash->names, sizeof crash->initial);
	crash->initial_count = crash->name_count;
	files_release(&files);
}

void crashio_release(struct crashio *crash)
{
	for (size_t i = 0; i < crash->count; i++)
		buf_release(&crash->events[i].data);
	for (int i = 0; i < crash->file_count; i++)
		buf_release(&crash->files[i]);
	free(crash->events);
	free(crash->files);
}

/* --- rebuilding --- */

static bool is_name_event(const struct crash_event *event)
{
	return event->kind <= CRASH_UNLINK;
}

/* Behind the last sync of `file` (-1: the directory) before `point`. */
static size_t synced_until(const struct crashio *crash, size_t point, int file)
{
	for (size_t i = point; i; i--) {
		const struct crash_event *event = &crash->events[i - 1];
		if ((event->kind == CRASH_SYNC || event->kind == CRASH_SYNC_DIR) &&
		    event->file == file)
			return i;
	}
	return 0;
}

const struct crash_event *crashio_last_write(const struct crashio *crash, size_t point)
{
	for (size_t i = point; i; i--) {
		const struct crash_event *event = &crash->events[i - 1];
		if (event->kind == CRASH_WRITE)
			return synced_until(crash, point, event->file) < i ? event : NULL;
	}
	return NULL;
}

static void resize(struct buf *buf, size_t size)
{
	CHECK_EQ(buf_reserve(buf, size > buf->size ? size - buf->size : 0), 0);
	if (size > buf->size)
		memset(buf->data + buf->size, 0, size - buf->size);
	buf->size = size;
}

static void apply_data(struct buf *buf, const struct crash_event *event, size_t size)
{
	if (event->kind == CRASH_TRUNCATE) {
		resize(buf, (size_t)event->offset);
		return;
	}
	if (buf->size < event->offset + size)
		resize(buf, (size_t)event->offset + size);
	if (size)
		memcpy(buf->data + event->offset, event->data.data, size);
}

static void rebuild_file(const struct crashio *crash, size_t point, enum crash_policy policy,
			 size_t cut, struct rng *rng, int file, struct buf *ret)
{
	size_t synced = synced_until(crash, point, file), full = 0;
	const struct crash_event *torn = crashio_last_write(crash, point);
	bool dropping = policy == CRASH_DROP;

	*ret = (struct buf){0};
	CHECK_EQ(buf_add(ret, crash->files[file].data, crash->files[file].size), 0);
	for (size_t i = 0; i < point; i++) {
		const struct crash_event *event = &crash->events[i];
		if (event->file != file ||
		    (event->kind != CRASH_WRITE && event->kind != CRASH_TRUNCATE))
			continue;
		size_t size = event->data.size;
		bool kept = true;
		if (i >= synced && (policy == CRASH_PREFIX || policy == CRASH_SUBSET)) {
			dropping = dropping || !rng_below(rng, 4);
			kept = policy == CRASH_PREFIX ? !dropping : rng_below(rng, 2);
		} else if (i >= synced) {
			kept = !dropping;
		}
		full = event->kind == CRASH_TRUNCATE ? (size_t)event->offset
		       : event->offset + size > full ? (size_t)event->offset + size
						     : full;
		if (kept)
			apply_data(ret, event, policy == CRASH_TORN && event == torn ? cut : size);
	}
	if (policy >= CRASH_PREFIX && full > ret->size && rng_below(rng, 2))
		resize(ret, full);
}

/* --- sector by sector --- */

enum { SECTOR_SIZE = 512, BLOCK_SIZE = 4096, STATES_MAX = 64 };

/* The states of a file since its last sync. */
struct states {
	struct buf items[STATES_MAX];
	size_t count;
};

static struct buf *add_state(struct states *states, const struct buf *from)
{
	CHECK(states->count < STATES_MAX);
	struct buf *state = &states->items[states->count++];
	*state = (struct buf){0};
	CHECK_EQ(buf_add(state, from->data, from->size), 0);
	return state;
}

static void add_states_of(struct states *states, const struct crash_event *event)
{
	const struct buf *before = &states->items[states->count - 1];

	if (event->kind == CRASH_TRUNCATE && event->offset < before->size) {
		struct buf *zeroed = add_state(states, before);
		size_t block_end = (event->offset + BLOCK_SIZE - 1) / BLOCK_SIZE * BLOCK_SIZE;
		size_t end = block_end < zeroed->size ? block_end : zeroed->size;
		memset(zeroed->data + event->offset, 0, end - (size_t)event->offset);
		before = zeroed;
	}
	apply_data(add_state(states, before), event, event->data.size);
}

static void copy_sector(const struct buf *from, size_t offset, struct buf *to)
{
	size_t end = offset + SECTOR_SIZE < to->size ? offset + SECTOR_SIZE : to->size;
	size_t there = from->size < offset ? offset : from->size < end ? from->size : end;

	memset(to->data + offset, 0, end - offset);
	if (there > offset)
		memcpy(to->data + offset, from->data + offset, there - offset);
}

static void rebuild_by_sectors(const struct crashio *crash, size_t point, struct rng *rng, int file,
			       struct buf *ret)
{
	size_t synced = synced_until(crash, point, file);
	struct states states = {.count = 0};

	(void)add_state(&states, &crash->files[file]);
	for (size_t i = 0; i < point; i++) {
		const struct crash_event *event = &crash->events[i];
		if (event->file != file ||
		    (event->kind != CRASH_WRITE && event->kind != CRASH_TRUNCATE))
			continue;
		if (i < synced)
			apply_data(&states.items[0], event, event->data.size);
		else
			add_states_of(&states, event);
	}
	*ret = (struct buf){0};
	resize(ret, states.items[rng_below(rng, states.count)].size);
	for (size_t offset = 0; offset < ret->size; offset += SECTOR_SIZE)
		copy_sector(&states.items[rng_below(rng, states.count)], offset, ret);
	for (size_t i = 0; i < states.count; i++)
		buf_release(&states.items[i]);
}

void crashio_rebuild(const struct crashio *crash, size_t point, enum crash_policy policy,
		     size_t cut, struct rng *rng, struct files *ret)
{
	struct crash_name names[CRASH_NAMES];
	size_t count = crash->initial_count, synced = synced_until(crash, point, -1);
	bool dropping = policy == CRASH_DROP;

	memcpy(names, crash->initial, sizeof names);
	for (size_t i = 0; i < point; i++) {
		if (!is_name_event(&crash->events[i]))
			continue;
		if (i >= synced && policy >= CRASH_PREFIX)
			dropping = dropping || !rng_below(rng, 3);
		if (i < synced || !dropping)
			apply_name(&crash->events[i], names, &count);
	}
	*ret = (struct files){calloc(count + 1, sizeof *ret->items), count};
	CHECK(ret->items != NULL);
	for (size_t i = 0; i < count; i++) {
		memcpy(ret->items[i].name, names[i].name, sizeof names[i].name);
		if (policy == CRASH_SECTORS)
			rebuild_by_sectors(crash, point, rng, names[i].file, &ret->items[i].data);
		else
			rebuild_file(crash, point, policy, cut, rng, names[i].file,
				     &ret->items[i].data);
	}
}
