/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * format.h - bytes, sizes and times for people.
 */
#ifndef TOOLS_COMMON_FORMAT_H
#define TOOLS_COMMON_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "datawal.h"

enum format_mode {
	FORMAT_AUTO,   /* printable ASCII as it is, else base64 */
	FORMAT_RAW,    /* the same: control bytes never reach a terminal */
	FORMAT_BASE64, /* always `b64:...` */
	FORMAT_HEX,    /* always `hex:...` */
};

/* The width to which fields are cut; a cut one ends in "...". */
enum { FORMAT_CUT = 64 };

/* "auto", "raw", "base64" or "b64", "hex".  False: none of them. */
bool format_mode_parse(const char *text, enum format_mode *ret);

/* Whether all bytes are printable ASCII or tabs; so are no bytes at all. */
bool format_is_printable(struct dw_bytes bytes);

/* One field of a line: literal (in quotes where blanks, quotes or backslashes would blur
 * it, or where it could be taken for another form), or `b64:` or `hex:` and the
 * encoded bytes.  Only the first `cut` bytes (0: all), with "..." behind if
 * there are more.  The text is the caller's: free(3).  NULL: no memory. */
char *format_bytes(struct dw_bytes bytes, enum format_mode mode, size_t cut);

/* A value by itself: no quotes and no prefix.  Its bytes must be printable unless the
 * mode is BASE64 or HEX.  Otherwise as format_bytes(). */
char *format_value(struct dw_bytes bytes, enum format_mode mode, size_t cut);

/* "1.5 MiB" */
enum { FORMAT_SIZE = 24 };
void format_size(uint64_t size, char ret[FORMAT_SIZE]);

/* "1:02:03" or "2:03" */
void format_duration(uint64_t seconds, char ret[FORMAT_SIZE]);

#endif
