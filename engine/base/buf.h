/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * buf.h - a byte buffer that grows.  `{0}` is an empty one; no call aborts.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stddef.h>
#include <stdint.h>

struct buf {
	uint8_t *data;   /* owned; NULL while capacity is 0 */
	size_t size;     /* bytes in use */
	size_t capacity; /* bytes allocated */
};

/* Make room for `extra` bytes behind `size`.  0 or -ENOMEM (buffer unchanged). */
int buf_reserve(struct buf *buf, size_t extra);

/* Append bytes.  0 or -ENOMEM (buffer unchanged). */
int buf_add(struct buf *buf, const void *data, size_t size);

/* Free the bytes and become `{0}` again. */
void buf_release(struct buf *buf);

#endif
