/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * list.c - lists a directory of a store that has paths as keys: the files and directories in it,
 *and how many keys lie below each directory.
 *
 *	cc list.c -ldatawal && ./a.out STORE [DIRECTORY/]
 *
 * It looks at each name once, however many keys lie below a directory: behind the first key of
 * `b/` it goes on at `b0`, the least that comes after all of them.
 */
#include <datawal.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int print_directory(struct dw_store *store, struct dw_bytes name, size_t skip)
{
	struct dw_below_info below;
	int rc = dw_below(store, name, &below);

	if (!rc)
		printf("%10" PRIu64 " keys  %.*s\n", below.keys, (int)(name.size - skip),
		       (const char *)name.data + skip);
	return rc;
}

/* Go on behind all that is below `name`, which ends in '/'. */
static int skip_directory(struct dw_cursor *cursor, struct dw_bytes name)
{
	char *behind = malloc(name.size);

	if (!behind)
		return -1;
	memcpy(behind, name.data, name.size);
	behind[name.size - 1] = '/' + 1;
	int rc = dw_cursor_seek(cursor, (struct dw_bytes){behind, name.size});
	free(behind);
	return rc;
}

static int list(struct dw_store *store, struct dw_cursor *cursor, size_t skip)
{
	struct dw_item item;
	int rc;

	while ((rc = dw_cursor_next(cursor, &item)) == 1) {
		const char *key = item.key.data;
		const char *slash =
			item.key.size > skip ? memchr(key + skip, '/', item.key.size - skip) : NULL;
		if (!slash) {
			printf("%10" PRIu32 " bytes %.*s\n", item.stat.size,
			       (int)(item.key.size - skip), key + skip);
			continue;
		}
		/* the key is good until the cursor is used again */
		const struct dw_bytes name = {key, (size_t)(slash - key) + 1};
		rc = print_directory(store, name, skip);
		if (!rc)
			rc = skip_directory(cursor, name);
		if (rc)
			return rc;
	}
	return rc;
}

int main(int argc, char **argv)
{
	const struct dw_options options = {.read_only = true};
	const char *prefix = argc > 2 ? argv[2] : "";
	struct dw_cursor *cursor = NULL;
	struct dw_store *store;

	if (argc < 2 || dw_open(argv[1], &options, NULL, &store)) {
		fprintf(stderr, "usage: %s STORE [DIRECTORY/]\n", argv[0]);
		return 1;
	}
	int rc = dw_cursor_open(store, (struct dw_bytes){prefix, strlen(prefix)}, &cursor);
	if (!rc)
		rc = list(store, cursor, strlen(prefix));
	dw_cursor_close(cursor);
	(void)dw_close(store); /* a reader has nothing to bring to the disk */
	if (rc)
		fprintf(stderr, "%s: %s\n", argv[1], strerror(-rc));
	return rc != 0;
}
