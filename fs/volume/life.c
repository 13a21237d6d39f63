/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * life.c - see life.h.
 */
#include "fs/volume/life.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/tree/memory.h"
#include "fs/volume/shown.h"

enum { COMMIT_MS_DEFAULT = 5000, DIRTY_SHARE = 8, DIRTY_MAX_DEFAULT = 256 << 20 };
/* Some 210 bytes each. */
enum { NODES_MAX_DEFAULT = 64 << 10 };

static int init_locks(struct volume *volume)
{
	pthread_condattr_t clock;
	pthread_rwlockattr_t fair;
	int rc = 0;

	/* else a stream of readers would keep every create and unlink waiting */
	(void)pthread_rwlockattr_init(&fair);
	(void)pthread_rwlockattr_setkind_np(&fair, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	rc = -pthread_rwlock_init(&volume->names, &fair);
	(void)pthread_rwlockattr_destroy(&fair);
	for (size_t i = 0; !rc && i < NODE_LOCKS; i++)
		rc = -pthread_mutex_init(&volume->node_locks[i], NULL);
	if (!rc)
		rc = -pthread_mutex_init(&volume->dirty_lock, NULL);
	(void)pthread_condattr_init(&clock);
	(void)pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
	if (!rc)
		rc = -pthread_cond_init(&volume->wake, &clock);
	(void)pthread_condattr_destroy(&clock);
	if (!rc)
		rc = room_init(&volume->room, (size_t)volume->options.dirty_max);
	return rc;
}

void volume_free(struct volume *volume)
{
	shown_release(volume);
	tree_release(&volume->tree);
	room_release(&volume->room);
	(void)attrstore_close(volume->attrs); /* here only what was not written to */
	free((void *)volume->options.reserved);
	free(volume);
}

/* A share of the memory that there is, not to be noticed on a large machine. */
static uint64_t dirty_max_default(void)
{
	uint64_t share = memory_limit() / DIRTY_SHARE;

	if (share > DIRTY_MAX_DEFAULT)
		return DIRTY_MAX_DEFAULT;
	return share > DW_VALUE_SIZE_MAX ? share : DW_VALUE_SIZE_MAX;
}

int volume_new(const struct volume_options *options, struct volume **ret)
{
	struct volume *volume = calloc(1, sizeof *volume);

	if (!volume)
		return -ENOMEM;
	volume->options = *options;
	volume->wakes_ms = INT64_MAX;
	volume->options.reserved = strdup(options->reserved ? options->reserved : "");
	if (!volume->options.commit_ms)
		volume->options.commit_ms = COMMIT_MS_DEFAULT;
	if (!volume->options.nodes_max)
		volume->options.nodes_max = NODES_MAX_DEFAULT;
	if (!volume->options.dirty_max)
		volume->options.dirty_max = dirty_max_default();
	volume->defaults = (struct attr_defaults){options->uid, options->gid, options->umask};
	const struct name_rules rules = {options->flat, volume->options.reserved};
	int rc = rules.reserved ? init_locks(volume) : -ENOMEM;
	if (!rc)
		rc = tree_init(&volume->tree, &rules, volume->options.ino_secret);
	if (!rc && options->snapshot) {
		volume->tree.root->ino = tree_snapshot_ino(&volume->tree, options->snapshot);
		volume->tree.root->in_snapshot = true;
		volume->options.snapshot = NULL; /* the caller's */
	}
	if (rc < 0)
		volume_free(volume);
	else
		*ret = volume;
	return rc;
}
