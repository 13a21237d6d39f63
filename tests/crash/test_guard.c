/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_guard.c - preallocated zeros, sector by sector.
 *
 * A writer that syncs often is recorded from before the guard is put up until the clean
 * close; then, at every call, the directory is rebuilt many times as a power cut may
 * leave it: each sector as it was at any moment since the last sync.  Every such state
 * must be a sound log with a torn tail at most, to a reader that is written here from
 * the format alone and forgives nothing else; it must hold every synced record and no
 * record that was never appended; and a writer must go on from it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "codec/record.h"
#include "codec/segname.h"
#include "disk/guard.h"
#include "store/store.h"
#include "tests/support/crashio.h"
#include "tests/support/stores.h"

enum {
	SEGMENT_SIZE = 512 << 10,
	ROUNDS = 300,
	RECORDS_MAX = 4000,
	TRIES = 8,
	SMALL_SYNCS = 16, /* after so many the log wants preallocated zeros */
};

struct appended {
	enum dw_type type;
	struct buf key, value;
};

struct history {
	struct crashio crash;
	struct rng rng;
	const char *dir;
	struct dw_store *store;
	struct appended records[RECORDS_MAX]; /* by txid - 1 */
	size_t count;
	struct {
		size_t event, records;
	} marks[RECORDS_MAX], syncs[RECORDS_MAX]; /* begun, and durable, from that event on */
	size_t mark_count, sync_count;
	size_t strict;             /* from this event on no append is plain */
	uint64_t first_txids[100]; /* of each segment */
	size_t looks;
};

/* --- recording --- */

static void note(struct history *h, enum dw_type type, struct dw_bytes key, struct dw_bytes value)
{
	struct appended *record = &h->records[h->count++];

	CHECK(h->count < RECORDS_MAX);
	record->type = type;
	CHECK_EQ(buf_add(&record->key, key.data, key.size), 0);
	CHECK_EQ(buf_add(&record->value, value.data, value.size), 0);
}

static void do_batch(struct history *h, const struct dw_op *ops, size_t count)
{
	for (size_t i = 0; i < count; i++)
		note(h, ops[i].type, ops[i].key, ops[i].value);
	h->marks[h->mark_count].event = h->crash.count;
	h->marks[h->mark_count++].records = h->count;
	CHECK_EQ(dw_batch(h->store, ops, count), 0);
}

static void do_sync(struct history *h)
{
	size_t records = h->count;

	CHECK_EQ(dw_sync(h->store), 0);
	h->syncs[h->sync_count].event = h->crash.count;
	h->syncs[h->sync_count++].records = records;
}

/* A size with which the record ends `behind` a sector's edge. */
static size_t size_to_end_at(const struct history *h, size_t offset, size_t key_size, size_t behind)
{
	size_t fixed = offset + RECORD_OVERHEAD + key_size;

	(void)h;
	return (2 * GUARD_SECTOR_SIZE + behind - fixed % GUARD_SECTOR_SIZE) % GUARD_SECTOR_SIZE;
}

/* Further records, as bytes; whether one that follows another is awkward if they are to stand
 * at `offset`. */
static bool add_records(struct history *h, struct buf *bytes, size_t count, uint64_t offset)
{
	bool awkward = false;

	for (size_t i = 0; i < count; i++) {
		uint8_t *value = stores_noise(rng_next(&h->rng), 1024);
		size_t size = (size_t)rng_below(&h->rng, 1000);
		if (rng_below(&h->rng, 3)) /* 508..512 and 0..2 behind an edge: where it matters */
			size = size_to_end_at(h, offset + bytes->size, 3,
					      (508 + (size_t)rng_below(&h->rng, 7)) %
						      GUARD_SECTOR_SIZE);
		note(h, DW_PUT, stores_bytes("key"), (struct dw_bytes){value, size});
		const struct record_header header = {DW_PUT, h->count, 3, (uint32_t)size};
		CHECK_EQ(buf_reserve(bytes, (size_t)record_size(&header)), 0);
		record_encode(&header, "key", value, bytes->data + bytes->size);
		bytes->size += (size_t)record_size(&header);
		awkward =
			awkward || guard_is_awkward(offset + bytes->size, bytes->data, bytes->size);
		free(value);
	}
	return awkward;
}

