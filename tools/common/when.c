/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * when.c - see when.h.
 *
 * Read by hand: strptime(3) has no decimals, takes blanks where none should be, and its %z differs
 * between libraries.
 */
#include "tools/common/when.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define SECOND_NS 1000000000ll
/* What fits int64_t nanoseconds: some 292 years around 1970. */
#define SECONDS_MAX (INT64_MAX / SECOND_NS - 1)

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Exactly `count` digits. */
static bool take_digits(const char **at, int count, int *ret)
{
	int n = 0;

	for (int i = 0; i < count; i++, (*at)++) {
		if (!is_digit(**at))
			return false;
		n = n * 10 + (**at - '0');
	}
	*ret = n;
	return true;
}

/* As many digits as there are, at least one. */
static bool take_number(const char **at, int64_t *ret)
{
	int64_t n = 0;

	if (!is_digit(**at))
		return false;
	for (; is_digit(**at); (*at)++) {
		n = n * 10 + (**at - '0');
		if (n > SECONDS_MAX)
			return false;
	}
	*ret = n;
	return true;
}

/* ".25"; nothing is no decimals. */
static bool take_decimals(const char **at, int64_t *ns_ret)
{
	int64_t unit = SECOND_NS, ns = 0;

	*ns_ret = 0;
	if (**at != '.')
		return true;
	(*at)++;
	if (!is_digit(**at))
		return false;
	for (; is_digit(**at); (*at)++) {
		unit /= 10;
		ns += unit * (**at - '0');
	}
	*ns_ret = ns;
	return true;
}

static bool take_char(const char **at, char c)
{
	if (**at != c)
		return false;
	(*at)++;
	return true;
}

static bool parse_epoch(const char *at, int64_t *ret)
{
	bool before = take_char(&at, '-');
	int64_t seconds, ns;

	if (!take_number(&at, &seconds) || !take_decimals(&at, &ns) || *at)
		return false;
	*ret = before ? -(seconds * SECOND_NS + ns) : seconds * SECOND_NS + ns;
	return true;
}

static bool parse_age(const char *at, int64_t now_ns, int64_t *ret)
{
	static const struct {
		char unit;
		int64_t seconds;
	} units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}, {'w', 604800}};
	int64_t count;

	(void)take_char(&at, '-'); /* "-2h" and "2h" are the same */
	if (!take_number(&at, &count) || !*at || at[1])
		return false;
	for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
		if (*at != units[i].unit)
			continue;
		if (count > SECONDS_MAX / units[i].seconds ||
		    count * units[i].seconds > now_ns / SECOND_NS)
			return false;
		*ret = now_ns - count * units[i].seconds * SECOND_NS;
		return true;
	}
	return false;
}

/* "Z", "+01:00", "-0530", or nothing: local time.  Seconds to the east. */
static bool take_zone(const char **at, bool *local_ret, int *east_ret)
{
	int hours, minutes = 0;
	bool west = **at == '-';

	*local_ret = !**at;
	*east_ret = 0;
	if (*local_ret || take_char(at, 'Z'))
		return true;
	if (!west && **at != '+')
		return false;
	(*at)++;
	if (!take_digits(at, 2, &hours))
		return false;
	bool colon = take_char(at, ':');
	if ((colon || **at) && !take_digits(at, 2, &minutes))
		return false;
	*east_ret = (hours * 60 + minutes) * (west ? -60 : 60);
	return hours < 24 && minutes < 60;
}

/* Behind the date: "T10:15:02.5" or " 10:15", or nothing. */
static bool take_time_of_day(const char **at, struct tm *tm, int64_t *ns_ret)
{
	*ns_ret = 0;
	if (**at != 'T' && **at != ' ')
		return true;
	(*at)++;
	if (!take_digits(at, 2, &tm->tm_hour) || !take_char(at, ':') ||
	    !take_digits(at, 2, &tm->tm_min))
		return false;
	if (take_char(at, ':') && (!take_digits(at, 2, &tm->tm_sec) || !take_decimals(at, ns_ret)))
		return false;
	return tm->tm_hour < 24 && tm->tm_min < 60 && tm->tm_sec < 61;
}

static bool parse_date(const char *at, int64_t *ret)
{
	struct tm tm = {.tm_isdst = -1};
	bool local;
	int east;
	int64_t ns;

	if (!take_digits(&at, 4, &tm.tm_year) || !take_char(&at, '-') ||
	    !take_digits(&at, 2, &tm.tm_mon) || !take_char(&at, '-') ||
	    !take_digits(&at, 2, &tm.tm_mday) || !take_time_of_day(&at, &tm, &ns) ||
	    !take_zone(&at, &local, &east) || *at)
		return false;
	const struct tm given = tm;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	time_t seconds = local ? mktime(&tm) : timegm(&tm);
	/* a day that the month has not would be taken for one of the next */
	if (tm.tm_mday != given.tm_mday || tm.tm_mon != given.tm_mon - 1)
		return false;
	if (seconds > SECONDS_MAX || seconds < -SECONDS_MAX)
		return false;
	*ret = ((int64_t)seconds - east) * SECOND_NS + ns;
	return true;
}

static bool parse_word(const char *text, int64_t now_ns, int64_t *ret)
{
	time_t now = (time_t)(now_ns / SECOND_NS);
	bool yesterday = !strcmp(text, "yesterday");
	struct tm tm;

	if (!strcmp(text, "now")) {
		*ret = now_ns;
		return true;
	}
	if ((!yesterday && strcmp(text, "today")) || !localtime_r(&now, &tm))
		return false;
	tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
	tm.tm_mday -= yesterday;
	tm.tm_isdst = -1;
	*ret = (int64_t)mktime(&tm) * SECOND_NS;
	return true;
}

bool when_parse(const char *text, int64_t now_ns, int64_t *ret)
{
	if (*text == '@')
		return parse_epoch(text + 1, ret);
	return parse_word(text, now_ns, ret) || parse_age(text, now_ns, ret) ||
	       parse_date(text, ret);
}

static void format(int64_t time_ns, bool local, const char *form, char ret[WHEN_TEXT])
{
	/* down, also before 1970 */
	time_t seconds = (time_t)(time_ns / SECOND_NS - (time_ns % SECOND_NS < 0));
	struct tm tm;

	if (!(local ? localtime_r(&seconds, &tm) : gmtime_r(&seconds, &tm)) ||
	    !strftime(ret, WHEN_TEXT, form, &tm))
		(void)snprintf(ret, WHEN_TEXT, "-"); /* fits */
}

void when_utc(int64_t time_ns, char ret[WHEN_TEXT])
{
	format(time_ns, false, "%Y-%m-%dT%H:%M:%SZ", ret);
}

void when_local(int64_t time_ns, char ret[WHEN_TEXT])
{
	format(time_ns, true, "%Y-%m-%d %H:%M:%S", ret);
}
