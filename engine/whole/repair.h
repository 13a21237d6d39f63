/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * repair.h - dw_repair() with system calls of the caller's choice.
 */
#ifndef WHOLE_REPAIR_H
#define WHOLE_REPAIR_H

#include "datawal.h"
#include "disk/io.h"

int repair_store(struct io *io, const char *path, bool do_it, const struct dw_options *options,
		 dw_repair_fn *found, void *context, struct dw_repair_report *ret);

#endif
