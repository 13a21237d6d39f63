/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * retire.h - for the files of the index: a new version takes the place of the newest one.
 */
#ifndef INDEX_RETIRE_H
#define INDEX_RETIRE_H

#include "index/index.h"

/* `version` is the newest from now on; the one before goes when nobody looks into it.  `change` is
 * held. */
void index_replace(struct index *index, struct version *version);

#endif
