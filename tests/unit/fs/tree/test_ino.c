/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_ino.c - inode numbers: a user cannot choose them, and the secret they are made with lasts.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "fs/tree/inosecret.h"
#include "fs/tree/tree.h"
#include "tests/support/check.h"
#include "tests/support/crafted.h"
#include "tests/support/files.h"
#include "tests/support/stores.h"

static uint64_t number_of(uint8_t secret, uint64_t above, enum ino_kind kind, const char *name)
{
	const uint8_t bytes[INO_SECRET_SIZE] = {secret};
	struct ino_hash *hash = NULL;

	CHECK_EQ(ino_hash_new(bytes, &hash), 0);
	uint64_t first = ino_hash_get(hash, above, kind, stores_bytes(name));
	CHECK_EQ(ino_hash_get(hash, above, kind, stores_bytes(name)), first);
	ino_hash_free(hash);
	CHECK(first > 1 && first < UINT64_C(1) << 63);
	return first;
}

static void test_numbers(void)
{
	uint64_t number = number_of(1, 1, INO_FILE, "name");

	/* SipHash-2-4 of 9 bytes and "name", under a key that begins with 1: the numbers that
	 * stores out there have */
	CHECK_EQ(number, UINT64_C(0x2d439db5f7ca78d3));
	CHECK(number_of(2, 1, INO_FILE, "name") != number);
	CHECK(number_of(1, 2, INO_FILE, "name") != number);
	CHECK(number_of(1, 1, INO_DIRECTORY, "name") != number);
	CHECK(number_of(1, 1, INO_FILE, "namf") != number);
	CHECK(number_of(1, 1, INO_FILE, "") != number);
	ino_hash_free(NULL);
}

/* A name made for `hash`, were XXH3 with a seed that everybody knows what numbers are made with;
 * if that gives a file's name. */
static bool make_name(uint64_t hash, uint64_t seed, uint8_t ret[8])
{
	crafted_name(hash, seed, ret);
	CHECK_EQ(XXH3_64bits_withSeed(ret, 8, seed), hash);
	return !memchr(ret, '/', 8) && !memchr(ret, 0, 8);
}

static struct node *add(struct tree *tree, const uint8_t name[8])
{
	struct node *node = node_new((const char *)name, 8, NULL, false);

	CHECK(node != NULL);
	CHECK_EQ(tree_link(tree, tree->root, node), 0);
	return node;
}

/* Pairs of names whose hashes differ in the bit that a number leaves out. */
static void test_crafted(void)
{
	const struct name_rules rules = {false, ""};
	const uint8_t secret[INO_SECRET_SIZE] = {7};
	uint8_t a[8], b[8];
	struct tree tree;
	int pairs = 0;

	CHECK_EQ(tree_init(&tree, &rules, secret), 0);
	uint64_t seed = tree.root->ino * 2;
	for (uint64_t i = 1; pairs < 100; i++) {
		uint64_t hash = i * 0x9e3779b97f4a7c15u & ~UINT64_C(1);
		if (!make_name(hash, seed, a) || !make_name(hash | 1, seed, b))
			continue;
		CHECK(add(&tree, a)->ino != add(&tree, b)->ino);
		pairs++;
	}
	tree_release(&tree);
}

/* --- the secret --- */

static enum inosecret_source take(const char *dir, bool writes, uint8_t ret[INO_SECRET_SIZE],
				  int *error)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	CHECK(fd >= 0);
	enum inosecret_source source = inosecret_take(fd, writes, ret, error);
	(void)close(fd);
	return source;
}

static void test_secret(void)
{
	uint8_t made[INO_SECRET_SIZE], other[INO_SECRET_SIZE];
	const char *dir = stores_dir();
	char path[300];
	struct stat st;
	int error = 0;

	(void)snprintf(path, sizeof path, "%s/%s", dir, INOSECRET_NAME);
	/* a read-only mount makes none, and has one all the same */
	CHECK_EQ(take(dir, false, other, &error), INOSECRET_BRIEF);
	CHECK_EQ(error, 0);
	CHECK(stat(path, &st) < 0);
	CHECK_EQ(take(dir, true, made, &error), INOSECRET_MADE);
	CHECK(memcmp(made, other, sizeof made));
	CHECK(!stat(path, &st));
	CHECK_EQ(st.st_mode & 07777, 0600);
	CHECK_EQ(take(dir, true, other, &error), INOSECRET_READ);
	CHECK(!memcmp(made, other, sizeof made));
	CHECK_EQ(take(dir, false, other, &error), INOSECRET_READ);
	CHECK(!memcmp(made, other, sizeof made));
	CHECK_EQ(files_count_suffixed(dir, ".tmp"), 0);
	/* two of them are not alike */
	CHECK_EQ(take(stores_dir(), true, other, &error), INOSECRET_MADE);
	CHECK(memcmp(made, other, sizeof made));
}

/* The secret belongs to the owner of the store. */
static void test_owner(void)
{
	uint8_t made[INO_SECRET_SIZE];
	const char *dir = stores_dir();
	char path[300];
	struct stat st;
	int error = 0;

	if (geteuid()) {
		check_skip("not root");
		return;
	}
	CHECK(!chown(dir, 1234, 1235));
	CHECK_EQ(take(dir, true, made, &error), INOSECRET_MADE);
	(void)snprintf(path, sizeof path, "%s/%s", dir, INOSECRET_NAME);
	CHECK(!stat(path, &st) && st.st_uid == 1234 && st.st_gid == 1235);
	CHECK_EQ(st.st_mode & 07777, 0600);
}

static void test_bad_secret(void)
{
	static const char *const bad[] = {"", "x", "0123456789abcdef0123456789abcdef",
					  "0123456789abcdef0123456789abcdeg\n",
					  "0123456789abcdef0123456789abcdef\n\n"};
	uint8_t made[INO_SECRET_SIZE], again[INO_SECRET_SIZE];
	const char *dir = stores_dir();
	char path[300];
	int error = 0;

	(void)snprintf(path, sizeof path, "%s/%s", dir, INOSECRET_NAME);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		files_write(AT_FDCWD, path, bad[i], strlen(bad[i]));
		CHECK_EQ(take(dir, false, made, &error), INOSECRET_BRIEF);
		CHECK_EQ(take(dir, true, made, &error), INOSECRET_MADE);
		CHECK_EQ(take(dir, true, again, &error), INOSECRET_READ);
		CHECK(!memcmp(made, again, sizeof made));
	}
	/* a link is not followed, and what is no file stays */
	CHECK(!unlink(path) && !symlink("elsewhere", path));
	CHECK_EQ(take(dir, true, made, &error), INOSECRET_BRIEF);
	CHECK_EQ(error, ELOOP);
	CHECK(!unlink(path) && !mkdir(path, 0700));
	CHECK_EQ(take(dir, true, again, &error), INOSECRET_BRIEF);
	CHECK(error != 0);
	CHECK(!memcmp(made, again, sizeof made)); /* the process's */
	CHECK(!rmdir(path));
	/* nor is one made where none can be */
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK(fd >= 0 && !rmdir(dir));
	CHECK_EQ(inosecret_take(fd, true, again, &error), INOSECRET_BRIEF);
	CHECK_EQ(error, ENOENT);
	CHECK(!memcmp(made, again, sizeof made));
	(void)close(fd);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"ino_numbers", test_numbers},       {"ino_crafted", test_crafted},
		{"ino_secret", test_secret},         {"ino_owner", test_owner},
		{"ino_bad_secret", test_bad_secret}, {NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
