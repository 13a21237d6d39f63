/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * crew.c - see crew.h.
 */
#include "store/crew.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>

enum {
	WORKERS_MAX = 4,
	RING = 2 * WORKERS_MAX,
	ITEMS_MIN = 2048,
	BLOCK_ITEMS = 128,    /* few, so that one large item leaves little to the taker */
	BLOCK_SIZE = 1 << 20, /* bytes from which on a block is given back */
};

enum state { EMPTY, TAKEN, DONE };

struct slot {
	struct crew_block block;
	enum state state; /* the block is the worker's while TAKEN, then the taker's */
};

struct crew {
	crew_work_fn *work;
	void *context;
	size_t count; /* items */
	pthread_t threads[WORKERS_MAX];
	int started;

	pthread_mutex_t lock; /* covers the rest, and the states */
	pthread_cond_t emptied, done;
	size_t next_to_work, next_to_take; /* blocks */
	bool stop;
	struct slot ring[RING];
};

static size_t block_count(const struct crew *crew)
{
	return (crew->count + BLOCK_ITEMS - 1) / BLOCK_ITEMS;
}

static void fill_block(struct crew *crew, struct crew_block *block)
{
	while (block->done < block->end && block->out.size < BLOCK_SIZE) {
		int rc = crew->work(crew->context, block->done, &block->out);
		if (rc) {
			block->rc = rc < 0 ? rc : 0;
			return;
		}
		block->done++;
	}
}

/* The next slot to work on; NULL: stop. */
static struct slot *take_slot(struct crew *crew)
{
	while (!crew->stop && crew->next_to_work < block_count(crew)) {
		size_t number = crew->next_to_work;
		struct slot *slot = &crew->ring[number % RING];
		if (slot->state != EMPTY) {
			(void)pthread_cond_wait(&crew->emptied, &crew->lock);
			continue;
		}
		crew->next_to_work++;
		size_t first = number * BLOCK_ITEMS, left = crew->count - first;
		slot->state = TAKEN;
		slot->block.out.size = 0;
		slot->block.rc = 0;
		slot->block.first = slot->block.done = first;
		slot->block.end = first + (left < BLOCK_ITEMS ? left : BLOCK_ITEMS);
		return slot;
	}
	return NULL;
}

static void *work(void *arg)
{
	struct crew *crew = arg;
	struct slot *slot;

	(void)pthread_mutex_lock(&crew->lock);
	while ((slot = take_slot(crew))) {
		(void)pthread_mutex_unlock(&crew->lock);
		fill_block(crew, &slot->block);
		(void)pthread_mutex_lock(&crew->lock);
		slot->state = DONE;
		(void)pthread_cond_signal(&crew->done);
	}
	(void)pthread_mutex_unlock(&crew->lock);
	return NULL;
}

static int processors(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof set, &set) < 0 ? 1 : CPU_COUNT(&set);
}

/* Signals are for the program's own threads; but a fault is the thread's, and with SIGBUS blocked
 * a page of a segment that cannot be read would end the process. */
static void start_workers(struct crew *crew, int wanted)
{
	sigset_t all, old;

	(void)sigfillset(&all);
	(void)sigdelset(&all, SIGBUS);
	(void)pthread_sigmask(SIG_BLOCK, &all, &old);
	while (crew->started < wanted &&
	       !pthread_create(&crew->threads[crew->started], NULL, work, crew))
		crew->started++;
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
}

int crew_start(size_t count, crew_work_fn *work_fn, void *context, struct crew **ret)
{
	int wanted = processors();

	if (wanted < 2 || count < ITEMS_MIN)
		return -EAGAIN;
	struct crew *crew = calloc(1, sizeof *crew);
	if (!crew)
		return -ENOMEM;
	crew->work = work_fn;
	crew->context = context;
	crew->count = count;
	/* glibc's take nothing that could be missing */
	(void)pthread_mutex_init(&crew->lock, NULL);
	(void)pthread_cond_init(&crew->emptied, NULL);
	(void)pthread_cond_init(&crew->done, NULL);
	start_workers(crew, wanted < WORKERS_MAX ? wanted : WORKERS_MAX);
	if (!crew->started) {
		crew_free(crew);
		return -EAGAIN;
	}
	*ret = crew;
	return 0;
}

struct crew_block *crew_next(struct crew *crew)
{
	struct slot *slot = &crew->ring[crew->next_to_take % RING];

	(void)pthread_mutex_lock(&crew->lock);
	if (crew->next_to_take) { /* the one before was used up */
		crew->ring[(crew->next_to_take - 1) % RING].state = EMPTY;
		(void)pthread_cond_broadcast(&crew->emptied);
	}
	if (crew->next_to_take == block_count(crew))
		slot = NULL;
	while (slot && slot->state != DONE)
		(void)pthread_cond_wait(&crew->done, &crew->lock);
	if (slot)
		crew->next_to_take++;
	(void)pthread_mutex_unlock(&crew->lock);
	return slot ? &slot->block : NULL;
}

void crew_free(struct crew *crew)
{
	if (!crew)
		return;
	(void)pthread_mutex_lock(&crew->lock);
	crew->stop = true;
	(void)pthread_cond_broadcast(&crew->emptied);
	(void)pthread_mutex_unlock(&crew->lock);
	for (int i = 0; i < crew->started; i++)
		(void)pthread_join(crew->threads[i], NULL);
	for (size_t i = 0; i < RING; i++)
		buf_release(&crew->ring[i].block.out);
	(void)pthread_cond_destroy(&crew->done);
	(void)pthread_cond_destroy(&crew->emptied);
	(void)pthread_mutex_destroy(&crew->lock);
	free(crew);
}
