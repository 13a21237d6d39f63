/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * bulk.h - memory for large tables that are read at random.
 *
 * From BULK_MIN on it comes in pages of 2 MiB where the system gives them
 * (madvise(2), MADV_HUGEPAGE): with pages of 4 KiB nearly each such read has to look its
 * address up first.  Less than that is the heap's.
 */
#ifndef BASE_BULK_H
#define BASE_BULK_H

#include <stddef.h>

enum { BULK_MIN = 2 << 20 }; /* bytes; also the alignment from there on */

/* Zeroed memory, for bulk_free() with the same size.  NULL: there is none.  Any thread. */
void *bulk_alloc(size_t size);
/* NULL is fine. */
void bulk_free(void *data, size_t size);

#endif
