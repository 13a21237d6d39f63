/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_spare.c - memory kept for the next large value: its next user, how long it stays, and that
 * no bytes of the value before show.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fs/tree/spare.h"
#include "fs/volume/core.h"
#include "tests/support/volumes.h"

enum { MIB = 1 << 20 };

static void *block(size_t size)
{
	void *data = malloc(size);

	CHECK(data != NULL);
	return data;
}

static void test_take_and_give(void)
{
	void *small = block(2 * MIB), *large = block(8 * MIB), *taken;
	struct spare spare;
	size_t size = 7;

	CHECK_EQ(spare_init(&spare, NULL), 0);
	CHECK(!spare_take(&spare, MIB, &size));
	CHECK(!spare_give(&spare, NULL, 0));
	CHECK(!spare_give(&spare, block(MIB - 1), MIB - 1)); /* not worth it */
	CHECK(!spare_take(&spare, MIB - 1, &size));
	CHECK(spare_give(&spare, small, 2 * MIB));
	CHECK(spare_give(&spare, large, 8 * MIB)); /* the larger stays */
	CHECK(!spare_give(&spare, block(4 * MIB), 4 * MIB));
	CHECK(!spare_take(&spare, 8 * MIB + 1, &size));
	CHECK(!spare_take(&spare, 2 * MIB - 1, &size)); /* too small for so much */
	CHECK_EQ(size, 7);
	taken = spare_take(&spare, 2 * MIB, &size);
	CHECK(taken == large);
	CHECK_EQ(size, 8 * MIB);
	CHECK(!spare_take(&spare, 2 * MIB, &size)); /* it is there once */
	CHECK(spare_give(&spare, taken, size));
	spare_release(&spare);
}

static void test_expire(void)
{
	struct spare spare;
	size_t size;

	CHECK_EQ(spare_init(&spare, NULL), 0);
	CHECK_EQ(spare_expire(&spare, 1000), INT64_MAX);
	CHECK(spare_give(&spare, block(MIB), MIB));
	CHECK_EQ(spare_expire(&spare, 1000), 1000 + SPARE_MS); /* from the first time on */
	CHECK_EQ(spare_expire(&spare, 1500), 1000 + SPARE_MS);
	void *data = spare_take(&spare, MIB, &size);
	CHECK(data != NULL);
	CHECK_EQ(spare_expire(&spare, 1600), INT64_MAX);
	CHECK(spare_give(&spare, data, size));
	CHECK_EQ(spare_expire(&spare, 1700), 1700 + SPARE_MS); /* used again: stays longer */
	CHECK_EQ(spare_expire(&spare, 1699 + SPARE_MS), 1700 + SPARE_MS);
	CHECK_EQ(spare_expire(&spare, 1700 + SPARE_MS), INT64_MAX);
	CHECK(!spare_take(&spare, MIB, &size));
	spare_release(&spare);
}

static void write_piece(struct volume *v, struct node *f, char byte, uint64_t offset)
{
	char *piece = block(MIB);

	memset(piece, byte, MIB);
	CHECK_EQ(volume_write(v, f, piece, MIB, offset), MIB);
	free(piece);
}

/* Bytes of the value before show neither in a hole, nor after a smaller value. */
static void test_of_volume(void)
{
	struct volume *v = volumes_mount(stores_dir());
	struct node *f = volumes_open(v, "secret", O_CREAT | O_RDWR, NULL);
	char *got = block(4 * MIB), *zeros = calloc(1, 2 * MIB);

	for (uint64_t i = 0; i < 8; i++)
		write_piece(v, f, 'x', i * MIB);
	volumes_done(v, f);
	CHECK(v->room.spare.data != NULL);
	f = volumes_open(v, "holes", O_CREAT | O_RDWR, NULL);
	write_piece(v, f, 'y', 0);
	write_piece(v, f, 'z', 3 * MIB);
	CHECK(!v->room.spare.data); /* in use */
	CHECK_EQ(volume_read(v, f, got, 4 * MIB, 0), 4 * MIB);
	CHECK(got[0] == 'y' && got[MIB - 1] == 'y' && got[3 * MIB] == 'z');
	CHECK(!memcmp(got + MIB, zeros, 2 * MIB));
	CHECK_EQ(volume_read(v, f, got, MIB, 4 * MIB), 0);
	volumes_done(v, f);
	CHECK(v->room.spare.data != NULL);
	/* a value that is loaded into it, and one more of which the log has the bytes */
	f = volumes_open(v, "secret", O_RDWR, NULL);
	volumes_write_at(v, f, "!", 1, 0);
	CHECK(!v->room.spare.data);
	CHECK_EQ(volume_read(v, f, got, 4 * MIB, 4 * MIB), 4 * MIB);
	CHECK(got[0] == 'x' && got[4 * MIB - 1] == 'x');
	volumes_done(v, f);
	free(got);
	free(zeros);
	volumes_unmount(v);
}

/* The committer gives it back; it sleeps without an end when nothing is dirty. */
static void test_goes_back(void)
{
	struct volume *v = volumes_mount(stores_dir());
	struct node *f = volumes_open(v, "f", O_CREAT | O_RDWR, NULL);
	bool there = true;

	CHECK_EQ(volume_start(v), 0);
	write_piece(v, f, 'x', 0);
	write_piece(v, f, 'x', MIB);
	volumes_done(v, f);
	for (int i = 0; there && i < 200; i++) {
		(void)usleep(50000);
		(void)pthread_mutex_lock(&v->room.spare.lock);
		there = v->room.spare.data != NULL;
		(void)pthread_mutex_unlock(&v->room.spare.lock);
	}
	CHECK(!there);
	volumes_unmount(v);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"spare_take_and_give", test_take_and_give},
		{"spare_expire", test_expire},
		{"spare_of_volume", test_of_volume},
		{"spare_goes_back", test_goes_back},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
