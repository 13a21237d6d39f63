/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * xattr.h - the extended attributes of one file, in one piece of memory.
 *
 * The bytes are those of the attribute record (docs/FORMAT.md): an entry is the
 * size of its name (1 byte), the size of its value (4, little-endian), the name and
 * the value; entries stand in the order in which they were first set.  Which names
 * there may be is the volume's.
 */
#ifndef FS_ATTR_XATTR_H
#define FS_ATTR_XATTR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "datawal.h"

enum {
	XATTR_VALUE_MAX = 65536,       /* Linux has these limits */
	XATTR_NAMES_MAX = 65536,       /* of all names, each with its NUL */
	XATTR_BYTES_MAX = 1024 * 1024, /* ours: of all entries */
	XATTRS_KEPT_MAX = 256,         /* more of them are not kept in memory */
};

struct xattrs {
	uint32_t size;
	uint8_t data[];
};

/* Whether bytes are entries, each valid, no name twice. */
bool xattrs_valid(struct dw_bytes bytes);

/* A copy of valid entries; no entries: `*ret` is NULL.  0 or -ENOMEM. */
int xattrs_new(struct dw_bytes bytes, struct xattrs **ret);

/* Both may be NULL. */
bool xattrs_same(const struct xattrs *a, const struct xattrs *b);
struct dw_bytes xattrs_bytes(const struct xattrs *xattrs);

/* getxattr(2): the size of the value, copied if `size` is not 0.
 * -ENODATA, -ERANGE. */
ssize_t xattrs_get(const struct xattrs *xattrs, const char *name, void *ret, size_t size);

/* listxattr(2).  -ERANGE. */
ssize_t xattrs_list(const struct xattrs *xattrs, char *ret, size_t size);

/* A copy of `xattrs` with another value of `name`, or (value NULL) without it:
 * `*ret` is a new one, or NULL for none.  `flags`: XATTR_CREATE, XATTR_REPLACE.
 * -EEXIST, -ENODATA, -ERANGE: a name of no legal size; -E2BIG: a value over its limit;
 * -ENOSPC: over the others; -ENOMEM. */
int xattrs_with(const struct xattrs *xattrs, const char *name, const void *value, size_t size,
		int flags, struct xattrs **ret);

#endif
