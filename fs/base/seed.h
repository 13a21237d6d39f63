/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * seed.h - a number at random for the hash tables of this process.
 *
 * Names are chosen by users of a mount.  A table that hashed them alike in every
 * process would take time by the square with names made for one place in it.
 */
#ifndef FS_BASE_SEED_H
#define FS_BASE_SEED_H

#include <stdint.h>

/* Always the same.  Any thread. */
uint64_t seed_get(void);

#endif
