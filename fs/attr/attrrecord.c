/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * attrrecord.c - see attrrecord.h.
 */
#include "fs/attr/attrrecord.h"

#include <assert.h>
#include <string.h>

#include "fs/attr/xattr.h"

enum { VERSION = 1, HEADER_SIZE = 4, MODE_MASK = 07777 };

/* The fields of a record, in their order. */
enum field {
	FIELD_MODE = 1 << 0,
	FIELD_UID = 1 << 1,
	FIELD_GID = 1 << 2,
	FIELD_CTIME = 1 << 3,
	FIELD_TXID = 1 << 4,
	FIELD_MTIME = 1 << 5,
	FIELD_ATIME = 1 << 6,
	FIELD_SYMLINK = 1 << 7,
	FIELD_XATTRS = 1 << 8,
	FIELD_SINCE = 1 << 9,
	FIELDS = (1 << 10) - 1,
};

static const struct {
	unsigned bit, field;
} field_map[] = {
	{ATTR_MODE, FIELD_MODE},       {ATTR_UID, FIELD_UID},     {ATTR_GID, FIELD_GID},
	{ATTR_CTIME, FIELD_CTIME},     {ATTR_MTIME, FIELD_MTIME}, {ATTR_ATIME, FIELD_ATIME},
	{ATTR_SYMLINK, FIELD_SYMLINK},
};
enum { FIELD_MAP = sizeof field_map / sizeof *field_map };

static unsigned fields_of(const struct attr_record *record)
{
	unsigned fields = 0;

	for (size_t i = 0; i < FIELD_MAP; i++)
		if (record->attrs.set & field_map[i].bit)
			fields |= field_map[i].field;
	if (fields & (FIELD_MTIME | FIELD_ATIME))
		fields |= FIELD_TXID;
	if (record->xattrs.size)
		fields |= FIELD_XATTRS;
	return record->since ? fields | FIELD_SINCE : fields;
}

static size_t fixed_size(unsigned fields)
{
	size_t size = HEADER_SIZE;

	size += fields & FIELD_MODE ? 2 : 0;
	size += fields & FIELD_UID ? 4 : 0;
	size += fields & FIELD_GID ? 4 : 0;
	size += fields & FIELD_CTIME ? 8 : 0;
	size += fields & FIELD_TXID ? 8 : 0;
	size += fields & FIELD_MTIME ? 8 : 0;
	size += fields & FIELD_ATIME ? 8 : 0;
	size += fields & FIELD_XATTRS ? 4 : 0;
	size += fields & FIELD_SINCE ? 12 : 0;
	return size;
}

size_t attr_record_size(const struct attr_record *record)
{
	unsigned fields = fields_of(record);
	size_t before = fields & FIELD_SINCE ? record->before.size : 0;

	return fixed_size(fields) + record->xattrs.size + before;
}

/* --- integers --- */

static void put(uint8_t **at, uint64_t value, int size)
{
	for (int i = 0; i < size; i++)
		*(*at)++ = (uint8_t)(value >> 8 * i);
}

static void put_bytes(uint8_t **at, struct dw_bytes bytes)
{
	put(at, bytes.size, 4);
	if (bytes.size)
		memcpy(*at, bytes.data, bytes.size);
	*at += bytes.size;
}

/* The unread rest of a record. */
struct rest {
	const uint8_t *at;
	size_t size;
	bool short_of; /* more was asked for than there is */
};

static uint64_t get(struct rest *rest, int size)
{
	uint64_t value = 0;

	if (rest->size < (size_t)size) {
		rest->short_of = true;
		return 0;
	}
	for (int i = 0; i < size; i++)
		value |= (uint64_t)rest->at[i] << 8 * i;
	rest->at += size;
	rest->size -= (size_t)size;
	return value;
}

static struct dw_bytes get_bytes(struct rest *rest)
{
	size_t size = (size_t)get(rest, 4);
	struct dw_bytes bytes = {rest->at, size};

	if (size > rest->size) {
		rest->short_of = true;
		return (struct dw_bytes){"", 0};
	}
	rest->at += size;
	rest->size -= size;
	return bytes;
}

/* --- records --- */

void attr_record_encode(const struct attr_record *record, uint8_t *ret)
{
	const struct attrs *a = &record->attrs;
	unsigned fields = fields_of(record);
	uint8_t *at = ret;

	put(&at, VERSION, 2);
	put(&at, fields, 2);
	if (fields & FIELD_MODE)
		put(&at, a->mode, 2);
	if (fields & FIELD_UID)
		put(&at, a->uid, 4);
	if (fields & FIELD_GID)
		put(&at, a->gid, 4);
	if (fields & FIELD_CTIME)
		put(&at, (uint64_t)a->ctime_ns, 8);
	if (fields & FIELD_TXID)
		put(&at, a->txid, 8);
	if (fields & FIELD_MTIME)
		put(&at, (uint64_t)a->mtime_ns, 8);
	if (fields & FIELD_ATIME)
		put(&at, (uint64_t)a->atime_ns, 8);
	if (fields & FIELD_XATTRS)
		put_bytes(&at, record->xattrs);
	if (fields & FIELD_SINCE) {
		put(&at, record->since, 8);
		put_bytes(&at, record->before);
	}
	assert((size_t)(at - ret) == attr_record_size(record));
}

static void get_fields(struct rest *rest, unsigned fields, struct attr_record *ret)
{
	struct attrs *a = &ret->attrs;

	for (size_t i = 0; i < FIELD_MAP; i++)
		if (fields & field_map[i].field)
			a->set |= field_map[i].bit;
	if (fields & FIELD_MODE)
		a->mode = (mode_t)get(rest, 2);
	if (fields & FIELD_UID)
		a->uid = (uid_t)get(rest, 4);
	if (fields & FIELD_GID)
		a->gid = (gid_t)get(rest, 4);
	if (fields & FIELD_CTIME)
		a->ctime_ns = (int64_t)get(rest, 8);
	if (fields & FIELD_TXID)
		a->txid = get(rest, 8);
	if (fields & FIELD_MTIME)
		a->mtime_ns = (int64_t)get(rest, 8);
	if (fields & FIELD_ATIME)
		a->atime_ns = (int64_t)get(rest, 8);
	if (fields & FIELD_XATTRS)
		ret->xattrs = get_bytes(rest);
	if (fields & FIELD_SINCE) {
		ret->since = get(rest, 8);
		ret->before = get_bytes(rest);
	}
}

/* `nested`: this is what counted before, and itself has nothing before it. */
static bool decode(struct dw_bytes bytes, bool nested, struct attr_record *ret)
{
	struct attr_record record = {.since = 0}, before;
	struct rest rest = {bytes.data, bytes.size, false};
	uint64_t version = get(&rest, 2);
	unsigned fields = (unsigned)get(&rest, 2);

	if (version != VERSION || fields & ~(unsigned)FIELDS)
		return false;
	get_fields(&rest, fields, &record);
	if (rest.short_of || rest.size || record.attrs.mode & ~(mode_t)MODE_MASK)
		return false;
	if (!(fields & FIELD_TXID) != !(fields & (FIELD_MTIME | FIELD_ATIME)))
		return false;
	if (fields & FIELD_XATTRS && (!record.xattrs.size || !xattrs_valid(record.xattrs)))
		return false;
	if (fields & FIELD_SINCE) {
		if (nested || !record.since || !decode(record.before, true, &before))
			return false;
	}
	*ret = record;
	return true;
}

bool attr_record_decode(struct dw_bytes bytes, struct attr_record *ret)
{
	return decode(bytes, false, ret);
}
