/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * limits.h - the numbers that wire version 1 fixes (docs/FORMAT.md), and the
 * sizes of the engine's own buffers.  All sizes in bytes.
 */
#ifndef BASE_LIMITS_H
#define BASE_LIMITS_H

#include "datawal.h"

#define RECORD_HEADER_SIZE  24u
#define RECORD_TRAILER_SIZE 4u
#define RECORD_OVERHEAD     (RECORD_HEADER_SIZE + RECORD_TRAILER_SIZE)

#define SEGMENT_ID_MIN 1u
#define SEGMENT_ID_MAX 99999999u

/* Reading goes through a window of this size, however large a record is. */
#define SCAN_WINDOW_SIZE (1u << 20)

_Static_assert(SCAN_WINDOW_SIZE > RECORD_HEADER_SIZE + DW_KEY_SIZE_MAX,
	       "a header and any key must fit the window");

#endif
