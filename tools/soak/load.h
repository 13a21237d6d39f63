/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * load.h - where the records of a run come from.
 *
 * They come from JSON lines, {"key":"<base64>","payload":"<base64>"}, of the committed
 * fixtures or the caller's files, or from the generator that wrote the fixtures.
 */
#ifndef TOOLS_SOAK_LOAD_H
#define TOOLS_SOAK_LOAD_H

#include "tools/soak/config.h"
#include "tools/soak/stream.h"

/* Load what `config` asks for.  0, or SOAK_SETUP after a message with file and line. */
int streams_load(const struct config *config, struct stream streams[STREAMS]);

#endif
