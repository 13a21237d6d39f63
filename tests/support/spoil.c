/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * spoil.c - see spoil.h; the offsets are those of docs/FORMAT.md.
 */
#include "tests/support/spoil.h"

#include "base/bytes.h"
#include "datawal.h"

void spoil_crc(struct buf *buf, size_t at)
{
	buf->data[at + 28] ^= 0x40;
}

void spoil_magic(struct buf *buf, size_t at)
{
	buf->data[at] = 'd';
}

void spoil_version(struct buf *buf, size_t at)
{
	buf->data[at + 4] = 9;
}

void spoil_type(struct buf *buf, size_t at)
{
	buf->data[at + 6] = 3;
}

void spoil_flags(struct buf *buf, size_t at)
{
	buf->data[at + 7] = 1;
}

void spoil_key_size(struct buf *buf, size_t at)
{
	bytes_put32(buf->data + at + 16, DW_KEY_SIZE_MAX + 1);
}
