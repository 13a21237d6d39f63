/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * snapmake.c - making a snapshot: a directory of hard links, whole or not at all.
 *
 *   1. Sync, so that the moment is short; make `.snapshots/.new`.  Have names_lock: no compaction
 *      gives segments names or takes them away until the links are there.
 *   2. The moment: rotate the store inside, then the store.  All segments but the active one are
 *      sealed, synced, and never change again: these are the snapshot.
 *   3. Link them, and their hints; write the mark; sync each directory.  Rename `.new` to the
 *      snapshot's name; sync `.snapshots`.
 *
 * A crash before the rename leaves `.new`, which the next writer removes; after it all is on disk.
 *
 * The last segment of a snapshot is empty and its own.  So none of those that it shares is the
 * last: damage in one is no torn tail, and a writer of any kind that opens the snapshot appends to
 * a file that the store does not have.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "codec/segname.h"
#include "disk/atomicfile.h"
#include "disk/twin.h"
#include "store/snapdir.h"
#include "store/store.h"

/* Beside a store's segments: files that are replaced whole or never change.  The horizon is that of
 * the history; the secret is of the file system above, and inode numbers follow from it. */
static const char *const beside[] = {"horizon", ".inode-secret"};

/* What a snapshot has of one store. */
struct part {
	struct core *core;
	struct segset sealed; /* references of its own */
	uint32_t own_id;      /* of the empty segment behind them; 0: not taken yet */
	uint64_t txid;        /* the last one */
};

struct dw_snapshot_making {
	struct io *io;
	struct part store, inside; /* inside.core NULL: there are no attributes */
	struct dw_store *opened;   /* the store inside, if nobody had it open; owned */
	char name[DW_SNAPSHOT_NAME_MAX + 1];
	int dir;       /* `.snapshots`; -1: not open */
	int to;        /* `.new`; -1: not open */
	bool locked;   /* names_lock of both */
	bool complete; /* it has its name */
	bool damaged;  /* the store inside is, so that it cannot be opened */
	struct snapmark mark;
};

/* The store inside, if it is open for writing. */
static struct core *core_inside(struct core *core)
{
	struct log_writer *first = atomic_load(&core->log.first);

	return first ? (struct core *)((char *)first - offsetof(struct core, log)) : NULL;
}

/* --- before the moment --- */

static int find_inside(struct dw_store *store, struct dw_snapshot_making *making)
{
	const struct dw_options options = {.must_exist = true,
					   .on_finding = store->core->on_finding,
					   .context = store->core->context};
	int rc = 0;

	making->inside.core = core_inside(store->core);
	if (!making->inside.core)
		rc = dw_open_in(store, DW_ATTR_DIRECTORY, &options, NULL, &making->opened);
	if (making->opened)
		making->inside.core = making->opened->core;
	making->damaged = rc == -EBADMSG;
	/* the last three: what has that name is no store, and no part of this one */
	return making->damaged || rc == -ENOENT || rc == -ENOTDIR || rc == -ELOOP ||
			       rc == -ENOMEDIUM
		       ? 0
		       : rc;
}

/* The directory of snapshots, and in it that of the one to come. */
static int make_directories(struct dw_snapshot_making *making)
{
	struct core *core = making->store.core;
	struct io *io = making->io;

	making->dir = snapdir_make(io, core->dirfd, DW_SNAPSHOT_DIRECTORY, &core->pool.owner);
	if (making->dir < 0)
		return making->dir;
	int rc = io->fsync(io, core->dirfd);
	int fd = rc ? rc : snapdir_open(io, making->dir, making->name);
	if (fd >= 0)
		(void)io->close(io, fd); /* only looked at */
	if (fd != -ENOENT)
		return fd < 0 && fd != -ENOTDIR ? fd : -EEXIST;
	rc = snapdir_clear(io, making->dir, SNAPMARK_MAKING); /* one that failed */
	if (!rc)
		rc = making->to = snapdir_make(io, making->dir, SNAPMARK_MAKING, &core->pool.owner);
	return rc < 0 ? rc : 0;
}

static void set_locked(struct dw_snapshot_making *making, bool locked)
{
	int (*change)(pthread_mutex_t *) = locked ? pthread_mutex_lock : pthread_mutex_unlock;

	if (making->locked == locked)
		return;
	making->locked = locked;
	(void)change(&making->store.core->names_lock);
	if (making->inside.core)
		(void)change(&making->inside.core->names_lock);
}

static int prepare(struct dw_store *store, struct dw_snapshot_making *making)
{
	int rc = find_inside(store, making);

	if (!rc)
		rc = dw_sync(store); /* that inside, too */
	if (rc < 0)
		return rc;
	set_locked(making, true);
	return make_directories(making);
}

