/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * dirscan.c - see dirscan.h.
 */
#include "fs/volume/dirscan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int dirscan_init(struct dirscan *scan, struct volume *volume, const struct node *dir,
		 struct dw_bytes begin)
{
	struct key prefix = {.data = prefix.small};

	*scan = (struct dirscan){.volume = volume};
	int rc = key_of_node(dir, &scan->dir);
	if (!rc)
		rc = key_of_child(dir, begin, false, &prefix);
	if (!rc)
		rc = dw_cursor_open(volume->store, key_bytes(&prefix), &scan->cursor);
	key_release(&prefix);
	if (rc < 0)
		key_release(&scan->dir);
	return rc;
}

void dirscan_release(struct dirscan *scan)
{
	dw_cursor_close(scan->cursor);
	key_release(&scan->dir);
	free(scan->passed);
}

/* Go on after all that is below the directory that was found last. */
static int pass(struct dirscan *scan)
{
	const struct dw_bytes component = scan->component;
	const size_t size = scan->dir.size + component.size + 1;
	char *key = realloc(scan->passed, size);

	if (!key)
		return -ENOMEM;
	scan->passed = key;
	if (scan->dir.size)
		memcpy(key, scan->dir.data, scan->dir.size);
	if (component.size)
		memcpy(key + scan->dir.size, component.data, component.size);
	key[size - 1] = '/' + 1;
	return dw_cursor_seek(scan->cursor, (struct dw_bytes){key, size});
}

static bool is_marker(const struct dirscan *scan, const struct dw_item *item)
{
	return !scan->volume->options.flat && scan->dir.size && item->key.size == scan->dir.size &&
	       !item->stat.size;
}

int dirscan_next(struct dirscan *scan)
{
	struct dw_item item = {.key = {"", 0}};
	int rc = scan->skips ? pass(scan) : 0;

	scan->skips = false;
	do
		rc = rc ? rc : dw_cursor_next(scan->cursor, &item);
	while (rc > 0 && is_marker(scan, &item) && !(rc = 0));
	if (rc <= 0)
		return rc;
	const char *start = (const char *)item.key.data + scan->dir.size;
	const size_t size = item.key.size - scan->dir.size;
	const char *slash = size && !scan->volume->options.flat ? memchr(start, '/', size) : NULL;
	scan->component = (struct dw_bytes){start, slash ? (size_t)(slash - start) : size};
	scan->is_dir = scan->skips = slash;
	return 1;
}

int dirscan_compare(struct dw_bytes a, bool a_is_dir, struct dw_bytes b, bool b_is_dir)
{
	const size_t common = a.size < b.size ? a.size : b.size;
	int order = common ? memcmp(a.data, b.data, common) : 0;

	if (order)
		return order;
	/* the byte after what both have: that of the longer one, or a directory's slash */
	int next_a = a.size > common ? ((const unsigned char *)a.data)[common]
		     : a_is_dir      ? '/'
				     : -1;
	int next_b = b.size > common ? ((const unsigned char *)b.data)[common]
		     : b_is_dir      ? '/'
				     : -1;
	return next_a - next_b;
}
