/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * run.h - reading a run: the entry of a key, its keys in order, and how many keys are below a
 * directory.
 *
 * A run never changes.  It is mapped; each of its pages of 4 KiB has a checksum, which is compared
 * when the page is touched for the first time.  A page that is damaged, or cannot be read, or was
 * cut off the file, makes each question that needs it fail with -EBADMSG: never is its answer
 * "no such key".  Damage is remembered, so that the owner rebuilds the index.
 *
 * Threads: everything here may be called by any thread at any time; a cursor by one at a time.
 */
#ifndef INDEX_RUN_H
#define INDEX_RUN_H

#include "base/buf.h"
#include "codec/runblock.h"
#include "disk/io.h"

struct run;

/* Open `NNNNNNNN.run`, with one reference.  The checks at opening grow with the file's size, but
 * only by one step for half a million keys.  `io` stays the caller's until the run is freed.  0;
 * -ENOENT; -EBADMSG: damaged, or none; another -errno. */
int run_open(struct io *io, int dirfd, uint32_t id, struct run **ret);

/* One more reference; returns `run`. */
struct run *run_ref(struct run *run);
/* One less; the last one frees the run.  The file stays.  NULL is fine. */
void run_unref(struct run *run);

struct run_figures {
	uint32_t id;
	uint64_t stamp;      /* no two files have the same */
	uint64_t seed;       /* for run_hash() */
	uint64_t size;       /* bytes of the file */
	uint64_t keys;       /* tombstones included */
	uint64_t tombstones; /* of these */
	int64_t change;      /* sum over all keys */
	uint64_t key_bytes;  /* of all keys together */
};

/* Figures from the file's header; constant. */
const struct run_figures *run_figures(const struct run *run);

/* Whether damage was found since the run was opened. */
bool run_is_damaged(const struct run *run);

/* Look up `key`, with its run_hash() as `hash`.  1: `*ret` is set, perhaps to a tombstone; 0: the
 * run has no entry, as for a key over the size limit; -EBADMSG. */
int run_get(struct run *run, struct dw_bytes key, uint64_t hash, struct run_place *ret);

/* Have the processor fetch what run_get() will look at first. */
void run_prefetch(const struct run *run, struct dw_bytes key, uint64_t hash);

/* A key that is asked for together with others. */
struct run_probe {
	struct dw_bytes key;
	uint64_t hash;          /* as for run_get() */
	int rc;                 /* ret: the result that run_get() would return */
	struct run_place place; /* ret, if that is 1 */
};

/* As run_get() of each, in half of the time where the run is large: the waits for memory
 * overlap. */
void run_get_many(struct run *run, struct run_probe *probes, size_t count);

/* The keys that begin with `prefix` and are longer, where `prefix` is empty or ends in `/`: the sum
 * of their changes, and the latest time of those that are no tombstones (INT64_MIN: there are
 * none). Sums of several runs add up.  0, with 0 and INT64_MIN if the run knows nothing below;
 * -EINVAL: another prefix; -EBADMSG. */
int run_below(struct run *run, struct dw_bytes prefix, int64_t *change_ret, int64_t *newest_ret);

/* Copy the run into large pages, where look-ups are faster; all of it is checked.  It stays there
 * until it is freed.  0 (also if it is there already); -ENOMEM; -EBADMSG. */
int run_make_resident(struct run *run);
bool run_is_resident(const struct run *run);

/* Check every page, whether it was checked before or not.  0 or -EBADMSG. */
int run_verify(struct run *run);
/* The same; on -EBADMSG the first that is damaged is at `*offset_ret`. */
int run_find_damage(struct run *run, uint64_t *offset_ret);

/* Walks over the keys in order, tombstones included. */
struct run_cursor {
	struct run *run;        /* referenced */
	struct buf key;         /* room for the last key: the prefix of the block, and the rest */
	uint8_t *page;          /* owned: a copy of the block the cursor is in */
	struct run_block block; /* the same, decoded */
	uint32_t chunk;         /* the block's */
	uint32_t fence;         /* the block's number in the chunk */
	uint32_t offset;        /* of the next entry in the block */
	uint32_t left;          /* entries from there on; 0: go on with the next block */
	bool prefix_gone;       /* a long key took its place in `key` */
	bool lost;              /* after an error: seek first */
};

/* Stands before the first key.  `{0}` is fine for run_cursor_release().  0 or -ENOMEM. */
int run_cursor_init(struct run_cursor *cursor, struct run *run);
void run_cursor_release(struct run_cursor *cursor);

/* Have run_cursor_next() go on with the first key that is `key` or greater; forward or back.  0,
 * -EBADMSG or -ENOMEM. */
int run_cursor_seek(struct run_cursor *cursor, struct dw_bytes key);

/* The next key and its place.  The key is valid until the next call for this cursor.  1; 0: there
 * are no more, outputs are untouched; -EBADMSG or -ENOMEM; after an error each further call
 * returns -EBADMSG until the cursor was moved. */
int run_cursor_next(struct run_cursor *cursor, struct dw_bytes *key_ret,
		    struct run_place *place_ret);

#endif
