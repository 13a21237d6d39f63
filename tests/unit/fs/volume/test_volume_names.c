/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_volume_names.c - keys that were put from outside: each is visible, can be read
 * and removed, and nothing of that changes another key.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/volumes.h"

#define TEXT(literal)                                                                              \
	{                                                                                          \
		literal, sizeof(literal) - 1                                                       \
	}

struct shown {
	struct dw_bytes key;
	const char *path; /* NULL: the marker of a directory */
};

static void put_all(const char *dir, const struct shown *all, size_t count)
{
	struct dw_store *store = stores_open(dir, 0);

	for (size_t i = 0; i < count; i++) {
		char value[24];
		(void)snprintf(value, sizeof value, "%zu", i);
		CHECK_EQ(dw_put(store, all[i].key, stores_bytes(all[i].path ? value : "")), 0);
	}
	stores_close(store);
}

static bool is_marker(struct dw_bytes key)
{
	return key.size && ((const char *)key.data)[key.size - 1] == '/';
}

/* The key of the last file of a directory may be its marker from then on. */
static bool is_gone(struct volume *v, struct dw_bytes key)
{
	return !dw_contains(volume_store(v), key) ||
	       (is_marker(key) && stores_holds(volume_store(v), key, stores_bytes("")));
}

/* Everything but number `gone` is in the store and in the tree. */
static void check_all(struct volume *v, const struct shown *all, size_t count, size_t gone)
{
	for (size_t i = 0; i < count; i++) {
		char value[24];
		(void)snprintf(value, sizeof value, "%zu", i);
		if (!all[i].path) {
			CHECK(stores_holds(volume_store(v), all[i].key, stores_bytes("")));
			continue;
		}
		if (i == gone) {
			CHECK(is_gone(v, all[i].key));
			volumes_expect(v, all[i].path, NULL);
			continue;
		}
		CHECK(stores_holds(volume_store(v), all[i].key, stores_bytes(value)));
		volumes_expect(v, all[i].path, value);
	}
}

static size_t count_files(struct volume *v, const char *path)
{
	char *names = volumes_list(v, path), *at = names, *end, below[2000];
	size_t count = 0;

	for (; (end = strchr(at, '|')); at = end + 1) {
		*end = '\0';
		(void)snprintf(below, sizeof below, "%s%s%s", path, *path ? "/" : "", at);
		struct node *node = volumes_find(v, below);
		CHECK(node != NULL); /* a listed name is found */
		count += S_ISDIR(volumes_stat(v, below).st_mode) ? count_files(v, below) : 1;
	}
	free(names);
	return count;
}

/* Not by truncating: an empty value may be what its directory's marker has. */
static void change_and_back(struct volume *v, const struct shown *shown, size_t i)
{
	char value[24], changed[24] = "#";

	(void)snprintf(value, sizeof value, "%zu", i);
	(void)snprintf(changed + 1, sizeof changed - 1, "%s", value + 1);
	for (int back = 0; back < 2; back++) {
		const char *now = back ? value : changed;
		struct node *node = volumes_open(v, shown->path, O_WRONLY, NULL);
		volumes_write_at(v, node, now, 1, 0);
		volumes_done(v, node);
		CHECK(stores_holds(volume_store(v), shown->key, stores_bytes(now)));
	}
}

/* A name stands for the same key again when it is created; also after a remount. */
static struct volume *create_again(struct volume *v, const char *dir,
				   const struct volume_options *options, const struct shown *shown)
{
	bool refused = !options->flat && is_marker(shown->key);

	CHECK_EQ(volumes_create(v, shown->path), refused ? -EINVAL : 0);
	if (!refused)
		CHECK(stores_holds(volume_store(v), shown->key, stores_bytes("")));
	volumes_unmount(v);
	v = volumes_mount_with(dir, options, 0);
	if (!refused)
		volumes_expect(v, shown->path, "");
	return v;
}

/* All keys of a store are shown as told; then, in a fresh copy for each, one is
 * written and removed. */
static void check_shown(const struct shown *all, size_t count, bool flat)
{
	struct volume_options options = volumes_defaults;
	size_t files = 0;

	options.flat = flat;
	for (size_t i = 0; i < count; i++)
		files += all[i].path != NULL;
	for (size_t i = 0; i < count; i++) {
		const char *dir = stores_dir();
		put_all(dir, all, count);
		struct volume *v = volumes_mount_with(dir, &options, 0);
		check_all(v, all, count, count);
		CHECK_EQ(count_files(v, ""), files);
		if (all[i].path) {
			change_and_back(v, &all[i], i);
			CHECK_EQ(volumes_unlink(v, all[i].path), 0);
			check_all(v, all, count, i);
			CHECK_EQ(count_files(v, ""), files - 1);
			v = create_again(v, dir, &options, &all[i]);
			CHECK_EQ(count_files(v, ""), files - !flat * is_marker(all[i].key));
		}
		volumes_unmount(v);
	}
}

