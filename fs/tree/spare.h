/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * spare.h - the memory of one large value, kept for the next.
 *
 * Memory that the kernel gives anew costs a page fault for each 4 KiB of it: as much as
 * writing the value does (`make bench-fs`, 60 MiB file).  A program that writes large files mostly
 * writes another soon; else the memory goes back.
 */
#ifndef FS_TREE_SPARE_H
#define FS_TREE_SPARE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Smaller blocks are not worth it; a block serves a request for this share of it, so that no
 * small value sits in a large one; ms until it goes back. */
enum { SPARE_MIN = 1 << 20, SPARE_SHARE = 4, SPARE_MS = 2000 };

struct spare {
	pthread_mutex_t lock;
	void *data; /* malloc'd, owned; NULL: none */
	size_t size;
	atomic_size_t *held; /* freed bytes are subtracted there; borrowed; NULL: nowhere */
	int64_t until_ms;    /* 0: no caller asked since how long it stays */
};

/* 0 or -errno. */
int spare_init(struct spare *spare, atomic_size_t *held);
void spare_release(struct spare *spare);

/* A block of at least `least` bytes, for free(3) or spare_give(), and its size; its contents are
 * undefined.  NULL: there is none that fits.  Any thread. */
void *spare_take(struct spare *spare, size_t least, size_t *size_ret);

/* Give a block of malloc(3)'s away; of two the larger stays.  True: spare_expire() should
 * hear of it.  Any thread. */
bool spare_give(struct spare *spare, void *data, size_t size);

/* Free what is there.  Any thread. */
void spare_drop(struct spare *spare);

/* Free what has been there for SPARE_MS by `now_ms` (any clock that goes on).  When to ask
 * again; INT64_MAX: there is nothing.  Any thread. */
int64_t spare_expire(struct spare *spare, int64_t now_ms);

#endif
