/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * replica.c - see replica.h.
 */
#include "whole/replica.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "codec/record.h"
#include "codec/segname.h"
#include "disk/guard.h"
#include "disk/scan.h"
#include "store/recover.h"

/* PENDING_MAX: a guard hides at least 16 MiB behind it, whatever a crash leaves of its last byte.
 */
enum { COMPARE_SIZE = 1 << 20, PENDING_MAX = 8 << 20, CRC_SIZE = RECORD_TRAILER_SIZE };

/* --- what is there --- */

int replica_open_segment(const struct replica *replica, uint32_t id, int flags)
{
	struct io *io = replica->core->io;
	char name[SEGNAME_SIZE];

	segname_format(id, name);
	return io->open(io, replica->core->dirfd, name, flags | O_NOFOLLOW | O_NONBLOCK, 0);
}

static int last_crc(struct io *io, int fd, uint64_t size, uint32_t *ret)
{
	uint8_t bytes[CRC_SIZE];

	*ret = 0;
	if (size < CRC_SIZE)
		return 0;
	int rc = io_read_full(io, fd, bytes, CRC_SIZE, size - CRC_SIZE);
	if (!rc)
		*ret = bytes_get32(bytes);
	return rc;
}

/* Walk the records of a segment.  0; -EBADMSG: they end at scan->offset, in damage. */
static int walk(struct replica *replica, struct scan *scan)
{
	struct scan_record record;
	int rc;

	while ((rc = scan_next(scan, &record)) == 1)
		if (record.header.txid > replica->txid)
			replica->txid = record.header.txid;
	return rc;
}

/* Whether the bytes at `offset` begin with a guard, as those do that replica_publish() was about to
 * put there: they are on their way once more. */
static bool begins_with_guard(struct io *io, int fd, uint64_t offset, uint64_t size)
{
	uint8_t bytes[GUARD_SIZE];
	size_t n = size - offset < GUARD_SIZE ? (size_t)(size - offset) : GUARD_SIZE;

	return !io_read_full(io, fd, bytes, n, offset) &&
	       !memcmp(bytes, guard_bytes, n < GUARD_SIZE ? n : GUARD_SIZE - 1);
}

static int cut_tail(struct replica *replica, struct dw_segment *segment, uint64_t size)
{
	struct core *core = replica->core;
	int fd = segment_pin(segment);

	if (fd < 0)
		return fd;
	bool torn = !begins_with_guard(core->io, fd, segment->size, size);
	segment_unpin(segment);
	return recover_tail(core, segment, size, torn);
}

static bool is_torn(enum dw_damage damage)
{
	return damage == DW_DAMAGE_TRUNCATED || damage == DW_DAMAGE_CRC ||
	       damage == DW_DAMAGE_ZEROS;
}

/* The last segment may end in bytes that are no record; each other one must be whole, which the
 * comparison with what the sender has will tell. */
static int load_segment(struct replica *replica, struct dw_segment *segment, uint64_t size,
			bool last, struct replica_segment *ret)
{
	struct core *core = replica->core;
	struct scan scan;
	int fd = segment_pin(segment), rc = 0;

	if (fd < 0)
		return fd;
	*ret = (struct replica_segment){.id = segment->id, .size = size};
	if (last) {
		rc = scan_init(&scan, core->io, fd, 0, size);
		rc = rc ? rc : walk(replica, &scan);
		ret->size = scan.offset;
		if (rc == -EBADMSG && is_torn(scan.damage))
			rc = 0;
		else if (rc == -EBADMSG)
			rc = core_damaged(core, segment, scan.offset, scan.damage,
					  (struct dw_bytes){NULL, 0});
		scan_release(&scan);
	}
	if (!rc)
		rc = last_crc(core->io, fd, ret->size, &ret->crc);
	segment_unpin(segment);
	segment->size = ret->size;
	if (!rc && ret->size < size)
		rc = cut_tail(replica, segment, size);
	return rc;
}

