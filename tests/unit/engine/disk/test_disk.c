/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_disk.c - engine/disk: pooled descriptors, and scanning.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "codec/record.h"
#include "disk/fdpool.h"
#include "disk/scan.h"
#include "tests/support/files.h"
#include "tests/support/stores.h"

static int open_dir(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	CHECK(fd >= 0);
	return fd;
}

static void write_segment(int dirfd, uint32_t id, const void *data, size_t size)
{
	char name[SEGNAME_SIZE];

	segname_format(id, name);
	files_write(dirfd, name, data, size);
}

/* --- fdpool --- */

enum { POOL_FILES = 10, POOL_LIMIT = 3 };

static void read_pooled(struct fdpool *pool, struct fdpool_file *file, uint32_t want)
{
	uint32_t got = 0;
	int fd = fdpool_pin(pool, file);

	CHECK(fd >= 0);
	CHECK_EQ(pread(fd, &got, sizeof got, 0), sizeof got);
	CHECK_EQ(got, want);
	fdpool_unpin(pool, file);
}

static void test_pool_evicts(void)
{
	int dirfd = open_dir(check_dir()), before = stores_fd_count();
	struct fdpool_file files[POOL_FILES];
	struct fdpool pool;
	struct rng rng = check_rng();

	CHECK_EQ(fdpool_init(&pool, &io_posix, dirfd, POOL_LIMIT), 0);
	for (uint32_t i = 0; i < POOL_FILES; i++) {
		write_segment(dirfd, i, &i, sizeof i);
		fdpool_file_init(&files[i], i);
	}
	for (int i = 0; i < 500; i++) {
		uint32_t at = (uint32_t)rng_below(&rng, POOL_FILES);
		read_pooled(&pool, &files[at], at);
		CHECK(pool.open_count <= POOL_LIMIT);
		CHECK_EQ(stores_fd_count(), before + pool.open_count);
	}
	CHECK_EQ(pool.open_count, POOL_LIMIT);
	for (uint32_t i = 0; i < POOL_FILES; i++)
		fdpool_forget(&pool, &files[i]);
	CHECK_EQ(stores_fd_count(), before);
	fdpool_release(&pool);
	(void)close(dirfd);
}

/* Files that are pinned or kept stay open, however far over the limit. */
static void test_pool_pins(void)
{
	int dirfd = open_dir(check_dir());
	struct fdpool_file files[POOL_FILES];
	struct fdpool pool;

	CHECK_EQ(fdpool_init(&pool, &io_posix, dirfd, 1), 0);
	for (uint32_t i = 0; i < POOL_FILES; i++) {
		write_segment(dirfd, i, &i, sizeof i);
		fdpool_file_init(&files[i], i);
		CHECK(i % 2 ? fdpool_pin(&pool, &files[i]) >= 0
			    : fdpool_keep(&pool, &files[i]) == 0);
	}
	CHECK_EQ(pool.open_count, POOL_FILES);
	/* the kept ones are readable without their name */
	CHECK_EQ(unlinkat(dirfd, files[2].name, 0), 0);
	read_pooled(&pool, &files[2], 2);
	for (uint32_t i = 1; i < POOL_FILES; i += 2)
		fdpool_unpin(&pool, &files[i]);
	CHECK_EQ(pool.open_count, POOL_FILES / 2);
	read_pooled(&pool, &files[2], 2);
	for (uint32_t i = 0; i < POOL_FILES; i++)
		fdpool_forget(&pool, &files[i]);
	CHECK_EQ(pool.open_count, 0);
	fdpool_release(&pool);
	(void)close(dirfd);
}

