/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * check.c - the files of an index as they lie on disk, whether anybody uses them or not.
 *
 * It must change nothing, and must not take for damage what a writer does meanwhile: a run that is
 * no longer named may go at any time.
 */
#include <assert.h>
#include <errno.h>

#include "index/root.h"
#include "index/run.h"

enum { TRIES = 100 }; /* a writer exchanges runs more rarely */

/* 1: `index` still names that very run; 0; or -ENOMEM. */
static int is_still_named(struct index *index, const struct indexfile_run *run)
{
	struct indexfile now = {0};
	int rc = root_read(index, &now);

	if (rc < 0)
		return rc == -ENOMEM ? rc : 0;
	for (size_t i = 0; i < now.run_count; i++)
		if (now.runs[i].id == run->id && now.runs[i].stamp == run->stamp)
			rc = 1;
	indexfile_release(&now);
	return rc;
}

/* -EBADMSG: it is damaged, from `*offset_ret` on. */
static int check_run(struct index *index, uint32_t id, uint64_t *offset_ret)
{
	struct run *run = NULL;
	int rc = run_open(index->io, index->dirfd, id, &run);

	*offset_ret = 0;
	if (!rc)
		rc = run_find_damage(run, offset_ret);
	run_unref(run);
	return rc;
}

/* -EAGAIN: a writer has put others in its place. */
static int check_named(struct index *index, const struct indexfile_run *run,
		       index_damaged_fn *damaged, void *context)
{
	uint64_t offset;
	int rc = check_run(index, run->id, &offset);

	if (rc != -EBADMSG && rc != -ENOENT && rc != -ESTALE)
		return rc;
	int named = is_still_named(index, run);
	if (named != 1)
		return named ? named : -EAGAIN;
	damaged(context, run->id, offset);
	return 0;
}

int index_check_files(struct index *index, index_damaged_fn *damaged, void *context)
{
	int rc = -EAGAIN;

	assert(index->io && damaged);
	for (int i = 0; rc == -EAGAIN && i < TRIES; i++) {
		struct indexfile root = {0};
		rc = root_read(index, &root);
		if (rc < 0) /* without it the log has everything */
			return rc == -ENOENT || rc == -EBADMSG ? 0 : rc;
		for (size_t k = 0; !rc && k < root.run_count; k++)
			rc = check_named(index, &root.runs[k], damaged, context);
		indexfile_release(&root);
	}
	return rc;
}
