/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_export.c - the worker pool that works ahead of an export, and the bytes of exports that are
 * large enough for one, against an encoding of the iterator's items done here.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/workers.h"
#include "store/store.h"
#include "tests/support/files.h"
#include "tests/support/stores.h"

/* --- the worker pool --- */

enum { ITEMS = 20000 };

struct plan {
	size_t too_large_every, fails_at; /* 0: never */
	size_t ends_at;                   /* items cannot be taken from here on; 0: all can */
	size_t taken;
};

/* The input of an item is its number. */
static int take(void *context, struct workers_block *block)
{
	struct plan *plan = context;

	CHECK_EQ(block->first, plan->taken);
	for (size_t i = block->first; i < block->end; i++) {
		if (plan->ends_at && i >= plan->ends_at)
			return -EIO;
		if (buf_add(&block->items, &i, sizeof i) < 0)
			return -ENOMEM;
	}
	plan->taken = block->end;
	return 0;
}

static int number(void *context, const struct workers_block *block, size_t index, struct buf *out)
{
	const struct plan *plan = context;
	uint32_t text = (uint32_t)index;
	size_t taken;

	memcpy(&taken, block->items.data + (index - block->first) * sizeof taken, sizeof taken);
	if (taken != index)
		return -EPROTO;
	if (plan->fails_at && index >= plan->fails_at)
		return -EBADMSG;
	if (plan->too_large_every && index % plan->too_large_every == 5)
		return 1;
	/* some are longer than a block may be */
	for (size_t i = 0; i < (index % 3000 == 7 ? 300000 : 1); i++)
		if (buf_add(out, &text, sizeof text) < 0)
			return -ENOMEM;
	return 0;
}

/* The contents of a block and its unfinished items: each number, as often as it must be there. */
static void expect_block(const struct workers_block *block, size_t *next)
{
	const uint32_t *at = (const uint32_t *)(const void *)block->out.data;
	const uint32_t *end = at + block->out.size / sizeof *at;

	CHECK_EQ(block->first, *next);
	CHECK(block->done >= block->first && block->done <= block->end);
	for (size_t i = block->first; i < block->done; i++)
		for (size_t n = i % 3000 == 7 ? 300000 : 1; n; n--) {
			if (at == end || *at != i)
				CHECK_EQ(at == end ? SIZE_MAX : *at, i);
			at++;
		}
	CHECK(at == end);
	*next = block->end;
}

static struct workers *start(size_t count, struct plan *plan)
{
	struct workers *workers = NULL;
	int rc = workers_start(&(struct workers_job){count, take, number, plan}, &workers);

	if (rc == -EAGAIN)
		check_skip("one processor");
	else
		CHECK_EQ(rc, 0);
	return workers;
}

static void walk(struct plan plan, int error)
{
	struct workers *workers = start(ITEMS, &plan);
	struct workers_block *block;
	size_t next = 0;
	int rc = 0;

	if (!workers)
		return;
	while (!rc && (block = workers_next(workers))) {
		expect_block(block, &next);
		rc = block->rc;
		if (rc == -EBADMSG) /* unless the place itself was left to the taker */
			CHECK_EQ(block->done,
				 block->first > plan.fails_at ? block->first : plan.fails_at);
	}
	CHECK_EQ(rc, error);
	CHECK(error || next == ITEMS);
	CHECK(error || !workers_next(workers));
	workers_free(workers);
}

static void test_workers(void)
{
	walk((struct plan){0}, 0);
	walk((struct plan){.too_large_every = 700}, 0);
	walk((struct plan){.too_large_every = 6}, 0);
	walk((struct plan){.fails_at = 12345}, -EBADMSG);
	walk((struct plan){.ends_at = 12345}, -EIO);
}

static int zeros(void *context, const struct workers_block *block, size_t index, struct buf *out)
{
	static const uint8_t item[16 << 10];

	(void)block;
	(void)index;
	return buf_add(out, item, *(const size_t *)context);
}

/* Blocks become as large as pays, and no larger than workers can do. */
static void expect_sizes(size_t count, size_t item_size, size_t blocks_max, size_t left_max)
{
	struct workers *workers = NULL;
	struct workers_block *block;
	size_t blocks = 0, left = 0;
	int rc = workers_start(&(struct workers_job){count, NULL, zeros, &item_size}, &workers);

	if (rc == -EAGAIN) {
		check_skip("one processor");
		return;
	}
	CHECK_EQ(rc, 0);
	while ((block = workers_next(workers))) {
		blocks++;
		left += block->end - block->done;
		CHECK(block->out.size < (1 << 20) + item_size);
	}
	CHECK(blocks <= blocks_max);
	CHECK(left <= left_max);
	workers_free(workers);
}

