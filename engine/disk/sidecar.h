/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * sidecar.h - the hint of a segment beside the segment itself: may it be believed, and what
 * does it know that the segment does not hold.
 *
 * A hint is believed unread if it is bound to its segment: sealed, with the file's size,
 * modification time and inode number, and some records' CRC fields are where it says.  Else the
 * segment is read, and each record compared: where they agree the hint's commit time counts.
 * A hint that tells of another record where a sound one stands is of another log (a backup that
 * was copied over a store), and proves nothing.  Else what it says was synced must be there.
 *
 * One thread.  Reads, never writes.
 */
#ifndef DISK_SIDECAR_H
#define DISK_SIDECAR_H

#include "disk/hintreader.h"
#include "disk/scan.h"

/* An entry that no record agreed with, where its record should be, and whether other damage
 * stands there.  The key is valid during the call.  Non-zero ends the comparison and is
 * returned. */
typedef int sidecar_missed_fn(void *context, const struct hint_entry *entry, uint64_t offset,
			      bool damaged);

struct sidecar {
	struct hintreader reader;
	struct hint_claims claims;
	bool bound; /* may be believed unread */
	/* where reading has come to */
	bool has; /* an entry was read and not compared */
	struct hint_entry entry;
	uint64_t offset;
	int64_t clock_ns; /* of the record that was compared last and agreed; 0: it did not */
	uint64_t records, agreed; /* compared, and of these as the hint says */
	uint64_t differs; /* offset of the first disagreement that is no damage; UINT64_MAX: none */
	sidecar_missed_fn *missed; /* may be NULL */
	void *context;
};

/* Open the hint of segment `id`, which is open as `fd` and is the file `size` and `binding` tell.
 * 0 also when there is none; -ENOMEM.  Release it in any case. */
int sidecar_init(struct sidecar *sidecar, struct io *io, int dirfd, uint32_t id, int fd,
		 uint64_t size, const struct hint_binding *binding);
void sidecar_release(struct sidecar *sidecar);

static inline bool sidecar_exists(const struct sidecar *sidecar)
{
	return sidecar->reader.fd >= 0;
}

/* Compare a sound record, in ascending order of offsets; if the hint says the same, `*mtime_ret`
 * is its commit time.  0, -ENOMEM or what `missed` returned. */
int sidecar_compare(struct sidecar *sidecar, const struct scan_record *record, int64_t *mtime_ret);

/* The key of the record at `offset`, none before which was left out, if the hint knows it;
 * valid until the next call.  False: it does not. */
bool sidecar_key_at(struct sidecar *sidecar, uint64_t offset, struct dw_bytes *ret);

/* The bytes `from`..`to` are known to be damaged: the hint's entries for them count as missed, and
 * not as disagreement. */
int sidecar_skip_damage(struct sidecar *sidecar, uint64_t from, uint64_t to);

/* The records have ended: the entries before `until` that are left are missed. */
int sidecar_finish(struct sidecar *sidecar, uint64_t until);

/* The hint is of another log: a record that it calls synced differs from the segment, or no record
 * agrees.  (After the synced part it may be ahead of a segment that a power cut shortened.) */
static inline bool sidecar_is_foreign(const struct sidecar *sidecar)
{
	return sidecar->differs < sidecar->claims.synced ||
	       (sidecar->records && !sidecar->agreed && sidecar->claims.told);
}

/* Whether the segment, whose sound records end at `end`, holds less than was synced to it. */
bool sidecar_is_short(const struct sidecar *sidecar, uint64_t end);

#endif
