/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * open.c - from a directory to a store: lock, list, replay, recover.
 *
 * A writer holds the lock and owns the directory.  A reader holds nothing: it
 * opens every segment first and lists again, until both listings agree; what it
 * has open by then is one moment of the log, whatever a writer's compaction
 * unlinks afterwards.  A network disk may forget what is open together with its name (ESTALE),
 * and a reader then starts over from the path.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/hold.h"
#include "store/orphan.h"
#include "store/place.h"
#include "store/replay.h"
#include "store/store.h"

enum { SNAPSHOT_TRIES = 1000, DIRECTORY_MODE = 0700 };

static void close_fd(struct io *io, int fd)
{
	if (fd >= 0)
		(void)io->close(io, fd); /* a directory or the lock file: nothing to lose */
}

void store_free(struct dw_store *store)
{
	log_release(&store->log);
	keydir_release(&store->keydir);
	stale_release(&store->stale);
	segset_release(&store->segments);
	fdpool_release(&store->pool);
	maintain_release(&store->maintain);
	/* these fail only while in use */
	(void)pthread_mutex_destroy(&store->compact_lock);
	(void)pthread_mutex_destroy(&store->hold_lock);
	/* the lock last: who waits for it may unmount what the directory is on */
	close_fd(store->io, store->dirfd);
	close_fd(store->io, store->lockfd);
	free(store);
}

static void on_poisoned(void *context, const struct dw_finding *finding)
{
	store_report(context, finding);
}

static int on_sync(void *context)
{
	return hold_check(context);
}

/* `dirfd` is taken over, on failure too. */
static int store_new(struct io *io, int dirfd, const struct dw_options *options,
		     struct dw_store **ret)
{
	struct dw_store *store = calloc(1, sizeof *store);
	uint64_t segment_size =
		options->segment_size ? options->segment_size : DW_SEGMENT_SIZE_DEFAULT;

	if (!store) {
		close_fd(io, dirfd);
		return -ENOMEM;
	}
	store->io = io;
	store->dirfd = dirfd;
	store->lockfd = -1;
	store->read_only = options->read_only;
	store->on_finding = options->on_finding;
	store->context = options->context;
	/* A reader keeps every segment open: their names may go at any time. */
	int rc = fdpool_init(&store->pool, io, dirfd, options->read_only ? UINT32_MAX : 0);
	store->pool.map_size = segment_size;
	if (!rc)
		rc = log_init(&store->log, &store->pool, segment_size);
	if (!rc)
		rc = -pthread_mutex_init(&store->compact_lock, NULL);
	if (!rc)
		rc = -pthread_mutex_init(&store->hold_lock, NULL);
	if (!rc)
		rc = maintain_init(&store->maintain);
	if (!rc)
		rc = keydir_init(&store->keydir);
	if (rc < 0) {
		store_free(store);
		return rc;
	}
	store->log.poisoned = on_poisoned;
	store->log.context = store;
	store->log.wait_ms = options->lock_wait_ms;
	store->log.hold = options->read_only ? NULL : on_sync;
	*ret = store;
	return 0;
}

/* Make the directory `path`, durably: else a crash could lose the store with all that was
 * synced inside. */
static int make_by_path(struct io *io, const char *path)
{
	char *parent = strdup(path);

	if (!parent)
		return -ENOMEM;
	size_t size = strlen(parent);
	while (size > 1 && parent[size - 1] == '/')
		parent[--size] = '\0';
	char *slash = strrchr(parent, '/');
	int rc = io->mkdir(io, AT_FDCWD, parent, DIRECTORY_MODE);
	if (!rc) {
		const char *above = !slash ? "." : slash == parent ? "/" : parent;
		if (slash)
			*slash = '\0';
		int fd = io->open(io, AT_FDCWD, above, O_RDONLY | O_DIRECTORY, 0);
		rc = fd < 0 ? fd : io->fsync(io, fd);
		close_fd(io, fd);
	}
	free(parent);
	return rc == -EEXIST ? 0 : rc;
}

/* The same for `name` in the directory of `above`. */
static int make_below(const struct dw_store *above, const char *name)
{
	mode_t mode = owner_directory_mode(&above->pool.owner);
	int rc = above->io->mkdir(above->io, above->dirfd, name, mode);

	if (!rc)
		rc = above->io->fsync(above->io, above->dirfd);
	return rc == -EEXIST ? 0 : rc;
}

static void report_io(struct dw_store *store, int rc, uint32_t segment, const char *what)
{
	const struct dw_finding finding = {
		.kind = DW_FINDING_IO, .error = -rc, .segment = segment, .name = what};

	store_report(store, &finding);
}

