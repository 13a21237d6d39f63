/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * logsync.c - bringing the log to disk: group commit.
 *
 * Callers that arrive while an fdatasync(2) runs wait for it, and one of them then makes the
 * next one for all.  A log that must be on disk before this one (dw_open_in()) is synced first.
 */
#include "log/logwriter.h"

#include <errno.h>

/* Preallocated zeros pay from some tens of syncs on: they cost two, and two more at the end. */
enum { SMALL_SYNC = 64 << 10, SMALL_SYNCS = 16 };

/* Preallocated zeros pay where syncs are frequent and small. */
static void note_sync(struct log_writer *log)
{
	bool small = log->bytes_appended - log->bytes_synced <= SMALL_SYNC;

	log->bytes_synced = log->bytes_appended;
	log->syncs_begun++;
	log->small_syncs = small ? log->small_syncs + 1 : 0;
	log->wants_zeros = log->small_syncs >= SMALL_SYNCS;
}

static bool is_synced(struct log_writer *log)
{
	(void)pthread_mutex_lock(&log->sync_lock);
	bool synced = log->synced >= atomic_load(&log->appended);
	(void)pthread_mutex_unlock(&log->sync_lock);
	return synced;
}

int log_sync_first(struct log_writer *log)
{
	struct log_writer *first = atomic_load(&log->first);
	int lost = atomic_load(&log->first_lost);

	if (lost)
		return lost;
	return first && !is_synced(first) ? log_sync(first) : 0;
}

/* One fdatasync for all that was appended until it starts. */
static int sync_file(struct log_writer *log, uint64_t *reach_ret)
{
	log_lock(log);
	int rc = log_check(log);
	struct dw_segment *segment = log->active ? segment_ref(log->active) : NULL;
	int fd = segment && !rc ? segment_pin(segment) : -1;
	if (segment && !rc && fd < 0)
		rc = fd; /* never: the active segment is open */
	*reach_ret = atomic_load(&log->appended);
	note_sync(log);
	log_unlock(log);
	if (fd >= 0) {
		rc = log->pool->io->fdatasync(log->pool->io, fd);
		/* The kernel may drop the pages that it could not write and say yes the next time:
		 * from here on the state of the disk is unknown. */
		if (rc < 0)
			log_poison(log, rc, "fdatasync");
		segment_unpin(segment);
	}
	segment_unref(segment);
	return !rc && log->hold ? log->hold(log->context) : rc;
}

/* The log that comes first, then this one.  Records appended meanwhile may come to disk as
 * well: an append checks syncs_running after everything that had to come first, so either this sync
 * of the first log covers it, or the append makes one. */
static int sync_once(struct log_writer *log, uint64_t *reach_ret)
{
	atomic_fetch_add(&log->syncs_running, 1);
	int rc = log_sync_first(log);
	if (!rc)
		rc = sync_file(log, reach_ret);
	atomic_fetch_sub(&log->syncs_running, 1);
	return rc;
}

/* A sync reached `synced`: whom it served wait no more. */
static void count_served_locked(struct log_writer *log)
{
	struct sync_call **at = &log->calls;
	size_t served = 0, share = 0;

	while (*at) {
		if ((*at)->want > log->synced) {
			at = &(*at)->next;
			continue;
		}
		*at = (*at)->next;
		served++;
	}
	while (share < DW_SYNC_SHARES - 1 && served > (size_t)1 << share)
		share++;
	log->syncs_served[share]++;
	log->calls_served += served;
}

static void forget_call_locked(struct log_writer *log, const struct sync_call *call)
{
	struct sync_call **at = &log->calls;

	while (*at && *at != call)
		at = &(*at)->next;
	if (*at)
		*at = call->next;
}

int log_sync(struct log_writer *log)
{
	struct sync_call call = {.want = atomic_load(&log->appended)};
	uint64_t reach = 0;
	bool looked = false;
	int rc = log_sync_first(log); /* also where this one has nothing new */

	if (rc < 0)
		return rc;
	(void)pthread_mutex_lock(&log->sync_lock);
	log->syncs_asked++;
	call.next = log->calls;
	/* forgotten below, before it goes out of scope */
	/* cppcheck-suppress autoVariables */
	log->calls = &call;
	while (!(rc = log_check(log)) && log->synced < call.want) {
		looked = true;
		if (log->syncing) {
			(void)pthread_cond_wait(&log->sync_done, &log->sync_lock);
			continue;
		}
		log->syncing = true;
		(void)pthread_mutex_unlock(&log->sync_lock);
		rc = sync_once(log, &reach);
		(void)pthread_mutex_lock(&log->sync_lock);
		log->syncing = false;
		log->syncs_done++;
		if (!rc && reach > log->synced)
			log->synced = reach;
		if (!rc)
			count_served_locked(log);
		(void)pthread_cond_broadcast(&log->sync_done);
		if (rc < 0)
			break;
	}
	forget_call_locked(log, &call); /* one that no sync was needed for, or that failed */
	(void)pthread_mutex_unlock(&log->sync_lock);
	/* records that were on disk before may be gone by now */
	return !rc && !looked && log->hold ? log->hold(log->context) : rc;
}
