/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * spare.c - see spare.h.
 */
#include "fs/tree/spare.h"

#include <stdlib.h>

int spare_init(struct spare *spare, atomic_size_t *held)
{
	*spare = (struct spare){.held = held};
	return -pthread_mutex_init(&spare->lock, NULL);
}

static void free_block(struct spare *spare, void *data, size_t size)
{
	if (data && spare->held)
		(void)atomic_fetch_sub(spare->held, size);
	free(data);
}

void spare_release(struct spare *spare)
{
	free_block(spare, spare->data, spare->size);
	spare->data = NULL;
	(void)pthread_mutex_destroy(&spare->lock); /* fails only while in use */
}

void *spare_take(struct spare *spare, size_t least, size_t *size_ret)
{
	void *data = NULL;

	if (least < SPARE_MIN)
		return NULL;
	(void)pthread_mutex_lock(&spare->lock);
	if (spare->data && spare->size >= least && spare->size / SPARE_SHARE <= least) {
		data = spare->data;
		*size_ret = spare->size;
		spare->data = NULL;
	}
	(void)pthread_mutex_unlock(&spare->lock);
	return data;
}

bool spare_give(struct spare *spare, void *data, size_t size)
{
	void *unwanted = data;
	size_t unwanted_size = size;

	if (data && size >= SPARE_MIN) {
		(void)pthread_mutex_lock(&spare->lock);
		if (!spare->data || spare->size < size) {
			unwanted = spare->data;
			unwanted_size = spare->size;
			spare->data = data;
			spare->size = size;
			spare->until_ms = 0;
		}
		(void)pthread_mutex_unlock(&spare->lock);
	}
	free_block(spare, unwanted, unwanted_size);
	return unwanted != data;
}

void spare_drop(struct spare *spare)
{
	(void)pthread_mutex_lock(&spare->lock);
	void *old = spare->data;
	size_t size = spare->size;
	spare->data = NULL;
	(void)pthread_mutex_unlock(&spare->lock);
	free_block(spare, old, size);
}

int64_t spare_expire(struct spare *spare, int64_t now_ms)
{
	int64_t until_ms = INT64_MAX;
	void *old = NULL;
	size_t size = 0;

	(void)pthread_mutex_lock(&spare->lock);
	if (spare->data && !spare->until_ms)
		spare->until_ms = now_ms + SPARE_MS;
	if (spare->data && spare->until_ms <= now_ms) {
		old = spare->data;
		size = spare->size;
		spare->data = NULL;
	}
	if (spare->data)
		until_ms = spare->until_ms;
	(void)pthread_mutex_unlock(&spare->lock);
	free_block(spare, old, size);
	return until_ms;
}
