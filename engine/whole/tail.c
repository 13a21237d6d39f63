/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * tail.c - following a log: the public calls, and starting over from the state of the store.
 */
#include "whole/tail.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "store/place.h"
#include "store/store.h"

/* --- from its beginning to its end --- */

/* Where to begin: where `since` says, else as the options do. */
static int begin(struct dw_tail *tail, const struct dw_position *since,
		 const struct dw_tail_options *options)
{
	if (since) {
		tail->at = *since;
		return 0;
	}
	if (options->from_state) {
		tail->phase = TAIL_RESET;
		tail->reset = DW_RESET_ASKED;
		return 0;
	}
	if (!options->from_now)
		return 0;
	struct tail_state state = {0};
	int rc = tail_state_open(&state, tail->io, tail->dirfd);
	if (!rc)
		tail->at = state.position;
	tail_state_close(&state);
	return rc;
}

int tail_open(struct io *io, int dirfd, const struct dw_position *since,
	      const struct dw_tail_options *options, struct dw_tail **ret)
{
	static const struct dw_tail_options defaults;
	struct dw_tail *tail = calloc(1, sizeof *tail);

	if (!tail) {
		(void)io->close(io, dirfd); /* a directory: nothing to lose */
		return -ENOMEM;
	}
	options = options ? options : &defaults;
	tail->io = io;
	tail->dirfd = dirfd;
	tail->on_finding = options->on_finding;
	tail->context = options->context;
	tail->durable = options->durable;
	tail_reader_init(&tail->reader, io, dirfd);
	tail_reader_init(&tail->side, io, dirfd);
	/* before anything is read, so that no change is missed */
	int rc = tail_wait_init(&tail->wait, io, dirfd, options->interval_ms);
	if (!rc)
		rc = begin(tail, since, options);
	if (rc < 0)
		dw_tail_free(tail);
	else
		*ret = tail;
	return rc;
}

int dw_tail_open(const char *path, const struct dw_position *since,
		 const struct dw_tail_options *options, struct dw_tail **ret)
{
	struct io *io = &io_posix;
	int fd = io->open(io, AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0);
	enum place place = PLACE_STORE;

	if (fd < 0)
		return fd;
	int rc = place_look(io, fd, &place);
	if (!rc && place != PLACE_STORE)
		rc = place == PLACE_EMPTY ? -ENOENT : -ENOMEDIUM;
	if (rc < 0) {
		(void)io->close(io, fd); /* a directory: nothing to lose */
		return rc;
	}
	return tail_open(io, fd, since, options, ret);
}

int dw_tail_open_in(struct dw_store *store, const struct dw_position *since,
		    const struct dw_tail_options *options, struct dw_tail **ret)
{
	struct io *io = store->core->io;
	int fd = io->open(io, store->core->dirfd, ".", O_RDONLY | O_DIRECTORY, 0);

	return fd < 0 ? fd : tail_open(io, fd, since, options, ret);
}

void dw_tail_free(struct dw_tail *tail)
{
	if (!tail)
		return;
	tail_leave(tail);
	tail_state_close(&tail->state);
	tail_wait_release(&tail->wait);
	(void)tail->io->close(tail->io, tail->dirfd); /* a directory: nothing to lose */
	free(tail);
}

/* --- starting over --- */

static void give_reset(struct dw_tail *tail, struct dw_change *ret)
{
	tail_state_close(&tail->state);
	tail->phase = TAIL_STATE;
	*ret = (struct dw_change){
		.kind = DW_CHANGE_RESET,
		.reset = tail->reset,
		.missing_from = tail->missing_from,
		.missing_to = tail->missing_to,
	};
}

/* 1 or -errno. */
static int next_of_state(struct dw_tail *tail, struct dw_change *ret)
{
	struct tail_state *state = &tail->state;
	struct dw_item item;
	int rc = state->store ? 0 : tail_state_open(state, tail->io, tail->dirfd);

	if (!rc)
		rc = dw_iter_next(state->iter, &item);
	if (rc < 0) {
		tail->phase = TAIL_RESET; /* what was given of it is not all */
		return rc;
	}
	if (rc == 1) {
		tail->is_state = true;
		*ret = (struct dw_change){
			.kind = DW_CHANGE_STATE,
			.type = DW_PUT,
			.key = item.key,
			.value_size = item.stat.size,
			.mtime_ns = item.stat.mtime_ns,
		};
		return 1;
	}
	tail->at = state->position;
	tail->phase = TAIL_RECORDS;
	tail->doubt_ns = 0;
	tail_state_close(state);
	*ret = (struct dw_change){.kind = DW_CHANGE_READY, .position = tail->at};
	return 1;
}

/* --- going on --- */

int dw_tail_next(struct dw_tail *tail, struct dw_change *ret)
{
	tail->source = NULL;
	tail->is_state = false;
	if (tail->phase == TAIL_RECORDS) {
		int rc = tail_next_record(tail, ret);
		if (rc || tail->phase == TAIL_RECORDS)
			return rc;
	}
	if (tail->phase == TAIL_STATE)
		return next_of_state(tail, ret);
	give_reset(tail, ret);
	return 1;
}

int dw_tail_wait(struct dw_tail *tail, int timeout_ms)
{
	return tail_wait_for(&tail->wait, timeout_ms);
}

void dw_tail_cancel(struct dw_tail *tail)
{
	tail_wait_cancel(&tail->wait);
}

void dw_tail_position(const struct dw_tail *tail, struct dw_position *ret)
{
	*ret = tail->at;
}

ssize_t dw_tail_read(struct dw_tail *tail, void *ret, size_t size, uint64_t offset)
{
	const struct scan_record *record = &tail->record;

	if (tail->is_state)
		return dw_iter_read(tail->state.iter, ret, size, offset);
	if (!tail->source)
		return -EINVAL;
	if (offset >= record->header.payload_size)
		return 0;
	uint64_t left = record->header.payload_size - offset;
	uint64_t start = RECORD_HEADER_SIZE + record->header.key_size + offset;
	size = left < size ? (size_t)left : size;
	if (record->bytes) {
		memcpy(ret, record->bytes + start, size);
		return (ssize_t)size;
	}
	int rc = io_read_full(tail->io, tail->source->fd, ret, size, record->offset + start);
	return rc == -ENODATA ? -ESTALE : rc ? rc : (ssize_t)size;
}
