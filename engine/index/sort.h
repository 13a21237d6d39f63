/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * sort.h - putting the entries of a delta into byte order of their keys.
 */
#ifndef INDEX_SORT_H
#define INDEX_SORT_H

#include "index/delta.h"

/* 0 or -ENOMEM. */
int sort_items(const struct keydir *keydir, struct delta_item *items, size_t count);

#endif
