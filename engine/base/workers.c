/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * workers.c - see workers.h.
 */
#include "base/workers.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/processors.h"
#include "base/thread.h"

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
	struct workers_block block;
	enum state state; /* the block is the worker's while TAKEN, then the taker's */
};

struct workers {
	struct workers_job job;
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

static void fill_block(struct workers *workers, struct workers_block *block)
{
	const struct workers_job *job = &workers->job;

	while (!block->rc && block->done < block->end && block->out.size < BLOCK_SIZE_MAX) {
		int rc = job->work(job->context, block, block->done, &block->out);
		if (rc) {
			block->rc = rc < 0 ? rc : 0;
			return;
		}
		block->done++;
	}
}

/* Take the input of a block here, under the lock: blocks are in the order of their items. */
static void begin_block(struct workers *workers, struct workers_block *block, size_t first)
{
	const struct workers_job *job = &workers->job;

	block->out.size = block->items.size = block->bytes.size = 0;
	block->first = block->done = first;
	block->end = workers->next_item;
	block->rc = job->take ? job->take(job->context, block) : 0;
	if (block->rc < 0)
		workers->next_item = job->count; /* there is no further one */
}

/* The next slot to work on; NULL: stop. */
static struct slot *take_slot(struct workers *workers)
{
	while (!workers->stop && workers->next_item < workers->job.count) {
		struct slot *slot = &workers->ring[workers->next_to_work % RING];
		if (slot->state != EMPTY) {
			(void)pthread_cond_wait(&workers->emptied, &workers->lock);
			continue;
		}
		size_t first = workers->next_item, left = workers->job.count - first;
		workers->next_to_work++;
		workers->next_item += left < workers->block_items ? left : workers->block_items;
		slot->state = TAKEN;
		begin_block(workers, &slot->block, first);
		return slot;
	}
	return NULL;
}

/* Choose the size of the next blocks from the result of this one. */
static void learn_locked(struct workers *workers, const struct workers_block *block)
{
	size_t items = block->done - block->first, per_item = items ? block->out.size / items : 0;
	size_t wanted = BLOCK_SIZE_AIMED / (per_item ? per_item : 1);

	if (block->done < block->end) /* and what is left of it is not done by a worker */
		wanted = items < BLOCK_ITEMS_FIRST ? items : BLOCK_ITEMS_FIRST;
	else if (wanted > 2 * items)
		wanted = 2 * items;
	if (wanted > BLOCK_ITEMS_MAX)
		wanted = BLOCK_ITEMS_MAX;
	workers->block_items = wanted < BLOCK_ITEMS_MIN ? BLOCK_ITEMS_MIN : wanted;
}

static void *work(void *arg)
{
	struct workers *workers = arg;
	struct slot *slot;

	(void)pthread_mutex_lock(&workers->lock);
	while ((slot = take_slot(workers))) {
		(void)pthread_mutex_unlock(&workers->lock);
		fill_block(workers, &slot->block);
		(void)pthread_mutex_lock(&workers->lock);
		slot->state = DONE;
		learn_locked(workers, &slot->block);
		(void)pthread_cond_signal(&workers->done);
	}
	(void)pthread_mutex_unlock(&workers->lock);
	return NULL;
}

static void start_workers(struct workers *workers, int wanted)
{
	while (workers->started < wanted &&
	       !thread_start(&workers->threads[workers->started], work, workers))
		workers->started++;
}

int workers_start(const struct workers_job *job, struct workers **ret)
{
	int wanted = processors();

	if (wanted < 2 || job->count < ITEMS_MIN)
		return -EAGAIN;
	struct workers *workers = calloc(1, sizeof *workers);
	if (!workers)
		return -ENOMEM;
	workers->job = *job;
	workers->block_items = BLOCK_ITEMS_FIRST;
	/* glibc's take nothing that could be missing */
	(void)pthread_mutex_init(&workers->lock, NULL);
	(void)pthread_cond_init(&workers->emptied, NULL);
	(void)pthread_cond_init(&workers->done, NULL);
	start_workers(workers, wanted < WORKERS_MAX ? wanted : WORKERS_MAX);
	if (!workers->started) {
		workers_free(workers);
		return -EAGAIN;
	}
	*ret = workers;
	return 0;
}

struct workers_block *workers_next(struct workers *workers)
{
	struct slot *slot = &workers->ring[workers->next_to_take % RING];

	(void)pthread_mutex_lock(&workers->lock);
	if (workers->next_to_take) { /* the one before was used up */
		workers->ring[(workers->next_to_take - 1) % RING].state = EMPTY;
		(void)pthread_cond_broadcast(&workers->emptied);
	}
	if (workers->next_to_take == workers->next_to_work &&
	    workers->next_item == workers->job.count)
		slot = NULL;
	while (slot && slot->state != DONE)
		(void)pthread_cond_wait(&workers->done, &workers->lock);
	if (slot)
		workers->next_to_take++;
	(void)pthread_mutex_unlock(&workers->lock);
	return slot ? &slot->block : NULL;
}

static void release_block(struct workers_block *block)
{
	buf_release(&block->items);
	buf_release(&block->bytes);
	buf_release(&block->out);
}

void workers_free(struct workers *workers)
{
	if (!workers)
		return;
	(void)pthread_mutex_lock(&workers->lock);
	workers->stop = true;
	(void)pthread_cond_broadcast(&workers->emptied);
	(void)pthread_mutex_unlock(&workers->lock);
	for (int i = 0; i < workers->started; i++)
		(void)pthread_join(workers->threads[i], NULL);
	for (size_t i = 0; i < RING; i++)
		release_block(&workers->ring[i].block);
	(void)pthread_cond_destroy(&workers->done);
	(void)pthread_cond_destroy(&workers->emptied);
	(void)pthread_mutex_destroy(&workers->lock);
	free(workers);
}
