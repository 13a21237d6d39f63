/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * segname.h - names in a store directory: segments and what belongs to them.
 */
#ifndef CODEC_SEGNAME_H
#define CODEC_SEGNAME_H

#include <stdbool.h>
#include <stdint.h>

/* `NNNNNNNN.dwal.torn-` and a 64-bit decimal, with the closing NUL. */
enum { SEGNAME_SIZE = 48 };

/* The root of the index, and the same while it is written. */
#define SEGNAME_INDEX     "index"
#define SEGNAME_INDEX_NEW "index.new"
/* It is there until a replica has all of its first mark. */
#define SEGNAME_RECEIVING ".receiving"

/* "00000042.dwal".  `id` is at most SEGMENT_ID_MAX. */
void segname_format(uint32_t id, char ret[SEGNAME_SIZE]);

/* "00000042.dwal.torn-1690000000000000000": bytes taken out of segment `id`. */
void segname_format_torn(uint32_t id, int64_t time_ns, char ret[SEGNAME_SIZE]);

/* "00000042.dwal.compact": segment `id` while compaction writes it. */
void segname_format_compact(uint32_t id, char ret[SEGNAME_SIZE]);

/* "00000042.dwal.receive": segment `id` while a replica receives it. */
void segname_format_receive(uint32_t id, char ret[SEGNAME_SIZE]);

/* "00000042.hint": the hint of segment `id`. */
void segname_format_hint(uint32_t id, char ret[SEGNAME_SIZE]);
/* "00000042.hint.new": the same while it is written beside another one. */
void segname_format_hint_new(uint32_t id, char ret[SEGNAME_SIZE]);
/* "00000042.hint.lost-1690000000000000000": one that knew more than its segment held, kept
 * for people. */
void segname_format_hint_lost(uint32_t id, int64_t time_ns, char ret[SEGNAME_SIZE]);
/* Whether `name` is that of a hint; `*ret` is its segment's id. */
bool segname_parse_hint(const char *name, uint32_t *ret);

/* "00000042.run": the sorted keys of an index; its id has nothing to do with a segment's. */
void segname_format_run(uint32_t id, char ret[SEGNAME_SIZE]);
/* "00000042.run.new": the same while it is written. */
void segname_format_run_new(uint32_t id, char ret[SEGNAME_SIZE]);
/* Whether `name` is that of a run; `*ret` is its id. */
bool segname_parse_run(const char *name, uint32_t *ret);

/* Whether `name` is that of a segment; `*ret` is its id, 0..SEGMENT_ID_MAX:
 * writers start at SEGMENT_ID_MIN, yet a segment 0 is not left unread. */
bool segname_parse(const char *name, uint32_t *ret);

/* Whether `name` is that of a file that was never finished: a segment that compaction
 * writes, a hint (`.hint.new`), a run (`.run.new`), the index (`index.new`), or the copy of a torn
 * tail
 * (`.torn-....tmp`).  Nothing refers to those. */
bool segname_is_unfinished(const char *name);

/* Whether `name` is that of something put aside for people: bytes taken out of a segment
 * (`.torn-`), or a hint (`.hint.lost-`). */
bool segname_is_aside(const char *name);

#endif
