/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * iter.h - items of a dw_iter by number, for several threads at once.
 */
#ifndef WHOLE_ITER_H
#define WHOLE_ITER_H

#include "datawal.h"

/* Item number `index` (below dw_iter_count()), and a ref of its value that borrows the
 * iterator's segment: for dw_ref_read() with the item's key, never for dw_ref_put().
 * Any thread. */
void iter_at(const struct dw_iter *iter, size_t index, struct dw_item *ret, struct dw_ref *ref_ret);

#endif
