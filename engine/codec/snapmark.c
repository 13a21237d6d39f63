/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * snapmark.c - see snapmark.h.
 */
#include "codec/snapmark.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *const methods[] = {
	[DW_SNAPSHOT_LINK] = "link", [DW_SNAPSHOT_CLONE] = "clone", [DW_SNAPSHOT_COPY] = "copy"};

static const char brief[] = "brief\n";

const char *snapmark_method(enum dw_snapshot_method method)
{
	return methods[method];
}

size_t snapmark_format(const struct snapmark *mark, char ret[SNAPMARK_SIZE])
{
	int n = snprintf(ret, SNAPMARK_SIZE,
			 "datawal snapshot 1\n"
			 "time %" PRId64 "\n"
			 "txid %" PRIu64 "\n"
			 "made %s\n"
			 "%s",
			 mark->time_ns, mark->txid, methods[mark->method],
			 mark->brief ? brief : "");

	return (size_t)n;
}

/* There is one text for each mark. */
static bool is_text_of(const char *text, const struct snapmark *mark)
{
	char again[SNAPMARK_SIZE];

	(void)snapmark_format(mark, again);
	return !strcmp(text, again);
}

int snapmark_parse(const char *text, struct snapmark *ret)
{
	char method[8];
	struct snapmark mark;

	if (sscanf(text,
		   "datawal snapshot 1\n"
		   "time %" SCNd64 "\n"
		   "txid %" SCNu64 "\n"
		   "made %7s\n",
		   &mark.time_ns, &mark.txid, method) != 3)
		return -EBADMSG;
	for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
		mark.method = (enum dw_snapshot_method)i;
		for (int j = 0; j < 2; j++) {
			mark.brief = j;
			if (!is_text_of(text, &mark))
				continue;
			*ret = mark;
			return 0;
		}
	}
	return -EBADMSG;
}

bool snapmark_may_name(const char *name)
{
	size_t size = strlen(name);

	return size && size <= DW_SNAPSHOT_NAME_MAX && *name != '.' && !strchr(name, '/');
}

bool snapmark_is_leftover(const char *name)
{
	return !strcmp(name, SNAPMARK_MAKING) ||
	       !strncmp(name, SNAPMARK_REMOVING, sizeof SNAPMARK_REMOVING - 1);
}

void snapmark_format_removing(int64_t time_ns, char ret[SNAPMARK_NAME_SIZE])
{
	(void)snprintf(ret, SNAPMARK_NAME_SIZE, SNAPMARK_REMOVING "%" PRId64,
		       time_ns); /* it fits */
}
