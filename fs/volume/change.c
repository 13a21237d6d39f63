/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * change.c - see change.h.
 */
#include "fs/volume/change.h"

#include <assert.h>

int change_add(struct change *change, enum dw_type type, const struct node *node)
{
	size_t i = change->count++;

	assert(i < CHANGE_OPS_MAX);
	int rc = key_of_node(node, &change->keys[i]);
	if (!rc)
		change->ops[i] = (struct dw_op){.type = type, .key = key_bytes(&change->keys[i])};
	return rc;
}

int change_remove(struct change *change, const struct node *node, bool replaced)
{
	const struct node *parent = node->key->parent;
	bool logged = node_is_dir(node) ? node->flags & NODE_MARKER : atomic_load(&node->logged);

	if (!logged)
		return 0;
	bool marks = !replaced && !(parent->flags & NODE_MARKER) && node_logged_count(parent) == 1;
	int rc = 0;
	/* The marker first: of a crash only a prefix may be left. */
	if (marks) {
		change->marks = true;
		rc = change_add(change, DW_PUT, parent);
	}
	/* a file whose key is the marker's is gone with that */
	bool same = marks && !node_is_dir(node) && !node_component(node).size;
	return rc || same ? rc : change_add(change, DW_DELETE, node);
}

int change_append(struct change *change, struct volume *volume, struct node *parent)
{
	int rc = dw_batch(volume->store, change->ops, change->count);

	if (!rc && change->marks)
		parent->flags |= NODE_MARKER;
	return rc;
}

void change_release(struct change *change)
{
	for (size_t i = 0; i < change->count; i++)
		key_release(&change->keys[i]);
}
