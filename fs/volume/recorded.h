/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * recorded.h - attributes as the attribute journal has them.
 */
#ifndef FS_VOLUME_RECORDED_H
#define FS_VOLUME_RECORDED_H

#include "fs/attr/attrrecord.h"
#include "fs/volume/core.h"

/* Which of two records counts: `*record` becomes the one before, if the value is older than the
 * newer one.  True: no other one can count any more, and it can be written so. */
bool recorded_choose(struct volume *volume, struct dw_bytes key, struct attr_record *record);

/* Attributes of their own.  0 or -ENOMEM. */
int recorded_attrs(const struct attr_record *record, bool is_dir, struct attrs **ret);

/* What is kept for one file's value as the log has it; *ret NULL: nothing.  The caller frees.
 * -EBADMSG: the record cannot be read; or another -errno. */
int attr_read_one(struct volume *volume, struct dw_bytes key, struct attrs **ret);
/* Only the extended ones, of a file or directory that has some.  0; -EBADMSG: they cannot be
 * read; or another -errno. */
struct xattrs;
int attr_read_xattrs(struct volume *volume, bool is_dir, struct dw_bytes key, struct xattrs **ret);

#endif
