/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * attrrecord.h - the attributes of one key as they are kept, bytes <-> struct
 * (docs/FORMAT.md).
 *
 * Pure: no I/O, no allocation, no casts onto structs.  Attributes and value stand in
 * two logs, and a crash may come between the two appends.  So where a value is
 * replaced by one with other attributes, the record keeps both: those of values from
 * txid `since` on, and those before.
 */
#ifndef FS_ATTR_ATTRRECORD_H
#define FS_ATTR_ATTRRECORD_H

#include "datawal.h"
#include "fs/attr/attr.h"

struct attr_record {
	struct attrs attrs;     /* without xattrs; txid only with mtime or atime */
	struct dw_bytes xattrs; /* entries of fs/attr/xattr.h; none: none */
	uint64_t since;         /* 0: whatever the value */
	struct dw_bytes before; /* with `since`: the record for older values */
};

/* Bytes that attr_record_encode() writes. */
size_t attr_record_size(const struct attr_record *record);
void attr_record_encode(const struct attr_record *record, uint8_t *ret);

/* Decode a record; pointers in `ret` lead into `bytes`.  False: they are no valid record; `*ret` is
 * untouched. */
bool attr_record_decode(struct dw_bytes bytes, struct attr_record *ret);

#endif
