/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * attr.h - what people set on a file besides its value.
 *
 * Owner and mode come from the mount; only what was set explicitly is kept, in a
 * struct that most files never have.
 */
#ifndef FS_ATTR_ATTR_H
#define FS_ATTR_ATTR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

struct xattrs;

/* Used where nothing was set. */
struct attr_defaults {
	uid_t uid;
	gid_t gid;
	mode_t umask;
};

enum attr_bit {
	ATTR_MODE = 1 << 0,
	ATTR_UID = 1 << 1,
	ATTR_GID = 1 << 2,
	ATTR_SIZE = 1 << 3, /* only as a request */
	ATTR_MTIME = 1 << 4,
	ATTR_ATIME = 1 << 5,
	ATTR_CTIME = 1 << 6,
	ATTR_MTIME_NOW = 1 << 7, /* only as requests */
	ATTR_ATIME_NOW = 1 << 8,
	ATTR_SYMLINK = 1 << 9, /* the value is the target of a symbolic link */
	/* attributes that a new value of the file takes away */
	ATTR_TIMES = ATTR_MTIME | ATTR_ATIME | ATTR_CTIME,
};

struct attrs {
	unsigned set; /* of enum attr_bit: which of these count */
	mode_t mode;  /* permission bits */
	uid_t uid;
	gid_t gid;
	int64_t mtime_ns, atime_ns, ctime_ns;
	uint64_t txid;         /* of the value that mtime and atime were set on; 0: of the one that
				  will be written next, or of a directory */
	struct xattrs *xattrs; /* owned; NULL: none */
	bool outside;          /* there are some, but only in the store of attributes */
	bool counted;          /* they count as memory of a file without a name */
	bool unchecked;        /* whether the value still has that txid */
	bool unsaved;          /* the store of attributes says otherwise, times aside */
	bool times_unsaved;    /* the times wait for the next value */
};

/* NULL is fine. */
void attrs_free(struct attrs *attrs);

/* Whether nothing is set; also of NULL. */
bool attrs_is_empty(const struct attrs *attrs);

/* Whether two say the same, times aside; NULL says nothing. */
bool attrs_same(const struct attrs *a, const struct attrs *b);

int64_t attr_ns(struct timespec t);
struct timespec attr_timespec(int64_t ns);

/* setuid and setgid do not outlive a change of value or owner (POSIX: write, chown). */
void attr_kill_privileges(struct attrs *attrs);

/* There is a new value: times set by hand count no more, nor do privileges, and it is
 * no link's target. */
void attr_new_value(struct attrs *attrs);

/* The file keeps its old value, with the attributes `old`; privileges do not come back. */
void attr_restore(struct attrs *attrs, const struct attrs *old);

/* Fill owner, mode and times of `st`; its st_mode holds the file type already.
 * `attrs` may be NULL; `mtime_ns` is that of the value. */
void attr_fill(const struct attr_defaults *defaults, const struct attrs *attrs, int64_t mtime_ns,
	       struct stat *st);

#endif
