/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * crc32c.c - see crc32c.h.  ISA-L leaves both inversions to its caller and
 * takes an int for a size, hence the loop.
 */
#include "base/crc32c.h"

#include <isa-l/crc.h>

enum { STEP = 1 << 30 };

uint32_t crc32c(uint32_t crc, const void *data, size_t size)
{
	const unsigned char *p = data;

	crc = ~crc;
	while (size) {
		size_t n = size < STEP ? size : STEP;
		/* the parameter lacks a const; the bytes are only read */
		crc = crc32_iscsi((unsigned char *)p, (int)n, crc);
		p += n;
		size -= n;
	}
	return ~crc;
}
