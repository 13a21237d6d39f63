/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * snapmark.h - names in `.snapshots/`, and the file `.snapshot` that a snapshot has in it: bytes
 * <-> struct.
 *
 * Pure: no I/O.  The mark is text, for people as well; docs/FORMAT.md has its form.
 */
#ifndef CODEC_SNAPMARK_H
#define CODEC_SNAPMARK_H

#include "datawal.h"

/* The mark's own name. */
#define SNAPMARK_NAME ".snapshot"
/* A snapshot that is being made, and the beginning of the names of those being removed. */
#define SNAPMARK_MAKING   ".new"
#define SNAPMARK_REMOVING ".gone-"

enum { SNAPMARK_SIZE = 160, SNAPMARK_NAME_SIZE = 48 };

struct snapmark {
	int64_t time_ns;
	uint64_t txid; /* the last in it */
	enum dw_snapshot_method method;
	bool brief; /* it goes when the store is opened by another writer */
};

/* The text, with a NUL behind; its size without. */
size_t snapmark_format(const struct snapmark *mark, char ret[SNAPMARK_SIZE]);
/* 0 or -EBADMSG.  `text` ends in a NUL. */
int snapmark_parse(const char *text, struct snapmark *ret);

/* "link", "clone", "copy": a static string. */
const char *snapmark_method(enum dw_snapshot_method method);

/* Whether a snapshot may have this name. */
bool snapmark_may_name(const char *name);
/* Whether `name` is that of a snapshot half made or half removed. */
bool snapmark_is_leftover(const char *name);
/* ".gone-1690000000000000000" */
void snapmark_format_removing(int64_t time_ns, char ret[SNAPMARK_NAME_SIZE]);

#endif
