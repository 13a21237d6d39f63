/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * sendlog_internal.h - what the two files of sendlog.h share.
 */
#ifndef WHOLE_SENDLOG_INTERNAL_H
#define WHOLE_SENDLOG_INTERNAL_H

#include "whole/sendlog.h"

/* NULL: it is not known. */
struct send_segment *sendlog_find(const struct sendlog *log, uint32_t id);
/* Whether it is the active one, as of the last listing. */
bool sendlog_is_last(const struct sendlog *log, const struct send_segment *segment);
void sendlog_close(struct sendlog *log, struct send_segment *segment);
/* Bytes of the file, which is open. */
int sendlog_size_of(const struct sendlog *log, const struct send_segment *segment, uint64_t *ret);
/* The four bytes before `offset`; 0 at the start. */
int sendlog_crc_before(const struct sendlog *log, const struct send_segment *segment,
		       uint64_t offset, uint32_t *ret);

#endif
