/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * buf.c - see buf.h.  Capacity doubles, so that n appends cost O(n).
 */
#include "base/buf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int buf_reserve(struct buf *buf, size_t extra)
{
	if (extra > SIZE_MAX / 2 - buf->size)
		return -ENOMEM;
	size_t need = buf->size + extra;
	if (need <= buf->capacity)
		return 0;
	size_t capacity = buf->capacity ? buf->capacity : 256;
	while (capacity < need)
		capacity *= 2;
	uint8_t *data = realloc(buf->data, capacity);
	if (!data)
		return -ENOMEM;
	buf->data = data;
	buf->capacity = capacity;
	return 0;
}

int buf_add(struct buf *buf, const void *data, size_t size)
{
	int rc = buf_reserve(buf, size);
	if (rc < 0)
		return rc;
	if (size)
		memcpy(buf->data + buf->size, data, size);
	buf->size += size;
	return 0;
}

void buf_release(struct buf *buf)
{
	free(buf->data);
	*buf = (struct buf){0};
}
