/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * fixtures.h - the synthetic records, made anew each time from a seed.
 */
#ifndef TOOLS_SOAK_FIXTURES_H
#define TOOLS_SOAK_FIXTURES_H

#include "tools/soak/stream.h"

/* The name of the fixture of a stream: "small_records.jsonl". */
const char *fixture_name(int stream);

/* Generate the records of a stream. */
void fixture_generate(int stream, struct stream *ret);

/* Write all fixtures into `directory`, made if missing.  0, or SOAK_SETUP after a message. */
int fixtures_write(const char *directory);

#endif
