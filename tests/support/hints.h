/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * hints.h - a segment of random records beside the hint that a writer of it leaves.
 *
 * Any error ends the test.
 */
#ifndef SUPPORT_HINTS_H
#define SUPPORT_HINTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "disk/hintfile.h"
#include "disk/hintreader.h"
#include "tests/support/check.h"

enum { HINTS_RECORDS = 3000, HINTS_KEY_MAX = 40 };

struct hints_sample {
	struct hint_entry entries[HINTS_RECORDS];
	uint64_t offsets[HINTS_RECORDS];
	char keys[HINTS_RECORDS][HINTS_KEY_MAX];
	struct buf segment;
	char dir[128];
	int dirfd, segment_fd;
};

/* A segment of random records and the hint that a writer of it leaves. */
struct hints_sample *hints_make(bool sealed);
void hints_free(struct hints_sample *s);

/* The binding of a hint to the segment as it is open now. */
struct hint_binding hints_binding(const struct hints_sample *s);
void hints_seal(const struct hints_sample *s, struct hintwriter *writer);

/* Read the hint to its end: how many entries it has, each as it should be. */
int hints_read_all(struct hints_sample *s);
struct hint_claims hints_survey(struct hints_sample *s);
/* Whether the hint is bound to the segment as it is open now. */
bool hints_is_bound(struct hints_sample *s);

#endif