/* --- trees --- */

static void test_tree(void)
{
	static const struct shown all[] = {
		{TEXT(""), "%~"},
		{TEXT("plain"), "plain"},
		{TEXT("users/42"), "users/42"},
		{TEXT("users/43"), "users/43"},
		{TEXT("."), "%~."},
		{TEXT(".."), "%~.."},
		{TEXT("x/./y"), "x/%~./y"},
		{TEXT("x/../y"), "x/%~../y"},
		{TEXT("x/.."), "x/%~..%="}, /* beside x/../y */
		{TEXT("%~"), "%~%~"},
		{TEXT("%~.."), "%~%~.."},
		{TEXT("a\0b"), "a%00b"},
		{TEXT("a%00b"), "a%2500b"},
		{TEXT("a%2500b"), "a%252500b"},
		{TEXT("n\0/\0"), "n%00/%00"},
		{TEXT("a%2Fb"), "a%2Fb"},
		{TEXT(".datawal"), "%~.datawal"},
		{TEXT("%~.datawal"), "%~%~.datawal"},
		{TEXT("x/.datawal"), "x/.datawal"},
		{TEXT("m/"), NULL},
		{TEXT("m/f"), "m/f"},
		{TEXT("p/"), "p/%~"}, /* with a payload: no marker */
		{TEXT("p/f"), "p/f"},
	};

	check_shown(all, sizeof all / sizeof *all, false);
}

static void test_slashes(void)
{
	static const struct shown files[] = {
		{TEXT("/"), "%~/%~%="}, /* "//" makes a directory of it */
		{TEXT("//"), "%~/%~/%~%="}, {TEXT("///"), "%~/%~/%~/%~"}, {TEXT("//x"), "%~/%~/x"},
		{TEXT("/x"), "%~/x"},       {TEXT("a//"), "a/%~/%~"},     {TEXT("a//b"), "a/%~/b"},
	};
	static const struct shown markers[] = {
		{TEXT("/"), NULL},   {TEXT("///"), NULL},      {TEXT(""), "%~%="},
		{TEXT("a//"), NULL}, {TEXT("a//b"), "a/%~/b"},
	};

	check_shown(files, sizeof files / sizeof *files, false);
	check_shown(markers, sizeof markers / sizeof *markers, false);
}

/* A key that is also a directory, and names that read as if they were such. */
static void test_beside(void)
{
	static const struct shown all[] = {
		{TEXT("a"), "a%="},         {TEXT("a/b"), "a/b"},     {TEXT("a%="), "a%=%="},
		{TEXT("a%=%="), "a%=%=%="}, {TEXT("b%="), "b%="}, /* nothing beside it: as it stands
								   */
		{TEXT("c"), "c"},           {TEXT("d"), "d%="},       {TEXT("d/"), NULL},
		{TEXT("e/f"), "e/f%="},     {TEXT("e/f/g"), "e/f/g"}, {TEXT("z\0"), "z%00%="},
		{TEXT("z\0/y"), "z%00/y"},  {TEXT(""), "%~%="},       {TEXT("/x"), "%~/x"},
	};

	check_shown(all, sizeof all / sizeof *all, false);
}

/* A conflict whose quoted form is in conflict as well. */
static void test_beside_twice(void)
{
	static const struct shown all[] = {
		{TEXT("a"), "a%="},         {TEXT("a/x"), "a/x"},         {TEXT("a%="), "a%=%=%="},
		{TEXT("a%=/x"), "a%=%=/x"}, {TEXT("a%=%="), "a%=%=%=%="},
	};

	check_shown(all, sizeof all / sizeof *all, false);
}

