/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * moment.h - for the files of the index: what a moment is.
 */
#ifndef INDEX_MOMENT_H
#define INDEX_MOMENT_H

#include "index/index.h"

struct index_moment {
	atomic_uint refs; /* its owner's, and its cursors' */
	struct version *version;
	uint64_t count; /* keys */
};

struct index_moment *moment_ref(struct index_moment *moment);

#endif
