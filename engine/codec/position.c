/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * position.c - how far a reader of the log has come, as text.
 *
 * Pure.  The text stands in files and on command lines of other programs, so its form stays.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datawal.h"

enum { CRC_DIGITS = 8 };

void dw_position_text(const struct dw_position *position, char ret[DW_POSITION_TEXT_SIZE])
{
	char *at = ret, *end = ret + DW_POSITION_TEXT_SIZE;

	at += snprintf(at, (size_t)(end - at), "%" PRIu64, position->txid);
	if (!position->segment && !position->offset)
		return;
	at += snprintf(at, (size_t)(end - at), "@%" PRIu32 ":%" PRIu64, position->segment,
		       position->offset);
	if (position->crc)
		(void)snprintf(at, (size_t)(end - at), ":%08" PRIx32, position->crc);
}

/* A decimal number of at most `max`: digits alone.  Returns where it ends; NULL: there is none. */
static const char *parse_number(const char *text, uint64_t max, uint64_t *ret)
{
	char *end;

	if (*text < '0' || *text > '9')
		return NULL;
	errno = 0;
	unsigned long long n = strtoull(text, &end, 10);
	if (errno || n > max)
		return NULL;
	*ret = n;
	return end;
}

/* All of the text must be the CRC. */
static bool parse_crc(const char *text, uint32_t *ret)
{
	if (strlen(text) != CRC_DIGITS || strspn(text, "0123456789abcdefABCDEF") != CRC_DIGITS)
		return false;
	*ret = (uint32_t)strtoul(text, NULL, 16);
	return true;
}

int dw_position_parse(const char *text, struct dw_position *ret)
{
	struct dw_position position = {0};
	uint64_t segment = 0;
	const char *at = parse_number(text, UINT64_MAX, &position.txid);

	if (at && *at == '@') {
		at = parse_number(at + 1, UINT32_MAX, &segment);
		at = at && *at == ':' ? parse_number(at + 1, UINT64_MAX, &position.offset) : NULL;
		if (at && *at == ':')
			at = parse_crc(at + 1, &position.crc) ? "" : NULL;
	}
	if (!at || *at)
		return -EINVAL;
	position.segment = (uint32_t)segment;
	*ret = position;
	return 0;
}
