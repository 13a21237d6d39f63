/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * finding.c - findings in words: the fault, its place, and the next step for the user.
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
	case DW_DAMAGE_SHORTENED: return "shortened";
	case DW_DAMAGE_MISSING: return "missing";
	case DW_DAMAGE_HINT: return "hint";
	case DW_DAMAGE_INDEX: return "index";
	}
	return "unknown";
}

/* A key between quotes, as text: unprintable bytes, and the quote, as \xNN; cut. */
enum { KEY_TEXT_SIZE = 160 };

static const char *key_text(struct dw_bytes key, char ret[KEY_TEXT_SIZE])
{
	static const char end[] = "...'";
	const uint8_t *bytes = key.data;
	size_t at = 1;

	ret[0] = '\'';
	for (size_t i = 0; i < key.size; i++) {
		if (at + 4 + sizeof end > KEY_TEXT_SIZE) {
			memcpy(ret + at, end, sizeof end);
			return ret;
		}
		bool plain =
			bytes[i] >= ' ' && bytes[i] != 0x7f && bytes[i] != '\'' && bytes[i] != '\\';
		if (plain)
			ret[at++] = (char)bytes[i];
		else /* it fits */
			at += (size_t)snprintf(ret + at, KEY_TEXT_SIZE - at, "\\x%02x", bytes[i]);
	}
	memcpy(ret + at, "'", 2);
	return ret;
}

static int damage_text(const struct dw_finding *f, char *ret, size_t size)
{
	static const char advice[] = "nothing was changed; see 'datawal repair'";
	static const char on_purpose[] =
		"if older files were put there on purpose, it accepts them";
	char key[KEY_TEXT_SIZE];

	if (f->damage == DW_DAMAGE_INDEX)
		return snprintf(ret, size,
				"'%s', a part of the index, is damaged at offset %" PRIu64
				"; nothing is lost by that: remove the file 'index' beside it, and "
				"it is made anew from the log when the store is opened",
				f->name, f->offset);
	if (f->damage == DW_DAMAGE_MISSING)
		return snprintf(ret, size,
				"segment %08" PRIu32 " is missing: its hint tells of %" PRIu64
				" records; %s; %s",
				f->segment, f->records_lost, advice, on_purpose);
	if (f->damage == DW_DAMAGE_SHORTENED && !f->records_lost)
		return snprintf(ret, size,
				"segment %08" PRIu32
				" holds less than was on disk of it: the index "
				"tells of more behind offset %" PRIu64 "; %s; %s",
				f->segment, f->offset, advice, on_purpose);
	if (f->damage == DW_DAMAGE_SHORTENED)
		return snprintf(ret, size,
				"segment %08" PRIu32 " holds less than was written to it: from "
				"offset %" PRIu64 " on its hint tells of %" PRIu64
				" records that are gone; %s; %s",
				f->segment, f->offset, f->records_lost, advice, on_purpose);
	if (f->key.data)
		return snprintf(ret, size,
				"segment %08" PRIu32 " is damaged at offset %" PRIu64
				" (%s), in the record of key %s; %s",
				f->segment, f->offset, dw_damage_name(f->damage),
				key_text(f->key, key), advice);
	return snprintf(ret, size,
			"segment %08" PRIu32 " is damaged at offset %" PRIu64 " (%s); %s",
			f->segment, f->offset, dw_damage_name(f->damage), advice);
}

