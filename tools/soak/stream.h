/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * stream.h - the three streams of records that a run is made of.
 *
 * A record is a key and a payload.
 */
#ifndef TOOLS_SOAK_STREAM_H
#define TOOLS_SOAK_STREAM_H

#include <stddef.h>

#include "datawal.h"
#include "tools/soak/config.h"

struct slot;

struct record {
	struct dw_bytes key, payload; /* owned by the stream */
	struct slot *slot;            /* expected state of the key; the oracle's */
};

struct stream {
	const char *name; /* "small" */
	struct record *records;
	size_t count;
};

/* Add a record; the bytes become the stream's. */
void stream_add(struct stream *stream, struct dw_bytes key, struct dw_bytes payload);

/* Any stage of loading, `{0}` included. */
void streams_release(struct stream streams[STREAMS]);

#endif
