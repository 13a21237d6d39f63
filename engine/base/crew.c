/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * crew.c - see crew.h.
 */
#include "base/crew.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/processors.h"

enum {
	WORKERS_MAX = 4,
	RING = 2 * WORKERS_MAX,
	ITEMS_MIN = 2048,
	/* items of a block, by what those before became: enough for handing it over to cost
	 * little beside it, few enough to leave little to the taker */
	BLOCK_ITEMS_MIN = 16,
	BLOCK_ITEMS_FIRST = 128,
	BLOCK_ITEMS_MAX = 8192,
	BLOCK_SIZE_AIMED = 256 << 10,
	BLOCK_SIZE_MAX = 1 << 20, /* bytes from which on a block is given back */
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
	size_t next_item;                  /* that is in no block yet */
	size_t block_items;                /* of the next block */
	size_t next_to_work, next_to_take; /* blocks */
	bool stop;
	struct slot ring[RING];
};

static void fill_block(struct crew *crew, struct crew_block *block)
{
	while (block->done < block->end && block->out.size < BLOCK_SIZE_MAX) {
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
	while (!crew->stop && crew->next_item < crew->count) {
		struct slot *slot = &crew->ring[crew->next_to_work % RING];
		if (slot->state != EMPTY) {
			(void)pthread_cond_wait(&crew->emptied, &crew->lock);
			continue;
		}
		size_t first = crew->next_item, left = crew->count - first;
		crew->next_to_work++;
		crew->next_item += left < crew->block_items ? left : crew->block_items;
		slot->state = TAKEN;
		slot->block.out.size = 0;
		slot->block.rc = 0;
		slot->block.first = slot->block.done = first;
		slot->block.end = crew->next_item;
		return slot;
	}
	return NULL;
}

/* What the next blocks should be like, now that this one is known. */
static void learn_locked(struct crew *crew, const struct crew_block *block)
{
	size_t items = block->done - block->first, per_item = items ? block->out.size / items : 0;
	size_t wanted = BLOCK_SIZE_AIMED / (per_item ? per_item : 1);

	if (block->done < block->end) /* and what is left of it is not done by a worker */
		wanted = items < BLOCK_ITEMS_FIRST ? items : BLOCK_ITEMS_FIRST;
	else if (wanted > 2 * items)
		wanted = 2 * items;
	if (wanted > BLOCK_ITEMS_MAX)
		wanted = BLOCK_ITEMS_MAX;
	crew->block_items = wanted < BLOCK_ITEMS_MIN ? BLOCK_ITEMS_MIN : wanted;
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
		learn_locked(crew, &slot->block);
		(void)pthread_cond_signal(&crew->done);
	}
	(void)pthread_mutex_unlock(&crew->lock);
	return NULL;
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
	crew->block_items = BLOCK_ITEMS_FIRST;
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
	if (crew->next_to_take == crew->next_to_work && crew->next_item == crew->count)
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
