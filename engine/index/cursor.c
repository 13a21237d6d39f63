/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * cursor.c - the keys of the index in byte order, and how many lie below a directory, see index.h.
 *
 * A cursor of the index as it becomes walks over a version that it holds.  When there is a newer
 * one it goes on with that behind its last key.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "index/internal.h"
#include "index/merge.h"
#include "index/readers.h"

struct index_cursor {
	struct index *index;
	struct index_moment *moment; /* NULL: of the index as it becomes */
	struct version *version;     /* then this is the one that it walks over; owned */
	uint64_t sequence;           /* of that */
	uint64_t changes;            /* of its active delta, when it was sought */
	struct dw_segment *pinned;   /* of the last key, if that was looked up again */
	struct merge merge;
	struct buf prefix;
	struct buf from;      /* where it was sought last */
	struct dw_bytes told; /* the last key since then; data NULL: none.  The merge's: gone with
				 the next step */
	bool ended;           /* until it is sought */
	int lost;             /* 0, or the error that left the merge anywhere: until it is sought */
};

static struct dw_bytes bytes_of(const struct buf *buf)
{
	return (struct dw_bytes){buf->data ? buf->data : (const void *)"", buf->size};
}

static int set_buf(struct buf *buf, struct dw_bytes bytes)
{
	int rc = buf_reserve(buf, bytes.size);

	if (rc < 0)
		return rc;
	if (bytes.size)
		memcpy(buf->data, bytes.data, bytes.size);
	buf->size = bytes.size;
	return 0;
}

static const struct parts *parts_of(const struct index_cursor *cursor)
{
	return cursor->moment ? &cursor->moment->version->parts : &cursor->version->parts;
}

/* Walk over what is there now. */
static int renew(struct index_cursor *cursor)
{
	merge_release(&cursor->merge);
	if (!cursor->moment) {
		version_free(cursor->version);
		cursor->sequence = atomic_load(&cursor->index->sequence);
		cursor->version = index_hold(cursor->index);
		if (!cursor->version)
			return -ENOMEM;
	}
	return merge_init(&cursor->merge, parts_of(cursor));
}

/* From there on the next key of each part is at hand, as it is now. */
static int seek(struct index_cursor *cursor, struct dw_bytes key)
{
	if (!cursor->moment)
		cursor->changes = atomic_load(&cursor->version->parts.active->changes);
	return merge_seek(&cursor->merge, key);
}

static bool begins_with(struct dw_bytes key, struct dw_bytes prefix)
{
	return key.size >= prefix.size &&
	       (!prefix.size || !memcmp(key.data, prefix.data, prefix.size));
}

int index_cursor_seek(struct index_cursor *cursor, struct dw_bytes key)
{
	struct dw_bytes prefix = bytes_of(&cursor->prefix);
	/* first a copy: the key may be the one that was told last */
	int rc = set_buf(&cursor->from, keydir_compare(key, prefix) < 0 ? prefix : key);

	if (!rc && cursor->lost)
		rc = renew(cursor);
	if (!rc)
		rc = seek(cursor, bytes_of(&cursor->from));
	cursor->told.data = NULL;
	cursor->ended = false;
	cursor->lost = rc;
	return rc;
}

/* There is a newer version: go on there behind the last key, or where it was sought. */
static int catch_up(struct index_cursor *cursor)
{
	int rc = 0;

	if (cursor->told.data) {
		/* the least key behind it has one byte more */
		rc = set_buf(&cursor->from, cursor->told);
		if (!rc)
			rc = buf_add(&cursor->from, "", 1);
		cursor->told.data = NULL;
	}
	if (!rc)
		rc = renew(cursor);
	return rc ? rc : seek(cursor, bytes_of(&cursor->from));
}

/* Where the key is: 1; 0: it was removed meanwhile; -EBADMSG. */
static int find_place(struct index_cursor *cursor, const struct merge_entry *entry,
		      struct keydir_place *ret)
{
	const struct parts *parts = parts_of(cursor);

	/* `entry` may be older than the entry in the active delta */
	if (!cursor->moment && atomic_load(&parts->active->changes) != cursor->changes &&
	    keydir_get(&parts->active->keydir, entry->key, true, ret)) {
		cursor->pinned = ret->segment;
		return ret->segment ? 1 : 0;
	}
	if (entry->place.tombstone)
		return 0;
	if (!entry->segment) {
		int rc = parts_place(parts, &entry->place, ret);
		return rc < 0 ? rc : 1;
	}
	*ret = (struct keydir_place){.segment = entry->segment,
				     .offset = entry->place.offset,
				     .mtime_ns = entry->place.mtime_ns,
				     .value_size = entry->place.value_size};
	return 1;
}

