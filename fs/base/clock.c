/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * clock.c - see clock.h.
 */
#include "fs/base/clock.h"

const char *clock_text(int64_t ns, char ret[CLOCK_TEXT_SIZE])
{
	time_t seconds = (time_t)(ns / 1000000000);
	struct tm utc;

	(void)gmtime_r(&seconds, &utc); /* fails only in years that no clock shows */
	(void)strftime(ret, CLOCK_TEXT_SIZE, "%Y-%m-%dT%H:%M:%SZ", &utc);
	return ret;
}
