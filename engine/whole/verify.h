/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * verify.h - reading everything, throttled.
 */
#ifndef WHOLE_VERIFY_H
#define WHOLE_VERIFY_H

#include "store/store.h"

/* See dw_verify_with(). */
int store_verify(struct dw_store *store, struct throttle *throttle, struct dw_verify_report *ret);

#endif
