/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * name.c - see name.h.
 */
#include "fs/name/name.h"

#include <assert.h>
#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

enum { HASH_BYTES = 16, ABBREVIATION = 2 + 2 * HASH_BYTES, KEPT = NAME_SIZE_MAX - ABBREVIATION };

/* Bytes being put together; counts on beyond what a name holds. */
struct out {
	size_t size;
	char text[NAME_SIZE_MAX];
};

static void add(struct out *out, const void *bytes, size_t size)
{
	size_t room = out->size < NAME_SIZE_MAX ? NAME_SIZE_MAX - out->size : 0;

	if (size && room)
		memcpy(out->text + out->size, bytes, size < room ? size : room);
	out->size += size;
}

/* Length of `%(25)*00` (or `..2F`) at the front of `p`; 0: it reads otherwise. */
static size_t escape_size(const struct name_rules *rules, const char *p, size_t size)
{
	size_t at = 1;

	if (!size || p[0] != '%')
		return 0;
	while (at + 2 <= size && p[at] == '2' && p[at + 1] == '5')
		at += 2;
	if (at + 2 > size)
		return 0;
	bool nul = p[at] == '0' && p[at + 1] == '0';
	bool slash = rules->flat && p[at] == '2' && p[at + 1] == 'F';
	return nul || slash ? at + 2 : 0;
}

/* Whether a component, after any number of `%~`, is no legal file name. */
static bool needs_prefix(const struct name_rules *rules, bool in_root, const char *p, size_t size)
{
	while (size >= 2 && p[0] == '%' && p[1] == '~') {
		p += 2;
		size -= 2;
	}
	if (!size || (size == 1 && p[0] == '.') || (size == 2 && p[0] == '.' && p[1] == '.'))
		return true;
	return in_root && *rules->reserved && size == strlen(rules->reserved) &&
	       !memcmp(p, rules->reserved, size);
}

/* `name` need not end with a NUL. */
static bool is_abbreviation(const char *name, size_t size)
{
	if (size != NAME_SIZE_MAX || name[KEPT] != '%' || name[KEPT + 1] != '~')
		return false;
	for (size_t i = KEPT + 2; i < NAME_SIZE_MAX; i++)
		if (!memchr("0123456789abcdef", name[i], 16))
			return false;
	return true;
}

/* Whether one of the eight is `byte` ("Bit Twiddling Hacks", haszero). */
static bool has_byte(uint64_t eight, uint8_t byte)
{
	const uint64_t ones = UINT64_MAX / 255;

	eight ^= ones * byte;
	return (eight - ones) & ~eight & ones << 7;
}

/* How many bytes stay as they are, whatever follows.  Eight at a time: every key passes here
 * when a store is mounted. */
static size_t plain_size(const char *p, size_t size)
{
	uint64_t eight;
	size_t n = 0;

	for (; size - n >= sizeof eight; n += sizeof eight) {
		memcpy(&eight, p + n, sizeof eight);
		if (has_byte(eight, 0) || has_byte(eight, '%') || has_byte(eight, '/'))
			break;
	}
	while (n < size && p[n] && p[n] != '%' && p[n] != '/')
		n++;
	return n;
}

static void escape(const struct name_rules *rules, const char *p, size_t size, struct out *out)
{
	size_t plain = plain_size(p, size);

	add(out, p, plain);
	for (size_t i = plain; i < size; i++) {
		if (!p[i])
			add(out, "%00", 3);
		else if (rules->flat && p[i] == '/')
			add(out, "%2F", 3);
		else if (escape_size(rules, p + i, size - i))
			add(out, "%25", 3);
		else
			add(out, p + i, 1);
	}
}

void name_abbreviate(const void *shown, size_t shown_size, const void *component, size_t size,
		     struct name *ret)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	size_t kept = shown_size < KEPT ? shown_size : KEPT;
	char *at = ret->text;

	/* fails only for an unknown digest or without memory for its few bytes */
	int done = EVP_Digest(component, size, digest, NULL, EVP_sha256(), NULL);
	assert(done);
	(void)done;
	memcpy(at, shown, kept);
	memset(at + kept, '_', KEPT - kept); /* the form has one length */
	at += KEPT;
	at += sprintf(at, "%%~");
	for (int i = 0; i < HASH_BYTES; i++)
		at += sprintf(at, "%02x", digest[i]);
	ret->size = (size_t)(at - ret->text);
	assert(ret->size == NAME_SIZE_MAX);
}

bool name_encode(const struct name_rules *rules, bool in_root, const void *component, size_t size,
		 struct name *ret)
{
	struct out out;

	out.size = 0; /* the rest is not looked at before it is written */
	if (needs_prefix(rules, in_root, component, size))
		add(&out, "%~", 2);
	escape(rules, component, size, &out);
	if (out.size > NAME_SIZE_MAX || is_abbreviation(out.text, out.size)) {
		size_t there = out.size < NAME_SIZE_MAX ? out.size : NAME_SIZE_MAX;
		name_abbreviate(out.text, there, component, size, ret);
		return false;
	}
	memcpy(ret->text, out.text, out.size);
	ret->text[out.size] = '\0';
	ret->size = out.size;
	return true;
}

int name_decode(const struct name_rules *rules, bool in_root, const char *text,
		struct name *component_ret)
{
	size_t size = strlen(text);
	struct out out = {0};

	if (size > NAME_SIZE_MAX || is_abbreviation(text, size))
		return -ENAMETOOLONG;
	if (text[0] == '%' && text[1] == '~' && needs_prefix(rules, in_root, text, size)) {
		text += 2;
		size -= 2;
	}
	for (size_t i = 0; i < size;) {
		size_t escaped = escape_size(rules, text + i, size - i);
		if (escaped == 3) {
			add(&out, text[i + 1] == '0' ? "" : "/", 1);
			i += 3;
		} else if (escaped) {
			add(&out, "%", 1); /* and its first 25 is left out */
			i += 3;
		} else {
			add(&out, text + i, 1);
			i++;
		}
	}
	memcpy(component_ret->text, out.text, out.size);
	component_ret->text[out.size] = '\0';
	component_ret->size = out.size;
	return 0;
}
