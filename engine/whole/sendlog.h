/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * sendlog.h - one log on its way to a replica: what was sent of it, and what comes next.
 *
 * A log grows at its tail, and compaction puts copies between its segments and takes others away.
 * The tail goes first, in order of txids; copies hold nothing newer than that, so they may follow.
 * Segments that are not sent yet stay open: a compaction may unlink them meanwhile.  One thread;
 * no lock: the writer goes on.
 */
#ifndef WHOLE_SENDLOG_H
#define WHOLE_SENDLOG_H

#include "codec/stream.h"
#include "disk/io.h"

struct send_segment {
	uint32_t id;
	uint32_t crc;  /* the four bytes before `sent`; 0: nothing was sent */
	uint64_t sent; /* bytes that the replica has, or will have */
	int fd;        /* -1: it is not read any more */
	bool listed;   /* it was there when the directory was last listed */
	bool told;     /* the replica knows of it */
	bool done;     /* sealed, and sent to its end */
	bool hint_due; /* and its hint is yet to be sent, from: */
	uint64_t hint_sent;
};

struct sendlog {
	struct io *io;
	int dirfd; /* the caller's */
	enum stream_side side;
	struct send_segment *items; /* ascending ids; owned */
	size_t count;
	struct stream_place gone; /* STREAM_RECORD: the replica ends there, in a segment that was
				     compacted away */
	bool whole;      /* the replica has nothing: all segments go in order of their ids */
	uint32_t tail;   /* id of the segment that is sent from its middle on; 0: none yet */
	uint64_t txid;   /* the last one sent of the tail */
	bool fresh;      /* the list of segments changed since sendlog_list() */
	bool unsynced;   /* something was read that may not be on disk */
	uint64_t damage; /* -EBADMSG: offset of the damage, in: */
	uint32_t damaged;
};

/* A log that the replica has nothing of; nothing is listed yet. */
void sendlog_init(struct sendlog *log, struct io *io, int dirfd, enum stream_side side);
void sendlog_release(struct sendlog *log);

/* List the segments, and open those that are new. */
int sendlog_refresh(struct sendlog *log);

/* Before the first sendlog_next(), and after sendlog_refresh(): the replica has the segment `id` up
 * to `size`, where a record with that CRC field ends.  0, also where there is no such segment any
 * more; -EILSEQ: here stands another record, so the replica is of another history. */
int sendlog_has(struct sendlog *log, uint32_t id, uint64_t size, uint32_t crc);
/* The same of all sealed segments below `id`, as they are. */
int sendlog_has_below(struct sendlog *log, uint32_t id);
/* All of this is known: go on behind segment `id`, of which the replica has `size` bytes; the last
 * record there has that txid and CRC field.  Where that segment was compacted away a copy of the
 * record proves that the replica is of this history, and a txid that follows that nothing is
 * missing.  -ESTALE: it cannot go on. */
int sendlog_continue(struct sendlog *log, const struct stream_place *end);

/* Where the tail stands; `crc` is of the bytes of its segment before that, or, `field`, the CRC
 * field of the last record. */
int sendlog_place(const struct sendlog *log, bool field, struct stream_place *ret);

/* The next frame's payload (DATA) of the tail, behind what `payload` holds: 1; 0: there is none for
 * now; -EBADMSG: damage; -ESTALE: what comes next was compacted away, or what was sent was taken
 * back; or another -errno. */
int sendlog_next(struct sendlog *log, struct buf *payload);

/* The same of copies that a compaction made.  The tail is at its end. */
int sendlog_next_copy(struct sendlog *log, struct buf *payload);

/* The payload of a HINT, of a segment that is done and marked: 1; 0: there is none; or -errno. */
int sendlog_next_hint(struct sendlog *log, struct buf *payload);

/* The payload of a LIST: 1; 0: nothing changed since the last one; or -errno. */
int sendlog_list(struct sendlog *log, struct buf *payload);

/* Bring to disk what was sent: the sender must not lose what its replica has. */
int sendlog_sync(struct sendlog *log);

/* Bytes that are there and were not sent. */
uint64_t sendlog_left(const struct sendlog *log);

#endif
