/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * exchange.c - two files that exchange their names.
 *
 * They overwrite each other's value, and of an append a crash may leave a part only.
 * So one of the values, the smaller, is put under a third key first, and that key's
 * tombstone ends the append: wherever the log ends, both are there.
 */
#include "fs/volume/exchange.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/volume/change.h"
#include "fs/volume/commit.h"
#include "fs/volume/dirty.h"
#include "fs/volume/journal.h"
#include "fs/volume/names.h"
#include "fs/volume/stat.h"

/* The record that puts the value of `node` where `place` is. */
static int put_at(struct volume *volume, struct node *node, const struct node *place,
		  struct dw_value *owned, struct key *key, struct dw_op *ret)
{
	*ret = (struct dw_op){
		.type = DW_PUT, .mtime_set = true, .mtime_ns = volume_current_mtime(volume, node)};
	int rc = volume_current_value(volume, node, owned, &ret->value);

	if (!rc && !ret->value.size && volume_is_marker_name(volume, place))
		rc = -EINVAL;
	if (!rc)
		rc = key_of_node(place, key);
	ret->key = key_bytes(key);
	return rc;
}

/* An unused key beside `key`. */
static int unused_key(struct volume *volume, const struct key *key, struct key *ret)
{
	enum { SUFFIX_MAX = 32 };
	struct dw_stat stat;

	if (key->size + SUFFIX_MAX > DW_KEY_SIZE_MAX)
		return -ENAMETOOLONG;
	ret->data = malloc(key->size + SUFFIX_MAX);
	if (!ret->data)
		return -ENOMEM;
	if (key->size)
		memcpy(ret->data, key->data, key->size);
	for (unsigned i = 0;; i++) {
		int n = snprintf(ret->data + key->size, SUFFIX_MAX, ".exchanged-%u", i);
		ret->size = key->size + (size_t)n;
		int rc = dw_stat(volume->store, key_bytes(ret), &stat);
		if (rc < 0)
			return rc == -ENOENT ? 0 : rc;
	}
}

/* The records of the exchange, `keys` being those of the third place, of `small` and of
 * `large`; attributes before and behind.  Those at the third place guard the copy there. */
static int append_with_attrs(struct volume *volume, struct change *change, struct node *large,
			     struct node *small, struct key *keys)
{
	const struct dw_bytes aside = key_bytes(&keys[0]), of_small = key_bytes(&keys[1]),
			      of_large = key_bytes(&keys[2]);
	int rc = journal_before_move(volume, small, NULL, aside);

	if (!rc)
		rc = journal_before_move(volume, large, small, of_small);
	if (!rc)
		rc = journal_before_move(volume, small, large, of_large);
	if (!rc)
		rc = change_append(change, volume);
	if (rc < 0) {
		journal_undo_move(volume, large, small, of_small);
		journal_undo_move(volume, small, large, of_large);
	} else {
		journal_moved(volume, large, of_small);
		journal_moved(volume, small, of_large);
	}
	if (small->attrs)
		journal_drop(volume, false, aside);
	return rc;
}

/* `small` is the one whose value is kept aside. */
static int append_exchange(struct volume *volume, struct node *large, struct node *small)
{
	struct change change = {.count = 4};
	struct dw_op *ops = change.ops;
	struct dw_value owned[2] = {{.data = NULL}};
	int rc = put_at(volume, large, small, &owned[0], &change.keys[1], &ops[1]);

	if (!rc)
		rc = put_at(volume, small, large, &owned[1], &change.keys[2], &ops[2]);
	if (!rc)
		rc = unused_key(volume, &change.keys[1], &change.keys[0]);
	if (!rc) {
		ops[0] = ops[2];
		ops[0].key = key_bytes(&change.keys[0]);
		ops[3] = (struct dw_op){.type = DW_DELETE, .key = ops[0].key};
		rc = append_with_attrs(volume, &change, large, small, change.keys);
	}
	change_release(&change);
	free(owned[0].data);
	free(owned[1].data);
	return rc;
}

int volume_exchange(struct volume *volume, struct node *a, struct node *b)
{
	struct node *both[2] = {a, b};
	bool larger = atomic_load(&a->size) >= atomic_load(&b->size);
	int rc = tree_exchange_reserve(&volume->tree, a, b);

	if (!rc)
		rc = append_exchange(volume, both[!larger], both[larger]);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < 2; i++) {
		if (both[i]->cached)
			volume_mark_clean(volume, both[i]->cached);
		atomic_store(&both[i]->mtime_ns, volume_current_mtime(volume, both[i]));
		atomic_store(&both[i]->logged, true);
		volume_touch_dir(volume, both[i]->key->parent);
	}
	tree_exchange(&volume->tree, a, b);
	volume_drop_cached(volume, a);
	volume_drop_cached(volume, b);
	return 0;
}