static void test_flat(void)
{
	static const struct shown all[] = {
		{TEXT(""), "%~"},
		{TEXT("a"), "a"},
		{TEXT("a/b"), "a%2Fb"},
		{TEXT("a%2Fb"), "a%252Fb"},
		{TEXT("a/"), "a%2F"},
		{TEXT("/"), "%2F"},
		{TEXT("//"), "%2F%2F"},
		{TEXT("a\0/"), "a%00%2F"},
		{TEXT("a%="), "a%="},
		{TEXT(".."), "%~.."},
		{TEXT("../../x"), "..%2F..%2Fx"},
		{TEXT(".datawal"), "%~.datawal"},
	};
	struct volume_options options = volumes_defaults;

	check_shown(all, sizeof all / sizeof *all, true);
	options.flat = true;
	struct volume *v = volumes_mount_with(stores_dir(), &options, 0);
	CHECK_EQ(volumes_mkdir(v, "d"), -EPERM);
	volumes_write(v, "new%2Fkey", "value");
	stores_expect(volume_store(v), "new/key", "value");
	CHECK_EQ(volumes_rename(v, "new%2Fkey", "%2F", 0), 0);
	CHECK_EQ(volumes_truncate(v, "%2F", 0), 0); /* no marker here */
	stores_expect(volume_store(v), "/", "");
	volumes_expect_list(v, "", "%2F|");
	volumes_unmount(v);
}

/* --- long ones --- */

static void put_repeated(struct dw_store *store, const char *unit, size_t count, const char *end,
			 const char *value)
{
	size_t size = strlen(unit), total = size * count + strlen(end);
	char *key = malloc(total + 1);

	CHECK(key != NULL);
	for (size_t i = 0; i < count; i++)
		memcpy(key + i * size, unit, size);
	strcpy(key + size * count, end);
	CHECK_EQ(dw_put(store, (struct dw_bytes){key, total}, stores_bytes(value)), 0);
	free(key);
}

/* The only name listed below `path`, which the caller frees. */
static char *only_name(struct volume *v, const char *path)
{
	char *names = volumes_list(v, path);

	CHECK(strlen(names) > 1 && strchr(names, '|') == names + strlen(names) - 1);
	names[strlen(names) - 1] = '\0';
	return names;
}

static void check_one_long(size_t count)
{
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, 0);
	int rc;

	put_repeated(store, "k", count, "", "long");
	stores_close(store);
	struct volume *v = volumes_mount(dir);
	char *name = only_name(v, "");
	CHECK_EQ(strlen(name), 255);
	volumes_expect(v, name, "long");
	CHECK_EQ(volumes_unlink(v, name), 0);
	CHECK_EQ(dw_count(volume_store(v)), 0);
	CHECK(!volumes_open(v, name, O_CREAT | O_RDWR, &rc)); /* readable, not creatable */
	CHECK_EQ(rc, -ENAMETOOLONG);
	CHECK_EQ(volumes_mkdir(v, name), -ENAMETOOLONG);
	volumes_write(v, "f", "f");
	CHECK_EQ(volumes_rename(v, "f", name, 0), -ENAMETOOLONG);
	free(name);
	/* no file has such a name; that is not that it could be there and is not */
	char longer[257];
	struct volume_entry entry;
	memset(longer, 'x', 256);
	longer[256] = '\0';
	CHECK_EQ(volume_lookup(v, volume_root(v), longer, &entry), -ENAMETOOLONG);
	volumes_unmount(v);
}

static void test_long(void)
{
	check_one_long(256);
	check_one_long(300);
	check_one_long(65536);
}

/* Directories of empty components, one in the other. */
static void test_deep(void)
{
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, 0);

	put_repeated(store, "/", 2000, "", "deep");
	stores_close(store);
	struct volume *v = volumes_mount(dir);
	struct node *node = volume_root(v);
	struct volume_entry entry;
	for (int i = 0; i < 2000; i++) {
		CHECK_EQ(volume_lookup(v, node, "%~", &entry), 0);
		node = volumes_borrow(v, entry.node);
	}
	CHECK_EQ(volume_lookup(v, node, "%~", &entry), 0);
	(void)volumes_borrow(v, entry.node);
	volumes_expect_node(v, entry.node, "deep", 4);
	CHECK_EQ(volume_unlink(v, node, "%~"), 0);
	CHECK_EQ(dw_count(volume_store(v)), 1); /* the marker of the last directory */
	CHECK_EQ(volume_rmdir(v, node, "%~"), -ENOENT);
	volumes_unmount(v);
}

