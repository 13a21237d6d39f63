/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * segname.c - see segname.h.  Matching is exact: eight digits, lower case,
 * nothing before or behind; whatever else lies in the directory is not ours.
 */
#include "codec/segname.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { DIGITS = 8 };

static const char suffix[] = ".dwal";
static const char hint_suffix[] = ".hint";
static const char compact_suffix[] = ".dwal.compact";

void segname_format(uint32_t id, char ret[SEGNAME_SIZE])
{
	(void)snprintf(ret, SEGNAME_SIZE, "%08" PRIu32 "%s", id, suffix); /* cannot be cut */
}

void segname_format_torn(uint32_t id, int64_t time_ns, char ret[SEGNAME_SIZE])
{
	/* cannot be cut: 8 + 11 + 20 characters at most */
	(void)snprintf(ret, SEGNAME_SIZE, "%08" PRIu32 "%s.torn-%" PRId64, id, suffix, time_ns);
}

void segname_format_compact(uint32_t id, char ret[SEGNAME_SIZE])
{
	(void)snprintf(ret, SEGNAME_SIZE, "%08" PRIu32 "%s", id,
		       compact_suffix); /* cannot be cut */
}

void segname_format_hint(uint32_t id, char ret[SEGNAME_SIZE])
{
	(void)snprintf(ret, SEGNAME_SIZE, "%08" PRIu32 "%s", id, hint_suffix); /* cannot be cut */
}

static bool parse(const char *name, const char *tail, uint32_t *ret)
{
	uint32_t id = 0;

	for (int i = 0; i < DIGITS; i++) {
		if (name[i] < '0' || name[i] > '9')
			return false;
		id = id * 10 + (uint32_t)(name[i] - '0');
	}
	if (strcmp(name + DIGITS, tail))
		return false;
	*ret = id;
	return true;
}

bool segname_parse_hint(const char *name, uint32_t *ret)
{
	return parse(name, hint_suffix, ret);
}

bool segname_parse(const char *name, uint32_t *ret)
{
	return parse(name, suffix, ret);
}

/* Behind "00000042.dwal.torn-1690000000000000000"; NULL: `name` does not begin so. */
static const char *behind_torn(const char *name)
{
	static const char torn[] = ".dwal.torn-";
	size_t digits = strspn(name, "0123456789"), at = digits + sizeof torn - 1;

	if (digits != DIGITS || strncmp(name + digits, torn, sizeof torn - 1))
		return NULL;
	size_t time_digits = strspn(name + at, "0123456789");
	return time_digits ? name + at + time_digits : NULL;
}

bool segname_is_torn(const char *name)
{
	const char *rest = behind_torn(name);

	return rest && !*rest;
}

bool segname_is_unfinished(const char *name)
{
	const char *rest = behind_torn(name);
	uint32_t id;

	return parse(name, compact_suffix, &id) || (rest && !strcmp(rest, ".tmp"));
}
