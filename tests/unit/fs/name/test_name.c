/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_name.c - components of keys and file names: examples of each rule, and that
 * the mapping is one to one, exhaustively for short strings and at random for others.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/name/name.h"
#include "tests/support/check.h"

#define RESERVED ".datawal"

enum { KEPT = 221, HEX = 32, RULES = 4 };

static struct name_rules rules_of(bool flat)
{
	return (struct name_rules){flat, RESERVED};
}

/* --- examples --- */

enum where { ANYWHERE, IN_ROOT, BELOW, IN_TREE, IN_FLAT };

struct example {
	enum where where;
	size_t size;
	const char *component, *name;
};

#define EXAMPLE(where, component, name)                                                            \
	{                                                                                          \
		where, sizeof(component) - 1, component, name                                      \
	}

static const struct example examples[] = {
	/* legal names are themselves */
	EXAMPLE(ANYWHERE, "a", "a"),
	EXAMPLE(ANYWHERE, "foo%20bar", "foo%20bar"),
	EXAMPLE(ANYWHERE, "100%", "100%"),
	EXAMPLE(ANYWHERE, "%0", "%0"),
	EXAMPLE(ANYWHERE, "%25", "%25"),
	EXAMPLE(ANYWHERE, "%2500%", "%252500%"),
	EXAMPLE(ANYWHERE, "...", "..."),
	EXAMPLE(ANYWHERE, " ", " "),
	EXAMPLE(ANYWHERE, "\n\\\"'*?\xff\x80", "\n\\\"'*?\xff\x80"),
	EXAMPLE(ANYWHERE, "a%=", "a%="),
	EXAMPLE(ANYWHERE, "~%", "~%"),
	EXAMPLE(ANYWHERE, "%~a", "%~a"),
	EXAMPLE(ANYWHERE, "%~...", "%~..."),
	EXAMPLE(ANYWHERE, "a%~", "a%~"),
	EXAMPLE(ANYWHERE, "a%~.", "a%~."),
	/* NUL, and what reads like it */
	EXAMPLE(ANYWHERE, "\0", "%00"),
	EXAMPLE(ANYWHERE, "a\0b", "a%00b"),
	EXAMPLE(ANYWHERE, "\0\0", "%00%00"),
	EXAMPLE(ANYWHERE, "%\0", "%%00"),
	EXAMPLE(ANYWHERE, "%25\0", "%25%00"),
	EXAMPLE(ANYWHERE,
		"\0"
		"0",
		"%000"),
	EXAMPLE(ANYWHERE, "%00", "%2500"),
	EXAMPLE(ANYWHERE, "a%00b", "a%2500b"),
	EXAMPLE(ANYWHERE, "%2500", "%252500"),
	EXAMPLE(ANYWHERE, "%252500", "%25252500"),
	EXAMPLE(ANYWHERE, "%00%2500\0", "%2500%252500%00"),
	/* the slash, in flat layout only */
	EXAMPLE(IN_TREE, "%2F", "%2F"),
	EXAMPLE(IN_TREE, "%252F", "%252F"),
	EXAMPLE(IN_FLAT, "/", "%2F"),
	EXAMPLE(IN_FLAT, "users/42", "users%2F42"),
	EXAMPLE(IN_FLAT, "d/", "d%2F"),
	EXAMPLE(IN_FLAT, "%2F", "%252F"),
	EXAMPLE(IN_FLAT, "%252F", "%25252F"),
	EXAMPLE(IN_FLAT, "%2f", "%2f"),
	EXAMPLE(IN_FLAT, "../..", "..%2F.."),
	/* no legal names */
	EXAMPLE(ANYWHERE, "", "%~"),
	EXAMPLE(ANYWHERE, ".", "%~."),
	EXAMPLE(ANYWHERE, "..", "%~.."),
	EXAMPLE(ANYWHERE, "%~", "%~%~"),
	EXAMPLE(ANYWHERE, "%~%~", "%~%~%~"),
	EXAMPLE(ANYWHERE, "%~.", "%~%~."),
	EXAMPLE(ANYWHERE, "%~%~..", "%~%~%~.."),
	EXAMPLE(ANYWHERE, "%~\0", "%~%00"),
	EXAMPLE(IN_ROOT, RESERVED, "%~" RESERVED),
	EXAMPLE(IN_ROOT, "%~" RESERVED, "%~%~" RESERVED),
	EXAMPLE(IN_ROOT, RESERVED "2", RESERVED "2"),
	EXAMPLE(BELOW, RESERVED, RESERVED),
	EXAMPLE(BELOW, "%~" RESERVED, "%~" RESERVED),
};

