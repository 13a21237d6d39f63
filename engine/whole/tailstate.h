/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * tailstate.h - all keys of a store at one moment, and its position: where a reader of the log
 * starts over.
 */
#ifndef WHOLE_TAILSTATE_H
#define WHOLE_TAILSTATE_H

#include "datawal.h"
#include "disk/io.h"

struct tail_state {
	struct dw_store *store; /* open for reading; NULL: none */
	struct dw_iter *iter;
	struct dw_position position; /* of the moment */
};

/* The moment is now.  0, or as dw_open() of a reader says. */
int tail_state_open(struct tail_state *state, struct io *io, int dirfd);
/* Of zeros nothing is done. */
void tail_state_close(struct tail_state *state);

#endif
