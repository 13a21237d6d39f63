/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * work.c - see work.h.
 */
#include "store/work.h"

int work_init(struct work *work)
{
	return wakeup_init(&work->wakeup);
}

void work_release(struct work *work)
{
	wakeup_release(&work->wakeup);
}

void work_wake(struct work *work)
{
	(void)pthread_mutex_lock(&work->wakeup.lock);
	atomic_store(&work->idle, false);
	work->changed = true;
	(void)pthread_cond_broadcast(&work->wakeup.woken);
	(void)pthread_mutex_unlock(&work->wakeup.lock);
}

void work_full(struct work *work)
{
	(void)pthread_mutex_lock(&work->wakeup.lock);
	work->full = true;
	(void)pthread_mutex_unlock(&work->wakeup.lock);
	work_wake(work);
}

bool work_index(struct work *work)
{
	(void)pthread_mutex_lock(&work->wakeup.lock);
	bool helped = work->index_helped;
	if (helped && !work->index_due) {
		work->index_due = true;
		(void)pthread_cond_broadcast(&work->wakeup.woken);
	}
	(void)pthread_mutex_unlock(&work->wakeup.lock);
	return helped;
}
