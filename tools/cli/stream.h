/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * stream.h - what send and receive share.
 */
#ifndef TOOLS_CLI_STREAM_H
#define TOOLS_CLI_STREAM_H

#include "tools/cli/tool.h"

/* A pipe of the usual 64 KiB would make both ends wait for each other. */
enum { STREAM_PIPE_SIZE = 1 << 20 };

#endif
