/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_base.c - engine/base: little-endian integers, the growing buffer, large memory,
 * the checksum against the vectors of RFC 3720, appendix B.4.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/bulk.h"
#include "base/bytes.h"
#include "base/crc32c.h"
#include "tests/support/stores.h"

static void test_bytes(void)
{
	static const uint8_t wire[9] = {0xff, 0x01, 0x82, 0x03, 0x84, 0x05, 0x86, 0x07, 0x88};
	uint8_t out[9] = {0xff};

	/* at an odd address: nothing may assume alignment */
	CHECK_EQ(bytes_get16(wire + 1), 0x8201);
	CHECK_EQ(bytes_get32(wire + 1), 0x84038201);
	CHECK(bytes_get64(wire + 1) == 0x8807860584038201);
	bytes_put64(out + 1, 0x8807860584038201);
	CHECK(!memcmp(out, wire, sizeof wire));
	bytes_put32(out + 1, 0xfffffffe);
	CHECK_EQ(bytes_get32(out + 1), 0xfffffffe);
	CHECK_EQ(out[5], wire[5]);
	bytes_put16(out + 1, 0xfffd);
	CHECK_EQ(bytes_get16(out + 1), 0xfffd);
	CHECK_EQ(out[3], 0xff);
}

static void test_buf(void)
{
	struct buf buf = {0};
	uint8_t byte;

	CHECK_EQ(buf_add(&buf, NULL, 0), 0);
	CHECK_EQ(buf.size, 0);
	for (int i = 0; i < 10000; i++) {
		byte = (uint8_t)(i * 7);
		CHECK_EQ(buf_add(&buf, &byte, 1), 0);
	}
	CHECK_EQ(buf.size, 10000);
	for (int i = 0; i < 10000; i++)
		CHECK_EQ(buf.data[i], (uint8_t)(i * 7));
	CHECK_EQ(buf_reserve(&buf, 50000), 0);
	CHECK(buf.capacity >= 60000);
	CHECK_EQ(buf.size, 10000);
	buf_release(&buf);
	CHECK(!buf.data && !buf.size && !buf.capacity);
}

static void test_buf_too_large(void)
{
	struct buf buf = {0};

	CHECK_EQ(buf_add(&buf, "abc", 3), 0);
	struct buf before = buf;
	CHECK_EQ(buf_reserve(&buf, SIZE_MAX), -ENOMEM);
	CHECK_EQ(buf_reserve(&buf, SIZE_MAX / 2), -ENOMEM);
	CHECK(!memcmp(&before, &buf, sizeof buf));
	CHECK(!memcmp(buf.data, "abc", 3));
	buf_release(&buf);
}

/* Sizes around where the heap ends and pages of their own begin. */
static void test_bulk(void)
{
	static const size_t sizes[] = {1,
				       100,
				       BULK_MIN - 1,
				       BULK_MIN,
				       BULK_MIN + 1,
				       2 * BULK_MIN - 1,
				       2 * BULK_MIN,
				       5 * BULK_MIN + 77};

	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		uint8_t *data = bulk_alloc(sizes[i]);
		CHECK(data != NULL);
		CHECK(sizes[i] < BULK_MIN || (uintptr_t)data % BULK_MIN == 0);
		for (size_t at = 0; at < sizes[i]; at++)
			if (data[at])
				CHECK_EQ(data[at], 0);
		memset(data, 0xa5, sizes[i]);
		bulk_free(data, sizes[i]);
	}
	CHECK(!bulk_alloc(SIZE_MAX));
	CHECK(!bulk_alloc(SIZE_MAX - 2 * (size_t)BULK_MIN));
	bulk_free(NULL, 1);
	bulk_free(NULL, BULK_MIN);
}

static void test_crc_vectors(void)
{
	static const uint8_t read_pdu[48] = {
		0x01, 0xc0, 0, 0, 0, 0, 0,    0, 0,    0, 0, 0,    0, 0, 0, 0,
		0x14, 0,    0, 0, 0, 0, 0x04, 0, 0,    0, 0, 0x14, 0, 0, 0, 0x18,
		0x28, 0,    0, 0, 0, 0, 0,    0, 0x02, 0, 0, 0,    0, 0, 0, 0};
	uint8_t bytes[32];

	memset(bytes, 0, sizeof bytes);
	CHECK_EQ(crc32c(0, bytes, sizeof bytes), 0x8a9136aa);
	memset(bytes, 0xff, sizeof bytes);
	CHECK_EQ(crc32c(0, bytes, sizeof bytes), 0x62a8ab43);
	for (uint8_t i = 0; i < 32; i++)
		bytes[i] = i;
	CHECK_EQ(crc32c(0, bytes, sizeof bytes), 0x46dd794e);
	for (uint8_t i = 0; i < 32; i++)
		bytes[i] = (uint8_t)(31 - i);
	CHECK_EQ(crc32c(0, bytes, sizeof bytes), 0x113fdb5c);
	CHECK_EQ(crc32c(0, read_pdu, sizeof read_pdu), 0xd9963a56);
	CHECK_EQ(crc32c(0, "123456789", 9), 0xe3069283);
	CHECK_EQ(crc32c(0, NULL, 0), 0);
}

static void test_crc_pieces(void)
{
	struct rng rng = check_rng();
	uint8_t *data = stores_noise(rng_next(&rng), 5000);
	uint32_t whole = crc32c(0, data, 5000);

	for (int i = 0; i < 200; i++) {
		size_t cut = (size_t)rng_below(&rng, 5001);
		CHECK_EQ(crc32c(crc32c(0, data, cut), data + cut, 5000 - cut), whole);
	}
	free(data);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"base_bytes", test_bytes},
		{"base_buf", test_buf},
		{"base_buf_too_large", test_buf_too_large},
		{"base_bulk", test_bulk},
		{"base_crc_vectors", test_crc_vectors},
		{"base_crc_pieces", test_crc_pieces},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