static void test_pool_replaced(void)
{
	int dirfd = open_dir(check_dir());
	struct fdpool_file a, b;
	struct fdpool pool;

	CHECK_EQ(fdpool_init(&pool, &io_posix, dirfd, 1), 0);
	write_segment(dirfd, 1, "aaaa", 4);
	write_segment(dirfd, 2, "bbbb", 4);
	fdpool_file_init(&a, 1);
	fdpool_file_init(&b, 2);
	read_pooled(&pool, &a, 0x61616161);
	read_pooled(&pool, &b, 0x62626262); /* closes a */
	files_write(dirfd, "new", "aaaa", 4);
	CHECK_EQ(renameat(dirfd, "new", dirfd, a.name), 0);
	CHECK_EQ(fdpool_pin(&pool, &a), -ESTALE);
	CHECK_EQ(fdpool_keep(&pool, &a), -ESTALE);
	CHECK_EQ(unlinkat(dirfd, a.name, 0), 0);
	CHECK_EQ(fdpool_pin(&pool, &a), -ENOENT);
	fdpool_forget(&pool, &a);
	fdpool_forget(&pool, &b);
	CHECK_EQ(pool.open_count, 0);
	fdpool_release(&pool);
	(void)close(dirfd);
}

static void test_pool_no_file(void)
{
	int dirfd = open_dir(check_dir()), before = stores_fd_count();
	static const int wants[] = {-ELOOP, -EINVAL, -EINVAL, -ENOENT};
	struct fdpool pool;

	CHECK_EQ(fdpool_init(&pool, &io_posix, dirfd, 0), 0);
	write_segment(dirfd, 9, "good", 4);
	CHECK_EQ(symlinkat("00000009.dwal", dirfd, "00000001.dwal"), 0);
	CHECK_EQ(mkfifoat(dirfd, "00000002.dwal", 0600), 0);
	CHECK_EQ(mkdirat(dirfd, "00000003.dwal", 0700), 0);
	for (uint32_t i = 0; i < 4; i++) {
		struct fdpool_file file;
		fdpool_file_init(&file, i + 1);
		CHECK_EQ(fdpool_pin(&pool, &file), wants[i]);
		CHECK_EQ(fdpool_keep(&pool, &file), wants[i]);
		fdpool_forget(&pool, &file);
	}
	CHECK_EQ(pool.open_count, 0);
	CHECK_EQ(stores_fd_count(), before);
	fdpool_release(&pool);
	(void)close(dirfd);
}

/* --- scan --- */

static void add_record(struct buf *buf, enum dw_type type, uint64_t txid, size_t key_size,
		       size_t payload_size)
{
	const struct record_header header = {type, txid, (uint32_t)key_size,
					     (uint32_t)payload_size};
	uint8_t *data = stores_noise(txid, key_size + payload_size);
	size_t size = (size_t)record_size(&header);

	CHECK_EQ(buf_reserve(buf, size), 0);
	record_encode(&header, data, data + key_size, buf->data + buf->size);
	buf->size += size;
	free(data);
}

static int scan_file(const struct buf *buf, struct scan *scan)
{
	int dirfd = open_dir(check_dir());

	files_write(dirfd, "f", buf->data, buf->size);
	int fd = openat(dirfd, "f", O_RDONLY | O_CLOEXEC);
	CHECK(fd >= 0);
	(void)close(dirfd);
	CHECK_EQ(scan_init(scan, &io_posix, fd, 0, buf->size), 0);
	return fd;
}

/* Records around the window's size, and far above it. */
static const size_t scan_sizes[][2] = {
	{0, 0},
	{5, 100},
	{65536, 0},
	{0, 1 << 20},
	{65536, 1 << 20},
	{10, 3 << 20},
	{3, SCAN_WINDOW_SIZE - 31},
	{3, SCAN_WINDOW_SIZE - 30},
	{7, 300000},
	{0, 1},
};
enum { SCAN_RECORDS = sizeof scan_sizes / sizeof *scan_sizes };

static void fill_sizes(struct buf *buf)
{
	for (size_t i = 0; i < SCAN_RECORDS; i++)
		add_record(buf, DW_PUT, i + 1, scan_sizes[i][0], scan_sizes[i][1]);
}