static int next(struct index_cursor *cursor, struct dw_bytes *key_ret,
		struct keydir_place *place_ret)
{
	bool changed = !cursor->moment && atomic_load(&cursor->index->sequence) != cursor->sequence;
	int rc = changed ? catch_up(cursor) : 0;
	struct merged merged;

	while (!rc && (rc = merge_next(&cursor->merge, &merged)) == 1) {
		struct dw_bytes key = merged.newest->key;
		if (!begins_with(key, bytes_of(&cursor->prefix)))
			return 0;
		rc = find_place(cursor, merged.newest, place_ret);
		if (rc != 1)
			continue;
		*key_ret = key;
		cursor->told = (struct dw_bytes){key.data ? key.data : "", key.size};
		return 1;
	}
	return rc;
}

int index_cursor_next(struct index_cursor *cursor, struct dw_bytes *key_ret,
		      struct keydir_place *place_ret)
{
	if (cursor->lost || cursor->ended)
		return cursor->lost;
	segment_unref(cursor->pinned);
	cursor->pinned = NULL;
	int rc = next(cursor, key_ret, place_ret);
	if (rc < 0)
		cursor->lost = rc;
	cursor->ended = !rc;
	if (rc == -EBADMSG)
		atomic_store(&cursor->index->damaged, true);
	return rc;
}

int index_cursor_open(struct index *index, const struct segset *segments,
		      struct index_moment *moment, struct dw_bytes prefix,
		      struct index_cursor **ret)
{
	struct index_cursor *cursor = calloc(1, sizeof *cursor);
	int rc = !cursor ? -ENOMEM : moment ? 0 : index_list(index);

	(void)segments;
	if (rc < 0) {
		free(cursor);
		return rc;
	}
	cursor->index = index;
	cursor->moment = moment ? moment_ref(moment) : NULL;
	rc = set_buf(&cursor->prefix, prefix);
	if (!rc)
		rc = renew(cursor);
	if (!rc)
		rc = index_cursor_seek(cursor, prefix);
	if (rc < 0)
		index_cursor_close(cursor);
	else
		*ret = cursor;
	return rc;
}

void index_cursor_close(struct index_cursor *cursor)
{
	if (!cursor)
		return;
	segment_unref(cursor->pinned);
	merge_release(&cursor->merge);
	version_free(cursor->version);
	index_moment_close(cursor->moment);
	buf_release(&cursor->prefix);
	buf_release(&cursor->from);
	free(cursor);
}

/* --- in order --- */

bool index_is_listed(const struct index *index)
{
	return atomic_load(&index->listed);
}

int index_list(struct index *index)
{
	if (index_is_listed(index))
		return 0;
	int rc = delta_list(index->active);
	if (!rc)
		atomic_store(&index->listed, true);
	return rc;
}

/* --- what is below --- */

static int below(const struct parts *parts, struct dw_bytes prefix, struct index_below *ret)
{
	int64_t count = 0, newest = INT64_MIN;
	int rc = 0;

	if (prefix.size && ((const uint8_t *)prefix.data)[prefix.size - 1] != '/')
		return -EINVAL;
	if (parts->active)
		rc = delta_get_below(parts->active, prefix, &count, &newest);
	for (size_t i = 0; !rc && i < parts->sealed_count; i++)
		rc = delta_get_below(parts->sealed[i], prefix, &count, &newest);
	for (size_t i = 0; !rc && i < parts->run_count; i++) {
		int64_t change, time;
		rc = run_below(parts->runs[i], prefix, &change, &time);
		if (rc < 0)
			break;
		count += change;
		newest = time > newest ? time : newest;
	}
	if (rc < 0)
		return rc;
	if (count < 0)
		return -EBADMSG; /* runs that do not go together */
	*ret = (struct index_below){(uint64_t)count, newest};
	return 0;
}

int index_below(struct index *index, struct dw_bytes prefix, struct index_below *ret)
{
	int rc = index_list(index);
	struct version *version = rc ? NULL : index_hold(index);

	if (!version)
		return rc ? rc : -ENOMEM;
	rc = below(&version->parts, prefix, ret);
	version_free(version);
	if (rc == -EBADMSG)
		atomic_store(&index->damaged, true);
	return rc;
}

int index_moment_below(const struct index_moment *moment, struct dw_bytes prefix,
		       struct index_below *ret)
{
	return below(&moment->version->parts, prefix, ret);
}
