/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * snapshot.c - a volume of one moment of another, which goes on.
 *
 * Every change of a value, a name or an attribute is made with `names` held, so whoever
 * holds it for writing finds both stores between two changes.  Under it what is not yet
 * in the log is committed, and each store is frozen, which takes the engine
 * microseconds.  The names are read later: most snapshots are taken in less time than
 * a walk over all keys takes.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/volume/commit.h"
#include "fs/volume/dirty.h"
#include "fs/volume/load.h"
#include "fs/volume/stat.h"

/* Commit what came since volume_commit_all(); `names` is held for writing. */
static int commit_rest(struct volume *volume)
{
	int rc = 0;

	while (!rc && volume->dirty) {
		/* nobody who is kept out by `names` could change the list */
		struct node *node = node_ref(volume->dirty->node);
		node_lock(volume, node);
		rc = volume_commit_locked(volume, node);
		volume_drop_cached(volume, node);
		node_unlock(volume, node);
		volume_unref(volume, node, 1);
	}
	return rc;
}

/* What the root shows before the names are read, and afterwards. */
static int copy_root(const struct node *from, struct node *to)
{
	atomic_store(&to->mtime_ns, atomic_load(&from->mtime_ns));
	if (!from->attrs)
		return 0;
	struct attrs *attrs = volume_own_attrs(to);
	if (!attrs)
		return -ENOMEM;
	*attrs = *from->attrs;
	attrs->outside = attrs->outside || attrs->xattrs; /* its record is frozen, too */
	attrs->xattrs = NULL;
	return 0;
}

static int snapshot_locked(struct volume *volume, struct volume *frozen)
{
	int rc = commit_rest(volume);

	if (!rc)
		rc = copy_root(volume->tree.root, frozen->tree.root);
	if (!rc)
		rc = attrstore_freeze(volume->attrs, &frozen->attrs);
	if (!rc)
		rc = dw_snapshot(volume->store, &frozen->store);
	return rc;
}

int volume_snapshot(struct volume *volume, const char *name, struct volume **ret)
{
	struct volume_options options = volume->options;
	struct volume *frozen = NULL;

	if (volume->options.read_only)
		return -EROFS;
	options.read_only = true;
	int rc = volume_new(&options, &frozen);
	if (rc < 0)
		return rc;
	tree_set_ino(&frozen->tree, name);
	frozen->tree.root->in_snapshot = true;
	/* most of it while others go on */
	rc = volume_commit_all(volume);
	if (!rc) {
		names_lock_write(volume);
		rc = snapshot_locked(volume, frozen);
		names_unlock(volume);
	}
	if (rc < 0)
		volume_free(frozen);
	else
		*ret = frozen;
	return rc;
}

void volume_for_known(struct volume *volume, volume_known_fn *visit, void *context)
{
	char name[NAME_SIZE_MAX + 1];
	const struct node *node;
	size_t at = 0;

	/* before that there is but the root, and behind it the table stays as it is */
	if (!atomic_load(&volume->loaded))
		return;
	while ((node = nodetable_next(&volume->tree.table, &at))) {
		if (atomic_load(&node->refs) == 1) /* the tree's */
			continue;
		memcpy(name, node->key->name, node->name_size);
		name[node->name_size] = '\0';
		visit(context, node->key->parent, name);
	}
}

bool volume_is_snapshot(const struct node *node)
{
	return node->in_snapshot;
}

bool volume_is_root(const struct node *node)
{
	return !node->key->parent;
}
