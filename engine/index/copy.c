/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * copy.c - the files of an index, beside twins of its segments in another directory.
 *
 * What is there is never ahead of the segments there: an index that covers more is left out, and so
 * is one of which a run goes meanwhile.  Without it opening takes longer, no more.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>

#include "base/clock.h"
#include "codec/segname.h"
#include "disk/twin.h"
#include "index/index.h"
#include "index/root.h"

/* The runs that `root` names.  They never change, and a newer list may have taken them away. */
static int copy_runs(const struct index *index, const struct indexfile *root, int to,
		     enum dw_snapshot_method *method)
{
	char name[SEGNAME_SIZE];
	size_t count = 0;
	int rc = 0;

	while (!rc && count < root->run_count) {
		segname_format_run(root->runs[count].id, name);
		rc = twin_make(index->io, index->dirfd, name, to, index->owner, method);
		count += !rc;
	}
	while (rc < 0 && count--) {
		segname_format_run(root->runs[count].id, name);
		(void)index->io->unlink(index->io, to, name); /* it would only cost room */
	}
	return rc;
}

/* The proof of one segment is that of its twin. */
static int prove_twin(struct io *io, int to, struct indexfile_segment *segment, bool last)
{
	char name[SEGNAME_SIZE];
	struct stat st;

	segname_format(segment->id, name);
	int fd = io->open(io, to, name, O_RDONLY | O_NOFOLLOW, 0);
	if (fd == -ENOENT)
		return 0; /* a compaction removed it */
	int rc = fd < 0 ? fd : io->fstat(io, fd, &st);
	if (fd >= 0)
		(void)io->close(io, fd); /* only read */
	if (rc < 0)
		return rc;
	segment->inode = st.st_ino;
	if (!last)
		segment->mtime_ns = clock_ns_of(st.st_mtim);
	return 0;
}

/* Links are the files that were proved, all but the one that the directory has of its own. */
static int prove_all(const struct index *index, struct indexfile *root, int to, bool links)
{
	size_t count = root->segment_count;
	int rc = 0;

	for (size_t i = links && count ? count - 1 : 0; !rc && i < count; i++)
		rc = prove_twin(index->io, to, &root->segments[i], i + 1 == count);
	return rc;
}

int index_copy(struct index *index, int to, uint32_t end, enum dw_snapshot_method *method)
{
	struct indexfile root = {0};
	int rc = index_is_nameless(index) || index_is_damaged(index) ? -ENOENT
								     : root_read(index, &root);

	assert(index->owner);
	if (rc == -ENOENT || rc == -EBADMSG || rc == -ENODATA)
		return 0;
	bool ahead = root.position.segment > end ||
		     (root.position.segment == end && root.position.offset);
	if (!rc && !ahead) {
		rc = copy_runs(index, &root, to, method);
		if (!rc)
			rc = prove_all(index, &root, to, *method == DW_SNAPSHOT_LINK);
		if (!rc)
			rc = root_write_to(index, &root, to);
	}
	indexfile_release(&root);
	return rc == -ENOENT ? 0 : rc;
}