/* Let the last `n` bytes of the record's CRC be zero, so that they look as if they had not
 * been written. */
static void zero_crc_end(struct history *h, const struct dw_op *op, size_t i, unsigned n)
{
	uint8_t *bytes = (uint8_t *)op->value.data;
	uint8_t record[2048];
	const struct record_header header = {
		.type = op->type,
		.txid = h->count + i + 1,
		.key_size = (uint32_t)op->key.size,
		.payload_size = (uint32_t)op->value.size,
	};

	if (op->value.size < 4 || op->type == DW_DELETE)
		return;
	for (uint32_t try = 0; try < 200000; try++) {
		bytes_put32(bytes, try);
		record_encode(&header, op->key.data, op->value.data, record);
		uint32_t crc = bytes_get32(record + record_size(&header) - 4);
		if (!(n == 1 ? crc >> 24 : crc >> 16))
			return;
	}
}

static void do_random(struct history *h)
{
	size_t count = rng_below(&h->rng, 3) ? 1 : 1 + (size_t)rng_below(&h->rng, 8);
	size_t offset = (size_t)h->store->core->log.end;
	uint8_t *values[8];
	char keys[8][24];
	struct dw_op ops[8];

	for (size_t i = 0; i < count; i++) {
		size_t size = (size_t)rng_below(&h->rng, 700), behind = 0;
		bool gone = !rng_below(&h->rng, 5);
		(void)snprintf(keys[i], sizeof keys[i], "key %d", (int)rng_below(&h->rng, 30));
		values[i] = stores_noise(rng_next(&h->rng), 1024);
		ops[i] = (struct dw_op){.type = gone ? DW_DELETE : DW_PUT,
					.key = stores_bytes(keys[i])};
		if (!gone && rng_below(&h->rng, 2)) {
			/* 508..512 and 0..2 behind an edge: where it matters */
			behind = (508 + (size_t)rng_below(&h->rng, 7)) % GUARD_SECTOR_SIZE;
			size = size_to_end_at(h, offset, ops[i].key.size, behind);
		}
		ops[i].value = (struct dw_bytes){values[i], gone ? 0 : size};
		if (behind == 1 || behind == 2)
			zero_crc_end(h, &ops[i], i, (unsigned)behind);
		offset += RECORD_OVERHEAD + ops[i].key.size + ops[i].value.size;
	}
	do_batch(h, ops, count);
	for (size_t i = 0; i < count; i++)
		free(values[i]);
}

/* --- between two calls --- */

static size_t read_one(const struct history *h, const struct buf *file, size_t at, uint64_t txid);

/* After the whole records comes the end of the file, too little for a header, or a guard.  No
 * record here is Raw; of a header that lies across a sector's edge the end may have been written
 * over already. */
static bool is_end_or_guard(const struct buf *file, size_t at)
{
	return file->size - at < GUARD_SIZE || !memcmp(file->data + at, guard_bytes, 7);
}

/* A reader without the lock, or a kill, comes behind any call: it finds whole records and then
 * the end, never a record of which only a part is there. */
static void look(void *context, const struct crash_event *event)
{
	struct history *h = context;
	char name[SEGNAME_SIZE];

	if (!h->store || (event->kind != CRASH_WRITE && event->kind != CRASH_TRUNCATE))
		return;
	segname_format(h->store->core->log.active->id, name);
	int dirfd = open(h->dir, O_RDONLY | O_DIRECTORY);
	struct buf file = files_read(dirfd, name);
	uint64_t txid = h->first_txids[h->store->core->log.active->id];
	size_t at = 0, size = 1;

	while (at < file.size && size) {
		/* of what stands behind the end nothing is known yet */
		size = is_end_or_guard(&file, at) ? 0 : read_one(h, &file, at, txid++);
		CHECK(size || is_end_or_guard(&file, at));
		at += size;
	}
	h->looks++;
	buf_release(&file);
	(void)close(dirfd);
}

