/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * checkpoint.c - see checkpoint.h.
 */
#include "store/checkpoint.h"

#include <assert.h>
#include <errno.h>

#include "base/clock.h"

/* After a failure, for instance on a full disk. */
#define RETRY_NS (10 * CLOCK_SECOND_NS)

static int begin_locked(struct core *core)
{
	const struct index_position position = {
		.segment = core->log.active->id,
		.offset = core->log.end,
		.next_txid = core->log.next_txid,
	};
	int rc = log_check(&core->log);

	assert(core->log.active == segset_last(&core->segments));
	return rc ? rc : index_checkpoint_begin(&core->index, &core->segments, &position);
}

/* checkpoint_lock is held. */
static int write_expecting(struct core *core, struct throttle *throttle,
			   const struct index_coming *coming, size_t count)
{
	if (index_is_damaged(&core->index))
		return core_index_failed(core, -EBADMSG); /* else it would be named again */
	log_lock(&core->log);
	int rc = begin_locked(core);
	log_unlock(&core->log);
	if (rc < 0)
		return rc;
	if (count)
		rc = index_checkpoint_expect(&core->index, coming, count);
	if (!rc)
		rc = log_sync(&core->log);
	if (rc < 0)
		index_checkpoint_cancel(&core->index);
	else
		rc = index_checkpoint_write(&core->index, throttle);
	return rc;
}

static int write_one(struct core *core, struct throttle *throttle)
{
	return write_expecting(core, throttle, NULL, 0);
}

static void note_failure(struct core *core, int rc)
{
	core->checkpoint_after_ns = clock_monotonic_ns() + RETRY_NS;
	if (rc == -EBADMSG)
		(void)core_index_failed(core, rc); /* tells of it */
	else if (rc != -ECANCELED && !index_is_damaged(&core->index))
		core_report_io(core, rc, 0, "writing the index");
	core_tidy(core); /* else each failure leaves one more sealed delta */
}

int checkpoint_write(struct core *core, struct throttle *throttle)
{
	assert(!core->read_only);
	(void)pthread_mutex_lock(&core->checkpoint_lock);
	int rc = write_one(core, throttle);
	if (rc < 0)
		note_failure(core, rc);
	(void)pthread_mutex_unlock(&core->checkpoint_lock);
	return rc;
}

int checkpoint_around(struct core *core, const struct index_coming *coming, size_t count,
		      int (*publish)(void *context), void *context)
{
	assert(!core->read_only && publish);
	(void)pthread_mutex_lock(&core->checkpoint_lock);
	if (count && index_is_on_disk(&core->index)) {
		int rc = write_expecting(core, NULL, coming, count);
		if (rc < 0)
			note_failure(core, rc); /* a kill now costs a rebuild, no more */
	}
	int rc = publish(context);
	(void)pthread_mutex_unlock(&core->checkpoint_lock);
	return rc;
}

int checkpoint_write_unnamed(struct core *core)
{
	static const struct index_position nowhere;
	int rc = index_checkpoint_begin(&core->index, &core->segments, &nowhere);

	assert(!core->read_only);
	return rc ? rc : index_checkpoint_write(&core->index, NULL);
}

bool checkpoint_is_due_locked(struct core *core)
{
	return index_is_full(&core->index);
}

void checkpoint_give_way(struct core *core)
{
	bool helped = work_index(&core->work);

	if (helped && !index_is_overfull(&core->index))
		return;
	(void)pthread_mutex_lock(&core->checkpoint_lock);
	log_lock(&core->log);
	bool due = index_is_full(&core->index); /* unless another thread was faster */
	log_unlock(&core->log);
	bool tried = due && clock_monotonic_ns() >= core->checkpoint_after_ns;
	int rc = tried ? write_one(core, NULL) : 0;
	if (rc < 0)
		note_failure(core, rc);
	(void)pthread_mutex_unlock(&core->checkpoint_lock);
	if (!helped && tried && !rc)
		(void)checkpoint_join(core, NULL); /* else there are more runs than need be */
}

int checkpoint_join(struct core *core, struct throttle *throttle)
{
	int rc;

	(void)pthread_mutex_lock(&core->join_lock);
	while ((rc = index_join(&core->index, throttle)) == 1)
		;
	(void)pthread_mutex_unlock(&core->join_lock);
	if (rc == -EBADMSG)
		(void)core_index_failed(core, rc); /* tells of it */
	return rc;
}

int checkpoint_before_removal(struct core *core)
{
	int rc = 0;

	/* locked: one that was begun before the keys moved may be about to name it */
	(void)pthread_mutex_lock(&core->checkpoint_lock);
	if (index_is_on_disk(&core->index)) {
		rc = write_one(core, NULL);
		if (rc < 0)
			note_failure(core, rc);
		rc = rc ? index_disown(&core->index) : 0;
	}
	(void)pthread_mutex_unlock(&core->checkpoint_lock);
	return rc;
}

void checkpoint_at_close(struct core *core)
{
	assert(!core->read_only);
	if (index_is_damaged(&core->index))
		(void)index_disown(&core->index); /* else it is met again */
	else if (!index_is_nameless(&core->index) &&
		 index_pending(&core->index) >= core->checkpoint_keys_min)
		(void)checkpoint_write(core, NULL); /* the log has everything */
}
