/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * generation_internal.h - the list of volumes, which reloads and snapshots share.
 */
#ifndef FS_MOUNTED_GENERATION_INTERNAL_H
#define FS_MOUNTED_GENERATION_INTERNAL_H

#include <pthread.h>

#include "fs/mounted/generation.h"

struct generations {
	struct generations_config config;
	int left_fd;               /* an eventfd */
	pthread_mutex_t reloading; /* one reload or new snapshot at a time; before `lock` */
	pthread_mutex_t lock;      /* of what follows, but for: */
	struct generation *newest; /* never changes where there are no reloads */
	uint64_t snapshots;        /* taken so far */
};

/* NULL: no memory. */
struct generation *generation_new(struct volume *volume, struct generation *older);

/* Say that a volume may have to be let go later. */
void generations_say_left(struct generations *generations);

#endif
