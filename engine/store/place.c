/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * place.c - see place.h.
 *
 * A segment makes a directory a store, whatever else lies there.  Without one a store is
 * recognised by what every writer leaves: the lock file of one that never came to write, or
 * a hint, which outlives its segment only if that was removed.  Unfinished files and
 * quarantines alone prove nothing, and the former would be deleted.
 */
#include "store/place.h"

#include <string.h>

#include "codec/segname.h"
#include "datawal.h"

struct names {
	bool segment, mark, own, other;
};

/* A replica that has not come to its first mark has its lock and files of these. */
static bool is_received(const char *name)
{
	const char *suffix = strchr(name, '.');

	return !strcmp(name, SEGNAME_RECEIVING) ||
	       (suffix && !strcmp(suffix, ".dwal.receive") && segname_is_unfinished(name));
}

static int look_at(void *context, const char *name)
{
	struct names *names = context;
	uint32_t id;

	if (!strcmp(name, ".") || !strcmp(name, "..") || !strcmp(name, "lost+found"))
		return 0;
	if (segname_parse(name, &id))
		names->segment = true;
	else if (!strcmp(name, ".lock") || segname_parse_hint(name, &id))
		names->mark = true;
	else if (segname_is_aside(name) || segname_parse_run(name, &id) ||
		 !strcmp(name, SEGNAME_INDEX) || !strcmp(name, DW_ATTR_DIRECTORY) ||
		 is_received(name) || !strcmp(name, ".export") || !strcmp(name, ".snapshots") ||
		 !strcmp(name, ".inode-secret") || !strcmp(name, ".inode-secret.tmp"))
		names->own = true;
	else
		names->other = true;
	return 0;
}

int place_look(struct io *io, int dirfd, enum place *ret)
{
	struct names names = {.segment = false};
	int rc = io->list(io, dirfd, look_at, &names);

	if (rc < 0)
		return rc;
	if (names.segment || (names.mark && !names.other))
		*ret = PLACE_STORE;
	else
		*ret = names.mark || names.own || names.other ? PLACE_OTHER : PLACE_EMPTY;
	return 0;
}
