/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * dirbuf.h - the answer to a listing: entries, as many as fit.
 */
#ifndef FS_FUSE_DIRBUF_H
#define FS_FUSE_DIRBUF_H

#include "fs/fuse/request.h"

struct dirbuf {
	const struct request *request;
	char *data; /* owned */
	size_t size, used;
	bool plus; /* entries come with attributes, and count for the kernel */
};

/* Room for `size` bytes; 0 or -ENOMEM.  Then dirbuf_reply(), or dirbuf_fail(), once. */
int dirbuf_init(struct dirbuf *buf, const struct request *request, size_t size, bool plus);

/* `next`: where the listing goes on after it.  `param->ino` 0: the name only, for the kernel
 * neither counts nor keeps it.  false: no room is left. */
bool dirbuf_add(struct dirbuf *buf, const char *name, const struct fuse_entry_param *param,
		off_t next);

/* Answer with what was added. */
void dirbuf_reply(struct dirbuf *buf);
void dirbuf_fail(struct dirbuf *buf, int rc);

#endif