static void check_example(const struct example *e, bool flat, bool in_root)
{
	const struct name_rules rules = rules_of(flat);
	struct name name, back;

	CHECK(name_encode(&rules, in_root, e->component, e->size, &name));
	if (strcmp(name.text, e->name))
		printf("  \"%s\" shown as \"%s\"\n", e->component, name.text);
	CHECK(!strcmp(name.text, e->name));
	CHECK_EQ(name.size, strlen(e->name));
	CHECK_EQ(name_decode(&rules, in_root, e->name, &back), 0);
	CHECK_EQ(back.size, e->size);
	CHECK(!memcmp(back.text, e->component, e->size));
}

static void test_examples(void)
{
	for (size_t i = 0; i < sizeof examples / sizeof *examples; i++)
		for (int r = 0; r < RULES; r++) {
			const struct example *e = &examples[i];
			bool flat = r & 1, in_root = r & 2;
			if ((e->where == IN_ROOT && !in_root) || (e->where == BELOW && in_root) ||
			    (e->where == IN_TREE && flat) || (e->where == IN_FLAT && !flat))
				continue;
			check_example(e, flat, in_root);
		}
}

/* A search in pieces finds a match wherever it stands, whatever is around it. */
static void test_everywhere(void)
{
	enum { LENGTH = 26 };
	static const char others[] = {'a', '\x01', '$',    '&',    '.',
				      '0', '\x7f', '\x80', '\xa5', '\xff'};
	char component[LENGTH], expected[LENGTH + 3];

	for (size_t around = 0; around < sizeof others; around++)
		for (size_t at = 0; at < LENGTH; at++) {
			memset(component, others[around], LENGTH);
			memset(expected, others[around], sizeof expected);
			component[at] = '\0';
			memcpy(expected + at, "%00", 3);
			expected[LENGTH + 2] = '\0';
			check_example(&(struct example){ANYWHERE, LENGTH, component, expected},
				      false, false);
			component[at] = '/';
			memcpy(expected + at, "%2F", 3);
			check_example(&(struct example){ANYWHERE, LENGTH, component, expected},
				      true, false);
		}
}

static void test_nothing_reserved(void)
{
	const struct name_rules rules = {.reserved = ""};
	struct name name;

	CHECK(name_encode(&rules, true, RESERVED, strlen(RESERVED), &name));
	CHECK(!strcmp(name.text, RESERVED));
	CHECK(name_encode(&rules, true, "", 0, &name));
	CHECK(!strcmp(name.text, "%~"));
}

/* --- long ones --- */

/* The hashes are those of sha256sum(1). */
static void test_long(void)
{
	const struct name_rules rules = rules_of(false);
	char component[300], want[300];
	struct name name, back;

	memset(component, 'a', sizeof component);
	CHECK(name_encode(&rules, false, component, 255, &name));
	CHECK(name.size == 255 && !memcmp(name.text, component, 255));
	CHECK(!name_encode(&rules, false, component, 256, &name));
	(void)snprintf(want, sizeof want, "%.*s%%~02d7160d77e18c6447be80c2e355c7ed", KEPT,
		       component);
	CHECK(!strcmp(name.text, want));
	CHECK_EQ(name.size, 255);
	CHECK_EQ(name_decode(&rules, false, want, &back), -ENAMETOOLONG);
	/* the length that counts is that of what is shown */
	memset(component, 0, 86);
	CHECK(name_encode(&rules, false, component, 85, &name));
	CHECK_EQ(name.size, 255);
	CHECK(!name_encode(&rules, false, component, 86, &name));
	CHECK_EQ(name.size, 255);
	CHECK(!memcmp(name.text, "%00%00", 6));
	CHECK(!strcmp(name.text + KEPT, "%~36e85b8ca5cc07b01ad98462a7f8afd1"));
	memset(component, 'b', 256);
	component[256] = '\0';
	CHECK_EQ(name_decode(&rules, false, component, &back), -ENAMETOOLONG);
}

