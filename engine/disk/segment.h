/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * segment.h - one segment file, shared by all its readers.
 *
 * Counted: the store's list of segments holds a reference, and so does each
 * pinned value and each snapshot.  A segment whose file was unlinked stays
 * readable until the last of them lets go.
 */
#ifndef DISK_SEGMENT_H
#define DISK_SEGMENT_H

#include <stdatomic.h>

#include "base/limits.h"
#include "disk/fdpool.h"

enum segment_map { SEGMENT_MAP_UNTRIED, SEGMENT_MAPPED, SEGMENT_NOT_MAPPED };

/* Identifies the file of a sealed segment (index/root.h). */
struct segment_proof {
	bool known;
	uint32_t crc;  /* the last record's CRC field */
	uint64_t size; /* bytes */
	int64_t mtime_ns;
	uint64_t inode;
};

struct dw_segment {
	uint32_t id;
	atomic_uint refs;
	struct fdpool *pool; /* outlives the segment */
	struct fdpool_file file;
	atomic_int map_state;   /* enum segment_map; set once */
	struct mapping mapping; /* SEGMENT_MAPPED: all of it, or as far as it may grow */
	int64_t mtime_ns;       /* of the file, when it was opened */
	uint64_t hinted;     /* bytes that the view took from the hint, unread; set when opened */
	uint64_t size;       /* bytes of valid records; the active one's grows.  Lock: the log's */
	uint64_t live_bytes; /* of records that the view points to.  Lock: the log's */
	uint64_t raw_bytes;  /* of Raw records, which stay.  Lock: the log's */
	uint64_t last_txid;  /* the highest of its records.  Lock: the log's */
	struct segment_proof proof; /* for checkpoints of the index, one at a time */
};

/* A segment with one reference, its file not yet open.  NULL: no memory. */
struct dw_segment *segment_new(struct fdpool *pool, uint32_t id);
struct dw_segment *segment_ref(struct dw_segment *segment);
/* Drop a reference; the last one closes and frees.  NULL is fine. */
void segment_unref(struct dw_segment *segment);

/* Create the file of `id` in the pool's directory, open for appending records
 * (O_EXCL, O_NOFOLLOW), empty.  Neither it nor the directory is synced.
 * -EEXIST ...; nothing is left behind on failure. */
int segment_create(struct fdpool *pool, uint32_t id, struct dw_segment **ret);

/* Open an existing segment for reading, for writing too if `writable`; sets mtime_ns.
 * `*size_ret`: bytes of the file.  Errors as fdpool_pin(). */
int segment_open(struct fdpool *pool, uint32_t id, bool writable, uint64_t *size_ret,
		 struct dw_segment **ret);

/* The descriptor, until segment_unpin(). */
static inline int segment_pin(struct dw_segment *segment)
{
	return fdpool_pin(segment->pool, &segment->file);
}

static inline void segment_unpin(struct dw_segment *segment)
{
	fdpool_unpin(segment->pool, &segment->file);
}

/* Read the record at `offset`: checks header, key and CRC and copies `value_size` bytes to `value`.
 * From the mapping if the segment could be mapped, else with as few calls as it takes. 0, -EBADMSG
 * (`*damage_ret` says why) or another -errno. */
int segment_read_record(struct dw_segment *segment, uint64_t offset, struct dw_bytes key,
			uint32_t value_size, void *value, enum dw_damage *damage_ret);

/* The same check without keeping the value; memory does not depend on its size. */
int segment_check_record(struct dw_segment *segment, uint64_t offset, struct dw_bytes key,
			 uint32_t value_size, enum dw_damage *damage_ret);

/* Have memory let go of bytes that were synced and that hardly anybody will read again; of whole
 * pages only. */
void segment_uncache(struct dw_segment *segment, uint64_t offset, uint64_t size);

/* Have the processor fetch the start of a record that will be read soon, if that is cheap. */
void segment_prefetch(const struct dw_segment *segment, uint64_t offset);

/* Bytes of a record that was checked before.  0, -ENODATA or another -errno. */
int segment_read_bytes(struct dw_segment *segment, uint64_t offset, void *ret, size_t size);

/* Whether the name of a segment still leads to the file that is open as `fd`, and that has at
 * least `size` bytes.  0; -ESTALE: it was removed, moved away, replaced or cut; or another
 * -errno. */
int segment_look(const struct dw_segment *segment, int fd, uint64_t size);

#endif
