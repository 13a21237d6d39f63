/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * name.h - components of keys as file names, one to one.
 *
 * A key component may hold any byte but '/' (in flat layout that as well); a file
 * name may not hold NUL or '/', may not be empty, "." or "..", and ends at 255
 * bytes.  Every legal file name is a component as it stands; only what no name can
 * hold is escaped, and names that happen to look like an escape are quoted:
 *
 *   NUL                       %00      text %(25)*00           one 25 more
 *   '/' (flat layout)         %2F      text %(25)*2F (flat)    one 25 more
 *   empty, ".", "..", and in  %~ in    the same behind (%~)+   one %~ more
 *     the root the reserved   front
 *   over 255 bytes, or that   its first 221 bytes, %~, and 32 hex digits of its
 *     look like this result   SHA-256, cut to 128 bits
 *
 * The fifth rule of the mapping, a key that is also a directory (`%=`), depends on
 * the other names of its directory and is the volume's (fs/volume/shown.h).
 */
#ifndef FS_NAME_NAME_H
#define FS_NAME_NAME_H

#include <stdbool.h>
#include <stddef.h>

enum { NAME_SIZE_MAX = 255 };

struct name_rules {
	bool flat;            /* '/' is an ordinary byte of the one component */
	const char *reserved; /* a name of the root that is not a key's; "": none */
};

struct name {
	size_t size;
	char text[NAME_SIZE_MAX + 1]; /* ended by a NUL */
};

/* The file name of a component.  True if the component can be told from the name
 * alone; false for the form that only stands for a longer one. */
bool name_encode(const struct name_rules *rules, bool in_root, const void *component, size_t size,
		 struct name *ret);

/* The component of a file name, at most as long as the name.
 * 0, or -ENAMETOOLONG: the name has the form that stands for a longer one. */
int name_decode(const struct name_rules *rules, bool in_root, const char *text,
		struct name *component_ret);

/* The form for components that fit no name; `shown` is what would be too long. */
void name_abbreviate(const void *shown, size_t shown_size, const void *component, size_t size,
		     struct name *ret);

#endif
