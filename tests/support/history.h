/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * history.h - what was written to a store, call by call, and what each crash may leave
 * of it.
 *
 * A scenario is recorded: the system calls (crashio.h), and the view after each
 * record.  Then the directory is rebuilt as a crash behind each call would leave it, in
 * many ways.  Each state must be a store for a strict reader, torn in its last segment
 * at most; a writer must open it and find the view as it was after some operation,
 * not older than the last completed sync; and what it writes must be there next time.
 * One thread; any error ends the test.
 */
#ifndef SUPPORT_HISTORY_H
#define SUPPORT_HISTORY_H

#include "datawal.h"
#include "tests/support/crashio.h"
#include "tests/support/stores.h"

enum { HISTORY_SEGMENT_SIZE = 2000, OPS_MAX = 400 };

struct history {
	struct crashio crash;
	struct rng rng;
	const char *dir;
	struct dw_store *store;
	struct model views[OPS_MAX]; /* after so many records; [0]: at first */
	size_t begun[OPS_MAX];       /* events before record i was appended */
	size_t acked[OPS_MAX];       /* events when its call had returned */
	size_t count;                /* records */
	struct {
		size_t event, records; /* from this event on so many records are durable */
	} syncs[OPS_MAX];
	size_t sync_count;
	bool rotates; /* for hooks of tests */
	/* 0, or what struct dw_options says.  Then a segment of an id is one file for ever, of one
	 * inode and time, also where a directory is rebuilt: else no index would be believed. */
	uint64_t index_keys;
};

/* Owned by the caller until history_finish() or history_free(). */
struct history *history_new(void);
void history_free(struct history *h);

/* Take a fresh directory.  crashio_init() comes when what is to be there is there. */
void history_start(struct history *h);

/* Calls on the store that are noted. */
void history_open(struct history *h);
void history_batch(struct history *h, const struct dw_op *ops, size_t count);
void history_sync(struct history *h);
void history_close(struct history *h);
/* Up to five puts and deletes of "key 0" to "key KEYS - 1". */
void history_random(struct history *h, int keys);

/* Records durable, acknowledged and begun when the crash came behind `point` events. */
size_t history_durable_at(const struct history *h, size_t point);
size_t history_acked_at(const struct history *h, size_t point);
size_t history_begun_at(const struct history *h, size_t point);

bool history_same_view(const struct model *model, struct dw_store *store);
void history_empty_dir(const char *path);

/* System calls as `index_keys` needs them. */
void history_name_inodes(struct io *io);

/* Check every crash, and free. */
void history_finish(struct history *h);

#endif
