/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * jsonl.c - see jsonl.h.  Base64 is OpenSSL's.
 */
#include "codec/jsonl.h"

#include <assert.h>
#include <openssl/evp.h>
#include <string.h>

/* The text around key and value. */
static const char before_key[] = "{\"key_b64\":\"", before_value[] = "\",\"value_b64\":\"",
		  behind[] = "\"}\n";

static size_t base64_size(size_t size)
{
	return (size + 2) / 3 * 4;
}

/* Put something behind the buffer's bytes, where there is room for it. */
static void put_text(struct buf *buf, const char *text, size_t size)
{
	memcpy(buf->data + buf->size, text, size);
	buf->size += size;
}

static void put_base64(struct buf *buf, const void *data, size_t size)
{
	assert(size <= DW_VALUE_SIZE_MAX); /* EVP_EncodeBlock takes an int */
	if (size)
		buf->size += (size_t)EVP_EncodeBlock(buf->data + buf->size, data, (int)size);
}

/* One byte more: EVP_EncodeBlock closes with a NUL. */
static int reserve(struct buf *buf, size_t size)
{
	return buf_reserve(buf, size + 1);
}

int jsonl_add_key(struct buf *buf, struct dw_bytes key)
{
	int rc = reserve(buf, sizeof before_key + base64_size(key.size) + sizeof before_value);

	if (rc < 0)
		return rc;
	put_text(buf, before_key, sizeof before_key - 1);
	put_base64(buf, key.data, key.size);
	put_text(buf, before_value, sizeof before_value - 1);
	return 0;
}

int jsonl_add_value(struct buf *buf, const void *data, size_t size)
{
	int rc = reserve(buf, base64_size(size));

	if (!rc)
		put_base64(buf, data, size);
	return rc;
}

int jsonl_add_end(struct buf *buf)
{
	int rc = reserve(buf, sizeof behind);

	if (!rc)
		put_text(buf, behind, sizeof behind - 1);
	return rc;
}

int jsonl_add_line(struct buf *buf, struct dw_bytes key, struct dw_bytes value)
{
	/* room for all of it, so that the parts ask for none */
	int rc = reserve(buf, sizeof before_key + base64_size(key.size) + sizeof before_value +
				      base64_size(value.size) + sizeof behind);

	if (rc < 0)
		return rc;
	put_text(buf, before_key, sizeof before_key - 1);
	put_base64(buf, key.data, key.size);
	put_text(buf, before_value, sizeof before_value - 1);
	put_base64(buf, value.data, value.size);
	put_text(buf, behind, sizeof behind - 1);
	return 0;
}
