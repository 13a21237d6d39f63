/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * segcheck.c - see segcheck.h.
 */
#include "store/segcheck.h"

#include <errno.h>

enum { REFRESHES = 100 };

/* Behind what was synced a power cut may take what it likes: only a damaged record there was
 * one. */
static int note_missing(void *context, const struct hint_entry *entry, uint64_t offset,
			bool damaged)
{
	struct segcheck *check = context;

	if (!damaged && offset >= check->sidecar.claims.synced)
		return 0;
	return loss_add(check->loss, check->segment, offset, &entry->header, entry->key);
}

int segcheck_init(struct segcheck *check, struct dw_segment *segment, int fd, uint64_t size,
		  bool live, struct loss *loss)
{
	const struct hint_binding binding = {segment->mtime_ns, segment->file.ino};
	struct fdpool *pool = segment->pool;

	*check = (struct segcheck){
		.segment = segment->id,
		.segment_mtime_ns = segment->mtime_ns,
		.live = live,
		.loss = loss,
		.loss_count = loss->count,
		.loss_records = loss->records,
	};
	int rc = scan_init(&check->scan, pool->io, fd, 0, size);
	int hint = sidecar_init(&check->sidecar, pool->io, pool->dirfd, segment->id, fd, size,
				&binding);
	check->sidecar.missed = note_missing;
	check->sidecar.context = check;
	return rc ? rc : hint;
}

void segcheck_release(struct segcheck *check)
{
	scan_release(&check->scan);
	sidecar_release(&check->sidecar);
}

void segcheck_ignore_hint(struct segcheck *check)
{
	sidecar_release(&check->sidecar);
}

int segcheck_next(struct segcheck *check, struct scan_record *ret)
{
	int rc = scan_next(&check->scan, ret);

	for (int i = 0; rc == -EBADMSG && check->live && i < REFRESHES; i++) {
		int changed = scan_refresh(&check->scan);
		if (changed < 0)
			return changed;
		if (!changed)
			break;
		rc = scan_next(&check->scan, ret);
	}
	if (rc != 1)
		return rc;
	check->mtime_ns = check->segment_mtime_ns;
	rc = sidecar_compare(&check->sidecar, ret, &check->mtime_ns);
	return rc ? rc : 1;
}

int segcheck_resync(struct segcheck *check, uint64_t *budget)
{
	uint64_t from = check->scan.offset;
	int rc = scan_resync(&check->scan, budget);

	if (rc < 0)
		return rc;
	int missed = sidecar_skip_damage(&check->sidecar, from, check->scan.offset);
	return missed ? missed : rc;
}

bool segcheck_own_word(struct scan *scan, struct record_header *header_ret, struct dw_bytes *ret)
{
	struct scan_record record;
	uint64_t at = scan->offset;
	enum dw_damage damage = scan->damage;

	scan->keys_only = true;
	bool told = scan_next(scan, &record) == 1;
	scan->keys_only = false;
	scan->offset = at;
	scan->damage = damage;
	if (told) {
		*header_ret = record.header;
		*ret = record.key;
	}
	return told;
}

struct dw_bytes segcheck_key(struct segcheck *check)
{
	struct record_header header;
	struct dw_bytes key = {0};

	if (!sidecar_key_at(&check->sidecar, check->scan.offset, &key))
		(void)segcheck_own_word(&check->scan, &header, &key); /* else it is not known */
	return key;
}

int segcheck_is_short(struct segcheck *check, uint64_t end, bool damaged)
{
	struct sidecar *sidecar = &check->sidecar;
	struct scan *scan = &check->scan;
	struct stat st;

	if (!sidecar_is_short(sidecar, end)) {
		/* one of another log knows nothing of this one */
		if (sidecar_is_foreign(sidecar))
			loss_take_back(check->loss, check->loss_count, check->loss_records);
		return 0;
	}
	if (!check->live || damaged)
		return 1;
	/* a writer may have appended and sealed since the segment was opened */
	int rc = scan->io->fstat(scan->io, scan->fd, &st);
	return rc < 0 ? rc : (uint64_t)st.st_size < sidecar->claims.synced;
}

int segcheck_name_missing(struct segcheck *check)
{
	return sidecar_finish(&check->sidecar, check->sidecar.claims.synced);
}

uint64_t segcheck_missing(const struct segcheck *check)
{
	return check->loss->records - check->loss_records;
}