static void test_looks_long(void)
{
	const struct name_rules rules = rules_of(false);
	char component[300];
	struct name name, back;

	memset(component, 'x', KEPT);
	strcpy(component + KEPT, "%~0123456789abcdef0123456789abcdef");
	CHECK_EQ(name_decode(&rules, false, component, &back), -ENAMETOOLONG);
	CHECK(!name_encode(&rules, false, component, 255, &name));
	CHECK(!strcmp(name.text + KEPT, "%~f557a15515954ef7940e0e94f043a336"));
	/* a letter that is no digit, or one byte less, and it is a name like any other */
	CHECK(name_encode(&rules, false, component, 254, &name));
	component[254] = 'F';
	CHECK(name_encode(&rules, false, component, 255, &name));
	CHECK(!strcmp(name.text, component));
	CHECK_EQ(name_decode(&rules, false, component, &back), 0);
	CHECK(!strcmp(back.text, component));
}

/* --- properties --- */

static bool is_legal(const char *text, size_t size, bool in_root)
{
	if (!size || size > NAME_SIZE_MAX || strlen(text) != size || strchr(text, '/'))
		return false;
	return strcmp(text, ".") && strcmp(text, "..") && (!in_root || strcmp(text, RESERVED));
}

static bool is_long_form(const struct name *name)
{
	return name->size == NAME_SIZE_MAX && !memcmp(name->text + KEPT, "%~", 2) &&
	       strspn(name->text + KEPT + 2, "0123456789abcdef") == HEX;
}

/* A component by its name and back, if the name tells it. */
static void check_component(int r, const void *component, size_t size, struct name *name)
{
	const struct name_rules rules = rules_of(r & 1);
	struct name back;
	bool told = name_encode(&rules, r & 2, component, size, name);

	CHECK(is_legal(name->text, name->size, r & 2));
	CHECK_EQ(is_long_form(name), !told);
	CHECK_EQ(name_decode(&rules, r & 2, name->text, &back), told ? 0 : -ENAMETOOLONG);
	if (told)
		CHECK(back.size == size && (!size || !memcmp(back.text, component, size)));
}

static void check_file_name(int r, const char *text, size_t size)
{
	const struct name_rules rules = rules_of(r & 1);
	struct name component, name;

	if (!is_legal(text, size, r & 2))
		return;
	memcpy(name.text, text, size + 1);
	name.size = size;
	int rc = name_decode(&rules, r & 2, text, &component);
	CHECK_EQ(rc, is_long_form(&name) ? -ENAMETOOLONG : 0);
	if (rc < 0)
		return;
	CHECK(component.size <= size);
	CHECK(name_encode(&rules, r & 2, component.text, component.size, &name));
	CHECK(name.size == size && !memcmp(name.text, text, size));
}

/* All strings of up to five bytes that matter. */
static void test_exhaustive(void)
{
	static const char alphabet[] = {'\0', '%', '2', '5', '0', 'F', '~', '.', '/', '='};
	char text[6] = "";
	struct name name;

	for (unsigned size = 0, count = 1; size <= 5; size++, count *= sizeof alphabet)
		for (unsigned n = 0; n < count; n++) {
			for (unsigned i = 0, rest = n; i < size; i++, rest /= sizeof alphabet)
				text[i] = alphabet[rest % sizeof alphabet];
			text[size] = '\0';
			for (int r = 0; r < RULES; r++) {
				if (r & 1 || !memchr(text, '/', size))
					check_component(r, text, size, &name);
				check_file_name(r, text, size);
			}
		}
}

static size_t random_size(struct rng *rng)
{
	switch (rng_below(rng, 40)) {
	case 0: return (size_t)rng_below(rng, 65537);
	case 1:
	case 2:
	case 3:
	case 4:
	case 5:
	case 6:
	case 7:
	case 8: return 215 + (size_t)rng_below(rng, 46);
	default: return (size_t)rng_below(rng, 12);
	}
}

/* Bytes and pieces that the rules are about; a few strings to follow one another. */
static size_t random_text(struct rng *rng, char *ret, size_t size)
{
	static const char *const pieces[] = {"%00", "%2500", "%2F", "%252F", "%~",
					     "25",  "%=",    "..",  ".",     RESERVED};
	static const char bytes[] = "%250F~=./a";
	size_t done = 0;

	while (done < size) {
		uint64_t kind = rng_below(rng, 24);
		if (kind < 10) {
			size_t n = strlen(pieces[kind]);
			n = n < size - done ? n : size - done;
			memcpy(ret + done, pieces[kind], n);
			done += n;
		} else if (kind < 20) {
			ret[done++] = bytes[rng_below(rng, sizeof bytes)]; /* its NUL as well */
		} else {
			ret[done++] = (char)rng_below(rng, 256);
		}
	}
	return size;
}