int dw_snapshot_prepare(struct dw_store *store, const char *name, bool brief,
			struct dw_snapshot_making **ret)
{
	struct core *core = store_writer(store);

	if (!core)
		return -EROFS;
	if (!snapmark_may_name(name))
		return -EINVAL;
	struct dw_snapshot_making *making = calloc(1, sizeof *making);
	if (!making)
		return -ENOMEM;
	*making = (struct dw_snapshot_making){.io = core->io,
					      .store = {.core = core},
					      .dir = -1,
					      .to = -1,
					      .mark = {.brief = brief}};
	memcpy(making->name, name, strlen(name) + 1);
	int rc = prepare(store, making);
	if (rc < 0)
		dw_snapshot_cancel(making);
	else
		*ret = making;
	return rc;
}

/* --- the moment --- */

static int take_locked(struct part *part)
{
	struct core *core = part->core;
	int rc = log_check(&core->log);

	/* an empty segment is the snapshot's own end, too: nothing is to be sealed */
	if (!rc && core->log.end)
		rc = core_rotate_locked(core, 0);
	if (!rc)
		rc = segset_copy(&core->segments, core->segments.count - 1, &part->sealed);
	if (rc < 0)
		return rc;
	assert(core->log.active == segset_last(&core->segments) && !core->log.end);
	part->own_id = core->log.active->id;
	part->txid = core->log.next_txid - 1;
	return 0;
}

static int take(struct part *part)
{
	log_lock(&part->core->log);
	int rc = take_locked(part);
	core_unlock_log(part->core);
	return rc;
}

int dw_snapshot_take(struct dw_snapshot_making *making)
{
	assert(making->locked && !making->store.own_id);
	if (!making->inside.core && (making->inside.core = core_inside(making->store.core)))
		(void)pthread_mutex_lock(&making->inside.core->names_lock);
	/* as every sync: what is inside first */
	int rc = making->inside.core ? take(&making->inside) : 0;
	if (!rc)
		rc = take(&making->store);
	making->mark.time_ns = clock_now_ns();
	making->mark.txid = making->store.txid;
	return rc;
}

/* --- the links --- */

/* 0 also if it is not there. */
static int link_beside(struct part *part, const char *name, int to, enum dw_snapshot_method *method)
{
	struct core *core = part->core;
	int rc = twin_make(core->io, core->dirfd, name, to, &core->pool.owner, method);

	return rc == -ENOENT ? 0 : rc;
}

/* A hint that is not there costs time at opening, no more. */
static int link_segment(struct part *part, uint32_t id, int to, enum dw_snapshot_method *method)
{
	struct core *core = part->core;
	char name[SEGNAME_SIZE];

	segname_format(id, name);
	int rc = twin_make(core->io, core->dirfd, name, to, &core->pool.owner, method);
	if (rc < 0) {
		core_report_io(core, rc, id, "linking a segment into a snapshot");
		return rc;
	}
	segname_format_hint(id, name);
	return link_beside(part, name, to, method);
}

static int make_own_segment(struct part *part, int to)
{
	struct io *io = part->core->io;
	char name[SEGNAME_SIZE];

	segname_format(part->own_id, name);
	int fd = io->open(io, to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, OWNER_MODE_NEW);
	if (fd < 0)
		return fd;
	owner_apply(&part->core->pool.owner, io, fd);
	return io->close(io, fd); /* it is empty: its name is all there is to sync */
}

static int fill(struct part *part, int to, enum dw_snapshot_method *method)
{
	struct io *io = part->core->io;
	int rc = make_own_segment(part, to);

	for (size_t i = 0; !rc && i < part->sealed.count; i++)
		rc = link_segment(part, part->sealed.items[i]->id, to, method);
	for (size_t i = 0; !rc && i < sizeof beside / sizeof *beside; i++)
		rc = link_beside(part, beside[i], to, method);
	if (!rc)
		rc = index_copy(&part->core->index, to, part->own_id, method);
	return rc ? rc : io->fsync(io, to);
}

/* The segments in `from` as they lie, and their hints.  They are copied: whatever mends the store
 * may cut its last segment and go on in it, and a link would share that. */
static int copy_damaged(struct dw_snapshot_making *making, int from, int to)
{
	const struct owner *owner = &making->store.core->pool.owner;
	enum dw_snapshot_method method = DW_SNAPSHOT_CLONE;
	struct segset_ids ids = {0};
	char name[SEGNAME_SIZE];
	int rc = segset_list(making->io, from, &ids);

	for (size_t i = 0; !rc && i < ids.count; i++) {
		segname_format(ids.items[i], name);
		rc = twin_make(making->io, from, name, to, owner, &method);
		if (rc < 0)
			break;
		segname_format_hint(ids.items[i], name);
		rc = twin_make(making->io, from, name, to, owner, &method);
		rc = rc == -ENOENT ? 0 : rc; /* there need be no hint */
	}
	segset_ids_release(&ids);
	return rc ? rc : making->io->fsync(making->io, to);
}

