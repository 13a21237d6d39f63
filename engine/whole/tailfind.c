/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * tailfind.c - see tailfind.h.
 */
#include "whole/tailfind.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "disk/sidecar.h"
#include "whole/tailread.h"

enum { TRIES = 20 };

static void note(struct tail_find *find, const struct record_header *header, uint32_t crc,
		 uint32_t segment, uint64_t offset)
{
	uint64_t txid = header->txid;

	if (txid > find->last)
		find->last = txid;
	if (txid == find->behind) {
		find->seen = true;
		find->same = find->same || !find->crc || find->crc == crc;
	}
	if (txid > find->behind && !find->any) {
		find->any = true;
		find->segment = segment;
	}
	if (txid < find->from || txid - find->from >= find->count)
		return;
	struct tail_place *place = &find->places[txid - find->from];
	find->found += !place->found;
	*place = (struct tail_place){.segment = segment, .found = true, .offset = offset};
}

static int find_in_hint(struct tail_find *find, struct hintreader *hint, uint32_t id)
{
	struct hint_entry entry;
	uint64_t offset;
	int rc;

	while ((rc = hintreader_next(hint, &entry, &offset)) == 1)
		note(find, &entry.header, entry.crc, id, offset);
	return rc;
}

/* Of the last segment what is not whole is left alone. */
static int find_in_records(struct tail_find *find, struct tail_reader *reader, bool last)
{
	struct scan_record record;
	int rc;

	while ((rc = tail_reader_next(reader, &record)) == 1)
		note(find, &record.header, record.crc, reader->id, record.offset);
	bool whole = reader->scan.offset == reader->scan.end;
	return last && rc == -EBADMSG ? 0 : rc || last || whole ? rc : -EBADMSG;
}

static int find_in(struct tail_find *find, struct tail_reader *reader, uint32_t id, bool last)
{
	int rc = tail_reader_open(reader, id, 0);

	if (rc < 0)
		return rc;
	const struct hint_binding binding = {reader->mtime_ns, reader->inode};
	struct sidecar sidecar;
	rc = sidecar_init(&sidecar, reader->io, reader->dirfd, id, reader->fd, reader->scan.end,
			  &binding);
	if (!rc)
		rc = !last && sidecar.bound ? find_in_hint(find, &sidecar.reader, id)
					    : find_in_records(find, reader, last);
	sidecar_release(&sidecar);
	return rc;
}

static void begin(struct tail_find *find)
{
	find->found = 0;
	find->last = 0;
	find->seen = find->same = find->any = false;
	if (find->count)
		memset(find->places, 0, find->count * sizeof *find->places);
}

/* 0; -EAGAIN: the list of segments changed meanwhile; or another -errno. */
static int find_once(struct io *io, int dirfd, struct tail_find *find)
{
	struct segset_ids before = {0}, after = {0};
	struct tail_reader reader;
	int rc = segset_list(io, dirfd, &before);

	begin(find);
	tail_reader_init(&reader, io, dirfd);
	for (size_t i = 0; !rc && i < before.count; i++)
		rc = find_in(find, &reader, before.items[i], i + 1 == before.count);
	tail_reader_close(&reader);
	/* A segment that went has its records elsewhere by now, and one that was the last may have
	 * been read before its end. */
	if (!rc || rc == -ENOENT || rc == -ESTALE || rc == -EBADMSG) {
		int listed = segset_list(io, dirfd, &after);
		bool same = before.count == after.count &&
			    (!after.count ||
			     !memcmp(before.items, after.items, after.count * sizeof *after.items));
		if (listed < 0)
			rc = listed;
		else if (!same)
			rc = -EAGAIN;
	}
	segset_ids_release(&before);
	segset_ids_release(&after);
	return rc;
}

int tail_find(struct io *io, int dirfd, struct tail_find *find)
{
	int rc = -EAGAIN;

	if (find->count && !(find->places = calloc(find->count, sizeof *find->places)))
		return -ENOMEM;
	for (int i = 0; rc == -EAGAIN && i < TRIES; i++)
		rc = find_once(io, dirfd, find);
	return rc;
}

void tail_find_release(struct tail_find *find)
{
	free(find->places);
	*find = (struct tail_find){0};
}

int tail_find_is_old(struct io *io, int dirfd, uint32_t id, uint64_t txid)
{
	struct tail_find find = {.behind = txid};
	struct tail_reader reader;

	tail_reader_init(&reader, io, dirfd);
	int rc = tail_reader_open(&reader, id, 0);
	if (!rc) {
		const struct hint_binding binding = {reader.mtime_ns, reader.inode};
		struct sidecar sidecar;
		rc = sidecar_init(&sidecar, io, dirfd, id, reader.fd, reader.scan.end, &binding);
		find.any = !sidecar.bound;
		if (!rc && sidecar.bound)
			rc = find_in_hint(&find, &sidecar.reader, id);
		sidecar_release(&sidecar);
	}
	tail_reader_close(&reader);
	return rc ? rc : !find.any;
}
