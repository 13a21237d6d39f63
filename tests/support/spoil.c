/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * spoil.c - see spoil.h; the offsets are those of docs/FORMAT.md.
 */
#include "tests/support/spoil.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "datawal.h"
#include "tests/support/files.h"

void spoil_crc(struct buf *buf, size_t at)
{
	buf->data[at + 28] ^= 0x40;
}

void spoil_magic(struct buf *buf, size_t at)
{
	buf->data[at] = 'd';
}

void spoil_version(struct buf *buf, size_t at)
{
	buf->data[at + 4] = 9;
}

void spoil_type(struct buf *buf, size_t at)
{
	buf->data[at + 6] = 3;
}

void spoil_flags(struct buf *buf, size_t at)
{
	buf->data[at + 7] = 1;
}

void spoil_key_size(struct buf *buf, size_t at)
{
	bytes_put32(buf->data + at + 16, DW_KEY_SIZE_MAX + 1);
}

void spoil_runs(const char *dir)
{
	struct files files = files_snapshot(dir);
	char path[512];

	for (size_t i = 0; i < files.count; i++) {
		struct buf *bytes = &files.items[i].data;
		if (!strstr(files.items[i].name, ".run"))
			continue;
		/* not those that opening reads: the first, the last two */
		for (size_t at = 4096; at + 2 * 4096 < bytes->size; at += 4096)
			bytes->data[at + 100] ^= 1;
		(void)snprintf(path, sizeof path, "%s/%s", dir, files.items[i].name);
		files_write(AT_FDCWD, path, bytes->data, bytes->size);
	}
	files_release(&files);
}
