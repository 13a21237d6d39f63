/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * hold.c - see hold.h.
 */
#include "store/hold.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>

#include "disk/dirlock.h"

/* --- taking --- */

static void report_locked(struct core *core, const struct dirlock_holder *holder)
{
	const struct dw_finding finding = {
		.kind = DW_FINDING_LOCKED,
		.pid = holder->pid,
		.host = *holder->host ? holder->host : NULL,
	};

	core_report(core, &finding);
}

static int on_sync(void *core)
{
	return hold_check(core);
}

int hold_directory(struct core *core, uint32_t wait_ms)
{
	struct dirlock_holder holder;
	int fd = dirlock_take(core->io, core->dirfd, wait_ms, &holder);
	const struct dw_finding failed = {
		.kind = DW_FINDING_IO, .error = -fd, .name = "taking the lock of .lock"};

	if (fd == -EBUSY)
		report_locked(core, &holder);
	else if (fd < 0)
		core_report(core, &failed);
	if (fd < 0)
		return fd;
	core->lockfd = fd;
	core->log.hold = on_sync;
	return 0;
}

/* Where the kernel keeps flock(2) to itself, or may: it does not tell. */
static const struct {
	uint32_t type;
	const char *name;
} local_locks[] = {
	{0x65735546, "FUSE"}, /* sshfs, rclone and others; some, as GlusterFS, lock everywhere */
	{0x01021997, "9p"},   {0x786f4256, "vboxsf"}, {0x5346414f, "AFS"}, {0x6b414653, "AFS"},
};

void hold_warn(struct core *core)
{
	struct dw_finding finding = {.kind = DW_FINDING_LOCAL_LOCKS};
	uint32_t type = 0;

	if (!core->io->filesystem || core->io->filesystem(core->io, core->dirfd, &type) < 0)
		return;
	for (size_t i = 0; i < sizeof local_locks / sizeof *local_locks; i++)
		if (local_locks[i].type == type)
			finding.name = local_locks[i].name;
	if (finding.name)
		core_report(core, &finding);
}

/* Whether a writer has the segment; it is not kept locked. */
static int probe(struct core *core, struct dw_segment *segment)
{
	int fd = segment_pin(segment);

	if (fd < 0)
		return fd;
	int rc = dirlock_wait(core->io, fd, core->log.wait_ms);
	if (!rc)
		(void)core->io->flock(core->io, fd, LOCK_UN); /* it is closed later anyway */
	segment_unpin(segment);
	return rc;
}

/* Whether a writer has one of the last two segments: while it rotates it has both, else the last.
 * `own`: the last is kept locked. */
static int try_segments(struct core *core, bool own)
{
	size_t count = core->segments.count;
	struct dw_segment *busy = NULL;
	int rc = 0;

	for (size_t i = count > 1 ? count - 2 : 0; !rc && i < count; i++) {
		busy = core->segments.items[i];
		rc = own && i + 1 == count ? log_claim(&core->log, busy) : probe(core, busy);
	}
	if (rc != -EBUSY)
		return rc;
	struct dirlock_holder holder = {.pid = 0};
	int fd = segment_pin(busy);
	if (fd >= 0) {
		holder = dirlock_holder(core->io, core->dirfd, fd);
		segment_unpin(busy);
	}
	report_locked(core, &holder);
	return -EBUSY;
}

/* Whether the list of segments is what it was. */
static int look_again(struct core *core)
{
	struct segset_ids ids = {0};
	int rc = segset_list(core->io, core->dirfd, &ids);

	if (!rc && ids.count != core->segments.count)
		rc = -EAGAIN;
	for (size_t i = 0; !rc && i < ids.count; i++)
		if (ids.items[i] != core->segments.items[i]->id)
			rc = -EAGAIN;
	segset_ids_release(&ids);
	return rc;
}

int hold_segments(struct core *core)
{
	int rc = try_segments(core, true);

	return rc ? rc : look_again(core);
}