static void record_history(struct history *h)
{
	const struct dw_options options = {.segment_size = SEGMENT_SIZE};
	const struct dw_op op = {.type = DW_PUT, .key = {"first", 5}, .value = {"value", 5}};

	h->rng = check_rng();
	h->dir = stores_dir();
	crashio_init(&h->crash, h->dir);
	CHECK_EQ(store_open(&h->crash.io, h->dir, &options, NULL, &h->store), 0);
	h->first_txids[1] = 1;
	h->crash.hook = look;
	h->crash.context = h;
	for (int i = 0; i < SMALL_SYNCS; i++) {
		do_batch(h, &op, 1);
		do_sync(h);
	}
	h->strict = h->crash.count;
	for (int i = 0; i < ROUNDS; i++) {
		do_random(h);
		CHECK(h->store->core->log.prealloc.on);
		if (rng_below(&h->rng, 4))
			do_sync(h);
		if (i % 100 == 99) { /* leaves, and enters again */
			CHECK_EQ(dw_rotate(h->store), 0);
			h->first_txids[h->store->core->log.active->id] = h->count + 1;
		}
	}
	CHECK(h->looks > ROUNDS);
	h->crash.hook = NULL;
	CHECK_EQ(dw_close(h->store), 0);
	h->syncs[h->sync_count].event = h->crash.count;
	h->syncs[h->sync_count++].records = h->count;
}

static void history_free(struct history *h)
{
	for (size_t i = 0; i < h->count; i++) {
		buf_release(&h->records[i].key);
		buf_release(&h->records[i].value);
	}
	crashio_release(&h->crash);
	free(h);
}

/* --- the reader --- */

static bool is_same(const struct buf *buf, const uint8_t *bytes, size_t size)
{
	return buf->size == size && (!size || !memcmp(buf->data, bytes, size));
}

/* The record at `at`: its size; 0: torn.  Anything worse ends the test. */
static size_t read_one(const struct history *h, const struct buf *file, size_t at, uint64_t txid)
{
	const uint8_t *p = file->data + at;
	size_t left = file->size - at;

	if (left < RECORD_HEADER_SIZE)
		return 0;
	CHECK(!memcmp(p, "DWAL", 4));
	CHECK_EQ(p[4] | p[5] << 8, 1);
	CHECK(p[6] <= 2);
	CHECK_EQ(p[7], 0);
	uint32_t key_size = bytes_get32(p + 16), payload_size = bytes_get32(p + 20);
	CHECK(key_size <= 65536 && payload_size <= 67108864);
	uint64_t size = RECORD_OVERHEAD + (uint64_t)key_size + payload_size;
	if (size > left || crc32c(0, p, (size_t)size - 4) != bytes_get32(p + size - 4))
		return 0;
	/* whole: then it is one of ours, the next one */
	CHECK(txid <= h->count);
	const struct appended *record = &h->records[txid - 1];
	CHECK_EQ(bytes_get64(p + 8), txid);
	CHECK_EQ(p[6], record->type);
	CHECK(is_same(&record->key, p + 24, key_size));
	CHECK(is_same(&record->value, p + 24 + key_size, payload_size));
	return (size_t)size;
}

/* How many records a strict reader finds. */
static size_t read_all(const struct history *h, const struct files *files)
{
	size_t records = 0, last = 0;
	uint32_t id;

	for (size_t i = 0; i < files->count; i++)
		if (segname_parse(files->items[i].name, &id) && id > last)
			last = id;
	for (uint32_t want = 1; want <= last; want++)
		for (size_t i = 0; i < files->count; i++) {
			const struct buf *file = &files->items[i].data;
			if (!segname_parse(files->items[i].name, &id) || id != want)
				continue;
			size_t at = 0, size = 1;
			while (at < file->size && (size = read_one(h, file, at, records + 1))) {
				at += size;
				records++;
			}
			CHECK(size || id == last);
		}
	return records;
}

static size_t records_at(const struct history *h, size_t point, bool durable)
{
	size_t count = durable ? h->sync_count : h->mark_count, records = 0;

	for (size_t i = 0; i < count; i++) {
		size_t event = durable ? h->syncs[i].event : h->marks[i].event;
		if (durable ? event <= point : event < point)
			records = durable ? h->syncs[i].records : h->marks[i].records;
	}
	return records;
}

/* A writer takes the state as it is, finds what the strict reader finds, and leaves a log
 * without anything torn. */
