/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * names.c - see names.h.
 */
#include "fs/volume/names.h"

#include <errno.h>
#include <string.h>
#include <syslog.h>

#include "fs/base/clock.h"
#include "fs/volume/journal.h"
#include "fs/volume/shown.h"
#include "fs/volume/xattrmem.h"

/* Whether the key would be too long. */
static int check_size(const struct node *parent, const struct name *component, bool is_dir)
{
	return node_key_size(parent) + component->size + is_dir > DW_KEY_SIZE_MAX ? -ENAMETOOLONG
										  : 0;
}

int volume_new_component(struct volume *volume, struct node *parent, const char *name, bool is_dir,
			 struct name *ret)
{
	bool beside;

	if (volume->options.read_only)
		return -EROFS;
	if (!node_is_dir(parent))
		return -ENOTDIR;
	if (!node_is_linked(parent))
		return -ENOENT;
	int rc = shown_component(volume, parent, name, ret, &beside);
	if (rc)
		return rc;
	/* its directory's marker would have the same key */
	if (!is_dir && !ret->size && parent != volume->tree.root && !volume->options.flat)
		return -EINVAL;
	if (is_dir && beside)
		return -EINVAL;
	rc = check_size(parent, ret, is_dir);
	if (!rc && !is_dir && !beside)
		shown_forget(volume, parent, (struct dw_bytes){ret->text, ret->size});
	return rc;
}

int volume_check_key(struct volume *volume, struct node *parent, const struct name *component)
{
	struct dw_stat stat;
	struct key key;
	int rc = key_of_child(parent, (struct dw_bytes){component->text, component->size}, false,
			      &key);

	if (!rc)
		rc = dw_stat(volume->store, key_bytes(&key), &stat);
	key_release(&key);
	return rc == -ENOENT ? 0 : rc < 0 ? rc : -EEXIST;
}

void volume_touch_dir(struct volume *volume, struct node *dir)
{
	atomic_store(&dir->mtime_ns, clock_realtime_ns());
	/* a time set by hand counts until the next change; `names`, held for writing, keeps
	 * everybody off the attributes */
	if (!dir->attrs || !(dir->attrs->set & ATTR_TIMES))
		return;
	int rc = volume_need_xattrs(volume, dir);
	dir->attrs->set &= ~(unsigned)ATTR_TIMES;
	if (!rc)
		rc = journal_node(volume, dir);
	volume_let_xattrs_go(dir);
	if (rc < 0)
		volume_log(volume, LOG_WARNING,
			   "the time of a directory will be wrong after the next mount: %s",
			   strerror(-rc));
}