/* The highest txid stands in an earlier segment, in one of copies perhaps. */
static int find_txid(struct replica *replica)
{
	struct core *core = replica->core;
	int rc = 0;

	for (size_t i = 0; !rc && i < replica->count; i++) {
		struct dw_segment *segment = core->segments.items[i];
		struct scan scan;
		int fd = segment_pin(segment);
		if (fd < 0)
			return fd;
		rc = scan_init(&scan, core->io, fd, 0, replica->items[i].size);
		scan.keys_only = true;
		rc = rc ? rc : walk(replica, &scan);
		if (rc == -EBADMSG)
			rc = core_damaged(core, segment, scan.offset, scan.damage,
					  (struct dw_bytes){NULL, 0});
		scan_release(&scan);
		segment_unpin(segment);
	}
	return rc;
}

int replica_init(struct replica *replica, struct core *core, const uint64_t *sizes)
{
	size_t count = core->segments.count;
	int rc = 0;

	*replica = (struct replica){.core = core, .longer = {.fd = -1}, .hint = {.fd = -1}};
	replica->items = calloc(count + 1, sizeof *replica->items);
	replica->bytes = malloc(COMPARE_SIZE);
	if (!replica->items || !replica->bytes)
		rc = -ENOMEM;
	for (size_t i = 0; !rc && i < count; i++) {
		rc = load_segment(replica, core->segments.items[i], sizes[i], i + 1 == count,
				  &replica->items[i]);
		replica->count++;
	}
	if (!rc && count && !replica_last(replica)->size)
		rc = find_txid(replica);
	return rc;
}

void replica_release(struct replica *replica)
{
	for (size_t i = 0; i < replica->staged_count; i++)
		atomicfile_release(&replica->staged[i].file);
	if (replica->core) {
		atomicfile_release(&replica->longer);
		atomicfile_release(&replica->hint);
	}
	free(replica->staged);
	free(replica->items);
	free(replica->bytes);
	buf_release(&replica->pending);
	*replica = (struct replica){.longer = {.fd = -1}, .hint = {.fd = -1}};
}

struct replica_segment *replica_last(const struct replica *replica)
{
	return replica->count ? &replica->items[replica->count - 1] : NULL;
}

struct replica_segment *replica_find(const struct replica *replica, uint32_t id)
{
	for (size_t i = 0; i < replica->count; i++)
		if (replica->items[i].id == id)
			return &replica->items[i];
	return NULL;
}

static int crc_of(struct replica *replica, uint32_t id, uint64_t size, uint32_t *ret)
{
	struct io *io = replica->core->io;
	uint32_t found = 0;
	int rc = 0;

	int fd = replica_open_segment(replica, id, O_RDONLY);
	if (fd < 0)
		return fd;
	for (uint64_t at = 0; !rc && at < size;) {
		size_t n = size - at < COMPARE_SIZE ? (size_t)(size - at) : COMPARE_SIZE;
		rc = io_read_full(io, fd, replica->bytes, n, at);
		found = crc32c(found, replica->bytes, n);
		at += n;
	}
	(void)io->close(io, fd); /* nothing was written through it */
	if (!rc)
		*ret = found;
	return rc;
}

int replica_prove(struct replica *replica, const struct stream_place *place)
{
	struct replica_segment *segment = replica_find(replica, place->segment);
	uint32_t crc = segment ? segment->crc : 0;
	int rc = 0;

	if (!segment || segment->size < place->offset)
		return -ESTALE;
	if (place->known == STREAM_PREFIX)
		rc = crc_of(replica, place->segment, place->offset, &crc);
	else if (segment->size != place->offset || segment != replica_last(replica))
		return -EILSEQ;
	if (!rc && crc != place->crc)
		rc = -EILSEQ;
	if (!rc)
		segment->seen = place->offset;
	return rc;
}

/* --- taking --- */

