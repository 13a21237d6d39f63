/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * attr.c - see attr.h.
 */
#include "fs/attr/attr.h"

#include <assert.h>
#include <stdlib.h>

#include "fs/attr/xattr.h"

enum { NS = 1000000000 };

void attrs_free(struct attrs *attrs)
{
	if (attrs)
		free(attrs->xattrs);
	free(attrs);
}

bool attrs_is_empty(const struct attrs *attrs)
{
	return !attrs || (!attrs->set && !attrs->xattrs && !attrs->outside);
}

bool attrs_same(const struct attrs *a, const struct attrs *b)
{
	static const struct attrs none;

	a = a ? a : &none;
	b = b ? b : &none;
	assert(!a->outside && !b->outside);
	if ((a->set ^ b->set) & ~(unsigned)ATTR_TIMES)
		return false;
	return (!(a->set & ATTR_MODE) || a->mode == b->mode) &&
	       (!(a->set & ATTR_UID) || a->uid == b->uid) &&
	       (!(a->set & ATTR_GID) || a->gid == b->gid) && xattrs_same(a->xattrs, b->xattrs);
}

int64_t attr_ns(struct timespec t)
{
	return (int64_t)t.tv_sec * NS + t.tv_nsec;
}

struct timespec attr_timespec(int64_t ns)
{
	int64_t rest = ns % NS;

	if (rest < 0)
		rest += NS;
	return (struct timespec){.tv_sec = (ns - rest) / NS, .tv_nsec = rest};
}

void attr_kill_privileges(struct attrs *attrs)
{
	attrs->mode &= ~(mode_t)S_ISUID;
	/* without the execute bit it marks mandatory locking, no privilege */
	if (attrs->mode & S_IXGRP)
		attrs->mode &= ~(mode_t)S_ISGID;
}

void attr_new_value(struct attrs *attrs)
{
	mode_t mode = attrs->mode;
	unsigned kept = attrs->set & ~(unsigned)(ATTR_TIMES | ATTR_SYMLINK);

	attr_kill_privileges(attrs);
	if (mode != attrs->mode || attrs->set & ATTR_SYMLINK)
		attrs->unsaved = true;
	attrs->set = kept;
	attrs->txid = 0;
	attrs->unchecked = attrs->times_unsaved = false;
}

void attr_restore(struct attrs *attrs, const struct attrs *old)
{
	mode_t mode = attrs->mode;
	bool unsaved = attrs->unsaved;

	*attrs = *old;
	attrs->mode = mode;
	attrs->unsaved = unsaved || attrs->set & ATTR_SYMLINK;
}

void attr_fill(const struct attr_defaults *defaults, const struct attrs *attrs, int64_t mtime_ns,
	       struct stat *st)
{
	static const struct attrs none;
	const struct attrs *a = attrs ? attrs : &none;
	mode_t mode = (S_ISDIR(st->st_mode) ? 0777 : 0666) & ~defaults->umask;

	if (S_ISLNK(st->st_mode))
		st->st_mode |= 0777; /* that of a link means nothing */
	else
		st->st_mode |= a->set & ATTR_MODE ? a->mode : mode;
	st->st_uid = a->set & ATTR_UID ? a->uid : defaults->uid;
	st->st_gid = a->set & ATTR_GID ? a->gid : defaults->gid;
	if (a->set & ATTR_MTIME)
		st->st_mtim = attr_timespec(a->mtime_ns);
	else
		st->st_mtim = attr_timespec(mtime_ns);
	/* reading is not recorded: the time of the value stands in */
	st->st_atim = a->set & ATTR_ATIME ? attr_timespec(a->atime_ns) : st->st_mtim;
	bool changed_later = a->set & ATTR_CTIME && a->ctime_ns > mtime_ns;
	st->st_ctim = attr_timespec(changed_later ? a->ctime_ns : mtime_ns);
}
