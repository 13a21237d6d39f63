/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * unlogged.c - see unlogged.h.
 */
#include "fs/volume/unlogged.h"

#include <stdlib.h>

#include "fs/volume/dirscan.h"
#include "fs/volume/dirty.h"

static int by_key(const void *a, const void *b)
{
	const struct node *const *first = a, *const *second = b;

	return dirscan_compare(node_component(*first), false, node_component(*second), false);
}

int unlogged_init(struct unlogged *unlogged, struct volume *volume, struct node *dir)
{
	*unlogged = (struct unlogged){.at = 0};
	int rc = tree_unlogged(&volume->tree, dir, &unlogged->nodes, &unlogged->count);

	if (!rc && unlogged->count)
		qsort(unlogged->nodes, unlogged->count, sizeof(struct node *), by_key);
	return rc;
}

void unlogged_release(struct unlogged *unlogged, struct volume *volume)
{
	for (size_t i = 0; i < unlogged->count; i++)
		volume_unref(volume, unlogged->nodes[i], 1);
	free(unlogged->nodes);
}
