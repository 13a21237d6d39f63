/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * run.c - see run.h.
 */
#include "codec/run.h"

#include <xxhash.h>

bool run_place_is_valid(const struct run_place *place)
{
	return !place->change || place->change == (place->tombstone ? -1 : 1);
}

uint64_t run_hash(uint64_t seed, struct dw_bytes key)
{
	return XXH3_64bits_withSeed(key.data, key.size, seed);
}
