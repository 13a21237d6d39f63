/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * when.h - a time as people type it, and as they read it.
 */
#ifndef TOOLS_COMMON_WHEN_H
#define TOOLS_COMMON_WHEN_H

#include <stdbool.h>
#include <stdint.h>

/* What `text` means, in nanoseconds since the epoch; `now_ns` is the time that it is.
 *   2026-11-27T10:15:02Z        UTC; "+01:00" and "-0530" instead of Z are other zones
 *   2026-11-27 10:15            local time, as without a zone always; "T" does for the blank;
 *                               without seconds, without a time of day (the day's beginning)
 *   @1764238502                 seconds since the epoch
 *   2h, -2h, 90s, 15m, 3d, 2w   so long ago
 *   now, today, yesterday       the beginning of that day
 * Seconds may have decimals, as far as nanoseconds.  False: none of these, or out of range. */
bool when_parse(const char *text, int64_t now_ns, int64_t *ret);

/* "2026-11-27T10:15:02Z": what a file may be called and what when_parse() takes. */
enum { WHEN_TEXT = 40 };
void when_utc(int64_t time_ns, char ret[WHEN_TEXT]);
/* "2026-11-27 10:15:02", local time */
void when_local(int64_t time_ns, char ret[WHEN_TEXT]);

#endif
