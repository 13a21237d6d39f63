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
static const char hint_new_suffix[] = ".hint.new";
static const char run_suffix[] = ".run";
static const char run_new_suffix[] = ".run.new";
static const char torn_middle[] = ".dwal.torn-";
static const char lost_middle[] = ".hint.lost-";
static const char compact_suffix[] = ".dwal.compact";
static const char receive_suffix[] = ".dwal.receive";

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

void segname_format_receive(uint32_t id, char ret[SEGNAME_SIZE])
{
	(void)snprintf(ret, SEGNAME_SIZE, "%08" PRIu32 "%s", id,
		       receive_suffix); /* cannot be cut */
}

void segname_format_hint(uint32_t id, char ret[SEGNAME_SIZE])
{
	(void)snprintf(ret, SEGNAME_SIZE, "%08" PRIu32 "%s", id, hint_suffix); /* cannot be cut */
}

void segname_format_hint_new(uint32_t id, char ret[SEGNAME_SIZE])
{
	(void)snprintf(ret, SEGNAME_SIZE, "%08" PRIu32 "%s", id,
		       hint_new_suffix); /* cannot be cut */
}

void segname_format_hint_lost(uint32_t id, int64_t time_ns, char ret[SEGNAME_SIZE])
{
	/* cannot be cut: 8 + 11 + 20 characters at most */
	(void)snprintf(ret, SEGNAME_SIZE, "%08" PRIu32 "%s.lost-%" PRId64, id, hint_suffix,
		       time_ns);
}

void segname_format_run(uint32_t id, char ret[SEGNAME_SIZE])
{
	(void)snprintf(ret, SEGNAME_SIZE, "%08" PRIu32 "%s", id, run_suffix); /* cannot be cut */
}

void segname_format_run_new(uint32_t id, char ret[SEGNAME_SIZE])
{
	(void)snprintf(ret, SEGNAME_SIZE, "%08" PRIu32 "%s", id,
		       run_new_suffix); /* cannot be cut */
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

bool segname_parse_run(const char *name, uint32_t *ret)
{
	return parse(name, run_suffix, ret);
}

bool segname_parse(const char *name, uint32_t *ret)
{
	return parse(name, suffix, ret);
}

/* Behind eight digits, `middle`, and a time; NULL: `name` does not begin so. */
static const char *behind_time(const char *name, const char *middle)
{
	size_t digits = strspn(name, "0123456789"), at = digits + strlen(middle);

	if (digits != DIGITS || strncmp(name + digits, middle, strlen(middle)) != 0)
		return NULL;
	size_t time_digits = strspn(name + at, "0123456789");
	return time_digits ? name + at + time_digits : NULL;
}

bool segname_is_aside(const char *name)
{
	const char *torn = behind_time(name, torn_middle);
	const char *lost = behind_time(name, lost_middle);

	return (torn && !*torn) || (lost && !*lost);
}

bool segname_is_unfinished(const char *name)
{
	const char *rest = behind_time(name, torn_middle);
	uint32_t id;

	return parse(name, compact_suffix, &id) || parse(name, receive_suffix, &id) ||
	       parse(name, hint_new_suffix, &id) || parse(name, run_new_suffix, &id) ||
	       !strcmp(name, SEGNAME_INDEX_NEW) || (rest && !strcmp(rest, ".tmp"));
}