/* Whether the segment has the same bytes from `offset` on. */
static int compare(struct replica *replica, uint32_t id, uint64_t offset, const uint8_t *bytes,
		   size_t size)
{
	struct io *io = replica->core->io;
	int fd = replica_open_segment(replica, id, O_RDONLY), rc = 0;

	if (fd < 0)
		return fd;
	while (!rc && size) {
		size_t n = size < COMPARE_SIZE ? size : COMPARE_SIZE;
		rc = io_read_full(io, fd, replica->bytes, n, offset);
		if (!rc && memcmp(replica->bytes, bytes, n) != 0)
			rc = -EILSEQ;
		offset += n;
		bytes += n;
		size -= n;
	}
	(void)io->close(io, fd); /* nothing was written through it */
	return rc;
}

static int begin_file(struct replica *replica, uint32_t id, struct atomicfile *file)
{
	struct core *core = replica->core;
	char name[SEGNAME_SIZE], temporary[SEGNAME_SIZE];

	segname_format(id, name);
	segname_format_receive(id, temporary);
	int rc = atomicfile_init(file, core->io, core->dirfd, name, temporary, OWNER_MODE_NEW);
	if (!rc)
		owner_apply(&core->pool.owner, core->io, file->fd);
	return rc;
}

/* More than is good to have in memory: go on in a copy of the segment, which takes its name. */
static int begin_longer(struct replica *replica)
{
	const struct replica_segment *last = replica_last(replica);
	int rc = begin_file(replica, last->id, &replica->longer);
	int fd = rc ? -1 : replica_open_segment(replica, last->id, O_RDONLY);

	if (!rc && fd < 0)
		rc = fd;
	if (!rc)
		rc = recover_copy(replica->core->io, fd, 0, last->size, &replica->longer);
	for (size_t at = 0; !rc && at < replica->pending.size; at += COMPARE_SIZE) {
		size_t left = replica->pending.size - at;
		rc = atomicfile_write(&replica->longer, replica->pending.data + at,
				      left < COMPARE_SIZE ? left : COMPARE_SIZE);
	}
	if (fd >= 0)
		(void)replica->core->io->close(replica->core->io, fd); /* it was only read */
	buf_release(&replica->pending);
	return rc;
}

uint64_t replica_size(const struct replica *replica)
{
	if (replica->longer.temporary)
		return replica->longer.size;
	return replica_last(replica)->size + replica->pending.size;
}

static int grow(struct replica *replica, const uint8_t *bytes, size_t size)
{
	int rc = 0;

	if (!replica->longer.temporary && replica->pending.size + size > PENDING_MAX)
		rc = begin_longer(replica);
	if (!rc)
		rc = replica->longer.temporary ? atomicfile_write(&replica->longer, bytes, size)
					       : buf_add(&replica->pending, bytes, size);
	if (!rc)
		replica->longer_crc = bytes_get32(bytes + size - CRC_SIZE);
	return rc;
}

/* Records of a segment that is published. */
static int take_known(struct replica *replica, struct replica_segment *segment, uint64_t offset,
		      const uint8_t *bytes, size_t size)
{
	bool last = segment == replica_last(replica);
	uint64_t there = last ? replica_size(replica) : segment->size;
	size_t same = 0;
	int rc = 0;

	if (offset > there || (offset > segment->size && offset != there))
		return -ESTALE;
	if (offset < segment->size) {
		same = segment->size - offset < size ? (size_t)(segment->size - offset) : size;
		rc = compare(replica, segment->id, offset, bytes, same);
		if (!rc && offset <= segment->seen && offset + same > segment->seen)
			segment->seen = offset + same;
	}
	if (rc < 0 || same == size)
		return rc;
	if (!last)
		return -EILSEQ; /* it was sealed */
	if (offset + same != there)
		return -ESTALE;
	rc = grow(replica, bytes + same, size - same);
	replica->taken += rc ? 0 : size - same;
	return rc;
}

