/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * exchange.h - two files that exchange their names.
 */
#ifndef FS_VOLUME_EXCHANGE_H
#define FS_VOLUME_EXCHANGE_H

#include "fs/volume/core.h"

/* Give two files each other's name.  `names` is held for writing, and both nodes' locks. */
int volume_exchange(struct volume *volume, struct node *a, struct node *b);

#endif
