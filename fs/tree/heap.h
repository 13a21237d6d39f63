/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * heap.h - the heap made to grow at once, its pages fetched by a second thread.
 *
 * A large store's tree of names is many small blocks of malloc(3)'s.  The heap would grow
 * for them by 128 KiB at a time, and each page would be waited for when it is first touched.
 */
#ifndef FS_TREE_HEAP_H
#define FS_TREE_HEAP_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

/* Bytes that the heap may keep at its end, as mallopt(3)'s M_TRIM_THRESHOLD. */
enum { HEAP_TRIM_THRESHOLD = 4 << 20 };

struct heap_growth {
	pthread_t thread;
	bool padded, started;
	atomic_bool stop;
	char *start, *end; /* what is being fetched; from its end down */
};

/* Some `size` bytes are about to be allocated by the main thread; of more than 1 GiB, that much.
 * Does nothing in other threads, for little, on one processor, or where malloc(3) is not
 * glibc's.  It stays where it is until heap_grown(). */
void heap_grow(struct heap_growth *growth, size_t size);

/* They were, or not: what is left over goes back as is usual. */
void heap_grown(struct heap_growth *growth);

#endif