static int fill_damaged(struct dw_snapshot_making *making)
{
	struct io *io = making->io;
	struct core *core = making->store.core;
	int from = snapdir_open(io, core->dirfd, DW_ATTR_DIRECTORY);

	if (from < 0)
		return from == -ENOENT ? 0 : from;
	int to = snapdir_make(io, making->to, DW_ATTR_DIRECTORY, &core->pool.owner);
	int rc = to < 0 ? to : copy_damaged(making, from, to);
	if (to >= 0)
		(void)io->close(io, to); /* it is synced */
	(void)io->close(io, from);       /* it was only read */
	return rc;
}

static int fill_inside(struct dw_snapshot_making *making)
{
	struct io *io = making->io;

	if (!making->inside.core)
		return making->damaged ? fill_damaged(making) : 0;
	int fd = snapdir_make(io, making->to, DW_ATTR_DIRECTORY, &making->inside.core->pool.owner);
	if (fd < 0)
		return fd;
	int rc = fill(&making->inside, fd, &making->mark.method);
	(void)io->close(io, fd); /* it is synced */
	return rc;
}

static int write_mark(struct dw_snapshot_making *making)
{
	struct atomicfile file = {.fd = -1};
	struct io *io = making->io;
	char text[SNAPMARK_SIZE];
	size_t size = snapmark_format(&making->mark, text);
	int rc = atomicfile_init(&file, io, making->to, SNAPMARK_NAME, SNAPMARK_NAME ".new",
				 OWNER_MODE_NEW);

	if (!rc)
		owner_apply(&making->store.core->pool.owner, io, file.fd);
	if (!rc)
		rc = atomicfile_write(&file, text, size);
	if (!rc)
		rc = atomicfile_sync(&file);
	if (!rc)
		rc = atomicfile_commit(&file, false);
	atomicfile_release(&file);
	return rc;
}

static int finish(struct dw_snapshot_making *making)
{
	struct io *io = making->io;
	int rc = fill_inside(making);

	if (!rc)
		rc = fill(&making->store, making->to, &making->mark.method);
	/* a compaction may go on: each file that is needed has its link */
	set_locked(making, false);
	if (!rc)
		rc = write_mark(making);
	/* all that is below it, before it has its name */
	if (!rc)
		rc = io->fsync(io, making->to);
	if (!rc)
		rc = io->rename(io, making->dir, SNAPMARK_MAKING, making->name);
	making->complete = !rc;
	if (!rc)
		rc = io->fsync(io, making->dir);
	if (rc < 0 && making->complete)
		(void)snapdir_remove(io, making->dir, making->name); /* it was not promised */
	return rc;
}

int dw_snapshot_finish(struct dw_snapshot_making *making, struct dw_snapshot_info *ret)
{
	assert(making->store.own_id);
	int rc = finish(making);
	if (!rc && ret && snapdir_look(making->io, making->dir, making->name, ret) < 0) {
		/* it is there all the same */
		*ret = (struct dw_snapshot_info){.time_ns = making->mark.time_ns,
						 .txid = making->mark.txid,
						 .method = making->mark.method,
						 .brief = making->mark.brief};
		memcpy(ret->name, making->name, sizeof ret->name);
	}
	dw_snapshot_cancel(making); /* what is complete stays */
	return rc;
}

void dw_snapshot_cancel(struct dw_snapshot_making *making)
{
	if (!making)
		return;
	struct io *io = making->io;
	if (making->to >= 0 && !making->complete)
		(void)snapdir_clear(io, making->dir, SNAPMARK_MAKING); /* else a leftover */
	set_locked(making, false);
	if (making->to >= 0)
		(void)io->close(io, making->to); /* it is synced, or gone */
	if (making->dir >= 0)
		(void)io->close(io, making->dir); /* likewise */
	segset_release(&making->store.sealed);
	segset_release(&making->inside.sealed);
	if (making->opened)
		(void)store_close(making->opened); /* all of it is on disk */
	free(making);
}

int dw_snapshot_create(struct dw_store *store, const char *name, struct dw_snapshot_info *ret)
{
	struct dw_snapshot_making *making = NULL;
	int rc = dw_snapshot_prepare(store, name, false, &making);

	if (rc < 0)
		return rc;
	rc = dw_snapshot_take(making);
	if (!rc)
		return dw_snapshot_finish(making, ret);
	dw_snapshot_cancel(making);
	return rc;
}