static void test_workers_sizes(void)
{
	/* many small ones: handing a block over costs more than its items */
	expect_sizes(ITEMS, 200, 60, 0);
	/* items over the limit of a block are left to the consumer: only the first ones may be */
	expect_sizes(4000, 16 << 10, 4000, 1000);
}

/* A consumer may stop early. */
static void test_workers_stopped(void)
{
	struct plan plan = {0};

	for (size_t blocks = 0; blocks < 6; blocks++) {
		struct workers *workers = start(ITEMS, &plan);
		if (!workers)
			return;
		for (size_t i = 0; i < blocks; i++)
			CHECK(workers_next(workers) != NULL);
		workers_free(workers);
		plan.taken = 0;
	}
	workers_free(NULL);
}

static void test_workers_not_worth_it(void)
{
	struct plan plan = {0};
	struct workers *workers = NULL;
	cpu_set_t all, one;

	CHECK_EQ(workers_start(&(struct workers_job){100, take, number, &plan}, &workers), -EAGAIN);
	CHECK_EQ(sched_getaffinity(0, sizeof all, &all), 0);
	CPU_ZERO(&one);
	for (size_t i = 0; !CPU_COUNT(&one); i++)
		if (CPU_ISSET(i, &all))
			CPU_SET(i, &one);
	CHECK_EQ(sched_setaffinity(0, sizeof one, &one), 0);
	int rc = workers_start(&(struct workers_job){ITEMS, take, number, &plan}, &workers);
	CHECK_EQ(sched_setaffinity(0, sizeof all, &all), 0);
	CHECK_EQ(rc, -EAGAIN);
}

/* --- the export --- */

/* RFC 4648, a character at a time. */
static void add_base64(struct buf *buf, const uint8_t *data, size_t size)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < size; i += 3) {
		uint32_t three = (uint32_t)data[i] << 16;
		char text[4];
		if (i + 1 < size)
			three |= (uint32_t)data[i + 1] << 8;
		if (i + 2 < size)
			three |= data[i + 2];
		for (int d = 0; d < 4; d++)
			text[d] = digits[three >> (18 - 6 * d) & 63];
		if (i + 1 >= size)
			text[2] = '=';
		if (i + 2 >= size)
			text[3] = '=';
		CHECK_EQ(buf_add(buf, text, sizeof text), 0);
	}
}

static void add_text(struct buf *buf, const char *text)
{
	CHECK_EQ(buf_add(buf, text, strlen(text)), 0);
}

static struct buf expected_export(struct dw_store *store)
{
	struct buf ret = {0};
	struct dw_iter *iter;
	struct dw_item item;

	CHECK_EQ(dw_iter_open(store, &iter), 0);
	while (dw_iter_next(iter, &item) == 1) {
		uint8_t *value = malloc(item.stat.size + 1);
		CHECK_EQ(dw_iter_read(iter, value, item.stat.size, 0), item.stat.size);
		add_text(&ret, "{\"key_b64\":\"");
		add_base64(&ret, item.key.data, item.key.size);
		add_text(&ret, "\",\"value_b64\":\"");
		add_base64(&ret, value, item.stat.size);
		add_text(&ret, "\"}\n");
		free(value);
	}
	dw_iter_close(iter);
	return ret;
}

/* Values of all sizes: most small, some too large for a worker, some for one piece. */
static void fill(struct dw_store *store, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char key[40];
		int n = snprintf(key, sizeof key, "%.*s%zx", (int)(i % 17), "prefix/prefix/prefix",
				 i * 2654435761u % 1000003);
		size_t size = i % 1500 == 11 ? 100000 + i : i == count / 2 ? 2000000 : i % 200;
		uint8_t *noise = stores_noise(i, size);
		const struct dw_bytes bytes = {key, (size_t)n}, value = {noise, size};
		CHECK_EQ(dw_put(store, bytes, value), 0);
		free(noise);
	}
}

