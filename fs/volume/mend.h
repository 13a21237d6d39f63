/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * mend.h - records of attributes that a crash left behind.
 *
 * `names` is held, and no other thread uses the key.
 */
#ifndef FS_VOLUME_MEND_H
#define FS_VOLUME_MEND_H

#include "fs/volume/core.h"

/* Read the attributes set on a key; *ret NULL: none.  The caller frees.  A record for a value that
 * a crash took is written anew, where that is possible. 0; -EBADMSG: the record cannot be read; or
 * another -errno. */
int mend_read(struct volume *volume, bool is_dir, struct dw_bytes key, struct attrs **ret);

#endif