/* What a reader meets where a compaction has just removed a segment: no such name or, on a network
 * disk, a handle to what is no longer there.  It starts over. */
static bool is_gone(const struct dw_store *store, int rc)
{
	return rc == -ENOENT || (rc == -ESTALE && store->read_only);
}

/* New files are as the last segment is. */
static int learn_owner(struct dw_store *store)
{
	struct dw_segment *last = segset_last(&store->segments);
	struct stat st;
	int fd = -1, rc = 0;

	if (store->read_only)
		return 0;
	if (last && (rc = fd = segment_pin(last)) >= 0) {
		rc = store->io->fstat(store->io, fd, &st);
		segment_unpin(last);
	}
	if (rc < 0)
		return rc;
	if (last)
		store->pool.owner = owner_of(&st);
	owner_apply_lock(&store->pool.owner, store->io, store->lockfd);
	return 0;
}

/* Open the segments of `ids`; `*sizes_ret` are their files' sizes, owned by the caller. */
static int open_segments(struct dw_store *store, const struct segset_ids *ids, uint64_t **sizes_ret)
{
	uint64_t *sizes = calloc(ids->count + 1, sizeof *sizes);
	int rc = sizes ? segset_reserve(&store->segments, ids->count + 1) : -ENOMEM;

	for (size_t i = 0; !rc && i < ids->count; i++) {
		struct dw_segment *segment;
		bool writable = !store->read_only && i + 1 == ids->count;
		rc = segment_open(&store->pool, ids->items[i], writable, &sizes[i], &segment);
		if (!rc)
			segset_add(&store->segments, segment);
		else if (!is_gone(store, rc))
			report_io(store, rc, ids->items[i], "opening a segment");
	}
	if (rc < 0) {
		free(sizes);
		segset_release(&store->segments);
		return rc;
	}
	*sizes_ret = sizes;
	return 0;
}

static bool same_ids(const struct segset_ids *a, const struct segset_ids *b)
{
	return a->count == b->count &&
	       (!a->count || !memcmp(a->items, b->items, a->count * sizeof *a->items));
}

/* One try to have all segments open as of one moment: 0, -EAGAIN or -errno. */
static int try_snapshot(struct dw_store *store, uint64_t **sizes_ret)
{
	struct segset_ids before, after = {0};
	int rc = segset_list(store->io, store->dirfd, &before);

	if (!rc)
		rc = open_segments(store, &before, sizes_ret);
	if (rc == -ENOENT)
		rc = -EAGAIN; /* compacted away meanwhile */
	if (!rc && store->read_only) {
		rc = segset_list(store->io, store->dirfd, &after);
		if (!rc && !same_ids(&before, &after))
			rc = -EAGAIN;
		if (rc < 0) {
			free(*sizes_ret);
			*sizes_ret = NULL;
			segset_release(&store->segments);
		}
	}
	segset_ids_release(&before);
	segset_ids_release(&after);
	return rc;
}

/* Keep other writers off the segments that were opened; then nothing in them changes any more. */
static int claim_segments(struct dw_store *store, uint64_t *sizes)
{
	struct stat st;
	int rc = hold_segments(store);

	if (!rc && store->log.active) {
		rc = store->io->fstat(store->io, store->log.fd, &st);
		if (!rc)
			sizes[store->segments.count - 1] = (uint64_t)st.st_size;
	}
	return rc ? rc : learn_owner(store);
}

static int open_all(struct dw_store *store, uint64_t **sizes_ret)
{
	int rc = -EAGAIN;

	for (int i = 0; rc == -EAGAIN && i < SNAPSHOT_TRIES; i++) {
		rc = try_snapshot(store, sizes_ret);
		if (rc || store->read_only)
			continue;
		rc = claim_segments(store, *sizes_ret);
		if (!rc)
			break;
		free(*sizes_ret);
		*sizes_ret = NULL;
		segset_release(&store->segments);
	}
	return rc;
}

static void report_finding(void *context, const struct dw_finding *finding)
{
	store_report(context, finding);
}

void store_report_replay(struct dw_store *store, struct replay *replay, int rc)
{
	const struct dw_report *report = &replay->report;

	if (rc != -EBADMSG && !report->torn_bytes)
		return;
	const struct dw_finding finding = {
		.kind = rc ? DW_FINDING_DAMAGE : DW_FINDING_TORN_TAIL,
		.damage = report->damage,
		.segment = report->segment,
		.offset = report->offset,
		.size = report->torn_bytes,
		.records_behind = report->records_behind,
		.records_lost = replay->loss.records,
		.key = {replay->key_known ? replay->key.data : NULL, replay->key.size},
	};
	store_report(store, &finding);
	loss_report(&replay->loss, report_finding, store);
}

