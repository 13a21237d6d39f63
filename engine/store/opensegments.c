/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * opensegments.c - see opensegments.h.
 */
#include "store/opensegments.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/hold.h"

bool segments_gone(const struct core *core, int rc)
{
	return rc == -ENOENT || (rc == -ESTALE && core->read_only);
}

/* New files are as the last segment is. */
static int learn_owner(struct core *core)
{
	struct dw_segment *last = segset_last(&core->segments);
	struct stat st;
	int fd = -1, rc = 0;

	if (core->read_only)
		return 0;
	if (last && (rc = fd = segment_pin(last)) >= 0) {
		rc = core->io->fstat(core->io, fd, &st);
		segment_unpin(last);
	}
	if (rc < 0)
		return rc;
	if (last)
		core->pool.owner = owner_of(&st);
	owner_apply_lock(&core->pool.owner, core->io, core->lockfd);
	return 0;
}

/* Open the segments of `ids`; `*sizes_ret` are their files' sizes, owned by the caller. */
static int open_segments(struct core *core, const struct segset_ids *ids, uint64_t **sizes_ret)
{
	uint64_t *sizes = calloc(ids->count + 1, sizeof *sizes);
	int rc = sizes ? segset_reserve(&core->segments, ids->count + 1) : -ENOMEM;

	for (size_t i = 0; !rc && i < ids->count; i++) {
		struct dw_segment *segment;
		bool writable = !core->read_only && i + 1 == ids->count;
		rc = segment_open(&core->pool, ids->items[i], writable, &sizes[i], &segment);
		if (!rc)
			segset_add(&core->segments, segment);
		else if (!segments_gone(core, rc))
			core_report_io(core, rc, ids->items[i], "opening a segment");
	}
	if (rc < 0) {
		free(sizes);
		segset_release(&core->segments);
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
static int try_snapshot(struct core *core, uint64_t **sizes_ret)
{
	struct segset_ids before, after = {0};
	int rc = segset_list(core->io, core->dirfd, &before);

	if (!rc)
		rc = open_segments(core, &before, sizes_ret);
	if (rc == -ENOENT)
		rc = -EAGAIN; /* compacted away meanwhile */
	if (!rc && core->read_only) {
		rc = segset_list(core->io, core->dirfd, &after);
		if (!rc && !same_ids(&before, &after))
			rc = -EAGAIN;
		if (rc < 0) {
			free(*sizes_ret);
			*sizes_ret = NULL;
			segset_release(&core->segments);
		}
	}
	segset_ids_release(&before);
	segset_ids_release(&after);
	return rc;
}

/* Keep other writers off the segments that were opened; then nothing in them changes any more. */
static int claim_segments(struct core *core, uint64_t *sizes)
{
	struct stat st;
	int rc = hold_segments(core);

	if (!rc && core->log.active) {
		rc = core->io->fstat(core->io, core->log.fd, &st);
		if (!rc)
			sizes[core->segments.count - 1] = (uint64_t)st.st_size;
	}
	return rc ? rc : learn_owner(core);
}

int segments_open(struct core *core, uint64_t **sizes_ret)
{
	int rc = -EAGAIN;

	for (int i = 0; rc == -EAGAIN && i < OPEN_TRIES; i++) {
		rc = try_snapshot(core, sizes_ret);
		if (rc || core->read_only)
			continue;
		rc = claim_segments(core, *sizes_ret);
		if (!rc)
			break;
		free(*sizes_ret);
		*sizes_ret = NULL;
		segset_release(&core->segments);
	}
	if (rc != -EAGAIN)
		return rc;
	/* a writer that is not kept out goes on and on */
	core_report_io(core, -EBUSY, 0, "listing the segments, for segments come and go meanwhile");
	return -EBUSY;
}
