/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * change.c - see change.h.
 */
#include "fs/volume/change.h"

#include <assert.h>

#include "fs/volume/keys.h"

int change_add(struct change *change, enum dw_type type, const struct node *node)
{
	size_t i = change->count++;

	assert(i < CHANGE_OPS_MAX);
	int rc = key_of_node(node, &change->keys[i]);
	if (!rc)
		change->ops[i] = (struct dw_op){.type = type, .key = key_bytes(&change->keys[i])};
	return rc;
}

int change_remove(struct change *change, struct volume *volume, const struct node *node,
		  bool replaced)
{
	const struct node *parent = node->key->parent;
	int logged = node_is_dir(node) ? keys_has_marker(volume, node) : atomic_load(&node->logged);

	if (logged <= 0)
		return logged;
	int last = replaced ? 0 : keys_is_last(volume, parent, node);
	int rc = last < 0 ? last : 0;
	/* The marker first: of a crash only a prefix may be left. */
	if (last > 0)
		rc = change_add(change, DW_PUT, parent);
	/* a file whose key is the marker's is gone with that */
	bool same = last && !node_is_dir(node) && !node_component(node).size;
	return rc || same ? rc : change_add(change, DW_DELETE, node);
}

int change_append(struct change *change, struct volume *volume)
{
	return dw_batch(volume->store, change->ops, change->count);
}

void change_release(struct change *change)
{
	for (size_t i = 0; i < change->count; i++)
		key_release(&change->keys[i]);
}
