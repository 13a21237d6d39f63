/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * replicapublish.c - what was received becomes part of a replica, and what the sender compacted
 * goes.
 *
 * Each step leaves a store that any reader can open, and of which each key has the value of some
 * moment: the last segment grows first, then the next ones come in order, then the copies, which
 * hold nothing newer; only then do segments go, the oldest first (compact/compact.c has the proof).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "codec/segname.h"
#include "disk/guard.h"
#include "whole/replica.h"

int replica_fits(const struct replica *replica, const struct stream_place *place)
{
	const struct replica_segment *last = replica_last(replica);
	const struct replica_segment *end = last;
	uint64_t size = last ? replica_size(replica) : 0;
	uint32_t crc = last ? last->crc : 0;

	if (last && last->seen != last->size)
		return last->seen || replica_find(replica, place->segment) ? -EILSEQ : -ESTALE;
	if (last && size != last->size)
		crc = replica->longer_crc;
	if (replica->staged_count) {
		const struct replica_segment *new =
			&replica->staged[replica->staged_count - 1].segment;
		if (!end || new->id > end->id) {
			end = new;
			size = new->size;
			crc = new->crc;
		}
	}
	if (!end || end->id < place->segment || (end->id == place->segment && size < place->offset))
		return -ESTALE;
	if (end->id != place->segment || size != place->offset || crc != place->crc)
		return -EILSEQ;
	return 0;
}

/* Put the pending bytes behind the last record: behind a guard first, so that no reader finds them
 * before all of them are on disk, whatever a crash leaves. */
static int publish_pending(struct replica *replica, struct replica_segment *last)
{
	struct io *io = replica->core->io;
	bool sync_failed;
	int fd = replica_open_segment(replica, last->id, O_RDWR);

	if (fd < 0)
		return fd;
	int rc = guard_extend(io, fd, last->size, 0, &sync_failed);
	if (!rc)
		rc = guard_write_over(io, fd, replica->pending.data, replica->pending.size,
				      last->size, true, &sync_failed);
	if (!rc)
		rc = io->fdatasync(io, fd);
	(void)io->close(io, fd); /* synced, or failed */
	if (rc < 0)
		return rc;
	last->size += replica->pending.size;
	buf_release(&replica->pending);
	return 0;
}

static int publish_growth(struct replica *replica)
{
	struct replica_segment *last = replica_last(replica);
	int rc = 0;

	if (!last || replica_size(replica) == last->size)
		return 0;
	if (replica->longer.temporary) {
		uint64_t size = replica->longer.size;
		rc = atomicfile_sync(&replica->longer);
		if (!rc)
			rc = atomicfile_commit(&replica->longer, true);
		atomicfile_release(&replica->longer);
		last->size = rc ? last->size : size;
	} else {
		rc = publish_pending(replica, last);
	}
	if (!rc) {
		last->crc = replica->longer_crc;
		last->seen = last->size;
	}
	return rc;
}

static int add_item(struct replica *replica, const struct replica_segment *segment)
{
	size_t at = replica->count;
	struct replica_segment *items =
		reallocarray(replica->items, replica->count + 1, sizeof *items);

	if (!items)
		return -ENOMEM;
	replica->items = items;
	while (at && items[at - 1].id > segment->id)
		at--;
	memmove(items + at + 1, items + at, (replica->count - at) * sizeof *items);
	items[at] = *segment;
	replica->count++;
	return 0;
}

/* Give their names to the staged segments behind `id`, or to those before it. */
static int publish_files(struct replica *replica, uint32_t id, bool behind)
{
	struct io *io = replica->core->io;
	bool any = false;
	int rc = 0;

	for (size_t i = 0; !rc && i < replica->staged_count; i++) {
		struct replica_new *new = &replica->staged[i];
		if ((new->segment.id > id) != behind)
			continue;
		any = true;
		rc = atomicfile_commit(&new->file, false);
		if (!rc)
			rc = add_item(replica, &new->segment);
	}
	return !rc && any ? io->fsync(io, replica->core->dirfd) : rc;
}

