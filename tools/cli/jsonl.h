/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * jsonl.h - a file of JSON objects, one a line.
 */
#ifndef TOOLS_CLI_JSONL_H
#define TOOLS_CLI_JSONL_H

#include <jansson.h>

#include "tools/cli/tool.h"

struct jsonl {
	const struct args *args;
	const char *name; /* of the file, for messages; the caller's */
	FILE *file;
	char *text; /* the line; owned */
	size_t size, capacity;
	uint64_t line;  /* its number, from 1 */
	uint64_t bytes; /* read so far */
	uint64_t total; /* of the file; 0: not known */
};

/* Open `path`, or stdin for "-" and NULL.  0, or the exit status after saying why;
 * release it in any case. */
int jsonl_open(struct jsonl *jsonl, const struct args *args, const char *path);
void jsonl_release(struct jsonl *jsonl);

/* Go on to the next line that is not blank: 1 (it is `text`, ended by a NUL); 0: the end; -1 after
 * a message with file and line. */
int jsonl_next(struct jsonl *jsonl);

/* The object that the line is: 0 and `*ret`, the caller's to json_decref(); or -1 after
 * saying what is wrong. */
int jsonl_parse(struct jsonl *jsonl, json_t **ret);

/* Say what is wrong with the line: "FILE, line N: ...".  Returns -1. */
__attribute__((format(printf, 2, 3))) int jsonl_bad(const struct jsonl *jsonl, const char *format,
						    ...);

/* A member in standard base64; it may be absent (then there are no bytes) if `optional`.
 * The bytes are the caller's.  0, or -1 after saying what is wrong. */
int jsonl_base64(const struct jsonl *jsonl, const json_t *object, const char *name, bool optional,
		 struct dw_bytes *ret);

#endif
