/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_sidecar_loss.c - segments that were emptied, cut or removed while their hints stayed: the
 * loss is reported, key by key; records that were not synced are no loss.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/files.h"
#include "tests/support/sidecars.h"
#include "tests/support/stores.h"

/* A sealed segment, or one that was closed, holds less than it did: told, nothing changed, and
 * after a repair the store goes on. */
static void check_loss(const char *dir, enum dw_damage damage, const char *open_keys,
		       const char *repair_keys)
{
	for (int read_only = 1; read_only >= 0; read_only--) {
		struct files before = files_snapshot(dir);
		struct sidecars_told told;
		struct dw_store *store;
		CHECK_EQ(sidecars_open(dir, read_only, &told, &store), -EBADMSG);
		CHECK_EQ(told.damage, 1);
		CHECK_EQ(told.kinds[damage], 1);
		CHECK(!strcmp(told.keys, open_keys));
		CHECK(strstr(told.text, "datawal repair") != NULL);
		struct files after = files_snapshot(dir);
		CHECK(files_equal(&before, &after));
		files_release(&before);
		files_release(&after);
	}
	for (int do_it = 0; do_it < 3; do_it++) {
		struct sidecars_told told = {0};
		const struct dw_options options = {.on_finding = sidecars_note, .context = &told};
		struct dw_repair_report report;
		CHECK_EQ(dw_repair(dir, do_it, &options, NULL, NULL, &report), 0);
		CHECK_EQ(report.segments_short, do_it < 2);
		CHECK(!strcmp(told.keys, do_it < 2 ? repair_keys : ""));
		CHECK_EQ(report.keys_lost, told.lost);
	}
	CHECK_EQ(files_count_suffixed(dir, ".hint.lost-"), 1);
	struct sidecars_told told;
	struct dw_store *store;
	for (int read_only = 1; read_only >= 0; read_only--) {
		CHECK_EQ(sidecars_open(dir, read_only, &told, &store), 0);
		CHECK_EQ(told.damage + told.lost + told.sidecars, 0);
		stores_close(store);
	}
}

static void test_emptied(void)
{
	const char *dir = stores_dir();

	sidecars_make(dir, 'a');
	CHECK_EQ(truncate(stores_path(dir, "00000002.dwal"), 0), 0);
	check_loss(dir, DW_DAMAGE_SHORTENED, "a2:0 end:0 ", "a2:1 ");
	struct dw_store *store = stores_open(dir, 0);
	stores_expect(store, "a1", "value");
	stores_expect(store, "a2", NULL);
	stores_expect(store, "a3", "value");
	CHECK_EQ(sidecars_second_of(store, "a1"), 0);
	CHECK_EQ(sidecars_second_of(store, "a3"), 2);
	stores_close(store);
}

static void test_cut(void)
{
	const char *dir = stores_dir();

	sidecars_make(dir, 'a');
	CHECK_EQ(truncate(stores_path(dir, "00000001.dwal"), 28 + 2 + 5), 0);
	check_loss(dir, DW_DAMAGE_SHORTENED, "end:0 ", "");
	struct dw_store *store = stores_open(dir, 0);
	CHECK_EQ(dw_count(store), 4);
	CHECK_EQ(sidecars_second_of(store, "a1"), 0); /* the remaining key keeps its time */
	stores_close(store);
}

static void test_removed(void)
{
	for (int i = 1; i <= 3; i++) {
		const char *dir = stores_dir();
		char name[32], keys[40], lost[40];
		sidecars_make(dir, 'a');
		(void)snprintf(name, sizeof name, "0000000%d.dwal", i);
		CHECK_EQ(unlink(stores_path(dir, name)), 0);
		(void)snprintf(keys, sizeof keys, "a%d:0 end:0 ", i);
		(void)snprintf(lost, sizeof lost, i == 3 ? "a%d:1 end:3 " : "a%d:1 ", i);
		check_loss(dir, DW_DAMAGE_MISSING, keys, lost);
	}
}

/* The last segment: closed in order, all of it was on disk. */
static void test_last_cut(void)
{
	const char *dir = stores_dir();

	sidecars_make(dir, 'a');
	CHECK_EQ(truncate(stores_path(dir, "00000003.dwal"), 28 + 2 + 5), 0);
	check_loss(dir, DW_DAMAGE_SHORTENED, "end:0 ", "end:3 ");
	dir = stores_dir();
	sidecars_make(dir, 'a');
	CHECK_EQ(truncate(stores_path(dir, "00000003.dwal"), 28 + 2 + 5 + 3), 0);
	struct sidecars_told told;
	struct dw_store *store;
	for (int read_only = 0; read_only < 2; read_only++) {
		CHECK_EQ(sidecars_open(dir, read_only, &told, &store), -EBADMSG);
		CHECK_EQ(told.kinds[DW_DAMAGE_TRUNCATED], 1);
		CHECK(!strcmp(told.damaged_key, "end"));
	}
	/* bytes behind what was closed are a torn tail as ever */
	dir = stores_dir();
	sidecars_make(dir, 'a');
	struct buf bytes = files_read(AT_FDCWD, stores_path(dir, "00000003.dwal"));
	CHECK_EQ(buf_add(&bytes, "DWAL\1\0\1", 7), 0);
	files_write(AT_FDCWD, stores_path(dir, "00000003.dwal"), bytes.data, bytes.size);
	buf_release(&bytes);
	sidecars_expect(dir, 'a', true);
	sidecars_expect(dir, 'a', false);
}

