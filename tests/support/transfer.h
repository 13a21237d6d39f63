/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * transfer.h - a store, a replica of it, and the stream between them.  Any error ends the test.
 */
#ifndef SUPPORT_TRANSFER_H
#define SUPPORT_TRANSFER_H

#include "tests/support/files.h"
#include "tests/support/stores.h"

struct transfer {
	const char *from, *to; /* directories */
	struct dw_store *store;
};

/* A fresh directory whose text stays valid. */
const char *transfer_dir(void);

/* An empty store that is open, and an empty directory. */
struct transfer transfer_pair(uint64_t segment_size);

/* "key N" to "key M - 1". */
void transfer_put(struct dw_store *store, int from, int to);

/* The segments of a directory. */
struct files transfer_segments(const char *dir);
void transfer_expect_same(const char *a, const char *b);

struct dw_receive *transfer_receiver(const char *dir);
struct dw_send *transfer_sender(const char *from, const struct dw_position *since,
				const char *have);

/* All that there is now, from one to the other; the first result that is not 0. */
int transfer_pump(struct dw_send *send, struct dw_receive *receive);

/* One stream from its beginning to its end. */
int transfer_all(const char *from, const char *to, const struct dw_position *since,
		 const char *have);

/* What the replica says of itself. */
struct dw_position transfer_position(const char *dir);
char *transfer_have(const char *dir);

/* A whole stream in memory; the caller's. */
struct buf transfer_stream(const char *from);

#endif
