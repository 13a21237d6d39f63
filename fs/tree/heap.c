/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * heap.c - see heap.h.
 *
 * glibc's main arena grows by brk(2), by M_TOP_PAD more than it needs.  When M_TRIM_THRESHOLD is
 * free at its end, it gives back what is beyond M_TOP_PAD (mallopt(3)).
 */
#include "fs/tree/heap.h"

#include <malloc.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fs/base/thread.h"

enum {
	WORTH_IT = 8 << 20,
	MOST = 1 << 30,
	TOP_PAD = 128 << 10,
	BLOCK = 96 << 10,
	BLOCKS = 64,
	STEP = 1 << 20
};

static void *fetch(void *context)
{
	struct heap_growth *growth = context;
	char *at = growth->end;

	while (!atomic_load_explicit(&growth->stop, memory_order_relaxed) &&
	       at - growth->start >= STEP) {
		at -= STEP;
		if (madvise(at, STEP, MADV_POPULATE_WRITE) < 0)
			break; /* unknown before Linux 5.14, no memory, or given back */
	}
	return NULL;
}

/* Take blocks until there is no room for one without growing. */
static void use_up_top(const char *end)
{
	void *blocks[BLOCKS];
	size_t count = 0;

	while (count < BLOCKS && sbrk(0) == end)
		blocks[count++] = malloc(BLOCK);
	while (count)
		free(blocks[--count]);
}

/* Whether this is the thread whose heap it is, and another processor is there. */
static bool can_gain(void)
{
	cpu_set_t set;

	return gettid() == getpid() && !sched_getaffinity(0, sizeof set, &set) &&
	       CPU_COUNT(&set) > 1;
}

void heap_grow(struct heap_growth *growth, size_t size)
{
	const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	char *before = sbrk(0), *after;

	*growth = (struct heap_growth){.started = false};
	if (size < WORTH_IT || !can_gain() || !mallopt(M_TOP_PAD, size < MOST ? (int)size : MOST))
		return;
	growth->padded = true;
	(void)mallopt(M_TRIM_THRESHOLD, MOST); /* else the next free(3) gave it back */
	use_up_top(before);
	(void)mallopt(M_TOP_PAD, TOP_PAD); /* should it grow again, then as is usual */
	after = sbrk(0);
	if (after <= before)
		return;
	growth->start = before + (page - (uintptr_t)before % page) % page;
	growth->end = after - (uintptr_t)after % page;
	growth->started = !thread_start(&growth->thread, fetch, growth);
}

void heap_grown(struct heap_growth *growth)
{
	if (!growth->padded)
		return;
	if (growth->started) {
		atomic_store(&growth->stop, true);
		(void)pthread_join(growth->thread, NULL);
	}
	(void)mallopt(M_TRIM_THRESHOLD, HEAP_TRIM_THRESHOLD);
	(void)malloc_trim(TOP_PAD); /* what was fetched and not used */
	*growth = (struct heap_growth){.started = false};
}
