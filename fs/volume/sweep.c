/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * sweep.c - see sweep.h.
 */
#include "fs/volume/sweep.h"

#include <errno.h>
#include <string.h>
#include <syslog.h>
#include <utlist.h>

#include "fs/base/thread.h"
#include "fs/volume/journal.h"
#include "fs/volume/keys.h"
#include "fs/volume/mend.h"

enum { AT_ONCE_MAX = 1000 };

/* Whether a file that is in no log yet has the key.  `names` is held for writing. */
static bool is_coming(struct volume *volume, struct dw_bytes wanted)
{
	const struct cached *cached = NULL;
	bool coming = false;

	(void)pthread_mutex_lock(&volume->dirty_lock);
	DL_FOREACH(volume->dirty, cached)
	{
		struct key key = {.data = key.small};
		coming = node_key_size(cached->node) == wanted.size &&
			 !key_of_node(cached->node, &key) &&
			 !memcmp(key.data, wanted.data, wanted.size);
		key_release(&key);
		if (coming)
			break;
	}
	(void)pthread_mutex_unlock(&volume->dirty_lock);
	return coming;
}

/* Whether nothing has the key any more.  In flat layout directories just do not show. */
static bool is_vanished(struct volume *volume, bool is_dir, struct dw_bytes key)
{
	struct dw_below_info below;
	struct dw_stat stat;

	if (is_dir && (!key.size || volume->options.flat))
		return false;
	if (is_dir)
		return !keys_from(volume, key, &below) && !below.keys;
	return dw_stat(volume->store, key, &stat) == -ENOENT && !is_coming(volume, key);
}

/* False: it cannot be read. */
static bool sweep_record(struct volume *volume, struct dw_bytes lettered)
{
	const char *letter = lettered.data;
	const struct dw_bytes key = {letter + 1, lettered.size - 1};
	bool is_dir = *letter == 'd';
	struct attrs *attrs = NULL;
	int rc = 0;

	names_lock_write(volume);
	if (is_vanished(volume, is_dir, key))
		journal_drop(volume, is_dir, key);
	else
		rc = mend_read(volume, is_dir, key, &attrs);
	names_unlock(volume);
	attrs_free(attrs);
	return rc != -EBADMSG; /* all else is tried again when a node is made */
}

static void sweep(struct volume *volume)
{
	struct dw_store *store = attrstore_store(volume->attrs);
	struct dw_cursor *cursor = NULL;
	struct dw_item item;
	unsigned long long unreadable = 0;

	if (dw_cursor_open(store, (struct dw_bytes){"", 0}, &cursor) < 0)
		return;
	while (!atomic_load(&volume->sweep_stopping) && dw_cursor_next(cursor, &item) > 0) {
		const char *letter = item.key.data;
		bool known = item.key.size && (*letter == 'f' || *letter == 'd');
		unreadable += !known || !sweep_record(volume, item.key);
	}
	dw_cursor_close(cursor);
	if (unreadable && !atomic_exchange(&volume->told_unreadable, true))
		volume_log(volume, LOG_ERR,
			   "%llu records of attributes in '.attr' cannot be read; their files "
			   "show with the owner and mode of the mount until they are set again",
			   unreadable);
	/* before a txid that was forgotten can come back */
	if (dw_sync(store) < 0)
		volume_log(volume, LOG_ERR, "attributes could not be synced");
}

static bool is_needed(struct volume *volume)
{
	struct dw_store *store = attrstore_store(volume->attrs);

	return store && !attrstore_usable(volume->attrs) && dw_count(store);
}

void sweep_open(struct volume *volume)
{
	if (!is_needed(volume))
		return;
	if (dw_count(attrstore_store(volume->attrs)) <= AT_ONCE_MAX)
		sweep(volume);
	else
		volume->sweep_left = true;
}

static void *run(void *volume)
{
	sweep(volume);
	return NULL;
}

int sweep_start(struct volume *volume)
{
	int rc = volume->sweep_left ? thread_start(&volume->sweeper, run, volume) : 0;

	volume->sweeping = volume->sweep_left && !rc;
	return rc;
}

void sweep_stop(struct volume *volume)
{
	atomic_store(&volume->sweep_stopping, true);
	if (volume->sweeping)
		(void)pthread_join(volume->sweeper, NULL); /* fails only if there is none */
	volume->sweeping = false;
}