static int lost_text(const struct dw_finding *f, char *ret, size_t size)
{
	static const char *const left[] = {
		[DW_LEFT_UNKNOWN] = "",
		[DW_LEFT_NOTHING] = "; nothing is left of it",
		[DW_LEFT_EMPTY] = "; what is left is an older value, which is empty",
		[DW_LEFT_OLDER] = "; what is left is an older value of",
		[DW_LEFT_UNDELETED] = "; it had removed the key, which comes back with a value of",
	};
	bool sized = f->left == DW_LEFT_OLDER || f->left == DW_LEFT_UNDELETED;
	char key[KEY_TEXT_SIZE], bytes[40] = "";

	if (sized)
		(void)snprintf(bytes, sizeof bytes, " %" PRIu64 " bytes", f->size); /* it fits */
	return snprintf(ret, size,
			"the newest record of key %s is lost (segment %08" PRIu32
			", offset %" PRIu64 ")%s%s",
			key_text(f->key, key), f->segment, f->offset, left[f->left], bytes);
}

static int quarantined_text(const struct dw_finding *f, char *ret, size_t size)
{
	if (!f->name)
		return snprintf(ret, size,
				"cut off the %" PRIu64 " zero bytes behind offset %" PRIu64
				" of segment %08" PRIu32,
				f->size, f->offset, f->segment);
	return snprintf(ret, size,
			"saved the %" PRIu64 " bytes behind offset %" PRIu64
			" of segment %08" PRIu32 " to '%s' and cut them off",
			f->size, f->offset, f->segment, f->name);
}

static int locked_text(const struct dw_finding *f, char *ret, size_t size)
{
	if (!f->pid || !f->host)
		return snprintf(ret, size,
				"the store is open for writing in a process that cannot be "
				"seen from here; close it or open read-only");
	return snprintf(ret, size,
			"the store is open for writing in process %ld on '%s'; close it or "
			"open read-only",
			(long)f->pid, f->host);
}

static int io_text(const struct dw_finding *f, char *ret, size_t size)
{
	char key[KEY_TEXT_SIZE];

	if (f->size)
		return snprintf(ret, size,
				"%s: %s; make %" PRIu64
				" bytes of room, or copy what lives to another disk with "
				"'datawal compact STORE TARGET'",
				f->name, strerror(f->error), f->size);
	if (f->segment && f->key.data)
		return snprintf(ret, size, "%s %08" PRIu32 ", key %s: %s", f->name, f->segment,
				key_text(f->key, key), strerror(f->error));
	if (f->segment)
		return snprintf(ret, size, "%s %08" PRIu32 ": %s", f->name, f->segment,
				strerror(f->error));
	return snprintf(ret, size, "%s: %s", f->name, strerror(f->error));
}

static int removed_text(const struct dw_finding *f, char *ret, size_t size)
{
	if (f->segment)
		return snprintf(ret, size,
				"segment %08" PRIu32
				" was removed, moved, replaced or cut while the store was "
				"open: nothing more is written; what was, is lost when the "
				"store is closed: copy it while it can still be read",
				f->segment);
	return snprintf(ret, size,
			"the store's directory was removed while the store was open: "
			"nothing more is written; what was, is lost when the store is "
			"closed: copy it while it can still be read");
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
	case DW_FINDING_QUARANTINED: return quarantined_text(f, ret, size);
	case DW_FINDING_DAMAGE: return damage_text(f, ret, size);
	case DW_FINDING_LOST: return lost_text(f, ret, size);
	case DW_FINDING_SIDECAR:
		return snprintf(ret, size,
				"the hint of segment %08" PRIu32
				" tells of another log, as after a backup was copied over a store; "
				"it is not used",
				f->segment);
	case DW_FINDING_LOCKED: return locked_text(f, ret, size);
	case DW_FINDING_IO: return io_text(f, ret, size);
	case DW_FINDING_LOCAL_LOCKS:
		return snprintf(
			ret, size,
			"the store is on a file system (%s) where a lock may keep out writers "
			"of this machine only; see that no other machine writes to it",
			f->name);
	case DW_FINDING_REMOVED: return removed_text(f, ret, size);
	case DW_FINDING_POISONED:
		return snprintf(ret, size,
				"%s failed (%s): the store takes no more writes until it is "
				"opened again; reading goes on",
				f->name, strerror(f->error));
	}
	return snprintf(ret, size, "unknown finding");
}