static void expect_stream(struct dw_store *store, const struct buf *want, size_t piece)
{
	char *got = malloc(want->size + 1);
	struct dw_export *export = NULL;
	size_t size = 0;
	ssize_t n;

	CHECK_EQ(dw_export_open(store, &export), 0);
	while ((n = dw_export_read(export, got + size,
				   piece < want->size + 1 - size ? piece : want->size + 1 - size)) >
	       0)
		size += (size_t)n;
	CHECK_EQ(n, 0);
	CHECK_EQ(size, want->size);
	CHECK(!memcmp(got, want->data, size));
	dw_export_close(export);
	free(got);
}

static void test_export_large(void)
{
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, 1 << 20);
	struct dw_export *export = NULL;
	char path[160], byte;

	fill(store, 12000);
	struct buf want = expected_export(store);
	(void)snprintf(path, sizeof path, "%s/export.jsonl", dir);
	CHECK_EQ(dw_export_file(store, path), 0);
	struct buf file = files_read(AT_FDCWD, path);
	CHECK_EQ(file.size, want.size);
	CHECK(!memcmp(file.data, want.data, want.size));
	expect_stream(store, &want, 4096);
	expect_stream(store, &want, 3 << 20);
	/* given up in the middle */
	CHECK_EQ(dw_export_open(store, &export), 0);
	CHECK_EQ(dw_export_read(export, &byte, 1), 1);
	dw_export_close(export);
	buf_release(&file);
	buf_release(&want);
	stores_close(store);
}

/* A damaged value ends it with its error, by whichever thread it is found; the file that was
 * there stays. */
static void test_export_damaged(void)
{
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, 0);
	struct dw_stat stat;
	char path[160];

	for (int i = 0; i < 10000; i++) {
		char key[16];
		(void)snprintf(key, sizeof key, "%05d", i);
		stores_put(store, key, "value");
	}
	(void)snprintf(path, sizeof path, "%s/export.jsonl", dir);
	CHECK_EQ(dw_export_file(store, path), 0);
	struct buf before = files_read(AT_FDCWD, path);
	CHECK_EQ(dw_stat(store, stores_bytes("07777"), &stat), 0);
	char segment[160];
	(void)snprintf(segment, sizeof segment, "%s/%08u.dwal", dir, stat.segment);
	int fd = open(segment, O_WRONLY);
	CHECK_EQ(pwrite(fd, "X", 1, (off_t)stat.offset + RECORD_HEADER_SIZE + 5), 1);
	close(fd);
	CHECK_EQ(dw_export_file(store, path), -EBADMSG);
	struct buf after = files_read(AT_FDCWD, path);
	CHECK_EQ(after.size, before.size);
	CHECK(!memcmp(after.data, before.data, after.size));
	buf_release(&before);
	buf_release(&after);
	stores_close(store);
}

/* A read after an error does not return the bytes after the place that failed. */
static void test_export_error_stays(void)
{
	struct dw_store *store = stores_open(stores_dir(), 0);
	struct dw_export *export = NULL;
	struct dw_stat stat;
	char key[16], segment[160], piece[1000];
	ssize_t n;

	for (int i = 0; i < 5000; i++) {
		(void)snprintf(key, sizeof key, "%05d", i);
		stores_put(store, key, "value");
	}
	CHECK_EQ(dw_stat(store, stores_bytes("02222"), &stat), 0);
	(void)snprintf(segment, sizeof segment, "/proc/self/fd/%d/%08u.dwal",
		       dw_directory_fd(store), stat.segment);
	/* the bytes after the cut are mapped, and gone: in a thread of the worker pool as well */
	CHECK_EQ(truncate(segment, (off_t)stat.offset / 4096 * 4096), 0);
	CHECK_EQ(dw_export_open(store, &export), 0);
	do
		n = dw_export_read(export, piece, sizeof piece);
	while (n > 0);
	CHECK_EQ(n, -EBADMSG);
	for (int i = 0; i < 100; i++)
		CHECK_EQ(dw_export_read(export, piece, sizeof piece), -EBADMSG);
	dw_export_close(export);
	(void)dw_close(store); /* its segment was cut off behind its back */
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"workers_order", test_workers},
		{"workers_sizes", test_workers_sizes},
		{"workers_stopped", test_workers_stopped},
		{"workers_not_worth_it", test_workers_not_worth_it},
		{"export_large", test_export_large},
		{"export_damaged", test_export_damaged},
		{"export_error_stays", test_export_error_stays},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
