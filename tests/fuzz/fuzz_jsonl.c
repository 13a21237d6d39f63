/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * fuzz_jsonl.c - lines of an export.  The first byte decides: the rest is a file of lines
 * that the command line reads; or a key and a value that are exported and read back.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "codec/jsonl.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/naive.h"
#include "tools/cli/jsonl.h"
#include "tools/common/base64.h"

/* Drop the message; the caller gets the result only. */
int fail(const struct args *args, int status, const char *format, ...)
{
	char text[1024];
	va_list list;

	(void)args;
	va_start(list, format);
	int size = vsnprintf(text, sizeof text, format, list);
	va_end(list);
	FUZZ_CHECK(size >= 0);
	return status;
}

/* The line of the export, the value in pieces of `piece` bytes. */
static struct buf line_of(struct dw_bytes key, struct dw_bytes value, size_t piece)
{
	struct buf line = {0};
	size_t n;

	FUZZ_CHECK(!jsonl_add_key(&line, key));
	for (size_t at = 0; at < value.size; at += n) {
		n = value.size - at < piece ? value.size - at : piece;
		FUZZ_CHECK(!jsonl_add_value(&line, (const uint8_t *)value.data + at, n));
	}
	FUZZ_CHECK(!jsonl_add_end(&line));
	return line;
}

static struct jsonl open_lines(const uint8_t *data, size_t size)
{
	struct jsonl lines = {.name = "input"};

	lines.file = size ? fmemopen((void *)data, size, "r") : fopen("/dev/null", "re");
	FUZZ_CHECK(lines.file);
	return lines;
}

/* Key and value of an object: false if it has none. */
static bool parse(struct jsonl *lines, struct dw_bytes *key, struct dw_bytes *value)
{
	json_t *object = NULL;

	if (jsonl_parse(lines, &object) < 0)
		return false;
	bool good = !jsonl_base64(lines, object, "key_b64", false, key);
	if (good && jsonl_base64(lines, object, "value_b64", true, value) < 0) {
		free((void *)key->data);
		good = false;
	}
	json_decref(object);
	return good;
}

/* Any line that is taken means what its export means. */
static void fuzz_lines(const uint8_t *data, size_t size)
{
	struct jsonl lines = open_lines(data, size), again;
	struct dw_bytes key, value, key_again, value_again;

	while (jsonl_next(&lines) == 1) {
		if (!parse(&lines, &key, &value))
			continue;
		struct buf line = line_of(key, value, JSONL_PIECE * 5);
		again = open_lines(line.data, line.size);
		FUZZ_CHECK(jsonl_next(&again) == 1 && parse(&again, &key_again, &value_again));
		FUZZ_CHECK(naive_same(key, key_again) && naive_same(value, value_again));
		FUZZ_CHECK(!jsonl_next(&again));
		jsonl_release(&again);
		buf_release(&line);
		free((void *)key.data);
		free((void *)value.data);
		free((void *)key_again.data);
		free((void *)value_again.data);
	}
	jsonl_release(&lines);
}

/* RFC 4648 by hand. */
static char *naive_base64(struct dw_bytes bytes)
{
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const uint8_t *p = bytes.data;
	char *text = calloc(1, bytes.size * 2 + 8), *at = text;

	FUZZ_CHECK(text);
	for (size_t i = 0; i < bytes.size; i += 3) {
		uint32_t v = 0;
		for (size_t j = i; j < i + 3; j++)
			v = v << 8 | (j < bytes.size ? p[j] : 0u);
		for (int j = 0; j < 4; j++)
			*at++ = j <= (int)(bytes.size - i) ? alphabet[v >> (18 - 6 * j) & 63] : '=';
	}
	return text;
}

static void fuzz_bytes_there_and_back(struct fuzz_input *input)
{
	size_t piece = JSONL_PIECE * (1u + fuzz_byte(input)), key_size = fuzz_byte(input);
	const uint8_t *p = fuzz_bytes(input, &key_size);
	struct dw_bytes key = {p, key_size}, value = {input->data, input->size}, got[2];
	struct buf line = line_of(key, value, piece), want = {0};
	char *texts[2] = {naive_base64(key), naive_base64(value)};

	fuzz_add(&want, "{\"key_b64\":\"", 12);
	fuzz_add(&want, texts[0], strlen(texts[0]));
	fuzz_add(&want, "\",\"value_b64\":\"", 15);
	fuzz_add(&want, texts[1], strlen(texts[1]));
	fuzz_add(&want, "\"}\n", 3);
	FUZZ_CHECK(want.size == line.size && !memcmp(want.data, line.data, want.size));
	struct jsonl lines = open_lines(line.data, line.size);
	FUZZ_CHECK(jsonl_next(&lines) == 1 && parse(&lines, &got[0], &got[1]));
	FUZZ_CHECK(naive_same(got[0], key) && naive_same(got[1], value));
	jsonl_release(&lines);
	buf_release(&line);
	buf_release(&want);
	for (int i = 0; i < 2; i++) {
		free((void *)got[i].data);
		free(texts[i]);
	}
}

/* The decoder takes what the encoder gives and nothing else. */
static void fuzz_base64(const uint8_t *data, size_t size)
{
	struct base64_bytes bytes;

	if (base64_decode((const char *)data, size, &bytes))
		return;
	char *text = naive_base64((struct dw_bytes){bytes.data, bytes.size});
	FUZZ_CHECK(strlen(text) == size && (!size || !memcmp(text, data, size)));
	free(text);
	free(bytes.data);
}

const unsigned fuzz_runs = 8000;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = {data, size};

	switch (fuzz_byte(&input) % 3) {
	case 0: fuzz_lines(input.data, input.size); break;
	case 1: fuzz_bytes_there_and_back(&input); break;
	default: fuzz_base64(input.data, input.size);
	}
	return 0;
}

bool fuzz_seed(size_t n, struct buf *ret)
{
	static const char *const seeds[] = {
		"\0{\"key_b64\":\"a2V5\",\"value_b64\":\"dmFsdWU=\"}\n",
		"\0{\"key_b64\":\"\"}\n\n \t\n{\"value_b64\":\"QQ==\",\"key_b64\":\"QUI=\"}",
		"\0{\"key_b64\":\"a2V5\",\"key_b64\":\"a2V5\"}\n[1]\n\"\\u0000\"\n",
		"\0{\"key_b64\":\"\\u0041\\/==\",\"value_b64\":null,\"more\":[{}, 1e9]}\r\n",
		"\1\2\3keyvalue and more of it",
		"\1\0\0",
		"\2QUJD",
		"\2QQ==",
	};

	if (n >= sizeof seeds / sizeof *seeds)
		return false;
	fuzz_add(ret, seeds[n], 1 + strlen(seeds[n] + 1));
	return true;
}
