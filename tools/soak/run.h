/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * run.h - a run from its work directory to its verdict.
 */
#ifndef TOOLS_SOAK_RUN_H
#define TOOLS_SOAK_RUN_H

#include "tools/soak/config.h"

/* An enum soak_status, after messages. */
int soak_run(const struct config *config);

#endif
