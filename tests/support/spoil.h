/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * spoil.h - kinds of damage.
 */
#ifndef SUPPORT_SPOIL_H
#define SUPPORT_SPOIL_H

#include "base/buf.h"

/* One kind each, to the record of a Put with a value of at least two bytes that stands at `at` in
 * the bytes of a segment. */
typedef void spoil_fn(struct buf *buf, size_t at);

spoil_fn spoil_crc, spoil_magic, spoil_version, spoil_type, spoil_flags, spoil_key_size;

/* A bit of each page of each run of the store in `dir`, but for those that opening reads. */
void spoil_runs(const char *dir);

#endif
