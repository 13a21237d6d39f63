/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * snapshot.c - a snapshot of a volume, which goes on; the nodes of a volume that the kernel knows.
 *
 * Every change of a value, a name or an attribute is made with `names` held, so a thread that
 * holds it for writing finds both stores between two changes.  Under it what is not yet
 * in the log is committed, and both logs are rotated: the segments sealed then are the snapshot.
 * Their links are made without a lock.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/volume/commit.h"
#include "fs/volume/dirty.h"

/* Nodes that the kernel is asked to forget between two looks at how many there are. */
enum { SURPLUS_ONCE = 16 };

/* Commit what came since volume_commit_all(); `names` is held for writing. */
static int commit_rest(struct volume *volume)
{
	int rc = 0;

	while (!rc && volume->dirty) {
		/* no other thread can change the list while `names` is held */
		struct node *node = node_ref(volume->dirty->node);
		node_lock(volume, node);
		rc = volume_commit_locked(volume, node);
		volume_drop_cached(volume, node);
		node_unlock(volume, node);
		volume_unref(volume, node, 1);
	}
	return rc;
}

int volume_snapshot(struct volume *volume, const char *name, bool brief)
{
	struct dw_snapshot_making *making = NULL;

	if (volume->options.read_only)
		return -EROFS;
	/* most of what waits for the disk while others go on */
	int rc = volume_commit_all(volume);
	if (!rc)
		rc = dw_snapshot_prepare(volume->store, name, brief, &making);
	if (rc < 0)
		return rc;
	names_lock_write(volume);
	rc = commit_rest(volume);
	if (!rc)
		rc = dw_snapshot_take(making);
	names_unlock(volume);
	if (!rc)
		return dw_snapshot_finish(making, NULL);
	dw_snapshot_cancel(making);
	return rc;
}

uint64_t volume_snapshot_ino(struct volume *volume, const char *name)
{
	return tree_snapshot_ino(&volume->tree, name);
}

static void visit_nodes(struct volume *volume, struct node **nodes, size_t count,
			volume_known_fn *visit, void *context)
{
	char name[NAME_SIZE_MAX + 1];

	for (size_t i = 0; i < count; i++) {
		struct node *node = nodes[i], *parent = NULL;
		names_lock_read(volume);
		if (node_is_linked(node)) {
			parent = node_ref(node->key->parent);
			memcpy(name, node->key->name, node->name_size);
			name[node->name_size] = '\0';
		}
		names_unlock(volume);
		if (parent)
			visit(context, parent, name);
		volume_unref(volume, parent, 1);
		volume_unref(volume, node, 1);
	}
}

void volume_for_known(struct volume *volume, volume_known_fn *visit, void *context)
{
	struct node **nodes = NULL;
	size_t count = 0;

	if (tree_below(&volume->tree, NULL, &nodes, &count) < 0)
		return; /* it is done again */
	visit_nodes(volume, nodes, count, visit, context);
	free(nodes);
}

void volume_on_crowd(struct volume *volume, volume_crowded_fn *crowded, void *context)
{
	volume->on_crowd = crowded;
	volume->crowd_context = context;
}

void volume_for_surplus(struct volume *volume, volume_known_fn *visit, void *context)
{
	const size_t most = volume->options.nodes_max - volume->options.nodes_max / 4;
	struct node *nodes[SURPLUS_ONCE];
	size_t going = 0;

	atomic_store(&volume->crowded, false);
	for (size_t asked = 0; tree_count(&volume->tree) > most + asked; asked += going) {
		size_t count = tree_take_oldest(&volume->tree, nodes, SURPLUS_ONCE, &going);
		if (!count)
			break;
		visit_nodes(volume, nodes, count, visit, context);
	}
}

bool volume_is_known(struct volume *volume)
{
	return atomic_load(&volume->tree.root->refs) > 1 || tree_count(&volume->tree);
}

bool volume_is_snapshot(const struct node *node)
{
	return node->in_snapshot;
}

bool volume_is_root(const struct node *node)
{
	return !node->key->parent;
}
