/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * replica.h - one log of a replica: what it has, and what was received and is not part of it yet.
 *
 * What comes is staged: a new segment under a temporary name, what the last segment grows by in
 * memory or in a copy of it.  replica_publish() makes it part of the log, so that a reader without
 * the lock, and a crash between any two calls, finds a prefix of what is published.  One thread.
 */
#ifndef WHOLE_REPLICA_H
#define WHOLE_REPLICA_H

#include "codec/stream.h"
#include "disk/atomicfile.h"
#include "store/core.h"

struct replica_segment {
	uint32_t id;
	uint32_t crc;  /* its last four bytes; 0: empty */
	uint64_t size; /* bytes of its records */
	uint64_t seen; /* bytes that the stream has, too, and that are the same */
};

struct replica_new {
	struct replica_segment segment;
	struct atomicfile file; /* fd -1: synced */
};

struct replica {
	struct core *core;             /* the caller's: directory, owner of files */
	struct replica_segment *items; /* ascending ids; owned */
	size_t count;
	struct replica_new *staged; /* ascending ids; owned */
	size_t staged_count;
	struct buf pending;       /* what the last segment grows by */
	struct atomicfile longer; /* or the segment with all of it; fd -1: none */
	uint64_t longer_size;
	uint32_t longer_crc;
	uint64_t txid;          /* the highest that is there or staged */
	struct atomicfile hint; /* one on its way; fd -1: none, or it is no use */
	uint32_t hint_id;
	uint8_t *bytes; /* for comparing; owned */
	uint64_t taken; /* bytes that were new */
};

/* From a core whose segments are open and `sizes` long, locked.  A torn tail is saved and cut off;
 * what an interrupted publication left of one is cut off.  -EBADMSG: damaged. */
int replica_init(struct replica *replica, struct core *core, const uint64_t *sizes);
void replica_release(struct replica *replica);

/* The last segment that is published; NULL: none. */
struct replica_segment *replica_last(const struct replica *replica);

/* NULL: it is not published. */
struct replica_segment *replica_find(const struct replica *replica, uint32_t id);
/* Bytes of the last segment, with those that it grows by; there is one. */
uint64_t replica_size(const struct replica *replica);
/* A descriptor of a published segment, or -errno. */
int replica_open_segment(const struct replica *replica, uint32_t id, int flags);

/* Whether the replica has what a HELLO says of it: 0; -ESTALE: the segment is not there, or is
 * shorter; -EILSEQ: it has something else.  What comes before then counts as seen. */
int replica_prove(struct replica *replica, const struct stream_place *place);

/* Take whole records of a segment.  -EBADMSG: they are none; -ESTALE: they are not the next ones;
 * -EILSEQ: the replica has others there; or another -errno. */
int replica_take(struct replica *replica, uint32_t id, uint64_t offset, struct dw_bytes records);

/* Take bytes of the hint of a segment that is published and sealed.  It is not needed: where it
 * does not fit it is left alone. */
int replica_take_hint(struct replica *replica, uint32_t id, uint64_t offset, bool last,
		      struct dw_bytes bytes);

/* Whether all that is there and staged ends at `place`, and all that is published and not older was
 * in the stream: 0, -ESTALE: something is missing; -EILSEQ: there is more, or something else. */
int replica_fits(const struct replica *replica, const struct stream_place *place);

/* Make what is staged part of the log, durably. */
int replica_publish(struct replica *replica);

/* Remove the segments that are not in the list, if all of the list is here; `*kept_ret`: how many
 * it had to keep because something is missing. */
int replica_reduce(struct replica *replica, struct dw_bytes list, size_t *kept_ret);

#endif
