/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * life.h - making a volume, and freeing it.
 */
#ifndef FS_VOLUME_LIFE_H
#define FS_VOLUME_LIFE_H

#include "fs/volume/core.h"

/* An empty volume, without stores; and free what volume_close() does not. */
int volume_new(const struct volume_options *options, struct volume **ret);
void volume_free(struct volume *volume);

#endif
