/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * numbered.h - stores of numbered keys, "00000100" and so on, of which some are deleted: input for
 * compactions.
 *
 * Any error ends the test.
 */
#ifndef SUPPORT_NUMBERED_H
#define SUPPORT_NUMBERED_H

#include <stdbool.h>

#include "datawal.h"
#include "tests/support/spaceio.h"

enum { NUMBERED_SEGMENT_SIZE = 1000 };

struct dw_store *numbered_open(struct io *io, const char *dir, uint64_t segment_size);

/* A segment of `count` puts of 100 bytes each, "FIRST" and so on, sealed. */
void numbered_put(struct dw_store *store, int first, int count);
void numbered_delete(struct dw_store *store, int first, int count);
/* Whether all of the keys are there, or none is. */
void numbered_expect_keys(struct dw_store *store, int first, int count, bool there);

/* `n` segments of ten keys each, of which `dead[i]` are deleted. */
struct dw_store *numbered_store(struct spaceio *space, const char *dir, const int *dead, int n);
void numbered_expect(struct dw_store *store, const int *dead, int n);

#endif
