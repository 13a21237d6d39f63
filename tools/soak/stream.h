/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * stream.h - the three streams of records that a run is made of.
 *
 * A record is a key and a payload.  They come from JSON lines,
 * {"key":"<base64>","payload":"<base64>"}, of the committed fixtures or the caller's
 * files, or from the generator that wrote the fixtures.
 */
#ifndef TOOLS_SOAK_STREAM_H
#define TOOLS_SOAK_STREAM_H

#include <stddef.h>
#include <stdint.h>

#include "datawal.h"
#include "tools/soak/config.h"

struct slot;

struct record {
	struct dw_bytes key, payload; /* owned by the stream */
	struct slot *slot;            /* what is expected of the key; the oracle's */
};

struct stream {
	const char *name; /* "small" */
	struct record *records;
	size_t count;
};

/* Load what `config` asks for.  0, or SOAK_SETUP after a message with file and line. */
int streams_load(const struct config *config, struct stream streams[STREAMS]);

/* Any stage of loading, `{0}` included. */
void streams_release(struct stream streams[STREAMS]);

/* --- the generator --- */

/* The name of the fixture of a stream: "small_records.jsonl". */
const char *fixture_name(int stream);

/* Generate the records of a stream. */
void fixture_generate(int stream, struct stream *ret);

/* Write all fixtures into `directory`, made if missing.  0, or SOAK_SETUP after a message. */
int fixtures_write(const char *directory);

/* Add a record; the bytes become the stream's. */
void stream_add(struct stream *stream, struct dw_bytes key, struct dw_bytes payload);

/* The next number of a series, and its state (SplitMix64). */
uint64_t soak_random(uint64_t *state);

#endif