int hold_quietly(struct core *core)
{
	struct dirlock_holder holder;
	int fd = dirlock_hold(core->io, core->dirfd, &holder);

	if (fd == -EBUSY)
		report_locked(core, &holder);
	if (fd < 0 && fd != -ENOENT)
		return fd;
	core->lockfd = fd < 0 ? -1 : fd;
	return try_segments(core, false);
}

/* --- looking --- */

static int removed(struct core *core, uint32_t segment)
{
	const struct dw_finding finding = {
		.kind = DW_FINDING_REMOVED, .error = ESTALE, .segment = segment};

	log_poison_as(&core->log, -ESTALE, &finding);
	return -ESTALE;
}

static bool is_listed(struct core *core, const struct dw_segment *segment)
{
	bool listed = false;

	log_lock(&core->log);
	for (size_t i = 0; !listed && i < core->segments.count; i++)
		listed = core->segments.items[i] == segment;
	log_unlock(&core->log);
	return listed;
}

/* The next of the segments, in turn, and the bytes that it must have; the active one may be
 * shortened at any moment, by an append that failed. */
static struct dw_segment *take_turn(struct core *core, uint64_t *size_ret)
{
	log_lock(&core->log);
	size_t count = core->segments.count, at = core->hold_turn++;
	struct dw_segment *segment = count ? segment_ref(core->segments.items[at % count]) : NULL;
	*size_ret = segment && segment != core->log.active ? segment->size : 0;
	log_unlock(&core->log);
	return segment;
}

/* Of a segment that a compaction has just removed that is no news. */
static int check_segment(struct core *core)
{
	uint64_t size;
	struct dw_segment *segment = take_turn(core, &size);

	if (!segment)
		return 0;
	int fd = segment_pin(segment), rc = fd;
	if (fd >= 0) {
		rc = segment_look(segment, fd, size);
		segment_unpin(segment);
	}
	bool gone = rc == -ENOENT || rc == -ESTALE;
	rc = gone && is_listed(core, segment) ? removed(core, segment->id) : 0;
	segment_unref(segment);
	return rc; /* a segment that cannot be checked is reported when it is read */
}

/* How long a program that is refused may have `.lock`: it waits for the directory, and for two
 * segments. */
enum { REFUSED_MS = 4 * DIRLOCK_GRACE_MS };

/* The file that keeps out programs that know of no other lock. */
static int check_lock(struct core *core)
{
	struct dirlock_holder holder;
	struct stat st;

	if (core->io->fstat(core->io, core->lockfd, &st) < 0 || st.st_nlink)
		return 0;
	int fd = dirlock_take(core->io, core->dirfd, REFUSED_MS, &holder);
	if (fd == -EBUSY)
		log_poison(&core->log, fd, "taking '.lock' again, which was removed,");
	if (fd < 0) /* else with what there is, and the next time again */
		return fd == -EBUSY ? fd : 0;
	(void)core->io->close(core->io, core->lockfd); /* it has no name any more */
	core->lockfd = fd;
	owner_apply_lock(&core->pool.owner, core->io, fd);
	const struct dw_finding finding = {.kind = DW_FINDING_IO,
					   .error = ENOENT,
					   .name = "'.lock' was removed and is made again"};
	core_report(core, &finding);
	return 0;
}

int hold_check(struct core *core)
{
	(void)pthread_mutex_lock(&core->hold_lock);
	log_lock(&core->log);
	int rc = log_look_locked(&core->log);
	log_unlock(&core->log);
	struct log_writer *first = atomic_load(&core->log.first);
	if (!rc && first) {
		log_lock(first);
		rc = log_look_locked(first);
		log_unlock(first);
	}
	if (!rc)
		rc = check_lock(core);
	if (!rc)
		rc = check_segment(core);
	(void)pthread_mutex_unlock(&core->hold_lock);
	return rc;
}