/* Hints without their segments: the segments were lost.  But where a segment was exchanged for
 * one of another log, what the hints of the old one say is no loss. */
static int refuse_missing(struct dw_store *store, struct replay *replay,
			  const struct orphans *orphans)
{
	struct dw_report *report = &replay->report;
	int rc = 0;

	if (!orphans->count || replay->foreign)
		return 0;
	for (size_t i = 0; !rc && i < orphans->count; i++) {
		loss_take_back(&replay->loss, 0, 0);
		rc = orphan_note(store, orphans->ids[i], &replay->loss);
		if (!rc)
			orphan_report(store, orphans->ids[i], &replay->loss);
	}
	report->segment = orphans->ids[0];
	report->offset = report->torn_bytes = 0;
	report->damage = DW_DAMAGE_MISSING;
	return rc ? rc : -EBADMSG;
}

static int replay_all(struct dw_store *store, const uint64_t *sizes, struct dw_report *report,
		      struct hint_end *hint_ret)
{
	struct replay replay = {.keydir = &store->keydir,
				.writes = !store->read_only,
				.loss = {.limit = LOST_TOLD},
				.found = report_finding,
				.context = store};
	struct orphans orphans;
	int rc = orphans_find(store, &orphans);

	replay.keeps_foreign = orphans.count;

	for (size_t i = 0; !rc && i < store->segments.count; i++) {
		bool last = i + 1 == store->segments.count;
		rc = replay_segment(&replay, store->segments.items[i], sizes[i], last);
		if (rc < 0 && rc != -EBADMSG && !is_gone(store, rc))
			report_io(store, rc, store->segments.items[i]->id, "reading a segment");
	}
	*hint_ret = replay.hint;
	store_report_replay(store, &replay, rc);
	if (!rc)
		rc = refuse_missing(store, &replay, &orphans);
	*report = replay.report;
	orphans_release(&orphans);
	replay_release(&replay);
	return rc;
}

/* Make a replayed store writable: a sound tail, an active segment. */
static int start_writing(struct dw_store *store, const uint64_t *sizes,
			 const struct dw_report *report, const struct hint_end *hint)
{
	struct dw_segment *last = segset_last(&store->segments);
	int rc = recover_leftovers(store, false);

	recover_blocks(store);
	if (!rc && last && sizes[store->segments.count - 1] > last->size)
		rc = recover_tail(store, last, sizes[store->segments.count - 1],
				  report->torn_bytes > 0);
	/* A writer that was killed may not have come to sync the name of its last segment:
	 * a sync of the file alone would then keep nothing. */
	if (!rc && last)
		rc = store->io->fsync(store->io, store->dirfd);
	if (rc < 0)
		return rc;
	/* Nor its bytes: they count as one append, so that the first dw_sync() puts them
	 * on disk. */
	if (last && last->size)
		atomic_store(&store->log.appended, 1);
	if (last)
		return log_continue(&store->log, last, report->last_txid + 1, hint);
	store->log.next_txid = 1;
	return store_rotate_locked(store, 0);
}

static int open_locked(struct dw_store *store, const struct dw_options *options,
		       struct dw_report *report_ret)
{
	struct dw_report report = {0};
	struct hint_end hint = {0};
	uint64_t *sizes = NULL;
	int rc = store->read_only ? 0 : hold_directory(store, options->lock_wait_ms);

	/* what must be on disk before anything of this store is */
	if (!rc && !store->read_only)
		rc = recover_first(store);
	if (!rc)
		rc = open_all(store, &sizes);
	if (!rc) {
		rc = replay_all(store, sizes, &report, &hint);
		if (report_ret)
			*report_ret = report;
	}
	if (!rc && !store->read_only)
		rc = start_writing(store, sizes, &report, &hint);
	free(sizes);
	return rc;
}

/* Whether there is a store, or may be one from now on: before the first file is made, for
 * among other people's files none is to be left. */
static int check_place(struct io *io, int dirfd, const struct dw_options *options)
{
	enum place place;
	int rc = place_look(io, dirfd, &place);

	if (rc < 0 || place == PLACE_STORE)
		return rc;
	if (place == PLACE_OTHER && (options->read_only || !options->among_files))
		return -ENOMEDIUM;
	return options->read_only || options->must_exist ? -ENOENT : 0;
}

