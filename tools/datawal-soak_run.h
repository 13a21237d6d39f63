/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * datawal-soak_run.h - a run from its work directory to its verdict.
 */
#ifndef TOOLS_DATAWAL_SOAK_RUN_H
#define TOOLS_DATAWAL_SOAK_RUN_H

#include "tools/datawal-soak_config.h"

/* An enum soak_status, after messages. */
int soak_run(const struct config *config);

#endif