static void scan_all(bool keys_only)
{
	struct buf buf = {0};
	struct scan scan;
	struct scan_record record;
	uint64_t offset = 0;

	fill_sizes(&buf);
	int fd = scan_file(&buf, &scan);
	scan.keys_only = keys_only;
	for (size_t i = 0; i < SCAN_RECORDS; i++) {
		CHECK_EQ(scan_next(&scan, &record), 1);
		uint64_t size = record_size(&record.header);
		CHECK_EQ(record.offset, offset);
		CHECK_EQ(record.header.txid, i + 1);
		CHECK_EQ(record.key.size, scan_sizes[i][0]);
		CHECK_EQ(record.header.payload_size, scan_sizes[i][1]);
		CHECK(!record.key.size ||
		      !memcmp(record.key.data, buf.data + offset + 24, record.key.size));
		CHECK_EQ(record.bytes != NULL, !keys_only && size <= SCAN_WINDOW_SIZE);
		CHECK(!record.bytes || !memcmp(record.bytes, buf.data + offset, (size_t)size));
		offset += size;
	}
	CHECK_EQ(scan_next(&scan, &record), 0);
	CHECK_EQ(offset, buf.size);
	scan_release(&scan);
	(void)close(fd);
	buf_release(&buf);
}

static void test_scan_sizes(void)
{
	scan_all(false);
	scan_all(true);
}

/* The last byte but one of each record's body, spoiled in turn, is met there and
 * nowhere else; resync finds the next record. */
static void test_scan_damage(void)
{
	for (size_t bad = 0; bad < SCAN_RECORDS; bad++) {
		struct buf buf = {0};
		struct scan scan;
		struct scan_record record;
		uint64_t starts[SCAN_RECORDS + 1] = {0}, budget = 1u << 30;
		for (size_t i = 0; i < SCAN_RECORDS; i++)
			starts[i + 1] = starts[i] + 28 + scan_sizes[i][0] + scan_sizes[i][1];
		fill_sizes(&buf);
		buf.data[starts[bad + 1] - 5] ^= 1; /* of an empty record: the key size */
		int fd = scan_file(&buf, &scan);
		for (size_t i = 0; i < bad; i++)
			CHECK_EQ(scan_next(&scan, &record), 1);
		CHECK_EQ(scan_next(&scan, &record), -EBADMSG);
		CHECK(scan.damage != DW_DAMAGE_NONE);
		CHECK_EQ(scan.offset, starts[bad]);
		CHECK_EQ(scan_resync(&scan, &budget), bad + 1 < SCAN_RECORDS);
		CHECK_EQ(scan.offset, starts[bad + 1]);
		if (bad + 1 < SCAN_RECORDS) {
			CHECK_EQ(scan_next(&scan, &record), 1);
			CHECK_EQ(record.header.txid, bad + 2);
		}
		scan_release(&scan);
		(void)close(fd);
		buf_release(&buf);
	}
}

static void scan_expect(const struct buf *buf, size_t sound, enum dw_damage damage)
{
	struct scan scan;
	struct scan_record record;
	int fd = scan_file(buf, &scan);

	for (size_t i = 0; i < sound; i++)
		CHECK_EQ(scan_next(&scan, &record), 1);
	CHECK_EQ(scan_next(&scan, &record), -EBADMSG);
	CHECK_EQ(scan.damage, damage);
	scan_release(&scan);
	(void)close(fd);
}

static void test_scan_tails(void)
{
	static const uint8_t zeros[3 << 20];
	struct buf buf = {0};

	add_record(&buf, DW_RAW, 1, 5, 5);
	size_t whole = buf.size;
	CHECK_EQ(buf_add(&buf, zeros, 1), 0);
	scan_expect(&buf, 1, DW_DAMAGE_TRUNCATED);
	CHECK_EQ(buf_add(&buf, zeros, 23), 0);
	scan_expect(&buf, 1, DW_DAMAGE_ZEROS);
	CHECK_EQ(buf_add(&buf, zeros, sizeof zeros), 0);
	scan_expect(&buf, 1, DW_DAMAGE_ZEROS);
	buf.data[whole + 2] = 1; /* no zeros, no magic */
	scan_expect(&buf, 1, DW_DAMAGE_MAGIC);
	buf.size = whole;
	add_record(&buf, DW_PUT, 2, 5, 2 << 20);
	for (size_t cut = 1; cut < buf.size - whole; cut += 100003) {
		struct buf torn = {buf.data, whole + cut, buf.capacity};
		scan_expect(&torn, 1, DW_DAMAGE_TRUNCATED);
	}
	buf_release(&buf);
}

