/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * crafted.c - see crafted.h.
 *
 * XXH3 of 4 to 8 bytes is a chain of steps each of which has an inverse; here they are, from
 * the last one to the first.
 */
#include "tests/support/crafted.h"

#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "tests/support/check.h"

enum { SIZE = 8 };

static uint64_t rotated(uint64_t x, unsigned bits)
{
	return x << bits | x >> (64 - bits);
}

static uint64_t inverse(uint64_t odd)
{
	uint64_t x = odd; /* right in the last 3 bits; each round doubles these */

	for (int i = 0; i < 5; i++)
		x *= 2 - odd * x;
	return x;
}

void crafted_name(uint64_t hash, uint64_t seed, uint8_t ret[8])
{
	const uint64_t prime = 0x9fb21c651e98df25u;
	uint64_t h = hash ^ hash >> 28 ^ hash >> 56;
	uint64_t lanes[2];

	h *= inverse(prime);
	h ^= (h >> 35) + SIZE;
	h *= inverse(prime);
	/* 64 times x ^ rotl(x, 49) ^ rotl(x, 24) is x */
	for (int i = 0; i < 63; i++)
		h ^= rotated(h, 49) ^ rotated(h, 24);
	memcpy(lanes, XXH3_kSecret + 8, sizeof lanes);
	seed ^= (uint64_t)__builtin_bswap32((uint32_t)seed) << 32;
	h ^= (lanes[0] ^ lanes[1]) - seed;
	h = rotated(h, 32); /* the first four bytes are the upper half */
	memcpy(ret, &h, SIZE);
}
