/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * base64.h - standard base64 (RFC 4648, section 4), strictly.
 *
 * Each text decodes to the one input that encodes to it, or to none: the alphabet with
 * `+` and `/`, padded with `=`, no blanks or line feeds, no bits left over.
 */
#ifndef TOOLS_COMMON_BASE64_H
#define TOOLS_COMMON_BASE64_H

#include <stddef.h>
#include <stdint.h>

struct base64_bytes {
	uint8_t *data; /* owned by the caller: free(3); never NULL after success */
	size_t size;
};

/* Decode the `size` characters of `text`.  0, -EINVAL: no standard base64; -ENOMEM;
 * `*ret` is untouched on failure.  Any thread. */
int base64_decode(const char *text, size_t size, struct base64_bytes *ret);

/* Encode; the text is ended by a NUL and the caller's.  NULL: no memory, or more than
 * BASE64_SIZE_MAX bytes.  Any thread. */
char *base64_encode(const void *data, size_t size);

#define BASE64_SIZE_MAX (1u << 30)

#endif
