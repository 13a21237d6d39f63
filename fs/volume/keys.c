/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * keys.c - see keys.h.
 */
#include "fs/volume/keys.h"

#include <errno.h>

/* Whether a file's key would be the marker of `dir`, if its value were empty. */
static bool may_be_marker(const struct volume *volume, const struct node *dir,
			  struct dw_bytes component)
{
	return !volume->options.flat && !component.size && dir != volume->tree.root;
}

int keys_from(struct volume *volume, struct dw_bytes directory, struct dw_below_info *ret)
{
	struct dw_below_info below = {.keys = 0};
	struct dw_stat stat = {.size = 0};
	int rc = dw_below(volume->store, directory, &below); /* without the key itself */
	int marker = rc ? rc : dw_stat(volume->store, directory, &stat);

	if (rc < 0 || (marker < 0 && marker != -ENOENT))
		return rc < 0 ? rc : marker;
	if (!marker) {
		below.keys++;
		if (stat.mtime_ns > below.newest_ns)
			below.newest_ns = stat.mtime_ns;
	}
	*ret = below;
	return 0;
}

int keys_stat_file(struct volume *volume, struct node *dir, struct dw_bytes component,
		   struct dw_stat *ret)
{
	struct dw_stat stat = {.size = 0};
	struct key key;
	int rc = key_of_child(dir, component, false, &key);

	if (!rc)
		rc = dw_stat(volume->store, key_bytes(&key), &stat);
	key_release(&key);
	if (rc < 0)
		return rc == -ENAMETOOLONG ? -ENOENT : rc;
	if (!stat.size && may_be_marker(volume, dir, component))
		return -ENOENT;
	*ret = stat;
	return 0;
}

int keys_stat_dir(struct volume *volume, struct node *dir, struct dw_bytes component,
		  struct dw_below_info *ret)
{
	struct dw_below_info below = {.keys = 0};
	struct key key;

	if (volume->options.flat)
		return -ENOENT;
	int rc = key_of_child(dir, component, true, &key);
	if (!rc)
		rc = keys_from(volume, key_bytes(&key), &below);
	key_release(&key);
	if (rc < 0)
		return rc == -ENAMETOOLONG ? -ENOENT : rc;
	if (!below.keys)
		return -ENOENT;
	*ret = below;
	return 0;
}

int keys_below(struct volume *volume, const struct node *dir, struct dw_below_info *ret)
{
	struct key key;
	int rc = key_of_node(dir, &key);

	if (!rc)
		rc = keys_from(volume, key_bytes(&key), ret);
	key_release(&key);
	return rc;
}

int keys_has_marker(struct volume *volume, const struct node *dir)
{
	struct dw_stat stat = {.size = 0};
	struct key key;

	if (dir == volume->tree.root)
		return 1;
	int rc = key_of_node(dir, &key);
	if (!rc)
		rc = dw_stat(volume->store, key_bytes(&key), &stat);
	key_release(&key);
	if (rc < 0)
		return rc == -ENOENT ? 0 : rc;
	return !stat.size;
}

int keys_is_empty(struct volume *volume, const struct node *dir)
{
	struct dw_below_info below = {.keys = 0};
	int rc = keys_below(volume, dir, &below);
	int marker = rc ? 0 : keys_has_marker(volume, dir);

	if (rc < 0 || marker < 0)
		return rc < 0 ? rc : marker;
	return below.keys == (uint64_t)marker && !tree_has_unlogged(&volume->tree, dir);
}

int keys_is_last(struct volume *volume, const struct node *parent, const struct node *node)
{
	struct dw_below_info above = {.keys = 0}, own = {.keys = 1};

	if (parent == volume->tree.root)
		return 0;
	int rc = keys_below(volume, parent, &above);
	if (!rc && node_is_dir(node))
		rc = keys_below(volume, node, &own);
	return rc < 0 ? rc : above.keys == own.keys;
}