/* Where directories are, no component holds a slash. */
static void replace_slashes(int r, char *text, size_t size)
{
	for (char *p; !(r & 1) && (p = memchr(text, '/', size));)
		*p = '%';
}

/* Names that look like the form for long ones, mostly. */
static void forge_long_form(struct rng *rng, char *text)
{
	static const char hex[] = "0123456789abcdef";

	memcpy(text + KEPT, "%~", 2);
	for (size_t i = KEPT + 2; i < NAME_SIZE_MAX; i++)
		text[i] = hex[rng_below(rng, 16)];
	if (!rng_below(rng, 3))
		text[KEPT + rng_below(rng, 2 + HEX)] = 'G';
}

static void test_random_components(void)
{
	struct rng rng = check_rng();
	char *component = malloc(65537);
	struct name name;

	CHECK(component != NULL);
	for (int i = 0; i < 40000; i++) {
		size_t size = random_text(&rng, component, random_size(&rng));
		if (size >= NAME_SIZE_MAX && rng_below(&rng, 2)) {
			size = NAME_SIZE_MAX;
			forge_long_form(&rng, component);
		}
		int r = (int)rng_below(&rng, RULES);
		replace_slashes(r, component, size);
		check_component(r, component, size, &name);
	}
	free(component);
}

static void test_random_names(void)
{
	struct rng rng = check_rng();
	char text[NAME_SIZE_MAX + 1];

	for (int i = 0; i < 100000; i++) {
		size_t size = random_size(&rng);
		size = random_text(&rng, text, size < NAME_SIZE_MAX ? size : NAME_SIZE_MAX);
		if (size == NAME_SIZE_MAX && rng_below(&rng, 2))
			forge_long_form(&rng, text);
		text[size] = '\0';
		for (size_t k = 0; k < size; k++)
			if (!text[k] || text[k] == '/')
				text[k] = '%';
		check_file_name((int)rng_below(&rng, RULES), text, size);
	}
}

struct pair {
	struct name name;
	size_t size;
	char component[320];
};

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct pair *)a)->name.text, ((const struct pair *)b)->name.text);
}

/* A component, or one that differs little from the one before. */
static void random_neighbour(struct rng *rng, const struct pair *before, struct pair *ret)
{
	static const char *const inserts[] = {"25", "%~", "%=", "a"};
	const char *insert = inserts[rng_below(rng, 4)];
	size_t n = strlen(insert);

	if (!before || !rng_below(rng, 8) || before->size + n > sizeof ret->component) {
		size_t size = random_size(rng);
		ret->size = random_text(rng, ret->component, size < 300 ? size : 300);
		return;
	}
	size_t at = (size_t)rng_below(rng, before->size + 1);
	memcpy(ret->component, before->component, at);
	memcpy(ret->component + at, insert, n);
	memcpy(ret->component + at + n, before->component + at, before->size - at);
	ret->size = before->size + n;
}

/* Different components never have the same name, the long forms included. */
static void test_injective(void)
{
	enum { PAIRS = 20000 };
	struct rng rng = check_rng();
	struct pair *pairs = calloc(PAIRS, sizeof *pairs);

	CHECK(pairs != NULL);
	for (int r = 0; r < RULES; r++) {
		for (size_t i = 0; i < PAIRS; i++) {
			random_neighbour(&rng, i ? &pairs[i - 1] : NULL, &pairs[i]);
			replace_slashes(r, pairs[i].component, pairs[i].size);
			check_component(r, pairs[i].component, pairs[i].size, &pairs[i].name);
		}
		qsort(pairs, PAIRS, sizeof *pairs, by_name);
		for (size_t i = 1; i < PAIRS; i++) {
			const struct pair *a = &pairs[i - 1], *b = &pairs[i];
			bool same =
				a->size == b->size && !memcmp(a->component, b->component, a->size);
			CHECK_EQ(!strcmp(a->name.text, b->name.text), same);
		}
	}
	free(pairs);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"name_examples", test_examples},
		{"name_everywhere", test_everywhere},
		{"name_nothing_reserved", test_nothing_reserved},
		{"name_long", test_long},
		{"name_looks_long", test_looks_long},
		{"name_exhaustive", test_exhaustive},
		{"name_random_components", test_random_components},
		{"name_random_names", test_random_names},
		{"name_injective", test_injective},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