/* 257 directories of 255 bytes: no key is longer than 65,536 bytes. */
static void test_key_too_long(void)
{
	struct volume *v = volumes_mount(stores_dir());
	struct node *node = volume_root(v);
	struct volume_entry entry;
	char name[256];

	memset(name, 'n', 255);
	name[255] = '\0';
	for (int i = 0; i < 255; i++) {
		CHECK_EQ(volume_mkdir(v, &volumes_cred, node, name, 0755, &entry), 0);
		node = volumes_borrow(v, entry.node);
	}
	/* 255 * 256 = 65,280 are used: 256 are left */
	CHECK_EQ(volume_mkdir(v, &volumes_cred, node, name, 0755, &entry), 0);
	(void)volumes_borrow(v, entry.node);
	CHECK_EQ(volume_create(v, &volumes_cred, entry.node, "f", 0644, O_EXCL, &entry),
		 -ENAMETOOLONG);
	CHECK_EQ(volume_mkdir(v, &volumes_cred, entry.node, "d", 0755, &entry), -ENAMETOOLONG);
	volumes_write(v, "f", "f");
	CHECK_EQ(volume_rename(v, volume_root(v), "f", entry.node, "f", 0), -ENAMETOOLONG);
	CHECK_EQ(volumes_mkdir(v, "d"), 0);
	volumes_write(v, "d/f", "f");
	CHECK_EQ(volume_rmdir(v, node, name), 0);
	CHECK_EQ(volume_rename(v, volume_root(v), "d", node, name, 0), -ENAMETOOLONG);
	volumes_expect(v, "d/f", "f");
	CHECK_EQ(volumes_unlink(v, "d/f"), 0);
	CHECK_EQ(volume_rename(v, volume_root(v), "d", node, name, 0), 0);
	volumes_expect(v, "f", "f");
	volumes_unmount(v);
}

/* Where %= does not fit behind a directory's name, the long form stands for it. */
static void test_beside_long(void)
{
	for (size_t size = 249; size <= 257; size++) {
		const char *dir = stores_dir();
		struct dw_store *store = stores_open(dir, 0);
		put_repeated(store, "k", size, "", "file");
		put_repeated(store, "k", size, "/x", "below");
		put_repeated(store, "k", size, "%=", "one");
		put_repeated(store, "k", size, "%=%=", "two");
		put_repeated(store, "k", size, "%=%=%=", "three");
		stores_close(store);
		struct volume *v = volumes_mount(dir);
		CHECK_EQ(count_files(v, ""), 5);
		char *names = volumes_list(v, ""), *at = names, *end;
		unsigned files = 0;
		for (; (end = strchr(at, '|')); at = end + 1) {
			*end = '\0';
			if (S_ISDIR(volumes_stat(v, at).st_mode))
				continue;
			CHECK_EQ(volumes_unlink(v, at), 0); /* each name once */
			files++;
			CHECK_EQ(dw_count(volume_store(v)), 5 - files);
		}
		CHECK_EQ(files, 4);
		free(names);
		volumes_unmount(v);
	}
}

/* --- names that are created --- */

static void test_created(void)
{
	static const char *const names[] = {"%~",    "%~.",       "%~..", "%~%~",
					    "a%00b", "a%2500b",   "a%=",  "%~.datawal",
					    "b%=%=", "foo%20bar", "%2F",  "x%00"};
	const char *dir = stores_dir();
	struct volume *v = volumes_mount(dir);
	char *first, *second;

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		volumes_write(v, names[i], names[i]);
	CHECK_EQ(volumes_mkdir(v, "%~"), -EEXIST);
	CHECK_EQ(volumes_mkdir(v, "d"), 0);
	CHECK_EQ(volumes_create(v, "d/%~"), -EINVAL); /* its key would be the marker's */
	CHECK_EQ(volumes_rename(v, "a%=", "d/%~", 0), -EINVAL);
	CHECK_EQ(volumes_mkdir(v, "d/%~"), 0);
	CHECK_EQ(volumes_mkdir(v, "d/%~.."), 0);
	CHECK(stores_holds(volume_store(v), (struct dw_bytes){"a\0b", 3}, stores_bytes("a%00b")));
	stores_expect(volume_store(v), "", "%~");
	stores_expect(volume_store(v), "..", "%~..");
	stores_expect(volume_store(v), ".datawal", "%~.datawal");
	stores_expect(volume_store(v), "d//", "");
	stores_expect(volume_store(v), "d/../", "");
	first = volumes_list(v, "");
	volumes_unmount(v);
	v = volumes_mount(dir);
	second = volumes_list(v, "");
	CHECK(!strcmp(first, second)); /* a name comes back as it was given */
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		volumes_expect(v, names[i], names[i]);
	free(first);
	free(second);
	volumes_unmount(v);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"volume_names_tree", test_tree},
		{"volume_names_slashes", test_slashes},
		{"volume_names_beside", test_beside},
		{"volume_names_beside_twice", test_beside_twice},
		{"volume_names_beside_long", test_beside_long},
		{"volume_names_flat", test_flat},
		{"volume_names_long", test_long},
		{"volume_names_deep", test_deep},
		{"volume_names_key_too_long", test_key_too_long},
		{"volume_names_created", test_created},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