/* `path`, or if `above` is not NULL that name in its directory, where no link is followed. */
static int open_directory(struct io *io, const struct dw_store *above, const char *path,
			  const struct dw_options *options, struct dw_store **ret)
{
	int flags = O_RDONLY | O_DIRECTORY | (above ? O_NOFOLLOW : 0);
	int dirfd = io->open(io, above ? above->dirfd : AT_FDCWD, path, flags, 0);

	if (dirfd < 0)
		return dirfd;
	int rc = check_place(io, dirfd, options);
	if (rc < 0) {
		close_fd(io, dirfd);
		return rc;
	}
	rc = store_new(io, dirfd, options, ret);
	if (!rc && above)
		(*ret)->pool.owner = above->pool.owner;
	return rc;
}

static int open_unread_once(struct io *io, const char *path, const struct dw_options *options,
			    uint64_t **sizes_ret, struct dw_store **ret)
{
	struct dw_store *store = NULL;
	int rc = open_directory(io, NULL, path, options, &store);

	if (rc < 0)
		return rc;
	if (!store->read_only)
		rc = hold_directory(store, options->lock_wait_ms);
	if (!rc && !store->read_only)
		rc = recover_first(store);
	if (!rc)
		rc = open_all(store, sizes_ret);
	if (rc < 0)
		store_free(store);
	else
		*ret = store;
	return rc;
}

int store_open_unread(struct io *io, const char *path, const struct dw_options *options,
		      uint64_t **sizes_ret, struct dw_store **ret)
{
	int rc = -ESTALE;

	for (int i = 0; rc == -ESTALE && i < (options->read_only ? SNAPSHOT_TRIES : 1); i++)
		rc = open_unread_once(io, path, options, sizes_ret, ret);
	return rc;
}

static int open_once(struct io *io, const struct dw_store *above, const char *path,
		     const struct dw_options *options, struct dw_report *report_ret,
		     struct dw_store **ret)
{
	struct dw_store *store = NULL;
	int rc = 0;

	if (options->create && !options->read_only)
		rc = above ? make_below(above, path) : make_by_path(io, path);
	if (!rc)
		rc = open_directory(io, above, path, options, &store);
	if (rc)
		return rc;
	rc = open_locked(store, options, report_ret);
	if (rc < 0) {
		store_free(store);
		return rc;
	}
	if (!store->read_only && !above)
		hold_warn(store);
	store_check(store);
	*ret = store;
	return 0;
}

static int open_at(struct io *io, const struct dw_store *above, const char *path,
		   const struct dw_options *options, struct dw_report *report_ret,
		   struct dw_store **ret)
{
	int rc = -ESTALE;

	for (int i = 0; rc == -ESTALE && i < (options->read_only ? SNAPSHOT_TRIES : 1); i++)
		rc = open_once(io, above, path, options, report_ret, ret);
	return rc;
}

int store_open(struct io *io, const char *path, const struct dw_options *options,
	       struct dw_report *report_ret, struct dw_store **ret)
{
	return open_at(io, NULL, path, options, report_ret, ret);
}

int dw_open(const char *path, const struct dw_options *options, struct dw_report *report_ret,
	    struct dw_store **ret)
{
	static const struct dw_options defaults;

	return store_open(&io_posix, path, options ? options : &defaults, report_ret, ret);
}

int dw_open_in(struct dw_store *above, const char *name, const struct dw_options *options,
	       struct dw_report *report_ret, struct dw_store **ret)
{
	bool writes = !above->read_only && !options->read_only;
	struct dw_store *store = NULL;

	if (strchr(name, '/') || !strcmp(name, ".") || !strcmp(name, ".."))
		return -EINVAL;
	if (writes && atomic_load(&above->log.first))
		return -EBUSY;
	int rc = open_at(above->io, above, name, options, report_ret, &store);
	if (rc < 0)
		return rc;
	if (writes) {
		store->above = above;
		atomic_store(&above->log.first, &store->log);
	}
	*ret = store;
	return 0;
}

/* The store above can ask this one no more; what is lost of it `above` must not outlive. */
static void leave_above(struct dw_store *store, int rc)
{
	if (!store->above)
		return;
	if (rc < 0)
		atomic_store(&store->above->log.first_lost, rc);
	atomic_store(&store->above->log.first, NULL);
}

int dw_close(struct dw_store *store)
{
	if (!store)
		return 0;
	if (store->snapshot.base) {
		snapshot_close(store);
		return 0;
	}
	log_lock(&store->log);
	bool busy = store->snapshots;
	log_unlock(&store->log);
	if (busy) /* they would be left with nothing below them */
		return -EBUSY;
	maintain_stop(&store->maintain);
	if (store->above) /* its threads sync as well */
		maintain_stop(&store->above->maintain);
	int rc = store->read_only ? 0 : log_sync(&store->log);
	if (!rc && !store->read_only)
		rc = log_finish(&store->log);
	leave_above(store, rc);
	store_free(store);
	return rc;
}
