/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * crafted.h - names with chosen hashes, as an attacker makes them to slow down a table.
 */
#ifndef SUPPORT_CRAFTED_H
#define SUPPORT_CRAFTED_H

#include <stdint.h>

/* The 8 bytes of which XXH3_64bits_withSeed(bytes, 8, seed) is `hash`. */
void crafted_name(uint64_t hash, uint64_t seed, uint8_t ret[8]);

#endif
