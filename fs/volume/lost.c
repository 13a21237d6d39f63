/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * lost.c - what becomes of a value that could not be committed.
 *
 * While a file is open its bytes stay in memory, and the committer tries again.  The last
 * close ends that: keeping the bytes would show a value that the next mount does not
 * have.  So the file becomes what the log says, the log of the daemon names it, and
 * closing the volume returns the error.
 */
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "fs/volume/internal.h"

/* --- telling --- */

const char *volume_quote(const struct node *node, char ret[QUOTED_SIZE])
{
	static const char more[] = "...";
	struct key key = {.data = key.small};
	size_t used = 0;

	if (!node_is_linked(node) || key_of_node(node, &key) < 0)
		key.size = 0; /* a message without a name is better than none */
	for (size_t i = 0; i < key.size; i++) {
		unsigned char c = (unsigned char)key.data[i];
		bool plain = c >= ' ' && c < 0x7f && c != '\'' && c != '\\';
		if (used + 4 + sizeof more > QUOTED_SIZE) {
			memcpy(ret + used, more, sizeof more - 1);
			used += sizeof more - 1;
			break;
		}
		used += (size_t)snprintf(ret + used, 5, plain ? "%c" : "\\x%02x", c);
	}
	ret[used] = '\0';
	key_release(&key);
	return ret;
}

void volume_note_failed(struct volume *volume, struct node *node, int rc)
{
	char quoted[QUOTED_SIZE];
	struct content *content = node->content;

	(void)atomic_fetch_add(&volume->commits_failed, 1);
	if (content && content->logged_error == rc)
		return;
	volume_log(volume, LOG_ERR, "'%s' could not be committed: %s", volume_quote(node, quoted),
		   strerror(-rc));
	if (content)
		content->logged_error = rc;
}

void volume_note_lost(struct volume *volume, struct node *node, int rc, const char *after)
{
	char quoted[QUOTED_SIZE];
	int none = 0;

	(void)atomic_fetch_add(&volume->values_lost, 1);
	(void)atomic_compare_exchange_strong(&volume->loss, &none, rc); /* else there is one */
	volume_log(volume, LOG_CRIT, "'%s': the value written last, %u bytes, is lost (%s); %s",
		   volume_quote(node, quoted), (unsigned)atomic_load(&node->size), strerror(-rc),
		   after);
}

void volume_get_figures(struct volume *volume, struct volume_figures *ret)
{
	ret->commits_failed = atomic_load(&volume->commits_failed);
	ret->values_lost = atomic_load(&volume->values_lost);
	ret->commits_early = atomic_load(&volume->commits_early);
	ret->value_bytes = room_held(&volume->room);
	ret->dirty_max = volume->options.dirty_max;
}

/* --- forgetting --- */

/* Attributes as they are kept for the value in the log.  Where they cannot be read, what
 * the file has stays, without times: defaults might let more people in. */
static void restore_attrs(struct volume *volume, struct node *node, struct dw_bytes key)
{
	struct attrs *old = node->attrs, *kept = NULL;

	if (!old)
		return; /* nothing was set on the file, so nothing is kept for it */
	if (attr_read_one(volume, key, &kept) < 0) {
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
	volume_mark_clean(volume, node->content);
	volume_free_content(volume, node);
	atomic_store(&node->size, stat->size);
	atomic_store(&node->mtime_ns, stat->mtime_ns);
	restore_attrs(volume, node, key);
	volume_let_xattrs_go(node);
}

/* The log never had the file. */
static void remove_lost(struct volume *volume, struct node *node, struct dw_bytes key)
{
	volume_keep_drop(volume, false, key);
	volume_detach(volume, node);
	volume_free_content(volume, node);
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

	(void)pthread_rwlock_wrlock(&volume->names);
	(void)pthread_mutex_lock(volume_node_lock(volume, node));
	/* meanwhile somebody may have opened or renamed it, or the committer succeeded */
	bool lost = node->opens == 1 && node->content && node->content->dirty;
	/* or it was written to, and closed by who was told of no failure */
	if (lost && !node->content->told_error) {
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
		atomic_store(&node->given, false);
	}
	volume_drop_content(volume, node);
	(void)pthread_mutex_unlock(volume_node_lock(volume, node));
	(void)pthread_rwlock_unlock(&volume->names);
	return lost;
}
