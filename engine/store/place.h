/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * place.h - whether a directory is a store, may become one, or is something else.
 *
 * Only names count: nothing is opened, and nothing is changed.
 */
#ifndef STORE_PLACE_H
#define STORE_PLACE_H

#include "disk/io.h"

enum place {
	PLACE_EMPTY, /* nothing in it, but perhaps a file system's `lost+found` */
	PLACE_STORE, /* segments; or a lock file or hints, and nothing but a store's own files */
	PLACE_OTHER, /* other files, and no segment */
};

/* 0 or -errno. */
int place_look(struct io *io, int dirfd, enum place *ret);

#endif
