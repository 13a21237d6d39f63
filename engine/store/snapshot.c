/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * snapshot.c - see snapshot.h.
 */
#include "store/snapshot.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <utlist.h>

#include "store/store.h"

/* --- taking and closing --- */

static void release(struct dw_store *snapshot)
{
	struct keydir_cursor cursor = {0};
	struct keydir_place place;
	struct dw_bytes key;

	if (keydir_count(&snapshot->keydir))
		while (keydir_next(&snapshot->keydir, &cursor, &key, &place))
			segment_unref(place.segment);
	keydir_release(&snapshot->keydir);
	segset_release(&snapshot->segments);
	log_release(&snapshot->log);
	maintain_release(&snapshot->maintain);
	free(snapshot->snapshot.segments);
	free(snapshot); /* directory and pool are the base's */
}

/* All that needs no lock. */
static int snapshot_new(struct dw_store *base, struct dw_store **ret)
{
	struct dw_store *snapshot = calloc(1, sizeof *snapshot);

	if (!snapshot)
		return -ENOMEM;
	snapshot->snapshot.base = base;
	snapshot->io = base->io;
	snapshot->dirfd = base->dirfd;
	snapshot->lockfd = -1;
	snapshot->read_only = true;
	snapshot->on_finding = base->on_finding;
	snapshot->context = base->context;
	/* it is never written to, but its lock and its figures are looked at */
	int rc = log_init(&snapshot->log, &base->pool, base->log.segment_size);
	if (!rc) /* for verifications: these wait and are cancelled as in any store */
		rc = maintain_init(&snapshot->maintain);
	if (!rc)
		rc = keydir_init(&snapshot->keydir);
	if (rc < 0) {
		release(snapshot);
		return rc;
	}
	snapshot->keydir.keeps_live = false;
	*ret = snapshot;
	return 0;
}

static int freeze_locked(struct dw_store *base, struct dw_store *snapshot)
{
	const struct segset *set = &base->segments;
	struct snapshot *frozen = &snapshot->snapshot;

	frozen->segments = calloc(set->count + 1, sizeof *frozen->segments);
	int rc = frozen->segments ? segset_copy(set, set->count, &snapshot->segments) : -ENOMEM;
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < set->count; i++)
		frozen->segments[i] = store_segment_locked(base, i);
	frozen->count = keydir_count(&base->keydir);
	snapshot->log.next_txid = base->log.next_txid;
	DL_PREPEND2(base->snapshots, snapshot, snapshot.newer, snapshot.older);
	return 0;
}

int dw_snapshot(struct dw_store *store, struct dw_store **ret)
{
	struct dw_store *snapshot = NULL;

	if (store->snapshot.base)
		return -EINVAL;
	int rc = snapshot_new(store, &snapshot);
	if (rc < 0)
		return rc;
	log_lock(&store->log);
	rc = freeze_locked(store, snapshot);
	log_unlock(&store->log);
	if (rc < 0)
		release(snapshot);
	else
		*ret = snapshot;
	return rc;
}

void snapshot_close(struct dw_store *snapshot)
{
	struct dw_store *base = snapshot->snapshot.base;

	log_lock(&base->log);
	DL_DELETE2(base->snapshots, snapshot, snapshot.newer, snapshot.older);
	log_unlock(&base->log);
	maintain_wake(&base->maintain); /* a compaction may free what it held */
	release(snapshot); /* nobody knows it any more: writers need not wait for this */
}

/* --- noting --- */

static int add_note(struct dw_store *snapshot, struct dw_bytes key,
		    const struct keydir_place *place)
{
	struct keydir_prepared prepared;
	struct keydir_place old;
	int rc = keydir_prepare(&snapshot->keydir, key, &prepared);

	if (rc < 0)
		return rc;
	/* first the reference, so that who finds the note can take one, too */
	if (place->segment)
		(void)segment_ref(place->segment);
	keydir_set(&snapshot->keydir, &prepared, place, &old);
	return 0;
}

/* Only the newest snapshots may lack a note of a key: they get theirs, the oldest first,
 * so that this stays true if memory ends between. */
static int note_key(struct dw_store *base, struct dw_bytes key, bool added)
{
	struct dw_store *newest = base->snapshots, *lacking = NULL;
	struct keydir_place place;

	for (struct dw_store *s = newest; s && !keydir_get(&s->keydir, key, false, &place);
	     s = s->snapshot.older)
		lacking = s;
	if (!lacking)
		return 0;
	if (!keydir_get(&base->keydir, key, false, &place)) {
		if (!added)
			return 0; /* neither before nor after */
		place = (struct keydir_place){0};
	}
	for (int rc;; lacking = lacking->snapshot.newer) {
		rc = add_note(lacking, key, &place);
		if (rc < 0 || lacking == newest)
			return rc;
	}
}

enum { PREFETCH = 8 }; /* keys ahead whose slots are fetched */

int snapshot_note_locked(struct dw_store *base, const struct dw_op *ops, size_t count)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < count; i++) {
		if (i + PREFETCH < count) {
			keydir_prefetch_key(&base->snapshots->keydir, ops[i + PREFETCH].key);
			keydir_prefetch_key(&base->keydir, ops[i + PREFETCH].key);
		}
		if (ops[i].type != DW_RAW)
			rc = note_key(base, ops[i].key, ops[i].type == DW_PUT);
	}
	return rc;
}

/* --- reading --- */

bool snapshot_get(struct dw_store *snapshot, struct dw_bytes key, bool pin,
		  struct keydir_place *ret)
{
	struct keydir_place now, then;
	bool is_now = keydir_get(&snapshot->snapshot.base->keydir, key, pin, &now);

	/* in this order: were the base changed before it was looked at, there is a note */
	if (!keydir_get(&snapshot->keydir, key, pin, &then)) {
		if (is_now)
			*ret = now;
		return is_now;
	}
	if (is_now && pin)
		segment_unref(now.segment);
	if (then.segment)
		*ret = then;
	return then.segment;
}

bool snapshot_next_locked(struct dw_store *snapshot, struct snapshot_cursor *cursor,
			  struct dw_bytes *key_ret, struct keydir_place *place_ret)
{
	const struct keydir *now = &snapshot->snapshot.base->keydir;
	struct keydir *notes = &snapshot->keydir;
	struct keydir_place place, noted;
	struct dw_bytes key;

	while (!cursor->in_notes && keydir_next(now, &cursor->keys, &key, &place)) {
		if (keydir_count(notes) && keydir_get(notes, key, false, &noted))
			continue;
		*key_ret = key;
		*place_ret = place;
		return true;
	}
	if (!cursor->in_notes)
		*cursor = (struct snapshot_cursor){.in_notes = true};
	while (keydir_next(notes, &cursor->keys, &key, &place)) {
		if (!place.segment)
			continue;
		*key_ret = key;
		*place_ret = place;
		return true;
	}
	return false;
}
