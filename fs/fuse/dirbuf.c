/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * dirbuf.c - see dirbuf.h.
 */
#include "fs/fuse/dirbuf.h"

#include <stdlib.h>

int dirbuf_init(struct dirbuf *buf, const struct request *request, size_t size, bool plus)
{
	*buf = (struct dirbuf){
		.request = request, .data = malloc(size), .size = size, .plus = plus};
	return buf->data ? 0 : -ENOMEM;
}

bool dirbuf_add(struct dirbuf *buf, const char *name, const struct fuse_entry_param *param,
		off_t next)
{
	fuse_req_t handle = buf->request->handle;
	char *at = buf->data + buf->used;
	size_t left = buf->size - buf->used;
	size_t need = buf->plus ? fuse_add_direntry_plus(handle, at, left, name, param, next)
				: fuse_add_direntry(handle, at, left, name, &param->attr, next);

	if (need > left)
		return false;
	buf->used += need;
	return true;
}

void dirbuf_reply(struct dirbuf *buf)
{
	/* a reply that is lost leaves its counts until the unmount */
	(void)fuse_reply_buf(buf->request->handle, buf->data, buf->used);
	free(buf->data);
}

void dirbuf_fail(struct dirbuf *buf, int rc)
{
	reply_err(buf->request, rc);
	free(buf->data);
}
