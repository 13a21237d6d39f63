/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * jsonl.h - a line of the export: {"key_b64":"...","value_b64":"..."}
 *
 * Byte for byte what the reference writes: no blanks, standard base64 with
 * padding, one line feed.  A value may be handed over in pieces, so that no
 * line is ever held in memory whole.
 */
#ifndef CODEC_JSONL_H
#define CODEC_JSONL_H

#include <stdbool.h>

#include "base/buf.h"
#include "datawal.h"

/* Pieces of a value must be a multiple of this many bytes, but for the last. */
enum { JSONL_PIECE = 3 };

/* Add the line up to and with the quote that opens the value.  0 or -ENOMEM. */
int jsonl_add_key(struct buf *buf, struct dw_bytes key);

/* Add a piece of the value.  0 or -ENOMEM. */
int jsonl_add_value(struct buf *buf, const void *data, size_t size);

/* Add what closes the line.  0 or -ENOMEM. */
int jsonl_add_end(struct buf *buf);

/* All of a line. */
int jsonl_add_line(struct buf *buf, struct dw_bytes key, struct dw_bytes value);

#endif
