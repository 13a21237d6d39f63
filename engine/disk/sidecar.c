/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * sidecar.c - see sidecar.h.
 */
#include "disk/sidecar.h"

#include <string.h>

int sidecar_init(struct sidecar *sidecar, struct io *io, int dirfd, uint32_t id, int fd,
		 uint64_t size, const struct hint_binding *binding)
{
	*sidecar = (struct sidecar){.differs = UINT64_MAX};
	hintreader_init(&sidecar->reader, io, dirfd, id);
	int rc = hintreader_survey(&sidecar->reader, fd, &sidecar->claims);
	if (rc < 0)
		return rc;
	const struct hint_claims *claims = &sidecar->claims;
	sidecar->bound = claims->sealed && claims->sampled && claims->told == size &&
			 claims->binding.mtime_ns == binding->mtime_ns &&
			 claims->binding.inode == binding->inode;
	return 0;
}

void sidecar_release(struct sidecar *sidecar)
{
	hintreader_release(&sidecar->reader);
	sidecar->claims = (struct hint_claims){0};
	sidecar->has = false;
}

/* Have the next entry at hand.  1, 0 (there is none) or -ENOMEM. */
static int peek(struct sidecar *sidecar)
{
	if (sidecar->has)
		return 1;
	if (!sidecar_exists(sidecar))
		return 0;
	int rc = hintreader_next(&sidecar->reader, &sidecar->entry, &sidecar->offset);
	sidecar->has = rc == 1;
	return rc;
}

static int miss(struct sidecar *sidecar, bool damaged)
{
	sidecar->has = false;
	if (!damaged && sidecar->offset < sidecar->differs)
		sidecar->differs = sidecar->offset;
	return sidecar->missed ? sidecar->missed(sidecar->context, &sidecar->entry, sidecar->offset,
						 damaged)
			       : 0;
}

/* Entries of records before `offset` are missed. */
static int skip_to(struct sidecar *sidecar, uint64_t offset, bool damaged)
{
	int rc;

	while ((rc = peek(sidecar)) == 1 && sidecar->offset < offset) {
		rc = miss(sidecar, damaged);
		if (rc)
			return rc;
	}
	return rc < 0 ? rc : 0;
}

static bool agrees(const struct sidecar *sidecar, const struct scan_record *record)
{
	const struct hint_entry *entry = &sidecar->entry;

	return sidecar->offset == record->offset && entry->header.type == record->header.type &&
	       entry->header.txid == record->header.txid &&
	       entry->header.key_size == record->header.key_size &&
	       entry->header.payload_size == record->header.payload_size &&
	       (sidecar->reader.layout == 1 || entry->crc == record->crc) &&
	       (!entry->key.size || !memcmp(entry->key.data, record->key.data, entry->key.size));
}

int sidecar_compare(struct sidecar *sidecar, const struct scan_record *record, int64_t *mtime_ret)
{
	sidecar->clock_ns = 0;
	if (!sidecar_exists(sidecar))
		return 0;
	int rc = skip_to(sidecar, record->offset, false);
	if (rc)
		return rc;
	sidecar->records++;
	if (!sidecar->has || sidecar->offset != record->offset)
		return 0;
	if (!agrees(sidecar, record))
		return miss(sidecar, false);
	sidecar->has = false;
	sidecar->agreed++;
	*mtime_ret = sidecar->entry.mtime_ns;
	sidecar->clock_ns = sidecar->entry.clock_ns;
	return 0;
}

bool sidecar_key_at(struct sidecar *sidecar, uint64_t offset, struct dw_bytes *ret)
{
	if (!sidecar_exists(sidecar) || sidecar_is_foreign(sidecar) || peek(sidecar) != 1 ||
	    sidecar->offset != offset)
		return false;
	*ret = sidecar->entry.key;
	return true;
}

int sidecar_skip_damage(struct sidecar *sidecar, uint64_t from, uint64_t to)
{
	int rc = skip_to(sidecar, from, false);

	return rc ? rc : skip_to(sidecar, to, true);
}

int sidecar_finish(struct sidecar *sidecar, uint64_t until)
{
	return skip_to(sidecar, until, false);
}

bool sidecar_is_short(const struct sidecar *sidecar, uint64_t end)
{
	return sidecar->differs == UINT64_MAX && end < sidecar->claims.synced &&
	       !sidecar_is_foreign(sidecar);
}
