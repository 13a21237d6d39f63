/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * owner.c - see owner.h.
 */
#include "disk/owner.h"

enum { READ_BITS = 0444, WRITE_BITS = 0222, PERMISSIONS = 0777 };

struct owner owner_of(const struct stat *st)
{
	return (struct owner){
		.known = true,
		/* its owner writes it, whatever a sealed segment was set to */
		.mode = (st->st_mode & PERMISSIONS) | OWNER_MODE_NEW,
		.uid = st->st_uid,
		.gid = st->st_gid,
	};
}

void owner_apply(const struct owner *owner, struct io *io, int fd)
{
	if (owner->known && io->own)
		(void)io->own(io, fd, owner->uid, owner->gid, owner->mode); /* stays private */
}

void owner_apply_lock(const struct owner *owner, struct io *io, int fd)
{
	mode_t writers = owner->mode & WRITE_BITS;

	if (!owner->known || !io->own)
		return;
	(void)io->own(io, fd, owner->uid, owner->gid, writers | writers << 1); /* stays as it is */
}

mode_t owner_directory_mode(const struct owner *owner)
{
	mode_t mode = owner->known ? owner->mode : OWNER_MODE_NEW;

	return mode | (mode & READ_BITS) >> 2;
}
