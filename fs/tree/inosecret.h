/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * inosecret.h - the secret that inode numbers are made with, kept in the store's directory.
 *
 * A sidecar of 32 hexadecimal digits, mode 0600.  It goes with the directory (cp -a, tar);
 * without it the next mount that writes makes another one, and numbers change once.
 */
#ifndef FS_TREE_INOSECRET_H
#define FS_TREE_INOSECRET_H

#include <stdbool.h>

#include "fs/tree/ino.h"

#define INOSECRET_NAME ".inode-secret"

enum inosecret_source {
	INOSECRET_READ,
	INOSECRET_MADE,  /* there was none that could be used; it is durable now */
	INOSECRET_BRIEF, /* it holds for this process only */
};

/* The secret of the store in directory `dirfd`.  Made if need be and `writes`.  If it cannot be
 * read or written, the result is one for this process only, with the reason in *error_ret (a
 * positive errno; 0: there is none, and none may be made).  One process at a time may make one. */
enum inosecret_source inosecret_take(int dirfd, bool writes, uint8_t ret[INO_SECRET_SIZE],
				     int *error_ret);

#endif
