/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * loss.h - records that the log held and holds no more, by what hints and damaged headers tell;
 * and what is left of their keys.
 *
 * Filled while segments are compared with their hints.  Then, if the caller asks for the remaining
 * values, loss_sort(), and each sound record of the log is shown to loss_see().  One thread.
 */
#ifndef STORE_LOSS_H
#define STORE_LOSS_H

#include "codec/hint.h"
#include "datawal.h"

struct loss_item {
	struct dw_bytes key; /* owned */
	struct record_header header;
	uint32_t segment;
	uint64_t offset;
	bool superseded;  /* the key has a newer record: nothing is lost but history */
	bool left_is_put; /* the newest older record */
	uint32_t left_size;
};

struct loss {
	struct loss_item *items; /* owned */
	size_t count, capacity;
	size_t limit;     /* of items; 0: none.  Items beyond it are only counted */
	uint64_t records; /* all that was added */
	bool sorted;
	bool seen; /* all sound records were shown: the remaining values are known */
};

/* 0 or -ENOMEM. */
int loss_add(struct loss *loss, uint32_t segment, uint64_t offset,
	     const struct record_header *header, struct dw_bytes key);

/* Take back what was added since there were so many. */
void loss_take_back(struct loss *loss, size_t count, uint64_t records);

void loss_release(struct loss *loss);

/* Of each key its newest lost record stays. */
void loss_sort(struct loss *loss);

/* A sound record of the log; it stands in the same log as the lost ones. */
void loss_see(struct loss *loss, uint32_t segment, uint64_t offset,
	      const struct record_header *header, struct dw_bytes key);

/* Tell each key of which something is lost, and what is left of it if that is known. */
void loss_report(struct loss *loss, dw_finding_fn *found, void *context);

#endif
