/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * world.h - a volume and a plain array of paths that must hold the same: choosing from them at
 * random, and comparing them.
 *
 * Whatever differs ends the test.
 */
#ifndef SUPPORT_WORLD_H
#define SUPPORT_WORLD_H

#include "tests/support/paths.h"
#include "tests/support/volumes.h"

enum { WORLD_FILES_MAX = 8, WORLD_LABEL_MAX = 600 };

/* Bytes of a label, each of which is its letter: some are too many to stay in memory. */
static inline size_t world_label_size(char label)
{
	return label < 'c' ? 1 : WORLD_LABEL_MAX;
}

struct world_open_file {
	struct node *node; /* NULL: none */
	struct path_file *file;
};

struct world {
	struct rng rng;
	const char *dir;
	struct volume *volume;
	struct paths paths;
	struct world_open_file handles[WORLD_FILES_MAX];
	uint8_t *noise;
	int64_t date; /* the next one to set by hand */
};

/* --- choosing --- */

uint64_t world_below(struct world *w, uint64_t bound);
/* A name in a directory that exists; also such as are there. */
void world_path(struct world *w, char path[PATH_SIZE]);
/* An open file; NULL where none is. */
struct world_open_file *world_handle(struct world *w);
/* Most often small. */
size_t world_size(struct world *w);
/* Something that has a name; NULL: nothing has. */
struct path_item *world_item(struct world *w);

bool world_is_link(const struct path_item *item);

/* --- comparing --- */

/* A directory lists its names, `step` at a time. */
void world_check_listing(struct world *w, const char *dir, unsigned step);
/* All names, values, attributes and open files. */
void world_check(struct world *w);

#endif
