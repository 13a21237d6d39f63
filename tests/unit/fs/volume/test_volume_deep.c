/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_volume_deep.c - keys of as many components as fit: each operation on them takes time in
 * proportion to their bytes, not to the square.
 *
 * The limits are processor time, some ten times what is used.  Where each component cost its
 * whole prefix, reading took 7,000 ns a byte and renaming 370,000.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fs/volume/core.h"
#include "tests/support/volumes.h"

/* Bytes of keys and of components, with slashes: where a key is put or opened; where each
 * component is looked up, which costs time in proportion to its key. */
enum { KEYS = 20, KEY_SIZE = 65400, SHORT = 2, LONG = 200 };

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { NS_A_BYTE = 20000 };
#else
enum { NS_A_BYTE = 2000 };
#endif

static int64_t processor_ns(void)
{
	struct timespec used;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	return (int64_t)used.tv_sec * 1000000000 + used.tv_nsec;
}

static void check_linear(const char *what, int64_t started_ns, size_t bytes)
{
	int64_t each = (processor_ns() - started_ns) / (int64_t)bytes;

	(void)printf("  %s: %lld ns a byte\n", what, (long long)each);
	CHECK(each < NS_A_BYTE);
}

/* "NN/c/c/.../f", with components of so many bytes; to be freed. */
static char *deep_key(unsigned n, size_t unit)
{
	char *key = malloc(3 + KEY_SIZE + 2), *at = key;

	CHECK(key != NULL);
	at += sprintf(at, "%02u/", n);
	for (size_t i = 0; i < KEY_SIZE / unit; i++, at += unit) {
		memset(at, 'c', unit - 1);
		at[unit - 1] = '/';
	}
	memcpy(at, "f", 2);
	CHECK(strlen(key) <= DW_KEY_SIZE_MAX);
	return key;
}

static void put_deep(const char *dir, size_t unit)
{
	struct dw_store *store = stores_open(dir, 0);

	for (unsigned n = 0; n < KEYS; n++) {
		char *key = deep_key(n, unit);
		stores_put(store, key, "value");
		free(key);
	}
	stores_close(store);
}

/* One mode that was set anywhere. */
static void set_mode(struct volume *volume, const char *path)
{
	struct stat st = {.st_mode = 0600};

	CHECK_EQ(volume_setattr(volume, volumes_find(volume, path), &st, ATTR_MODE, false, &st), 0);
}

static void test_load(void)
{
	const char *dir = stores_dir();
	struct volume *v = volumes_mount(dir);

	volumes_write(v, "other", "value");
	set_mode(v, "other");
	volumes_unmount(v);
	put_deep(dir, SHORT);
	int64_t started_ns = processor_ns();
	v = volumes_mount(dir);
	check_linear("reading names", started_ns, (size_t)KEYS * KEY_SIZE);
	CHECK_EQ(volumes_stat(v, "other").st_mode & 07777, 0600);
	volumes_unmount(v);
}

/* Modes on directories and files that are deep. */
static void test_load_deep_attributes(void)
{
	const size_t deepest = 3 + KEY_SIZE / LONG * LONG, half = 3 + KEY_SIZE / LONG / 2 * LONG;
	const char *dir = stores_dir();
	struct volume *v;
	char *key = deep_key(7, LONG);

	put_deep(dir, LONG);
	v = volumes_mount(dir);
	set_mode(v, key);
	key[deepest - 1] = '\0'; /* its directory */
	set_mode(v, key);
	key[half - 1] = '\0'; /* one half way */
	set_mode(v, key);
	volumes_unmount(v);
	v = volumes_mount(dir);
	CHECK_EQ(volumes_stat(v, key).st_mode & 07777, 0600);
	key[half - 1] = '/';
	CHECK_EQ(volumes_stat(v, key).st_mode & 07777, 0600);
	key[deepest - 1] = '/';
	CHECK_EQ(volumes_stat(v, key).st_mode & 07777, 0600);
	free(key);
	key = deep_key(8, LONG);
	CHECK_EQ(volumes_stat(v, key).st_mode & 07777, 0644);
	free(key);
	volumes_unmount(v);
}

/* A directory's new name is that of all below. */
static void test_rename(void)
{
	const char *dir = stores_dir();
	struct volume *v;
	char *key = deep_key(7, SHORT);

	put_deep(dir, SHORT);
	v = volumes_mount(dir);
	int64_t started_ns = processor_ns();
	CHECK_EQ(volumes_rename(v, "07", "77", 0), 0);
	check_linear("renaming", started_ns, KEY_SIZE);
	CHECK(!volumes_find(v, "07"));
	CHECK(volumes_find(v, "77") != NULL);
	CHECK(!dw_contains(volume_store(v), stores_bytes(key)));
	memcpy(key, "77", 2);
	stores_expect(volume_store(v), key, "value");
	volumes_unmount(v);
	free(key);
}

static void test_rename_with_attributes(void)
{
	const char *dir = stores_dir();
	struct volume *v;
	char *key = deep_key(7, LONG);

	put_deep(dir, LONG);
	v = volumes_mount(dir);
	set_mode(v, key);
	int64_t started_ns = processor_ns();
	CHECK_EQ(volumes_rename(v, "07", "77", 0), 0);
	check_linear("renaming", started_ns, KEY_SIZE);
	CHECK(!volumes_find(v, "07"));
	memcpy(key, "77", 2);
	for (int i = 0; i < 2; i++) {
		volumes_expect(v, key, "value");
		CHECK_EQ(volumes_stat(v, key).st_mode & 07777, 0600);
		volumes_unmount(v);
		v = volumes_mount(dir);
	}
	volumes_unmount(v);
	free(key);
}

/* Records of removed files wait in memory to be forgotten, but only so many. */
static void test_forgotten(void)
{
	const char *dir = stores_dir();
	struct volume *v;
	size_t most = 0;

	put_deep(dir, LONG);
	v = volumes_mount(dir);
	for (unsigned n = 0; n < KEYS; n++) {
		char *key = deep_key(n, LONG);
		set_mode(v, key);
		CHECK_EQ(volumes_unlink(v, key), 0);
		free(key);
		size_t pending = attrstore_pending(v->attrs);
		CHECK(pending <= 1 << 20);
		most = pending > most ? pending : most;
	}
	CHECK(most > 1 << 19);
	volumes_unmount(v);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"deep_load", test_load},
		{"deep_load_attributes", test_load_deep_attributes},
		{"deep_rename", test_rename},
		{"deep_rename_with_attributes", test_rename_with_attributes},
		{"deep_forgotten", test_forgotten},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