/* A new segment, at its place; those before it are complete. */
static int stage(struct replica *replica, uint32_t id, struct replica_new **ret)
{
	size_t at = replica->staged_count;
	struct replica_new *staged =
		reallocarray(replica->staged, replica->staged_count + 1, sizeof *staged);

	if (!staged)
		return -ENOMEM;
	replica->staged = staged;
	if (at && staged[at - 1].file.fd >= 0) {
		int rc = atomicfile_sync(&staged[at - 1].file);
		if (rc < 0)
			return rc;
	}
	while (at && staged[at - 1].segment.id > id)
		at--;
	memmove(staged + at + 1, staged + at, (replica->staged_count - at) * sizeof *staged);
	staged[at] = (struct replica_new){.segment = {.id = id}, .file = {.fd = -1}};
	replica->staged_count++;
	*ret = &staged[at];
	return begin_file(replica, id, &staged[at].file);
}

static int take_new(struct replica *replica, uint32_t id, uint64_t offset, const uint8_t *bytes,
		    size_t size)
{
	struct replica_new *new = NULL;
	int rc = 0;

	for (size_t i = 0; i < replica->staged_count; i++)
		if (replica->staged[i].segment.id == id)
			new = &replica->staged[i];
	if (offset != (new ? new->segment.size : 0) || (new &&new->file.fd < 0))
		return -ESTALE;
	if (!new)
		rc = stage(replica, id, &new);
	if (!rc && size)
		rc = atomicfile_write(&new->file, bytes, size);
	if (rc < 0 || !size)
		return rc;
	new->segment.size = new->segment.seen = new->file.size;
	new->segment.crc = bytes_get32(bytes + size - CRC_SIZE);
	replica->taken += size;
	return 0;
}

/* Whether there are whole records and nothing else; `*txid` grows to their highest. */
static bool are_records(struct dw_bytes records, uint64_t *txid)
{
	const uint8_t *bytes = records.data;
	struct record_header header;
	size_t at = 0;

	while (at < records.size) {
		if (record_decode(bytes + at, records.size - at, &header) || !header.txid)
			return false;
		if (header.txid > *txid)
			*txid = header.txid;
		at += (size_t)record_size(&header);
	}
	return true;
}

int replica_take(struct replica *replica, uint32_t id, uint64_t offset, struct dw_bytes records)
{
	struct replica_segment *segment = replica_find(replica, id);
	uint64_t txid = replica->txid;

	if (!are_records(records, &txid))
		return -EBADMSG;
	int rc = segment ? take_known(replica, segment, offset, records.data, records.size)
			 : take_new(replica, id, offset, records.data, records.size);
	if (!rc)
		replica->txid = txid;
	return rc;
}

static int begin_hint(struct replica *replica, uint32_t id)
{
	struct core *core = replica->core;
	char name[SEGNAME_SIZE], temporary[SEGNAME_SIZE];

	atomicfile_release(&replica->hint);
	segname_format_hint(id, name);
	segname_format_hint_new(id, temporary);
	int rc = atomicfile_init(&replica->hint, core->io, core->dirfd, name, temporary,
				 OWNER_MODE_NEW);
	if (!rc)
		owner_apply(&core->pool.owner, core->io, replica->hint.fd);
	replica->hint_id = id;
	return rc;
}

int replica_take_hint(struct replica *replica, uint32_t id, uint64_t offset, bool last,
		      struct dw_bytes bytes)
{
	const struct replica_segment *segment = replica_find(replica, id);
	struct atomicfile *hint = &replica->hint;
	int rc = 0;

	/* a hint that tells of more than its segment holds would prove a loss */
	if (!segment || segment == replica_last(replica) || segment->seen != segment->size)
		return 0;
	if (!offset)
		rc = begin_hint(replica, id);
	if (!rc && (hint->fd < 0 || replica->hint_id != id || hint->size != offset))
		return 0;
	if (!rc && bytes.size)
		rc = atomicfile_write(hint, bytes.data, bytes.size);
	if (!rc && last)
		rc = atomicfile_sync(hint);
	if (!rc && last)
		rc = atomicfile_commit(hint, false); /* its name may come to disk later */
	if (rc || last)
		atomicfile_release(hint);
	return rc;
}
