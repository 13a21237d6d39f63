/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * lookup.c - see lookup.h.
 *
 * While a node is made, the lock of its directory's node is held: else one thread could ask the
 * store, another one make the node, change the file and let it go, and the first one then show the
 * file's old state.
 */
#include "fs/volume/lookup.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "fs/base/clock.h"
#include "fs/volume/dirscan.h"
#include "fs/volume/dirty.h"
#include "fs/volume/keys.h"
#include "fs/volume/mend.h"
#include "fs/volume/shown.h"
#include "fs/volume/stat.h"
#include "fs/volume/xattrmem.h"

/* --- making a node --- */

/* A record that cannot be read takes nothing with it: its file shows with the defaults, and the
 * log says so. */
static int read_attrs(struct volume *volume, struct node *node, struct dw_bytes key)
{
	int rc = mend_read(volume, node_is_dir(node), key, &node->attrs);

	if (rc == -EBADMSG) {
		rc = 0;
		if (!atomic_exchange(&volume->told_unreadable, true))
			volume_log(volume, LOG_ERR,
				   "records of attributes in '.attr' cannot be read; their files "
				   "show with the owner and mode of the mount until they are set "
				   "again");
	}
	if (node->attrs)
		volume_xattrs_leave(node->attrs);
	return rc;
}

static int fill_file(struct volume *volume, struct node *parent, struct dw_bytes component,
		     struct node *node)
{
	struct dw_stat stat;
	struct key key;
	int rc = keys_stat_file(volume, parent, component, &stat);

	if (rc < 0)
		return rc;
	atomic_store(&node->size, stat.size);
	atomic_store(&node->mtime_ns, stat.mtime_ns);
	atomic_store(&node->logged, true);
	if (!attrstore_store(volume->attrs))
		return 0;
	rc = key_of_child(parent, component, false, &key);
	if (!rc)
		rc = read_attrs(volume, node, key_bytes(&key));
	key_release(&key);
	/* a value that cannot be a link's target is an ordinary file */
	if (!rc && node->attrs && (!stat.size || stat.size >= PATH_MAX))
		node->attrs->set &= ~(unsigned)ATTR_SYMLINK;
	return rc;
}

/* A time set on a value may lie in the future, when no name has appeared yet. */
static void set_dir_time(struct node *node, const struct dw_below_info *below)
{
	const int64_t now = clock_realtime_ns();
	int64_t newest = below->newest_ns == INT64_MIN ? 0 : below->newest_ns;

	atomic_store(&node->mtime_ns, newest < now ? newest : now);
}

static int fill_dir(struct volume *volume, struct node *parent, struct dw_bytes component,
		    struct node *node)
{
	struct dw_below_info below;
	struct key key;
	int rc = keys_stat_dir(volume, parent, component, &below);

	if (rc < 0)
		return rc;
	set_dir_time(node, &below);
	if (!attrstore_store(volume->attrs))
		return 0;
	rc = key_of_child(parent, component, true, &key);
	if (!rc)
		rc = read_attrs(volume, node, key_bytes(&key));
	key_release(&key);
	return rc;
}

int volume_fill_root(struct volume *volume)
{
	struct node *root = volume->tree.root;
	const struct dw_bytes key = {"", 0};
	struct dw_below_info below;
	int rc = keys_from(volume, key, &below);

	if (rc < 0)
		return rc;
	set_dir_time(root, &below);
	return attrstore_store(volume->attrs) ? read_attrs(volume, root, key) : 0;
}

static int make_locked(struct volume *volume, struct node *parent, const struct lookup *lookup,
		       struct node **ret)
{
	const struct name *name = lookup->name;
	struct node *node = tree_find(&volume->tree, parent, name->text, name->size);

	if (node) {
		*ret = node;
		return 0;
	}
	node = node_new(name->text, name->size, &lookup->component, lookup->is_dir);
	if (!node)
		return -ENOMEM;
	int rc = lookup->is_dir ? fill_dir(volume, parent, lookup->component, node)
				: fill_file(volume, parent, lookup->component, node);
	if (!rc)
		rc = tree_link(&volume->tree, parent, node);
	if (rc < 0)
		node_free(node);
	else
		*ret = node;
	return rc;
}

/* Too many nodes are known: the kernel is to be asked to forget some. */
static void note_crowd(struct volume *volume)
{
	if (tree_count(&volume->tree) > volume->options.nodes_max && volume->on_crowd &&
	    !atomic_exchange(&volume->crowded, true))
		volume->on_crowd(volume->crowd_context);
}

int volume_find_known(struct volume *volume, struct node *parent, const struct lookup *lookup,
		      struct node **ret)
{
	node_lock(volume, parent);
	int rc = make_locked(volume, parent, lookup, ret);
	node_unlock(volume, parent);
	if (!rc)
		note_crowd(volume);
	return rc;
}