static void go_on(struct history *h, const struct files *files, size_t records)
{
	const char *dir = check_dir();
	const struct dw_options options = {.segment_size = SEGMENT_SIZE};
	struct dw_store *store = NULL;
	struct dw_report report;

	files_restore(files, dir);
	CHECK_EQ(dw_open(dir, &options, &report, &store), 0);
	CHECK_EQ(report.last_txid, records);
	CHECK_EQ(dw_put(store, stores_bytes("after"), stores_bytes("the crash")), 0);
	CHECK_EQ(dw_close(store), 0);
	CHECK_EQ(dw_open(dir, &options, &report, &store), 0);
	CHECK_EQ(report.torn_bytes, 0);
	CHECK_EQ(report.last_txid, records + 1);
	stores_expect(store, "after", "the crash");
	CHECK_EQ(dw_close(store), 0);
	(void)h;
}

static void test_every_sector(void)
{
	struct history *h = calloc(1, sizeof *h);
	struct files files;
	size_t states = 0;

	CHECK(h != NULL);
	record_history(h);
	for (size_t point = h->strict; point <= h->crash.count; point++)
		for (int try = 0; try < TRIES; try++) {
			crashio_rebuild(&h->crash, point, CRASH_SECTORS, 0, &h->rng, &files);
			size_t records = read_all(h, &files);
			CHECK(records >= records_at(h, point, true));
			CHECK(records <= records_at(h, point, false));
			if (!rng_below(&h->rng, 200))
				go_on(h, &files, records);
			files_release(&files);
			states++;
		}
	printf("  %zu calls, %zu records, %zu states\n", h->crash.count, h->count, states);
	history_free(h);
}

/* --- single steps, without a store --- */

enum { STEP_ROUNDS = 60, STEP_TRIES = 60 };

/* A segment of its own, with a few records that are synced; their end. */
static uint64_t begin_steps(struct history *h, struct rng *rng, int *fd_ret)
{
	struct buf bytes = {0};

	h->rng = (struct rng){rng_next(rng)};
	h->dir = stores_dir();
	crashio_init(&h->crash, h->dir);
	struct io *io = &h->crash.io;
	int dirfd = io->open(io, AT_FDCWD, h->dir, O_RDONLY | O_DIRECTORY, 0);
	*fd_ret = io->open(io, dirfd, "00000001.dwal", O_RDWR | O_CREAT, 0600);
	CHECK(*fd_ret >= 0);
	(void)add_records(h, &bytes, 1 + (size_t)rng_below(&h->rng, 5), 0);
	CHECK_EQ(io_write_full(io, *fd_ret, bytes.data, bytes.size, 0), 0);
	CHECK_EQ(io->fsync(io, *fd_ret), 0);
	CHECK_EQ(io->fsync(io, dirfd), 0);
	(void)io->close(io, dirfd);
	uint64_t end = bytes.size;
	buf_release(&bytes);
	return end;
}

/* Whether a change of the file is not synced. */
static bool is_pending(const struct history *h)
{
	bool pending = false;

	for (size_t i = 0; i < h->crash.count; i++) {
		enum crash_kind kind = h->crash.events[i].kind;
		if (kind == CRASH_WRITE || kind == CRASH_TRUNCATE)
			pending = true;
		else if (kind == CRASH_SYNC)
			pending = false;
	}
	return pending;
}

/* Each crash behind `from` leaves what was synced, `least` records, and nothing that a reader
 * refuses. */
static void check_steps(struct history *h, size_t from, size_t least)
{
	struct files files;

	for (size_t point = from; point <= h->crash.count; point++)
		for (int try = 0; try < STEP_TRIES; try++) {
			crashio_rebuild(&h->crash, point, CRASH_SECTORS, 0, &h->rng, &files);
			CHECK(read_all(h, &files) >= least);
			files_release(&files);
		}
}