/* A file that shrinks under the scan is truncated, not an endless loop. */
static void test_scan_shrunk(void)
{
	struct buf buf = {0};
	struct scan scan;
	struct scan_record record;

	add_record(&buf, DW_PUT, 1, 5, 10);
	add_record(&buf, DW_PUT, 2, 5, 4 << 20);
	int fd = scan_file(&buf, &scan);
	scan.end = buf.size + 100;
	CHECK_EQ(scan_next(&scan, &record), 1);
	CHECK_EQ(scan_next(&scan, &record), 1);
	CHECK_EQ(scan_next(&scan, &record), -EBADMSG);
	CHECK_EQ(scan.damage, DW_DAMAGE_TRUNCATED);
	scan_release(&scan);
	(void)close(fd);
	buf_release(&buf);
}

/* Contents that look like large records at every byte cost no more than the budget. */
static void test_scan_hostile(void)
{
	struct buf buf = {0};
	struct scan scan;
	uint64_t budget = 64u << 20;

	for (int i = 0; i < 40000; i++) {
		const struct record_header header = {DW_PUT, 1, 0, 400000};
		CHECK_EQ(buf_reserve(&buf, 24), 0);
		record_header_encode(&header, buf.data + buf.size);
		buf.size += 24;
	}
	add_record(&buf, DW_PUT, 9, 1, 1);
	int fd = scan_file(&buf, &scan);
	CHECK_EQ(scan_resync(&scan, &budget), 0);
	CHECK_EQ(budget, 0);
	CHECK_EQ(scan.offset, buf.size);
	scan_release(&scan);
	(void)close(fd);
	buf_release(&buf);
}

/* A page that is gone ends one call, not the process; another SIGBUS is not ours. */
static sig_atomic_t foreign;
static sigjmp_buf back;

static void on_foreign(int number)
{
	(void)number;
	foreign++;
	siglongjmp(back, 1);
}

static void read_all(void *context)
{
	const struct mapping *mapping = context;
	volatile uint8_t sum = 0;

	for (size_t i = 0; i < mapping->size; i += 512)
		sum = (uint8_t)(sum + mapping->data[i]);
}

static void test_mapping(void)
{
	char path[PATH_MAX];
	struct mapping a = {0}, b = {0};
	/* before the first mapping: it must be handed what is not ours */
	(void)signal(SIGBUS, on_foreign);

	(void)snprintf(path, sizeof path, "%s/mapped", check_dir());
	int fd = open(path, O_RDWR | O_CREAT, 0600);
	CHECK(fd >= 0);
	CHECK_EQ(ftruncate(fd, 3 << 20), 0);
	CHECK_EQ(mapping_init(&a, fd, 3 << 20), 0);
	CHECK_EQ(mapping_init(&b, fd, 3 << 20), 0);
	CHECK_EQ(mapping_try(&a, read_all, &a), 0);
	CHECK_EQ(ftruncate(fd, 1 << 20), 0);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(mapping_try(&a, read_all, &a), -EIO);
	CHECK_EQ(foreign, 0);
	/* inside an attempt, but in another mapping */
	if (!sigsetjmp(back, 1))
		(void)mapping_try(&b, read_all, &a);
	CHECK_EQ(foreign, 1);
	CHECK_EQ(ftruncate(fd, 3 << 20), 0);
	CHECK_EQ(mapping_try(&a, read_all, &a), 0);
	mapping_release(&a);
	mapping_release(&b);
	mapping_release(&b);
	CHECK_EQ(mapping_init(&a, -1, 4096), -EBADF);
	(void)close(fd);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"disk_mapping", test_mapping}, /* first: before anything is mapped */
		{"disk_pool_evicts", test_pool_evicts},
		{"disk_pool_pins", test_pool_pins},
		{"disk_pool_replaced", test_pool_replaced},
		{"disk_pool_no_file", test_pool_no_file},
		{"disk_scan_sizes", test_scan_sizes},
		{"disk_scan_damage", test_scan_damage},
		{"disk_scan_tails", test_scan_tails},
		{"disk_scan_shrunk", test_scan_shrunk},
		{"disk_scan_hostile", test_scan_hostile},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
