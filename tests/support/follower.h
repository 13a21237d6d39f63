/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * follower.h - a reader of the log that keeps the view, as a program that indexes a store does.
 *
 * Checks what it is given: each txid once and in order, STATE only after a RESET.  Any error ends
 * the test.
 */
#ifndef SUPPORT_FOLLOWER_H
#define SUPPORT_FOLLOWER_H

#include "tests/support/stores.h"

struct follower {
	const char *dir;
	struct dw_tail *tail;
	struct model model;
	struct dw_position position; /* what it would have kept over its end */
	bool in_state;               /* between RESET and READY */
	bool at_end;                 /* there was nothing new */
	unsigned resets;
};

/* From the first record on. */
void follower_init(struct follower *follower, const char *dir);
/* Take up to `limit` changes. */
void follower_follow(struct follower *follower, uint64_t limit);
/* Forget the tail, go on from the position; `txid_only`: the place was forgotten. */
void follower_restart(struct follower *follower, bool txid_only);
void follower_release(struct follower *follower);

/* --- a tail by itself --- */

struct dw_tail *tails_open(const char *dir, const struct dw_position *since);
/* There is nothing new. */
void tails_expect_end(struct dw_tail *tail);
/* The next one is a record of that txid, type, key and value (NULL: a Delete). */
struct dw_position tails_expect(struct dw_tail *tail, uint64_t txid, const char *key,
				const char *value);
/* The next ones are a RESET for that reason, which is returned, `keys` keys, READY. */
struct dw_change tails_expect_reset(struct dw_tail *tail, enum dw_reset reset, int keys);

#endif
