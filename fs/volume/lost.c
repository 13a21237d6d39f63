/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * lost.c - what becomes of a value that could not be committed.
 *
 * While a file is open its bytes stay in memory, and the committer tries again.  The last
 * close ends that: keeping the bytes would show a value that the next mount does not
 * have.  So the file becomes what the log says, the log of the daemon names it, and
 * closing the volume returns the error.
 */
#include "fs/volume/lost.h"

#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "fs/volume/commit.h"
#include "fs/volume/detach.h"
#include "fs/volume/dirty.h"
#include "fs/volume/journal.h"
#include "fs/volume/mend.h"
#include "fs/volume/opens.h"
#include "fs/volume/xattrmem.h"

/* --- telling --- */

void volume_get_figures(struct volume *volume, struct volume_figures *ret)
{
	ret->commits_failed = atomic_load(&volume->commits_failed);
	ret->values_lost = atomic_load(&volume->values_lost);
	ret->commits_early = atomic_load(&volume->commits_early);
	ret->value_bytes = room_held(&volume->room);
	ret->dirty_max = volume->options.dirty_max;
}

/* --- forgetting --- */

/* Attributes as they are kept for the value in the log.  If they cannot be read, the file keeps its
 * present ones, without times: defaults might let more users in. */
static void restore_attrs(struct volume *volume, struct node *node, struct dw_bytes key)
{
	struct attrs *old = node->attrs, *kept = NULL;

	if (!old)
		return; /* nothing was set on the file, so nothing is kept for it */
	if (attrstore_usable(volume->attrs) < 0 || mend_read(volume, false, key, &kept) < 0) {
		old->set &= ~(unsigned)ATTR_TIMES;
		old->times_unsaved = false;
		return;
	}
	/* privileges that a write took away stay away */
	mode_t killed = kept ? kept->mode & ~old->mode & (S_ISUID | S_ISGID) : 0;
	if (killed && old->set & ATTR_MODE) {
		kept->mode &= ~killed;
		kept->unsaved = true;
	}
	node->attrs = kept;
	attrs_free(old);
}

/* The last value in the log is the file's again. */
static void restore(struct volume *volume, struct node *node, const struct dw_stat *stat,
		    struct dw_bytes key)
{
	volume_mark_clean(volume, node->cached);
	volume_free_cached(volume, node);
	atomic_store(&node->size, stat->size);
	atomic_store(&node->mtime_ns, stat->mtime_ns);
	restore_attrs(volume, node, key);
	volume_let_xattrs_go(node);
}

/* The log never had the file. */
static void remove_lost(struct volume *volume, struct node *node, struct dw_bytes key)
{
	journal_drop(volume, false, key);
	volume_detach(volume, node);
	volume_free_cached(volume, node);
	node->lost = true;
}

static void lose_locked(struct volume *volume, struct node *node, const struct key *key, int rc)
{
	struct dw_stat stat;
	char after[80];

	if (!dw_stat(volume->store, key_bytes(key), &stat)) {
		(void)snprintf(after, sizeof after,
			       "it has its last committed value again, %u bytes",
			       (unsigned)stat.size);
		volume_note_lost(volume, node, rc, after);
		restore(volume, node, &stat, key_bytes(key));
	} else {
		volume_note_lost(volume, node, rc, "it was never committed and is gone");
		remove_lost(volume, node, key_bytes(key));
	}
}

bool volume_close_failed(struct volume *volume, struct node *node, int rc)
{
	struct key key;

	names_lock_write(volume);
	node_lock(volume, node);
	/* meanwhile it may have been opened or renamed, or the committer succeeded */
	bool lost = node->opens == 1 && node->cached && node->cached->dirty;
	/* or it was written to, and closed by a process that was told of no failure */
	if (lost && !node->cached->told_error) {
		rc = volume_commit_locked(volume, node);
		lost = rc < 0;
	}
	int named = lost ? key_of_node(node, &key) : 0;
	if (lost && !named)
		lose_locked(volume, node, &key, rc);
	if (lost)
		key_release(&key);
	lost = lost && !named; /* without memory it stays dirty, and is tried again */
	volume_note_close(node);
	if (lost) {
		node->suspect = true; /* the kernel may have pages of what was lost */
		atomic_store(&node->pushed, false);
	}
	volume_drop_cached(volume, node);
	node_unlock(volume, node);
	names_unlock(volume);
	return lost;
}