/* --- names --- */

/* The part of an abbreviated name that its key certainly begins with. */
static size_t plain_size(const char *name)
{
	enum { KEPT_MIN = 200 };
	const char *escape = memchr(name, '%', KEPT_MIN);

	return escape ? (size_t)(escape - name) : KEPT_MIN;
}

/* Whether a name is that of an entry, which then is found.  1, 0 or -errno. */
static int try_long(struct volume *volume, struct node *parent, const char *name,
		    struct lookup *lookup, struct node **ret)
{
	enum { ENCODED_MIN = 200 };
	struct name shown;

	(void)name_encode(&volume->tree.rules, parent == volume->tree.root, lookup->component.data,
			  lookup->component.size, &shown);
	if (shown.size < ENCODED_MIN)
		return 0;
	int rc = shown_name(volume, parent, lookup->component, lookup->is_dir, &shown);
	if (rc < 0 || strcmp(shown.text, name) != 0)
		return rc;
	const struct name *before = lookup->name;
	/* cppcheck-suppress autoVariables */
	lookup->name = &shown;
	rc = volume_find_known(volume, parent, lookup, ret);
	lookup->name = before;
	return rc == -ENOENT ? 0 : rc < 0 ? rc : 1;
}

/* A name that only stands for a longer component: that is looked for. */
static int find_long(struct volume *volume, struct node *parent, const char *name,
		     struct node **ret)
{
	const struct dw_bytes begin = {name, plain_size(name)};
	struct dirscan scan;
	int found = 0, rc = dirscan_init(&scan, volume, parent, begin);

	if (rc < 0)
		return rc == -ENAMETOOLONG ? -ENOENT : rc;
	while (!found && (rc = dirscan_next(&scan)) > 0) {
		struct lookup lookup = {.component = scan.component, .is_dir = scan.is_dir};
		found = try_long(volume, parent, name, &lookup, ret);
	}
	dirscan_release(&scan);
	return found < 0 ? found : found ? 0 : rc < 0 ? rc : -ENOENT;
}

static int find_short(struct volume *volume, struct node *parent, const struct name *name,
		      const struct name *component, bool beside, struct node **ret)
{
	struct lookup lookup = {.name = name, .component = {component->text, component->size}};

	if (!beside) {
		lookup.is_dir = true;
		int rc = volume_find_known(volume, parent, &lookup, ret);
		if (rc != -ENOENT)
			return rc;
		/* the file keeps the name that it had beside the directory */
		if (shown_was_conflict(volume, parent, lookup.component))
			return -ENOENT;
		lookup.is_dir = false;
	}
	return volume_find_known(volume, parent, &lookup, ret);
}

int volume_find(struct volume *volume, struct node *parent, const char *text, struct node **ret)
{
	struct name name = {.size = strlen(text)}, component, again;
	bool beside;

	if (!node_is_dir(parent))
		return -ENOTDIR;
	if (!node_is_linked(parent))
		return -ENOENT;
	struct node *node = tree_find(&volume->tree, parent, text, name.size);
	if (node) {
		*ret = node;
		return 0;
	}
	int rc = shown_component(volume, parent, text, &component, &beside);
	if (rc == -ENAMETOOLONG)
		return name.size > NAME_SIZE_MAX ? rc : find_long(volume, parent, text, ret);
	if (rc < 0)
		return rc;
	/* a name that no component has, as "." is one */
	(void)name_encode(&volume->tree.rules, parent == volume->tree.root, component.text,
			  component.size, &again);
	if (strncmp(again.text, text, again.size) != 0)
		return -ENOENT;
	memcpy(name.text, text, name.size + 1);
	return find_short(volume, parent, &name, &component, beside, ret);
}

/* --- the calls --- */

int volume_lookup(struct volume *volume, struct node *parent, const char *name,
		  struct volume_entry *ret)
{
	struct node *node = NULL;

	if (!node_is_dir(parent))
		return -ENOTDIR;
	if (strlen(name) > NAME_SIZE_MAX)
		return -ENAMETOOLONG;
	names_lock_read(volume);
	int rc = volume_find(volume, parent, name, &node);
	if (!rc)
		volume_fill_entry(volume, node, ret); /* its count is the caller's */
	names_unlock(volume);
	return rc;
}

void volume_enter(struct volume *volume, struct volume_entry *ret)
{
	names_lock_read(volume);
	volume_fill_entry(volume, node_ref(volume->tree.root), ret);
	names_unlock(volume);
}

void volume_forget(struct volume *volume, struct node *node, uint64_t count)
{
	atomic_store(&node->pushed, false); /* its pages go as well */
	volume_unref(volume, node, count);
}
