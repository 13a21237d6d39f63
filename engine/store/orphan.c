/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * orphan.c - see orphan.h.
 */
#include "store/orphan.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "disk/hintreader.h"

struct finding_orphans {
	struct core *core;
	struct orphans *found;
};

static int note_name(void *context, const char *name)
{
	struct finding_orphans *f = context;
	struct orphans *found = f->found;
	uint32_t id;

	if (!segname_parse_hint(name, &id) || segset_has(&f->core->segments, id))
		return 0;
	uint32_t *ids = reallocarray(found->ids, found->count + 1, sizeof *ids);
	if (!ids)
		return -ENOMEM;
	found->ids = ids;
	ids[found->count++] = id;
	return 0;
}

static bool has_name(struct core *core, const char *name)
{
	int fd = core->io->open(core->io, core->dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);

	if (fd >= 0)
		(void)core->io->close(core->io, fd); /* nothing was written through it */
	return fd != -ENOENT;
}

bool orphan_proves(struct core *core, uint32_t id)
{
	char segment[SEGNAME_SIZE], hint[SEGNAME_SIZE];
	struct hint_claims claims = {0};
	struct hintreader reader;

	hintreader_init(&reader, core->io, core->dirfd, id);
	int rc = hintreader_survey(&reader, -1, &claims);
	hintreader_release(&reader);
	if (rc < 0 || !claims.synced)
		return false;
	/* In this order: this may run beside a writer, which removes the hint first; files that it
	 * makes meanwhile were not listed. */
	segname_format(id, segment);
	segname_format_hint(id, hint);
	return !has_name(core, segment) && has_name(core, hint);
}

static int compare_ids(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

int orphans_find(struct core *core, struct orphans *ret)
{
	struct finding_orphans f = {core, ret};
	size_t kept = 0;

	*ret = (struct orphans){0};
	int rc = core->io->list(core->io, core->dirfd, note_name, &f);
	for (size_t i = 0; !rc && i < ret->count; i++)
		if (orphan_proves(core, ret->ids[i]))
			ret->ids[kept++] = ret->ids[i];
	ret->count = kept;
	if (kept)
		qsort(ret->ids, kept, sizeof *ret->ids, compare_ids);
	return rc;
}

void orphans_release(struct orphans *orphans)
{
	free(orphans->ids);
	*orphans = (struct orphans){0};
}

int orphan_note(struct core *core, uint32_t id, struct loss *loss)
{
	struct hintreader reader;
	struct hint_entry entry;
	uint64_t offset;
	int rc;

	hintreader_init(&reader, core->io, core->dirfd, id);
	while ((rc = hintreader_next(&reader, &entry, &offset)) == 1) {
		rc = loss_add(loss, id, offset, &entry.header, entry.key);
		if (rc < 0)
			break;
	}
	hintreader_release(&reader);
	return rc;
}

void orphan_report(struct core *core, uint32_t id, struct loss *loss)
{
	const struct dw_finding finding = {
		.kind = DW_FINDING_DAMAGE,
		.damage = DW_DAMAGE_MISSING,
		.segment = id,
		.records_lost = loss->records,
	};

	core_report(core, &finding);
	loss_report(loss, core_on_finding, core);
}
