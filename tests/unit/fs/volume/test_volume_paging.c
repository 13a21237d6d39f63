/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_volume_paging.c - the kernel's pages of a file: kept, dropped, gone past, or filled when it
 * is opened.
 */
#include <string.h>

#include "tests/support/volumes.h"

/* Later openers of a file that is open for writing only bypass the pages as well. */
static void test_paging(void)
{
	struct volume *v = volumes_mount(stores_dir());
	struct node *a = volumes_open(v, "f", O_CREAT | O_WRONLY, NULL), *b;

	CHECK_EQ(volume_paging(v, a), VOLUME_PAGES_KEPT); /* not allowed yet */
	volumes_done(v, a);
	volume_allow_direct(v);
	a = volumes_open(v, "f", O_RDONLY, NULL);
	b = volumes_open(v, "f", O_WRONLY, NULL);
	CHECK_EQ(volume_paging(v, b), VOLUME_PAGES_KEPT); /* others have pages of it */
	volumes_done(v, a);
	volumes_done(v, b);
	a = volumes_open(v, "f", O_WRONLY, NULL);
	CHECK_EQ(volume_paging(v, a), VOLUME_PAGES_DIRECT);
	volumes_done(v, a);
	a = volumes_open(v, "f", O_RDONLY, NULL);
	CHECK_EQ(volume_paging(v, a), VOLUME_PAGES_KEPT); /* writes dropped what they changed */
	volumes_done(v, a);
	a = volumes_open(v, "g", O_CREAT | O_WRONLY, NULL);
	b = volumes_open(v, "g", O_RDWR, NULL);
	CHECK_EQ(volume_paging(v, b), VOLUME_PAGES_DIRECT);
	volumes_done(v, a);
	CHECK_EQ(volume_paging(v, b), VOLUME_PAGES_DIRECT);
	volumes_done(v, b);
	/* it may have been mapped: the pages go with each opening until all have closed */
	a = volumes_open(v, "g", O_RDONLY, NULL);
	b = volumes_open(v, "g", O_RDWR, NULL);
	CHECK_EQ(volume_paging(v, a), VOLUME_PAGES_NEW);
	CHECK_EQ(volume_paging(v, b), VOLUME_PAGES_NEW);
	volumes_done(v, a);
	volumes_done(v, b);
	a = volumes_open(v, "g", O_RDWR, NULL);
	CHECK_EQ(volume_paging(v, a), VOLUME_PAGES_KEPT);
	volumes_done(v, a);
	volumes_unmount(v);
}

struct given {
	char data[100];
	size_t size;
	int count;
};

static void note_given(void *context, const void *data, size_t size)
{
	struct given *given = context;

	CHECK(size <= sizeof given->data);
	memcpy(given->data, data, size);
	given->size = size;
	given->count++;
}

static void expect_given(struct volume *v, struct node *f, const char *text)
{
	struct given given = {.count = 0};

	CHECK_EQ(volume_open_file(v, f, O_RDONLY), 0);
	volume_push(v, f, 20, note_given, &given);
	CHECK_EQ(given.count, text != NULL);
	CHECK(!text || (given.size == strlen(text) && !memcmp(given.data, text, given.size)));
	volumes_done(v, f);
}

/* The kernel knows the file afterwards. */
static struct node *write_known(struct volume *v, const char *path, const char *text)
{
	struct volume_entry entry;

	volumes_write(v, path, text);
	CHECK_EQ(volume_lookup(v, volume_root(v), path, &entry), 0);
	return entry.node;
}

/* Once for each value, to its only opener. */
static void test_give(void)
{
	struct volume *v = volumes_mount(stores_dir());
	struct node *f = write_known(v, "f", "one"), *empty, *large;
	struct stat st = {.st_size = 1};

	expect_given(v, f, "one");
	expect_given(v, f, NULL);
	CHECK_EQ(volume_open_file(v, f, O_WRONLY), 0);
	volumes_write_at(v, f, "two", 3, 0);
	expect_given(v, f, NULL); /* another one has it open */
	volumes_done(v, f);
	expect_given(v, f, "two");
	CHECK_EQ(volume_setattr(v, f, &st, ATTR_SIZE, false, &st), 0);
	expect_given(v, f, "t");
	/* the kernel forgot it: it is pushed again */
	volume_forget(v, f, 1);
	f = volumes_find(v, "f");
	expect_given(v, f, "t");
	empty = write_known(v, "empty", "");
	expect_given(v, empty, NULL);
	large = write_known(v, "large", "more than twenty bytes");
	expect_given(v, large, NULL);
	volume_forget(v, empty, 1);
	volume_forget(v, large, 1);
	volumes_unmount(v);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"volume_paging", test_paging},
		{"volume_push", test_give},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
