/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * freeze.c - a volume of one moment of another, which goes on.
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

#include "fs/volume/internal.h"

/* Commit what came since volume_commit_all(); `names` is held for writing. */
static int commit_rest(struct volume *volume)
{
	int rc = 0;

	while (!rc && volume->dirty) {
		/* nobody who is kept out by `names` could change the list */
		struct node *node = node_ref(volume->dirty->node);
		(void)pthread_mutex_lock(volume_node_lock(volume, node));
		rc = volume_commit_locked(volume, node);
		volume_drop_content(volume, node);
		(void)pthread_mutex_unlock(volume_node_lock(volume, node));
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

static int freeze_locked(struct volume *volume, struct volume *frozen)
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

int volume_freeze(struct volume *volume, const char *name, struct volume **ret)
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
	frozen->tree.root->frozen = true;
	/* most of it while others go on */
	rc = volume_commit_all(volume);
	if (!rc) {
		(void)pthread_rwlock_wrlock(&volume->names);
		rc = freeze_locked(volume, frozen);
		(void)pthread_rwlock_unlock(&volume->names);
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

bool volume_is_frozen(const struct node *node)
{
	return node->frozen;
}

bool volume_is_root(const struct node *node)
{
	return !node->key->parent;
}

int volume_load_late(struct volume *volume)
{
	struct node *root = volume->tree.root;
	int rc = 0;

	(void)pthread_rwlock_wrlock(&volume->names);
	if (!atomic_load(&volume->loaded)) {
		int64_t mtime_ns = atomic_load(&root->mtime_ns);
		rc = volume_load(volume);
		atomic_store(&root->mtime_ns, mtime_ns);
		if (!rc)
			atomic_store(&volume->loaded, true);
		else
			tree_clear(&volume->tree); /* nobody was told of a node in it */
	}
	(void)pthread_rwlock_unlock(&volume->names);
	return rc;
}
