/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * finding.c - findings in words: what, where, and what to do next.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "datawal.h"

const char *dw_damage_name(enum dw_damage damage)
{
	switch (damage) {
	case DW_DAMAGE_NONE: return "none";
	case DW_DAMAGE_TRUNCATED: return "truncated";
	case DW_DAMAGE_CRC: return "crc";
	case DW_DAMAGE_MAGIC: return "magic";
	case DW_DAMAGE_VERSION: return "version";
	case DW_DAMAGE_TYPE: return "type";
	case DW_DAMAGE_FLAGS: return "flags";
	case DW_DAMAGE_KEY_SIZE: return "key_size";
	case DW_DAMAGE_PAYLOAD_SIZE: return "payload_size";
	case DW_DAMAGE_ZEROS: return "zeros";
	case DW_DAMAGE_KEY: return "key";
	}
	return "unknown";
}

int dw_finding_text(const struct dw_finding *f, char *ret, size_t size)
{
	switch (f->kind) {
	case DW_FINDING_TORN_TAIL:
		return snprintf(ret, size,
				"segment %08" PRIu32 " ends in %" PRIu64 " bytes at offset %" PRIu64
				" that are no record (%s), with %" PRIu64
				" whole records behind; everything before is intact",
				f->segment, f->size, f->offset, dw_damage_name(f->damage),
				f->records_behind);
	case DW_FINDING_QUARANTINED:
		if (!f->name)
			return snprintf(ret, size,
					"cut off the %" PRIu64 " zero bytes behind offset %" PRIu64
					" of segment %08" PRIu32,
					f->size, f->offset, f->segment);
		return snprintf(ret, size,
				"saved the %" PRIu64 " bytes behind offset %" PRIu64
				" of segment %08" PRIu32 " to '%s' and cut them off",
				f->size, f->offset, f->segment, f->name);
	case DW_FINDING_DAMAGE:
		return snprintf(ret, size,
				"segment %08" PRIu32 " is damaged at offset %" PRIu64
				" (%s); nothing was changed; see 'datawal repair'",
				f->segment, f->offset, dw_damage_name(f->damage));
	case DW_FINDING_LOCKED:
		if (!f->pid)
			return snprintf(ret, size,
					"the store is open for writing in another "
					"process; close it or open read-only");
		return snprintf(ret, size,
				"the store is open for writing in process %ld; close it or open "
				"read-only",
				(long)f->pid);
	case DW_FINDING_IO:
		if (f->size)
			return snprintf(ret, size,
					"%s: %s; make %" PRIu64
					" bytes of room, or copy what lives to another disk with "
					"'datawal compact STORE TARGET'",
					f->name, strerror(f->error), f->size);
		if (f->segment)
			return snprintf(ret, size, "%s %08" PRIu32 ": %s", f->name, f->segment,
					strerror(f->error));
		return snprintf(ret, size, "%s: %s", f->name, strerror(f->error));
	case DW_FINDING_POISONED:
		return snprintf(ret, size,
				"%s failed (%s): the store takes no more writes until it is "
				"opened again; reading goes on",
				f->name, strerror(f->error));
	}
	return snprintf(ret, size, "unknown finding");
}
