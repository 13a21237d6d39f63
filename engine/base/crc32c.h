/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * crc32c.h - CRC-32C (Castagnoli), the checksum of every record.
 *
 * The polynomial is that of RFC 3720, appendix B.4; the work is done by ISA-L.
 */
#ifndef BASE_CRC32C_H
#define BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Continue `crc` (0 to start) over `size` bytes.  Any thread. */
uint32_t crc32c(uint32_t crc, const void *data, size_t size);

#endif
