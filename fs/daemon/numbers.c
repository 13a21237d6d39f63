/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * numbers.c - see numbers.h.
 *
 * A new one is a line of the table, a name in enum number, and a line of option_spec.
 */
#include "fs/daemon/numbers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/daemon/fail.h"
#include "fs/fuse/serve.h"

enum kind { PLAIN, OCTAL, SIZE };

enum { DAY_S = 24 * 60 * 60 };

static const struct {
	const char *option; /* up to the '=' */
	enum kind kind;
	const char *unit; /* in brackets, or "" */
	uint64_t least, most;
} table[NUMBERS] = {
	/* the largest id means "none" to chown(2) */
	[NUMBER_UID] = {"uid", PLAIN, "", 0, UINT32_MAX - 1},
	[NUMBER_GID] = {"gid", PLAIN, "", 0, UINT32_MAX - 1},
	[NUMBER_UMASK] = {"umask", OCTAL, "", 0, 0777},
	/* smaller ones are mostly overhead; space is allocated ahead in sixteenths */
	[NUMBER_SEGMENT_SIZE] = {"segment_size", SIZE, "", 64 << 10, UINT64_C(16) << 30},
	[NUMBER_COMMIT_MS] = {"commit_ms", PLAIN, " (milliseconds)", 1, DAY_S * 1000},
	/* the largest value must have room */
	[NUMBER_DIRTY_MAX] = {"dirty_max", SIZE, "", DW_VALUE_SIZE_MAX, UINT64_C(1) << 40},
	[NUMBER_MAX_THREADS] = {"max_threads", PLAIN, "", 1, SERVE_THREADS_MAX},
	[NUMBER_COMPACT_DEAD] = {"compact_dead", PLAIN, " (percent)", 1, 100},
	[NUMBER_COMPACT_MIN] = {"compact_min", SIZE, "", 1, UINT64_C(1024) << 30},
	[NUMBER_COMPACT_RATE] = {"compact_rate", SIZE, " (a second)", 0, UINT64_C(1024) << 30},
	[NUMBER_TIMEOUT_S] = {"--timeout", PLAIN, " (seconds)", 0, DAY_S},
};

/* Digits, and behind those of a size perhaps K, M or G.  -1: something else. */
static int parse(const char *text, enum kind kind, uint64_t *ret)
{
	static const char suffixes[] = "KMG";
	size_t digits = strspn(text, kind == OCTAL ? "01234567" : "0123456789");
	unsigned shift = 0;
	char *end;

	errno = 0;
	unsigned long long n = strtoull(text, &end, kind == OCTAL ? 8 : 10);
	if (kind == SIZE && *end && !end[1]) {
		const char *at = strchr(suffixes, *end);
		shift = at ? 10 * (unsigned)(at - suffixes + 1) : 0;
		end += shift != 0;
	}
	if (errno || !digits || *end || n > UINT64_MAX >> shift)
		return -1;
	*ret = (uint64_t)n << shift;
	return 0;
}

static void format(uint64_t n, enum kind kind, char *ret, size_t size)
{
	static const char *const suffixes[] = {"", "K", "M", "G"};
	unsigned step = 0;

	while (kind == SIZE && step < 3 && n >= 1024 && n % 1024 == 0) {
		n /= 1024;
		step++;
	}
	(void)snprintf(ret, size, kind == OCTAL ? "%llo%s" : "%llu%s", (unsigned long long)n,
		       suffixes[step]);
}

int numbers_take(struct settings *settings, enum number which, const char *arg)
{
	static const char *const kinds[] = {"number", "octal number", "size"};
	const char *equals = strchr(arg, '='), *text = equals ? equals + 1 : "";
	char least[32], most[32];
	uint64_t n;

	if (!parse(text, table[which].kind, &n) && n >= table[which].least &&
	    n <= table[which].most) {
		settings->numbers[which] = n;
		return 0;
	}
	format(table[which].least, table[which].kind, least, sizeof least);
	format(table[which].most, table[which].kind, most, sizeof most);
	(void)fail("%s '%s' is no %s from %s to %s%s", table[which].option, text,
		   kinds[table[which].kind], least, most, table[which].unit);
	return -1;
}
