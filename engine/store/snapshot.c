/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * snapshot.c - see snapshot.h.
 */
#include "store/snapshot.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <utlist.h>

/* --- taking and closing --- */

static void release(struct snapshot *snapshot)
{
	struct keydir_cursor cursor = {0};
	struct keydir_place place;
	struct dw_bytes key;

	if (keydir_count(&snapshot->notes))
		while (keydir_next(&snapshot->notes, &cursor, &key, &place))
			segment_unref(place.segment);
	keydir_release(&snapshot->notes);
	segset_release(&snapshot->segments);
	free(snapshot->figures);
	free(snapshot);
}

static int freeze_locked(struct core *core, struct snapshot *snapshot)
{
	const struct segset *set = &core->segments;

	snapshot->figures = calloc(set->count + 1, sizeof *snapshot->figures);
	int rc = snapshot->figures ? segset_copy(set, set->count, &snapshot->segments) : -ENOMEM;
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < set->count; i++)
		snapshot->figures[i] =
			(struct segment_figures){set->items[i]->size, set->items[i]->live_bytes};
	snapshot->count = keydir_count(&core->keydir);
	snapshot->next_txid = core->log.next_txid;
	DL_PREPEND2(core->snapshots, snapshot, newer, older);
	return 0;
}

int snapshot_open(struct core *core, struct snapshot **ret)
{
	struct snapshot *snapshot = calloc(1, sizeof *snapshot);
	int rc = snapshot ? keydir_init(&snapshot->notes, NULL) : -ENOMEM;

	if (!rc) {
		snapshot->core = core;
		snapshot->notes.keeps_live = false;
		log_lock(&core->log);
		rc = freeze_locked(core, snapshot);
		log_unlock(&core->log);
	}
	if (rc < 0 && snapshot)
		release(snapshot);
	if (!rc)
		*ret = snapshot;
	return rc;
}

void snapshot_close(struct snapshot *snapshot)
{
	struct core *core = snapshot->core;

	log_lock(&core->log);
	assert(core->snapshots);
	DL_DELETE2(core->snapshots, snapshot, newer, older);
	log_unlock(&core->log);
	work_wake(&core->work); /* a compaction may free what it held */
	release(snapshot);      /* nobody knows it any more: writers need not wait for this */
}

bool snapshot_any(struct core *core)
{
	log_lock(&core->log);
	bool any = core->snapshots;
	log_unlock(&core->log);
	return any;
}

/* --- noting --- */

static int add_note(struct snapshot *snapshot, struct dw_bytes key,
		    const struct keydir_place *place)
{
	struct keydir_prepared prepared;
	struct keydir_place old;
	int rc = keydir_prepare(&snapshot->notes, key, &prepared);

	if (rc < 0)
		return rc;
	/* first the reference, so that who finds the note can take one, too */
	if (place->segment)
		(void)segment_ref(place->segment);
	keydir_set(&snapshot->notes, &prepared, place, &old);
	return 0;
}

/* Only the newest snapshots may lack a note of a key: they get theirs, the oldest first,
 * so that this stays true if memory ends between. */
static int note_key(struct core *core, struct dw_bytes key, bool added)
{
	struct snapshot *newest = core->snapshots, *lacking = NULL;
	struct keydir_place place;

	for (struct snapshot *s = newest; s && !keydir_get(&s->notes, key, false, &place);
	     s = s->older)
		lacking = s;
	if (!lacking)
		return 0;
	if (!keydir_get(&core->keydir, key, false, &place)) {
		if (!added)
			return 0; /* neither before nor after */
		place = (struct keydir_place){0};
	}
	for (int rc;; lacking = lacking->newer) {
		rc = add_note(lacking, key, &place);
		if (rc < 0 || lacking == newest)
			return rc;
	}
}

enum { PREFETCH = 8 }; /* keys ahead whose slots are fetched */

int snapshot_note_locked(struct core *core, const struct dw_op *ops, size_t count)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < count; i++) {
		if (i + PREFETCH < count) {
			keydir_prefetch_key(&core->snapshots->notes, ops[i + PREFETCH].key);
			keydir_prefetch_key(&core->keydir, ops[i + PREFETCH].key);
		}
		if (ops[i].type != DW_RAW)
			rc = note_key(core, ops[i].key, ops[i].type == DW_PUT);
	}
	return rc;
}

/* --- reading --- */

bool snapshot_get(struct snapshot *snapshot, struct dw_bytes key, bool pin,
		  struct keydir_place *ret)
{
	struct keydir_place now, then;
	bool is_now = keydir_get(&snapshot->core->keydir, key, pin, &now);

	/* in this order: were the base changed before it was looked at, there is a note */
	if (!keydir_get(&snapshot->notes, key, pin, &then)) {
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

bool snapshot_next_locked(struct snapshot *snapshot, struct snapshot_cursor *cursor,
			  struct dw_bytes *key_ret, struct keydir_place *place_ret)
{
	const struct keydir *now = &snapshot->core->keydir;
	struct keydir *notes = &snapshot->notes;
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
