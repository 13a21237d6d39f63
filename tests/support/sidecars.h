/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * sidecars.h - stores of three segments with their hints, and the findings when one is opened.
 *
 * Any error ends the test.
 */
#ifndef SUPPORT_SIDECARS_H
#define SUPPORT_SIDECARS_H

#include <stdbool.h>
#include <stdint.h>

#include "datawal.h"

/* The findings of opening or repairing. */
struct sidecars_told {
	unsigned damage, sidecars, lost, kinds[DW_DAMAGE_HINT + 1];
	uint64_t records_lost;
	char keys[400]; /* of LOST, each with its dw_left and a blank behind */
	char damaged_key[40];
	char text[400]; /* of the last finding of damage */
};

/* Add a finding to a struct sidecars_told. */
void sidecars_note(void *context, const struct dw_finding *finding);
/* dw_open() with all findings in `told`, which is emptied first. */
int sidecars_open(const char *dir, bool read_only, struct sidecars_told *told,
		  struct dw_store **ret);

/* Times of records: seconds since a fixed one. */
void sidecars_put_at(struct dw_store *store, const char *key, const char *value, int64_t second);
int64_t sidecars_second_of(struct dw_store *store, const char *key);

/* Three segments, closed: a key or two in each, told apart by `letter`.  The last record of each
 * segment is the same whatever the letter. */
void sidecars_make(const char *dir, char letter);
/* In place, as cp(1) does. */
void sidecars_copy_over(const char *from, const char *to, const char *name);
/* The store of sidecars_make() opens without damage and holds all of its keys. */
void sidecars_expect(const char *dir, char letter, bool read_only);

#endif
