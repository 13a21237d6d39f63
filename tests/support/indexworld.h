/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * indexworld.h - an index over segments that hold nothing, beside an array that says the same.
 *
 * Segments are files in a directory of their own: they grow as records would make them grow, so the
 * index proves them as it does those of a store.  Any difference ends the test.
 */
#ifndef SUPPORT_INDEXWORLD_H
#define SUPPORT_INDEXWORLD_H

#include "index/index.h"
#include "tests/support/check.h"

enum { WORLD_KEYS = 300, WORLD_MOMENTS = 4, WORLD_SEGMENT_SIZE = 1 << 18 };

/* Where a key is. */
struct truth_place {
	uint32_t segment; /* id; 0: it is not there */
	uint32_t value_size;
	uint64_t offset;
	int64_t mtime_ns;
};

/* The expected state at one moment. */
struct truth {
	struct truth_place places[WORLD_KEYS];
	uint64_t count;
};

struct world_op {
	size_t key;
	struct truth_place place;
};

struct indexworld {
	struct io *io;     /* of the index; its segments' is the kernel */
	char *segment_dir; /* owned */
	int dirfd, segment_dirfd;
	struct index index;
	struct fdpool pool;
	struct segset segments;
	struct truth now;
	struct truth saved;   /* at the last checkpoint that was written */
	struct world_op *ops; /* since then; owned */
	size_t op_count;
	bool is_saved; /* there is such a checkpoint */
	int64_t clock_ns;
	struct index_moment *moments[WORLD_MOMENTS];
	struct truth then[WORLD_MOMENTS];
};

/* Whether the index says the same. */
bool truth_is_at(const struct truth_place *truth, const struct keydir_place *place);

/* Key number `i` of the world: in byte order; some are prefixes of others, one is empty. */
struct dw_bytes world_key(char ret[32], size_t i);

/* Bytes of the record of a key with so large a value. */
uint64_t world_record_size(size_t i, uint32_t value_size);

/* An empty index, in `dirfd`, with a first segment. */
void world_init(struct indexworld *w, struct io *io, int dirfd);
void world_release(struct indexworld *w);

/* A key is put at the end of the log, or removed; the array of what is so is not told. */
void world_set(struct indexworld *w, size_t key, bool there);
/* A batch of a few keys put and removed, at times the same one twice, at times given up. */
void world_change(struct indexworld *w, struct rng *rng);
/* A key moves, or does not because it is elsewhere. */
void world_move(struct indexworld *w, struct rng *rng);
/* A moment is taken, or closed. */
void world_take_or_close(struct indexworld *w, struct rng *rng);
/* A new segment begins. */
void world_rotate(struct indexworld *w);
/* The position of a checkpoint made now; the active segment's file is as long. */
struct index_position world_position(struct indexworld *w);
/* 0 or the error of the checkpoint. */
int world_checkpoint(struct indexworld *w);
/* Compact the oldest segment: its live keys move, and it goes. */
void world_compact(struct indexworld *w);

/* Open the index anew, from its files; replay the log that they do not cover.  Returns whether the
 * files were used. */
bool world_reopen(struct indexworld *w);
/* Open what lies in `dir`, beside the segments as they are on disk now, and compare it with
 * `truth`. 1; 0: something is different; -1: it is not believed; -EBADMSG: it is damaged. */
int world_is_saved(const struct indexworld *w, const char *dir, const struct truth *truth);
/* The name of segment number `i`'s file, in segment_dir. */
void world_segment_path(const struct indexworld *w, size_t i, char ret[256]);

/* Compare everything: keys, moments, cursors from anywhere with any prefix, sums. */
void world_look(struct indexworld *w, struct rng *rng);

#endif
