/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * tailstate.c - see tailstate.h.
 */
#include "whole/tailstate.h"

#include <stdio.h>

#include "base/bytes.h"
#include "store/store.h"
#include "whole/tailread.h"

/* The keys are gone through once, so no more of the index need be in memory. */
enum { BUDGET = 8 << 20 };

/* The CRC field of the record that ends there; 0: not known. */
static uint32_t crc_at(struct io *io, int dirfd, const struct dw_position *position)
{
	uint8_t field[RECORD_TRAILER_SIZE];
	struct tail_reader reader;
	uint32_t crc = 0;

	tail_reader_init(&reader, io, dirfd);
	if (position->offset >= RECORD_OVERHEAD &&
	    !tail_reader_open(&reader, position->segment, position->offset) &&
	    !io_read_full(io, reader.fd, field, sizeof field, position->offset - sizeof field))
		crc = bytes_get32(field);
	tail_reader_close(&reader);
	return crc;
}

int tail_state_open(struct tail_state *state, struct io *io, int dirfd)
{
	const struct dw_options options = {.read_only = true, .index_budget = BUDGET};
	struct dw_report report;
	char path[64];

	/* by the descriptor, for the path may mean another directory by now */
	(void)snprintf(path, sizeof path, "/proc/self/fd/%d", dirfd);
	int rc = store_open(io, path, &options, &report, &state->store);
	if (!rc)
		rc = dw_iter_open(state->store, &state->iter);
	if (rc < 0) {
		tail_state_close(state);
		return rc;
	}
	state->position = (struct dw_position){
		.txid = report.last_txid, .offset = report.offset, .segment = report.segment};
	state->position.crc = crc_at(io, dirfd, &state->position);
	return 0;
}

void tail_state_close(struct tail_state *state)
{
	dw_iter_close(state->iter);
	if (state->store)
		(void)store_close(state->store); /* only read */
	*state = (struct tail_state){0};
}
