/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * fuzz_name.c - any bytes as a key's components and as a file name: there and back, and
 * against the rules of docs/FORMAT.md taken literally.
 *
 * The first byte: 1 flat layout, 2 no reserved name; the rest is the key.
 */
#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "fs/name/name.h"
#include "tests/fuzz/fuzz.h"

enum { FLAT = 1, UNRESERVED = 2 };

static bool is_hash(const char *p)
{
	return strlen(p) == 32 && strspn(p, "0123456789abcdef") == 32;
}

static bool starts_with(const struct buf *bytes, size_t at, const char *text)
{
	size_t size = strlen(text);

	return bytes->size - at >= size && !memcmp(bytes->data + at, text, size);
}

/* Rule 2: whether text that reads %00, %2500 ... starts here. */
static bool reads_escaped(const struct buf *bytes, size_t at, bool flat)
{
	if (!starts_with(bytes, at, "%"))
		return false;
	at++;
	while (starts_with(bytes, at, "25"))
		at += 2;
	return starts_with(bytes, at, "00") || (flat && starts_with(bytes, at, "2F"));
}

/* Rules 3 and 4: one of those, behind any number of %~. */
static bool wants_front(const struct buf *bytes, const char *reserved)
{
	size_t at = 0;

	while (starts_with(bytes, at, "%~"))
		at += 2;
	size_t left = bytes->size - at;
	return !left || (left == 1 && starts_with(bytes, at, ".")) ||
	       (left == 2 && starts_with(bytes, at, "..")) ||
	       (*reserved && left == strlen(reserved) && starts_with(bytes, at, reserved));
}

/* True: the name stands for this component alone. */
static bool naive_name(const struct buf *component, bool flat, const char *reserved,
		       struct buf *ret)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	char hex[3];

	if (wants_front(component, reserved))
		fuzz_add(ret, "%~", 2);
	for (size_t i = 0; i < component->size; i++) {
		if (!component->data[i])
			fuzz_add(ret, "%00", 3);
		else if (flat && component->data[i] == '/')
			fuzz_add(ret, "%2F", 3);
		else if (reads_escaped(component, i, flat))
			fuzz_add(ret, "%25", 3);
		else
			fuzz_add_byte(ret, component->data[i]);
	}
	fuzz_add_byte(ret, 0);
	ret->size--;
	if (ret->size < 255 || (ret->size == 255 && !(starts_with(ret, 221, "%~") &&
						      is_hash((const char *)ret->data + 223))))
		return true;
	FUZZ_CHECK(EVP_Digest(component->data, component->size, digest, NULL, EVP_sha256(), NULL));
	ret->size = 221;
	fuzz_add(ret, "%~", 2);
	for (int i = 0; i < 16; i++) {
		(void)snprintf(hex, sizeof hex, "%02x", digest[i]);
		fuzz_add(ret, hex, 2);
	}
	return false;
}

static void check_legal(const struct name_rules *rules, bool in_root, const struct name *name)
{
	FUZZ_CHECK(name->size && name->size <= NAME_SIZE_MAX && strlen(name->text) == name->size);
	FUZZ_CHECK(!strchr(name->text, '/'));
	FUZZ_CHECK(strcmp(name->text, ".") != 0 && strcmp(name->text, "..") != 0);
	FUZZ_CHECK(!in_root || !*rules->reserved || strcmp(name->text, rules->reserved) != 0);
}

static void check_component(const struct name_rules *rules, bool in_root, const uint8_t *data,
			    size_t size)
{
	struct name name, back;
	struct buf component = {0}, want = {0};

	fuzz_add(&component, data, size);
	bool told = name_encode(rules, in_root, data, size, &name);
	bool want_told = naive_name(&component, rules->flat, in_root ? rules->reserved : "", &want);
	check_legal(rules, in_root, &name);
	FUZZ_CHECK(told == want_told);
	FUZZ_CHECK(name.size == want.size && !memcmp(name.text, want.data, want.size));
	int rc = name_decode(rules, in_root, name.text, &back);
	FUZZ_CHECK(rc == (told ? 0 : -ENAMETOOLONG));
	FUZZ_CHECK(rc || (back.size == size && (!size || !memcmp(back.text, data, size))));
	buf_release(&component);
	buf_release(&want);
}

/* The same bytes as a name in a lookup. */
static void check_file_name(const struct name_rules *rules, bool in_root, const uint8_t *data,
			    size_t size)
{
	struct name text = {.size = size}, component, again;

	if (!size || size > NAME_SIZE_MAX || memchr(data, 0, size) || memchr(data, '/', size))
		return;
	memcpy(text.text, data, size);
	if (!strcmp(text.text, ".") || !strcmp(text.text, "..") ||
	    (in_root && !strcmp(text.text, rules->reserved)))
		return;
	int rc = name_decode(rules, in_root, text.text, &component);
	if (rc) {
		FUZZ_CHECK(rc == -ENAMETOOLONG && size == NAME_SIZE_MAX &&
			   is_hash(text.text + 223));
		return;
	}
	FUZZ_CHECK(component.size <= size);
	FUZZ_CHECK(rules->flat || !memchr(component.text, '/', component.size));
	FUZZ_CHECK(name_encode(rules, in_root, component.text, component.size, &again));
	FUZZ_CHECK(again.size == size && !memcmp(again.text, data, size));
}

const unsigned fuzz_runs = 8000;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = {data, size};
	uint8_t mode = fuzz_byte(&input);
	const struct name_rules rules = {mode & FLAT, mode & UNRESERVED ? "" : ".datawal"};
	bool in_root = true;

	while (!rules.flat && input.size) {
		const uint8_t *slash = memchr(input.data, '/', input.size);
		if (!slash)
			break;
		size_t n = (size_t)(slash - input.data);
		check_component(&rules, in_root, input.data, n);
		check_file_name(&rules, in_root, input.data, n);
		in_root = false;
		n++;
		(void)fuzz_bytes(&input, &n);
	}
	check_component(&rules, in_root, input.data, input.size);
	check_file_name(&rules, in_root, input.data, input.size);
	return 0;
}

bool fuzz_seed(size_t n, struct buf *ret)
{
	static const char *const keys[] = {
		"users/42",
		"foo%20bar 100%",
		"a//b",
		"/etc/hosts",
		"a/../b/./c",
		".datawal/x",
		"a/.datawal",
		"%~.",
		"%~%~..",
		"a%00b/%2500",
		"%252F%2F%25252F",
		"%",
		"%~.datawal",
	};
	enum { KEYS = sizeof keys / sizeof *keys, LONG = 8 };
	char text[512];

	if (n >= 4 * (KEYS + LONG))
		return false;
	fuzz_add_byte(ret, (uint8_t)(n % 4));
	n /= 4;
	if (n < KEYS) {
		fuzz_add(ret, keys[n], strlen(keys[n]));
		return true;
	}
	n -= KEYS;
	/* at and over what fits a name, also by escapes, also what looks cut short already */
	memset(text, n % 2 ? 'x' : 0, sizeof text);
	memcpy(text + 221, "%~0123456789abcdef0123456789abcdef", 34);
	fuzz_add(ret, text, n < 4 ? 253 + n : n < 6 ? 85 + n : 400);
	return true;
}
