/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * jsonl.c - see jsonl.h.  Base64 is OpenSSL's.
 */
#include "codec/jsonl.h"

#include <assert.h>
#include <openssl/evp.h>
#include <string.h>

static int add_text(struct buf *buf, const char *text)
{
	return buf_add(buf, text, strlen(text));
}

static int add_base64(struct buf *buf, const void *data, size_t size)
{
	assert(size <= DW_VALUE_SIZE_MAX); /* EVP_EncodeBlock takes an int */
	/* one byte more: EVP_EncodeBlock closes with a NUL */
	int rc = buf_reserve(buf, (size + 2) / 3 * 4 + 1);
	if (rc < 0)
		return rc;
	if (size)
		buf->size += (size_t)EVP_EncodeBlock(buf->data + buf->size, data, (int)size);
	return 0;
}

int jsonl_add_key(struct buf *buf, struct dw_bytes key)
{
	int rc = add_text(buf, "{\"key_b64\":\"");

	if (!rc)
		rc = add_base64(buf, key.data, key.size);
	if (!rc)
		rc = add_text(buf, "\",\"value_b64\":\"");
	return rc;
}

int jsonl_add_value(struct buf *buf, const void *data, size_t size)
{
	return add_base64(buf, data, size);
}

int jsonl_add_end(struct buf *buf)
{
	return add_text(buf, "\"}\n");
}
