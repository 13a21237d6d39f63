/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * sidecars.c - see sidecars.h.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/files.h"
#include "tests/support/sidecars.h"
#include "tests/support/stores.h"

enum { SIDECARS_TIME_S = 1700000000 };

void sidecars_note(void *context, const struct dw_finding *finding)
{
	struct sidecars_told *told = context;
	size_t at = strlen(told->keys);

	switch (finding->kind) {
	case DW_FINDING_DAMAGE:
		told->damage++;
		told->kinds[finding->damage]++;
		told->records_lost += finding->records_lost;
		(void)snprintf(told->damaged_key, sizeof told->damaged_key, "%.*s",
			       (int)finding->key.size, (const char *)finding->key.data);
		(void)dw_finding_text(finding, told->text, sizeof told->text);
		break;
	case DW_FINDING_LOST:
		told->lost++;
		(void)snprintf(told->keys + at, sizeof told->keys - at, "%.*s:%d ",
			       (int)finding->key.size, (const char *)finding->key.data,
			       (int)finding->left);
		break;
	case DW_FINDING_SIDECAR: told->sidecars++; break;
	default: break;
	}
}

int sidecars_open(const char *dir, bool read_only, struct sidecars_told *told,
		  struct dw_store **ret)
{
	const struct dw_options options = {
		.read_only = read_only, .on_finding = sidecars_note, .context = told};

	*told = (struct sidecars_told){0};
	*ret = NULL;
	return dw_open(dir, &options, NULL, ret);
}

void sidecars_put_at(struct dw_store *store, const char *key, const char *value, int64_t second)
{
	const struct dw_op op = {.type = DW_PUT,
				 .key = stores_bytes(key),
				 .value = stores_bytes(value),
				 .mtime_set = true,
				 .mtime_ns = (SIDECARS_TIME_S + second) * 1000000000};

	CHECK_EQ(dw_batch(store, &op, 1), 0);
}

int64_t sidecars_second_of(struct dw_store *store, const char *key)
{
	struct dw_stat stat;

	CHECK_EQ(dw_stat(store, stores_bytes(key), &stat), 0);
	return stat.mtime_ns / 1000000000 - SIDECARS_TIME_S;
}

void sidecars_make(const char *dir, char letter)
{
	struct dw_store *store = stores_open(dir, 0);
	char key[3] = {letter, '0', '\0'};

	for (int i = 0; i < 3; i++) {
		key[1] = (char)('1' + i);
		sidecars_put_at(store, key, "value", i);
		sidecars_put_at(store, "end", "of it", 10 + i);
		if (i < 2)
			CHECK_EQ(dw_rotate(store), 0);
	}
	stores_close(store);
}

void sidecars_copy_over(const char *from, const char *to, const char *name)
{
	struct buf bytes = files_read(AT_FDCWD, stores_path(from, name));

	files_write(AT_FDCWD, stores_path(to, name), bytes.data, bytes.size);
	buf_release(&bytes);
}

void sidecars_expect(const char *dir, char letter, bool read_only)
{
	struct sidecars_told told;
	struct dw_store *store;
	char key[3] = {letter, '0', '\0'};

	CHECK_EQ(sidecars_open(dir, read_only, &told, &store), 0);
	CHECK_EQ(told.damage, 0);
	CHECK_EQ(dw_count(store), 4);
	for (key[1] = '1'; key[1] <= '3'; key[1]++)
		stores_expect(store, key, "value");
	stores_expect(store, "end", "of it");
	stores_close(store);
}
