/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * ino.h - inode numbers, from names and a secret.
 *
 * A number must be the same at each mount, and programs take two files of one number for the
 * same one (cp, du, find, tar leave the second out).  So it is a keyed hash (SipHash) of the
 * number of the directory above and the component: a user who chooses names, and sees the numbers
 * of other files, can neither make two alike nor hit an existing one.
 */
#ifndef FS_TREE_INO_H
#define FS_TREE_INO_H

#include "datawal.h"

enum { INO_SECRET_SIZE = 16 };

struct ino_hash;

/* 0, -ENOMEM, or -ENOTSUP: OpenSSL has no SipHash. */
int ino_hash_new(const uint8_t secret[INO_SECRET_SIZE], struct ino_hash **ret);
/* NULL is fine. */
void ino_hash_free(struct ino_hash *hash);

/* The objects that have numbers. */
enum ino_kind { INO_FILE, INO_DIRECTORY, INO_SNAPSHOT, INO_REMOVED };

/* The number of what is called `name` below the number `above`: 63 bits, since some tools keep it
 * in a signed number; neither 0 nor 1, which mean things to others.  One thread at a time. */
uint64_t ino_hash_get(struct ino_hash *hash, uint64_t above, enum ino_kind kind,
		      struct dw_bytes name);

#endif