/* Records that were not synced may be gone, though the hint has them. */
static void test_unsynced(void)
{
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, 0);
	char key[64];

	/* so many that blocks are written before the end */
	for (int i = 0; i < 3000; i++) {
		(void)snprintf(key, sizeof key, "a key of some length, number %d", i);
		sidecars_put_at(store, key, "", i);
	}
	stores_kill(store);
	CHECK_EQ(truncate(stores_path(dir, "00000001.dwal"), 28 + 30), 0);
	struct sidecars_told told;
	for (int read_only = 1; read_only >= 0; read_only--) {
		CHECK_EQ(sidecars_open(dir, read_only, &told, &store), 0);
		CHECK_EQ(told.damage + told.sidecars, 0);
		CHECK_EQ(dw_count(store), 1);
		CHECK_EQ(sidecars_second_of(store, "a key of some length, number 0"), 0);
		stores_close(store);
	}
	/* nor does a hint prove anything that is left without its segment, unsealed */
	dir = stores_dir();
	store = stores_open(dir, 0);
	for (int i = 0; i < 3000; i++) {
		(void)snprintf(key, sizeof key, "a key of some length, number %d", i);
		sidecars_put_at(store, key, "", i);
	}
	stores_kill(store);
	CHECK_EQ(unlink(stores_path(dir, "00000001.dwal")), 0);
	CHECK_EQ(sidecars_open(dir, false, &told, &store), 0);
	CHECK_EQ(told.damage, 0);
	stores_close(store);
}

/* A removal that is lost brings the value back, and that is said. */
static void test_undeleted(void)
{
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, 0);

	sidecars_put_at(store, "kept", "v", 0);
	sidecars_put_at(store, "gone", "v", 0);
	sidecars_put_at(store, "empty", "", 0);
	CHECK_EQ(dw_rotate(store), 0);
	stores_delete(store, "gone");
	stores_delete(store, "never there");
	sidecars_put_at(store, "empty", "full", 1);
	CHECK_EQ(dw_append_raw(store, stores_bytes("raw"), stores_bytes("x")), 0);
	CHECK_EQ(dw_rotate(store), 0);
	stores_close(store);
	CHECK_EQ(unlink(stores_path(dir, "00000002.dwal")), 0);
	check_loss(dir, DW_DAMAGE_MISSING, "empty:0 gone:0 never there:0 ", "empty:2 gone:4 ");
}

/* Damaged bytes are told with their key: by the hint, or by their own word. */
static void test_key_of_damage(void)
{
	for (int hinted = 0; hinted < 2; hinted++) {
		for (int part = 0; part < 2; part++) {
			const char *dir = stores_dir();
			struct sidecars_told told;
			struct dw_store *store;
			sidecars_make(dir, 'a');
			struct buf bytes = files_read(AT_FDCWD, stores_path(dir, "00000002.dwal"));
			bytes.data[part ? 0 : 28] ^= 0xff; /* the magic, or the value */
			files_write(AT_FDCWD, stores_path(dir, "00000002.dwal"), bytes.data,
				    bytes.size);
			buf_release(&bytes);
			if (!hinted)
				files_remove_suffixed(dir, ".hint");
			CHECK_EQ(sidecars_open(dir, true, &told, &store), -EBADMSG);
			CHECK(!strcmp(told.damaged_key, hinted || !part ? "a2" : ""));
			CHECK(!strstr(told.text, "'a2'") == !told.damaged_key[0]);
			told = (struct sidecars_told){0};
			const struct dw_options options = {.on_finding = sidecars_note,
							   .context = &told};
			struct dw_repair_report report;
			CHECK_EQ(dw_repair(dir, true, &options, NULL, NULL, &report), 0);
			CHECK(!strcmp(told.keys, hinted || !part ? "a2:1 " : ""));
			CHECK_EQ(sidecars_open(dir, false, &told, &store), 0);
			CHECK_EQ(told.damage + told.sidecars, 0);
			CHECK_EQ(dw_count(store), 3);
			if (hinted)
				CHECK_EQ(sidecars_second_of(store, "a3"), 2);
			stores_close(store);
		}
	}
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"sidecar_emptied", test_emptied},
		{"sidecar_cut", test_cut},
		{"sidecar_removed", test_removed},
		{"sidecar_last_cut", test_last_cut},
		{"sidecar_unsynced", test_unsynced},
		{"sidecar_undeleted", test_undeleted},
		{"sidecar_key_of_damage", test_key_of_damage},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
