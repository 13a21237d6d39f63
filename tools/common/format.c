/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * format.c - see format.h.
 */
#include "tools/common/format.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/common/base64.h"

static const char ellipsis[] = "...";

bool format_mode_parse(const char *text, enum format_mode *ret)
{
	static const struct {
		const char *name;
		enum format_mode mode;
	} modes[] = {
		{"auto", FORMAT_AUTO},  {"raw", FORMAT_RAW}, {"base64", FORMAT_BASE64},
		{"b64", FORMAT_BASE64}, {"hex", FORMAT_HEX},
	};

	for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
		if (strcmp(text, modes[i].name))
			continue;
		*ret = modes[i].mode;
		return true;
	}
	return false;
}

bool format_is_printable(struct dw_bytes bytes)
{
	const uint8_t *p = bytes.data;

	for (size_t i = 0; i < bytes.size; i++)
		if ((p[i] < 0x20 || p[i] > 0x7e) && p[i] != '\t')
			return false;
	return true;
}

static struct dw_bytes head_of(struct dw_bytes bytes, size_t cut)
{
	return (struct dw_bytes){bytes.data, cut && bytes.size > cut ? cut : bytes.size};
}

static char *hex_of(struct dw_bytes bytes)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *p = bytes.data;
	char *text = malloc(2 * bytes.size + 1);

	if (!text)
		return NULL;
	for (size_t i = 0; i < bytes.size; i++) {
		text[2 * i] = digits[p[i] >> 4];
		text[2 * i + 1] = digits[p[i] & 15];
	}
	text[2 * bytes.size] = '\0';
	return text;
}

/* Printable bytes as a string. */
static char *literal_of(struct dw_bytes bytes)
{
	char *text = malloc(bytes.size + 1);

	if (!text)
		return NULL;
	if (bytes.size)
		memcpy(text, bytes.data, bytes.size);
	text[bytes.size] = '\0';
	return text;
}

static bool needs_quotes(const char *text)
{
	size_t size = strlen(text);

	return !size || strpbrk(text, " \t\"\\") || !strncmp(text, "b64:", 4) ||
	       !strncmp(text, "hex:", 4) || (size >= 3 && !strcmp(text + size - 3, ellipsis));
}

/* In quotes if need be; `text` is taken over. */
static char *quoted(char *text)
{
	if (!text || !needs_quotes(text))
		return text;
	char *quotes = malloc(2 * strlen(text) + 3), *to = quotes;
	if (quotes) {
		*to++ = '"';
		for (const char *p = text; *p; p++) {
			if (*p == '"' || *p == '\\' || *p == '\t')
				*to++ = '\\';
			*to++ = *p == '\t' ? 't' : *p;
		}
		*to++ = '"';
		*to = '\0';
	}
	free(text);
	return quotes;
}

/* prefix, body, and the mark if something was cut; `body` is taken over. */
static char *compose(const char *prefix, char *body, bool was_cut)
{
	char *text = NULL;

	if (!body)
		return NULL;
	if (!*prefix && !was_cut)
		return body;
	if (asprintf(&text, "%s%s%s", prefix, body, was_cut ? ellipsis : "") < 0)
		text = NULL;
	free(body);
	return text;
}

char *format_bytes(struct dw_bytes bytes, enum format_mode mode, size_t cut)
{
	struct dw_bytes head = head_of(bytes, cut);
	bool was_cut = head.size < bytes.size;

	if (mode == FORMAT_HEX)
		return compose("hex:", hex_of(head), was_cut);
	if (mode == FORMAT_BASE64 || !format_is_printable(bytes))
		return compose("b64:", base64_encode(head.data, head.size), was_cut);
	return compose("", quoted(literal_of(head)), was_cut);
}

char *format_value(struct dw_bytes bytes, enum format_mode mode, size_t cut)
{
	struct dw_bytes head = head_of(bytes, cut);
	char *body = mode == FORMAT_HEX      ? hex_of(head)
		     : mode == FORMAT_BASE64 ? base64_encode(head.data, head.size)
					     : literal_of(head);

	return compose("", body, head.size < bytes.size);
}

void format_size(uint64_t size, char ret[FORMAT_SIZE])
{
	static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	size_t unit = 0;

	if (size < 1024) {
		(void)snprintf(ret, FORMAT_SIZE, "%" PRIu64 " B", size); /* cannot be cut */
		return;
	}
	while (size >> (10 * (unit + 2)) && unit + 1 < sizeof units / sizeof *units)
		unit++;
	double n = (double)size / (double)(1ull << (10 * (unit + 1)));
	(void)snprintf(ret, FORMAT_SIZE, "%.1f %s", n, units[unit]); /* cannot be cut */
}

void format_duration(uint64_t seconds, char ret[FORMAT_SIZE])
{
	uint64_t hours = seconds / 3600;
	unsigned minutes = (unsigned)(seconds / 60 % 60), rest = (unsigned)(seconds % 60);

	/* only times over a billion hours are cut */
	if (hours)
		(void)snprintf(ret, FORMAT_SIZE, "%" PRIu64 ":%02u:%02u", hours, minutes, rest);
	else
		(void)snprintf(ret, FORMAT_SIZE, "%u:%02u", minutes, rest);
}
