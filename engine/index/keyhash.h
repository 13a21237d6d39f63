/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * keyhash.h - the hash of a key in tables in memory.
 *
 * Never on disk: each process has another secret, so that users that choose keys cannot
 * choose where they come to lie, and make all others walk past them.
 */
#ifndef INDEX_KEYHASH_H
#define INDEX_KEYHASH_H

#include <stdint.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "datawal.h"

/* Bytes at random, once keyhash_init() was called.  XXH3 takes them as they are: they cost
 * nothing. */
extern uint8_t keyhash_secret[XXH3_SECRET_DEFAULT_SIZE];

/* Make the secret, once in a process.  Any thread. */
void keyhash_init(void);

static inline uint64_t keyhash(struct dw_bytes key)
{
	return XXH3_64bits_withSecret(key.data, key.size, keyhash_secret, sizeof keyhash_secret);
}

/* For tables without the keys: none of those that there will ever be have the same. */
static inline XXH128_hash_t keyhash128(struct dw_bytes key)
{
	return XXH3_128bits_withSecret(key.data, key.size, keyhash_secret, sizeof keyhash_secret);
}

#endif
