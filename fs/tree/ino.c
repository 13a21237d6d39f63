/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * ino.c - see ino.h.
 */
#include "fs/tree/ino.h"

#include <assert.h>
#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdlib.h>
#include <string.h>

enum { NUMBER_SIZE = 8 };

struct ino_hash {
	EVP_MAC *mac;
	EVP_MAC_CTX *context;
	uint8_t secret[INO_SECRET_SIZE];
};

int ino_hash_new(const uint8_t secret[INO_SECRET_SIZE], struct ino_hash **ret)
{
	struct ino_hash *hash = calloc(1, sizeof *hash);
	size_t size = NUMBER_SIZE;
	const OSSL_PARAM params[] = {OSSL_PARAM_construct_size_t(OSSL_MAC_PARAM_SIZE, &size),
				     OSSL_PARAM_construct_end()};

	if (!hash)
		return -ENOMEM;
	memcpy(hash->secret, secret, sizeof hash->secret);
	hash->mac = EVP_MAC_fetch(NULL, "SIPHASH", NULL);
	hash->context = hash->mac ? EVP_MAC_CTX_new(hash->mac) : NULL;
	if (!hash->context ||
	    EVP_MAC_init(hash->context, hash->secret, sizeof hash->secret, params) != 1) {
		int rc = hash->mac ? -ENOMEM : -ENOTSUP;
		ino_hash_free(hash);
		return rc;
	}
	*ret = hash;
	return 0;
}

void ino_hash_free(struct ino_hash *hash)
{
	if (!hash)
		return;
	EVP_MAC_CTX_free(hash->context);
	EVP_MAC_free(hash->mac);
	free(hash);
}

uint64_t ino_hash_get(struct ino_hash *hash, uint64_t above, enum ino_kind kind,
		      struct dw_bytes name)
{
	uint8_t head[NUMBER_SIZE + 1], number[NUMBER_SIZE];
	uint64_t value = 0;
	size_t size = 0;

	for (int i = 0; i < NUMBER_SIZE; i++)
		head[i] = (uint8_t)(above >> 8 * i);
	head[NUMBER_SIZE] = (uint8_t)kind;
	/* nothing is allocated from here on, so nothing fails */
	int fine = EVP_MAC_init(hash->context, hash->secret, sizeof hash->secret, NULL) &&
		   EVP_MAC_update(hash->context, head, sizeof head) &&
		   EVP_MAC_update(hash->context, name.data, name.size) &&
		   EVP_MAC_final(hash->context, number, &size, sizeof number);
	assert(fine && size == sizeof number);
	(void)fine;
	for (int i = 0; i < NUMBER_SIZE; i++)
		value |= (uint64_t)number[i] << 8 * i;
	return value >> 1 | 2;
}
