/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * base64.c - see base64.h.  The work is OpenSSL's; it forgives what is
 * not allowed here (blanks around the text, padding anywhere), so that is checked first.
 */
#include "tools/common/base64.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* Whether the text is well formed; `*padding_ret` is how many `=` end it. */
static bool is_valid(const char *text, size_t size, size_t *padding_ret)
{
	const uint8_t *p = (const uint8_t *)text;
	bool known[256] = {false};
	size_t padding = 0, wrong = 0;

	if (size % 4 || size / 4 > BASE64_SIZE_MAX / 3)
		return false;
	while (padding < 2 && padding < size && p[size - 1 - padding] == '=')
		padding++;
	for (const char *c = alphabet; *c; c++)
		known[(uint8_t)*c] = true;
	for (size_t i = 0; i < size - padding; i++)
		wrong += !known[p[i]];
	if (wrong)
		return false;
	*padding_ret = padding;
	if (!padding)
		return true;
	/* bits that belong to no byte are zero: two with one `=`, four with two */
	ptrdiff_t last = strchr(alphabet, p[size - 1 - padding]) - alphabet;
	return !(last & ((1 << (2 * padding)) - 1));
}

int base64_decode(const char *text, size_t size, struct base64_bytes *ret)
{
	size_t padding;

	if (!is_valid(text, size, &padding))
		return -EINVAL;
	uint8_t *data = malloc(size / 4 * 3 + 1);
	if (!data)
		return -ENOMEM;
	if (size && EVP_DecodeBlock(data, (const uint8_t *)text, (int)size) < 0) {
		free(data);
		return -EINVAL;
	}
	*ret = (struct base64_bytes){data, size / 4 * 3 - padding};
	return 0;
}

char *base64_encode(const void *data, size_t size)
{
	if (size > BASE64_SIZE_MAX)
		return NULL;
	char *text = malloc((size + 2) / 3 * 4 + 1);
	if (!text)
		return NULL;
	text[0] = '\0';
	if (size)
		(void)EVP_EncodeBlock((uint8_t *)text, data, (int)size); /* cannot fail */
	return text;
}
