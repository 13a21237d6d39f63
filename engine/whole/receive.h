/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * receive.h - dw_send_open() and dw_receive_open() with system calls of the caller's choice.
 */
#ifndef WHOLE_RECEIVE_H
#define WHOLE_RECEIVE_H

#include "datawal.h"
#include "disk/io.h"

int send_open(struct io *io, const char *path, const struct dw_send_options *options,
	      struct dw_send **ret);
int receive_open(struct io *io, const char *path, const struct dw_options *options,
		 struct dw_receive **ret);

#endif
