/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * numbered.c - see numbered.h.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/store.h"
#include "tests/support/numbered.h"
#include "tests/support/stores.h"

struct dw_store *numbered_open(struct io *io, const char *dir, uint64_t segment_size)
{
	const struct dw_options options = {.create = true, .segment_size = segment_size};
	struct dw_store *store = NULL;

	CHECK_EQ(store_open(io, dir, &options, NULL, &store), 0);
	return store;
}

void numbered_put(struct dw_store *store, int first, int count)
{
	char key[16], value[64];

	memset(value, 'v', sizeof value);
	for (int i = first; i < first + count; i++) {
		(void)snprintf(key, sizeof key, "%08d", i);
		const struct dw_bytes bytes = {value, 100 - 28 - 8};
		CHECK_EQ(dw_put(store, stores_bytes(key), bytes), 0);
	}
	CHECK_EQ(dw_rotate(store), 0);
}

void numbered_delete(struct dw_store *store, int first, int count)
{
	char key[16];

	for (int i = first; i < first + count; i++) {
		(void)snprintf(key, sizeof key, "%08d", i);
		stores_delete(store, key);
	}
}

void numbered_expect_keys(struct dw_store *store, int first, int count, bool there)
{
	char key[16];

	for (int i = first; i < first + count; i++) {
		(void)snprintf(key, sizeof key, "%08d", i);
		struct dw_value value;
		int rc = dw_get(store, stores_bytes(key), &value);
		CHECK_EQ(rc, there ? 0 : -ENOENT);
		if (!rc)
			free(value.data);
	}
}

struct dw_store *numbered_store(struct spaceio *space, const char *dir, const int *dead, int n)
{
	spaceio_init(space);
	struct dw_store *store = numbered_open(&space->io, dir, NUMBERED_SEGMENT_SIZE);
	for (int i = 0; i < n; i++)
		numbered_put(store, 100 * i, 10);
	for (int i = 0; i < n; i++)
		numbered_delete(store, 100 * i, dead[i]);
	return store;
}

void numbered_expect(struct dw_store *store, const int *dead, int n)
{
	for (int i = 0; i < n; i++) {
		numbered_expect_keys(store, 100 * i, dead[i], false);
		numbered_expect_keys(store, 100 * i + dead[i], 10 - dead[i], true);
	}
}
