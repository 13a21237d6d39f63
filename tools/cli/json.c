/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * json.c - the lines of --json, schema datawal.cli.v1.
 *
 * Written as they come: fields keep their order, a value of any size passes through in
 * pieces, and a txid keeps all of its 64 bits, which jansson's integers have not.
 */
#include <inttypes.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "tools/cli/tool.h"

enum { PIECE = 3 << 10 };

void json_begin(const char *kind)
{
	printf("{\"schema\":\"datawal.cli.v1\",\"kind\":\"%s\"", kind);
}

void json_u64(const char *name, uint64_t value)
{
	printf(",\"%s\":%" PRIu64, name, value);
}

void json_i64(const char *name, int64_t value)
{
	printf(",\"%s\":%" PRId64, name, value);
}

void json_flag(const char *name, bool value)
{
	printf(",\"%s\":%s", name, value ? "true" : "false");
}

/* Bytes that are no UTF-8 become question marks: JSON has no place for them. */
static json_t *string_of(const char *text)
{
	json_t *string = json_string(text);

	if (string)
		return string;
	char *ascii = strdup(text);
	for (char *p = ascii; p && *p; p++)
		if (*p & 0x80)
			*p = '?';
	string = ascii ? json_string(ascii) : NULL;
	free(ascii);
	return string;
}

void json_text(const char *name, const char *text)
{
	json_t *string = text ? string_of(text) : json_null();
	char *dumped = string ? json_dumps(string, JSON_ENCODE_ANY) : NULL;

	printf(",\"%s\":%s", name, dumped ? dumped : "null");
	free(dumped);
	json_decref(string);
}

void json_base64_begin(const char *name)
{
	printf(",\"%s\":\"", name);
}

void json_base64_piece(const void *data, size_t size)
{
	uint8_t text[PIECE / 3 * 4 + 1];
	const uint8_t *p = data;

	for (size_t n; size; size -= n, p += n) {
		n = size < PIECE ? size : PIECE;
		int length = EVP_EncodeBlock(text, p, (int)n);
		(void)fwrite(text, 1, (size_t)length, stdout); /* main() looks at ferror() */
	}
}

void json_base64_end(void)
{
	(void)fputc('"', stdout); /* main() looks at ferror() */
}

void json_base64(const char *name, struct dw_bytes bytes)
{
	json_base64_begin(name);
	json_base64_piece(bytes.data, bytes.size);
	json_base64_end();
}

void json_end(void)
{
	puts("}");
}