/* An append that failed may have written all of its bytes, whole records. */
static void test_undo(void)
{
	struct rng rng = check_rng();

	for (int round = 0; round < STEP_ROUNDS; round++) {
		struct history *h = calloc(1, sizeof *h);
		struct io *io = &h->crash.io;
		struct buf bytes = {0};
		struct prealloc prealloc;
		struct stat st;
		bool sync_failed = false;
		int fd;
		uint64_t end = begin_steps(h, &rng, &fd);
		size_t records = h->count;

		prealloc_init(&prealloc, io, SEGMENT_SIZE);
		prealloc_attach(&prealloc, fd, end);
		CHECK_EQ(prealloc_enter(&prealloc, end, &sync_failed), 0);
		CHECK(prealloc.on && !is_pending(h));
		uint64_t near = prealloc.size - GUARD_SIZE - prealloc.reserve;
		CHECK_EQ(prealloc_make_room(&prealloc, near, 1, false, &sync_failed), 0);
		CHECK(prealloc.size > near + GUARD_SIZE + prealloc.reserve);
		CHECK(!is_pending(h));
		bool awkward = add_records(h, &bytes, 1 + (size_t)rng_below(&h->rng, 8), end);
		CHECK_EQ(buf_add(&bytes, guard_bytes, GUARD_SIZE), 0);
		size_t from = h->crash.count;
		CHECK_EQ(guard_write_over(io, fd, bytes.data, bytes.size, end, awkward,
					  &sync_failed),
			 0);
		CHECK_EQ(prealloc_undo(&prealloc, end), 0);
		CHECK(!prealloc.on && !is_pending(h));
		CHECK_EQ(fstat(fd, &st), 0);
		CHECK_EQ(st.st_size, end);
		check_steps(h, from, records);
		(void)io->close(io, fd);
		buf_release(&bytes);
		history_free(h);
	}
}

/* A torn tail of any length, the shortest that holds a header among them. */
static void test_cut(void)
{
	struct rng rng = check_rng();

	for (size_t torn = 1; torn < 700; torn += torn < 40 ? 1 : 97) {
		struct history *h = calloc(1, sizeof *h);
		struct io *io = &h->crash.io;
		struct buf bytes = {0};
		const struct record_header header = {DW_PUT, 1000, 3, 5000};
		struct stat st;
		int fd;
		uint64_t end = begin_steps(h, &rng, &fd);

		CHECK_EQ(buf_reserve(&bytes, torn + GUARD_SIZE), 0);
		memset(bytes.data, 'x', torn + GUARD_SIZE);
		record_header_encode(&header, bytes.data);
		CHECK_EQ(io_write_full(io, fd, bytes.data, torn, end), 0);
		CHECK_EQ(io->fsync(io, fd), 0);
		size_t from = h->crash.count;
		CHECK_EQ(guard_cut(io, fd, end, end + torn), 0);
		CHECK(!is_pending(h));
		CHECK_EQ(fstat(fd, &st), 0);
		CHECK_EQ(st.st_size, end);
		check_steps(h, from, h->count);
		(void)io->close(io, fd);
		buf_release(&bytes);
		history_free(h);
	}
}

static void test_awkward(void)
{
	uint8_t bytes[64] = {1};

	CHECK(guard_is_awkward(512, bytes, 64));
	for (uint64_t boundary = 508; boundary <= 512; boundary++)
		CHECK(guard_is_awkward(boundary, bytes, 64));
	CHECK(!guard_is_awkward(507, bytes, 64));
	CHECK(!guard_is_awkward(513 + 64, bytes, 64)); /* the nonzero byte is in the sector */
	CHECK(guard_is_awkward(512 + 63, bytes, 64));  /* it is not */
	bytes[63] = 1;
	CHECK(!guard_is_awkward(513, bytes, 64));
}

/* The rest of a guard, with the zeros after it lost or not yet written, is never taken for a
 * record: its checksum would be zero. */
static void test_pieces(void)
{
	uint8_t *bytes = malloc(GUARD_SIZE + (64 << 20));

	for (size_t there = 5; there <= GUARD_SIZE; there++) {
		memset(bytes, 0, GUARD_SIZE + (64 << 20));
		memcpy(bytes, guard_bytes, there);
		CHECK(crc32c(0, bytes, GUARD_SIZE + bytes_get32(bytes + 20)) != 0);
	}
	free(bytes);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"guard_awkward", test_awkward},
		{"guard_pieces", test_pieces},
		{"guard_every_sector", test_every_sector},
		{"guard_undo", test_undo},
		{"guard_cut", test_cut},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
