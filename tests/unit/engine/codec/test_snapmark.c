/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_snapmark.c - names of snapshots, and their mark.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "codec/snapmark.h"
#include "tests/support/check.h"

static void test_mark(void)
{
	static const struct snapmark marks[] = {
		{1700000000123456789, 42, DW_SNAPSHOT_LINK, false},
		{0, 0, DW_SNAPSHOT_COPY, true},
		{INT64_MAX, UINT64_MAX, DW_SNAPSHOT_CLONE, true},
		{INT64_MIN, 1, DW_SNAPSHOT_CLONE, false},
	};
	char text[SNAPMARK_SIZE];

	for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
		struct snapmark got = {.txid = 7};
		size_t size = snapmark_format(&marks[i], text);
		CHECK_EQ(size, strlen(text));
		CHECK(size < SNAPMARK_SIZE);
		CHECK_EQ(snapmark_parse(text, &got), 0);
		CHECK_EQ(got.time_ns, marks[i].time_ns);
		CHECK_EQ(got.txid, marks[i].txid);
		CHECK_EQ(got.method, marks[i].method);
		CHECK_EQ(got.brief, marks[i].brief);
	}
	(void)snapmark_format(&marks[0], text);
	CHECK(!strcmp(text, "datawal snapshot 1\ntime 1700000000123456789\ntxid 42\nmade link\n"));
}

/* Each byte that differs, is missing or is one too many makes it none. */
static void test_no_mark(void)
{
	const struct snapmark mark = {1700000000123456789, 42, DW_SNAPSHOT_LINK, true};
	char text[SNAPMARK_SIZE + 1], changed[SNAPMARK_SIZE + 1];
	struct snapmark got = {.txid = 7};
	size_t size = snapmark_format(&mark, text);

	for (size_t i = 0; i < size; i++) {
		memcpy(changed, text, size + 1);
		changed[i] = text[i] >= '0' && text[i] <= '9' ? 'x' : (char)(text[i] ^ 1);
		CHECK_EQ(snapmark_parse(changed, &got), -EBADMSG);
		memcpy(changed, text, size + 1);
		changed[i] = '\0';
		/* without its last line it is one that is not brief */
		CHECK_EQ(snapmark_parse(changed, &got), i == size - 6 ? 0 : -EBADMSG);
		got.txid = 7;
	}
	memcpy(text + size, "\n", 2);
	CHECK_EQ(snapmark_parse(text, &got), -EBADMSG);
	CHECK_EQ(snapmark_parse("", &got), -EBADMSG);
	CHECK_EQ(got.txid, 7);
}

static void test_names(void)
{
	char name[DW_SNAPSHOT_NAME_MAX + 2];

	CHECK(snapmark_may_name("daily-2026"));
	CHECK(snapmark_may_name("a b\n"));
	CHECK(!snapmark_may_name(""));
	CHECK(!snapmark_may_name("."));
	CHECK(!snapmark_may_name(".new"));
	CHECK(!snapmark_may_name("a/b"));
	memset(name, 'n', sizeof name);
	name[DW_SNAPSHOT_NAME_MAX + 1] = '\0';
	CHECK(!snapmark_may_name(name));
	name[DW_SNAPSHOT_NAME_MAX] = '\0';
	CHECK(snapmark_may_name(name));
	snapmark_format_removing(INT64_MAX, name);
	CHECK(snapmark_is_leftover(name));
	CHECK(snapmark_is_leftover(".new"));
	CHECK(!snapmark_is_leftover(".news"));
	CHECK(!snapmark_is_leftover("daily"));
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"snapmark_mark", test_mark},
		{"snapmark_no_mark", test_no_mark},
		{"snapmark_names", test_names},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