int replica_publish(struct replica *replica)
{
	const struct replica_segment *last = replica_last(replica);
	uint32_t id = last ? last->id : 0;
	int rc = 0;

	for (size_t i = 0; !rc && i < replica->staged_count; i++)
		if (replica->staged[i].file.fd >= 0)
			rc = atomicfile_sync(&replica->staged[i].file);
	/* A segment is complete and on disk before the next one has its name: only the last one may
	 * be torn. */
	if (!rc)
		rc = publish_growth(replica);
	if (!rc)
		rc = publish_files(replica, id, true);
	/* Copies hold nothing newer than the tail, which therefore comes first. */
	if (!rc)
		rc = publish_files(replica, id, false);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < replica->staged_count; i++)
		atomicfile_release(&replica->staged[i].file);
	replica->staged_count = 0;
	return 0;
}

/* --- what compaction took away --- */

static bool in_list(struct dw_bytes list, uint32_t id, struct stream_entry *ret)
{
	const uint8_t *bytes = list.data;

	for (size_t at = 0; at + STREAM_ENTRY_SIZE <= list.size; at += STREAM_ENTRY_SIZE) {
		stream_entry_decode(bytes + at, ret);
		if (ret->id == id)
			return true;
	}
	return false;
}

static bool has_all(const struct replica *replica, struct dw_bytes list)
{
	const uint8_t *bytes = list.data;

	for (size_t at = 0; at + STREAM_ENTRY_SIZE <= list.size; at += STREAM_ENTRY_SIZE) {
		struct stream_entry entry;
		stream_entry_decode(bytes + at, &entry);
		const struct replica_segment *segment = replica_find(replica, entry.id);
		if (!segment || segment->size != entry.size || segment->crc != entry.crc)
			return false;
	}
	return true;
}

static int unlink_name(struct replica *replica, const char *name)
{
	int rc = replica->core->io->unlink(replica->core->io, replica->core->dirfd, name);

	return rc == -ENOENT ? 0 : rc;
}

/* As after a compaction (compact/publish.c): the index knows the segments, and a hint without its
 * segment proves a loss.  Both go first, durably. */
static int unlink_sidecars(struct replica *replica, struct dw_bytes list)
{
	char name[SEGNAME_SIZE];
	struct stream_entry entry;
	int rc = unlink_name(replica, SEGNAME_INDEX);

	for (size_t i = 0; !rc && i < replica->count; i++) {
		segname_format_hint(replica->items[i].id, name);
		if (!in_list(list, replica->items[i].id, &entry))
			rc = unlink_name(replica, name);
	}
	return rc ? rc : replica->core->io->fsync(replica->core->io, replica->core->dirfd);
}

int replica_reduce(struct replica *replica, struct dw_bytes list, size_t *kept_ret)
{
	struct io *io = replica->core->io;
	struct stream_entry entry;
	size_t extra = 0, kept = 0;
	int rc = 0;

	for (size_t i = 0; i < replica->count; i++)
		extra += !in_list(list, replica->items[i].id, &entry);
	if (!extra || !has_all(replica, list)) {
		*kept_ret = extra;
		return 0;
	}
	rc = unlink_sidecars(replica, list);
	/* ascending, each durably: a tombstone never goes before the put that it hides */
	for (size_t i = 0; i < replica->count; i++) {
		char name[SEGNAME_SIZE];
		segname_format(replica->items[i].id, name);
		bool goes = !rc && !in_list(list, replica->items[i].id, &entry);
		if (goes)
			rc = unlink_name(replica, name);
		if (goes && !rc)
			rc = io->fsync(io, replica->core->dirfd);
		if (!goes || rc)
			replica->items[kept++] = replica->items[i];
	}
	replica->count = kept;
	*kept_ret = 0;
	return rc;
}
