/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * check.h - comparing a store with the oracle.
 */
#ifndef TOOLS_SOAK_CHECK_H
#define TOOLS_SOAK_CHECK_H

#include "tools/soak/backend.h"
#include "tools/soak/progress.h"

struct check {
	struct backend *backend;
	const struct oracle *oracle;
	const struct progress *progress;
	const struct step *in_flight; /* begun but not acknowledged: done or not; or NULL */
	const char *when;             /* for messages: "at the end" */
};

/* Compare one key.  0, or SOAK_VIOLATED after a message. */
int check_slot(const struct check *check, const struct slot *slot);

/* Compare all values, and that the store lists those keys, each once, and no other.
 * 0, or SOAK_VIOLATED after a message. */
int check_store(const struct check *check);

#endif
