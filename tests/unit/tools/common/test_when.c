/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Times as people type them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/support/check.h"
#include "tools/common/when.h"

#define SECOND 1000000000ll
/* 2026-11-27T10:15:02Z */
#define NOW (1795774502 * SECOND)

static void test_taken(void)
{
	static const struct {
		const char *text;
		int64_t ns;
	} cases[] = {
		{"2026-11-27T10:15:02Z", NOW},
		{"2026-11-27 10:15:02Z", NOW},
		{"2026-11-27T10:15:02.25Z", NOW + SECOND / 4},
		{"2026-11-27T10:15:02.0000000019Z", NOW + 1},
		{"2026-11-27T11:15:02+01:00", NOW},
		{"2026-11-27T04:45:02-0530", NOW},
		{"2026-11-27T12:15:02+02", NOW},
		/* local time is three hours behind UTC here */
		{"2026-11-27 07:15:02", NOW},
		{"2026-11-27T07:15", NOW - 2 * SECOND},
		{"2026-11-27", NOW - (7 * 3600 + 15 * 60 + 2) * SECOND},
		{"today", NOW - (7 * 3600 + 15 * 60 + 2) * SECOND},
		{"yesterday", NOW - (31 * 3600 + 15 * 60 + 2) * SECOND},
		{"now", NOW},
		{"@1795774502", NOW},
		{"@1795774502.5", NOW + SECOND / 2},
		{"@0", 0},
		{"@-1", -SECOND},
		{"2h", NOW - 7200 * SECOND},
		{"-2h", NOW - 7200 * SECOND},
		{"90s", NOW - 90 * SECOND},
		{"15m", NOW - 900 * SECOND},
		{"3d", NOW - 259200 * SECOND},
		{"1w", NOW - 604800 * SECOND},
		{"2024-02-29T00:00:00Z", 1709164800 * SECOND},
		{"1969-12-31T23:59:59Z", -SECOND},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		int64_t ns = 42;
		bool taken = when_parse(cases[i].text, NOW, &ns);
		if (!taken || ns != cases[i].ns)
			(void)fprintf(stderr, "'%s': %d, %lld\n", cases[i].text, taken,
				      (long long)ns);
		CHECK(taken && ns == cases[i].ns);
	}
}

static void test_refused(void)
{
	static const char *const texts[] = {
		"",
		" ",
		"@",
		"@x",
		"@1x",
		"@99999999999999999999",
		"@9300000000",
		"2",
		"h",
		"2y",
		"2h3m",
		"-",
		"--2h",
		"99999999999w",
		"2026",
		"2026-11",
		"2026-11-31",
		"2025-02-29",
		"2026-13-01",
		"2026-00-10",
		"2026-11-27T",
		"2026-11-27T10",
		"2026-11-27T24:00",
		"2026-11-27T10:60",
		"2026-11-27T10:15:61",
		"2026-11-27T10:15:02.Z",
		"2026-11-27T10:15:02z",
		"2026-11-27T10:15:02 Z",
		"2026-11-27T10:15:02+1",
		"2026-11-27T10:15:02+24:00",
		"2026-11-27T10:15:02Zx",
		" 2026-11-27",
		"2026-11-27 ",
		"2026/11/27",
		"3000-01-01T00:00:00Z",
		"tomorrow",
	};

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		int64_t ns = 42;
		bool taken = when_parse(texts[i], NOW, &ns);
		if (taken)
			(void)fprintf(stderr, "'%s' was taken\n", texts[i]);
		CHECK(!taken && ns == 42);
	}
}

static void test_text(void)
{
	char text[WHEN_TEXT];
	int64_t ns = 0;

	when_utc(NOW + 7, text);
	CHECK(!strcmp(text, "2026-11-27T10:15:02Z"));
	CHECK(when_parse(text, 0, &ns) && ns == NOW);
	when_local(NOW, text);
	CHECK(!strcmp(text, "2026-11-27 07:15:02"));
	CHECK(when_parse(text, 0, &ns) && ns == NOW);
	when_utc(-1, text);
	CHECK(!strcmp(text, "1969-12-31T23:59:59Z"));
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"taken", test_taken},
		{"refused", test_refused},
		{"text", test_text},
		{NULL, NULL},
	};

	(void)setenv("TZ", "XXX3", 1);
	tzset();
	return check_main(argc, argv, tests);
}
