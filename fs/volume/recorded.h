/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * recorded.h - attributes as the attribute journal has them.
 *
 * `names` is held, and no other thread uses the key.
 */
#ifndef FS_VOLUME_RECORDED_H
#define FS_VOLUME_RECORDED_H

#include "fs/attr/attrrecord.h"
#include "fs/volume/core.h"

/* The attributes valid for the value that `key` has in the log; *ret NULL: nothing was set.  The
 * caller frees.  `stale`: a crash took the value that the record was written for, so the record
 * must be written anew before the key gets another value (fs/volume/mend.h). 0; -EBADMSG: the
 * record cannot be read; or another -errno. */
int recorded_read(struct volume *volume, bool is_dir, struct dw_bytes key, struct attrs **ret,
		  bool *stale_ret);

/* Only the extended ones, of a key that has some.  0; -EBADMSG: they cannot be read; or another
 * -errno. */
struct xattrs;
int recorded_read_xattrs(struct volume *volume, bool is_dir, struct dw_bytes key,
			 struct xattrs **ret);

#endif
