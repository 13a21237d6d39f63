/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * fuzz_hint.c - the bytes of a hint beside a sound store: it must open as without them.
 *
 * The hint is read naively as well (docs/FORMAT.md).  If all that is to be believed of
 * it is true, the view and the commit times must be as told.  A hint with right
 * checksums can lie; then each value must still be one that its key had, or an error.
 *
 * The first byte is enum mode; the rest is the hint.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/store.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/memio.h"
#include "tests/fuzz/naive.h"

enum mode {
	LAST = 1,   /* the hint is that of the last segment */
	FIX = 2,    /* right the checksums first */
	TORN = 4,   /* bytes behind the last segment */
	WRITER = 8, /* opened for writing, and once more */
	MODES = 16,
};

enum { RECORDS_MAX = 64, TIME_STEP = 1000000 };

static const char *const names[] = {"00000001.dwal", "00000002.dwal"};
static const char *const hint_names[] = {"00000001.hint", "00000002.hint"};
static const struct dw_options writing = {.read_only = false};
static const struct dw_options reading = {.read_only = true};

/* A store that was written by the engine: made once. */
static struct buf segments[2], hints[2];

static void copy(struct buf *to, const struct buf *from)
{
	FUZZ_CHECK(from);
	fuzz_add(to, from->data, from->size);
}

static void write_some(struct dw_store *store, int from, int to)
{
	static const char keys[] = "abcdefghij\0klmnop";
	uint8_t noise[3000];

	memset(noise, 'n', sizeof noise);
	for (int i = from; i < to; i++) {
		const struct dw_op op = {
			.type = i % 7 == 3   ? DW_DELETE
				: i % 7 == 5 ? DW_RAW
					     : DW_PUT,
			.key = {keys + i % 5, (size_t)(i % 4)},
			.value = {noise, i % 7 == 3 ? 0 : (size_t)(i % 6 == 0 ? 2000 + i : i)},
			.mtime_set = true,
			.mtime_ns = (int64_t)(i % 9) * TIME_STEP - 3,
		};
		FUZZ_CHECK(!dw_batch(store, &op, 1));
	}
}

static void make_store(void)
{
	struct memio *mem = memio_fresh();
	struct dw_store *store = NULL;

	if (segments[0].size)
		return;
	FUZZ_CHECK(!store_open(&mem->io, "/store", &writing, NULL, &store));
	write_some(store, 0, 14);
	FUZZ_CHECK(!dw_rotate(store));
	write_some(store, 14, 24);
	FUZZ_CHECK(!dw_close(store));
	for (int i = 0; i < 2; i++) {
		copy(&segments[i], memio_get(mem, names[i]));
		copy(&hints[i], memio_get(mem, hint_names[i]));
	}
}

/* --- the hint, naively --- */

struct told {
	int64_t times[RECORDS_MAX]; /* of the records in order */
	size_t count;               /* of those that are told */
	bool lies;
};

static uint64_t number(const uint8_t *p, int size)
{
	uint64_t v = 0;

	while (size--)
		v = v << 8 | p[size];
	return v;
}

/* LEB128; what does not fit 64 bits is cut, more than ten bytes are none. */
static bool leb(struct fuzz_input *in, uint64_t *ret)
{
	*ret = 0;
	for (unsigned i = 0; i < 10 && in->size; i++) {
		uint8_t byte = fuzz_byte(in);
		*ret |= (uint64_t)(byte & 127) << 7 * i;
		if (byte < 128)
			return true;
	}
	return false;
}

static uint64_t zigzag_off(uint64_t v)
{
	return v % 2 ? ~(v / 2) : v / 2;
}

struct entry {
	struct naive_record record; /* without its payload */
	uint64_t payload_size;
	int64_t time;
};

static bool next_entry(struct fuzz_input *in, uint64_t *txid, uint64_t *time, struct entry *ret)
{
	uint64_t key_size, payload_size, txid_step, time_step;

	if (!in->size)
		return false;
	uint8_t type = fuzz_byte(in);
	if (type > 2 || !leb(in, &key_size) || !leb(in, &payload_size) || !leb(in, &txid_step) ||
	    !leb(in, &time_step) || key_size > 65536 || payload_size > 67108864 ||
	    key_size > in->size)
		return false;
	*txid += zigzag_off(txid_step);
	*time += zigzag_off(time_step);
	size_t size = (size_t)key_size;
	const uint8_t *key = fuzz_bytes(in, &size);
	*ret = (struct entry){
		.record = {.type = type,
			   .txid = *txid,
			   .key = {key, size},
			   .size = (size_t)(28 + key_size + payload_size)},
		.payload_size = payload_size,
		.time = (int64_t)*time,
	};
	return true;
}

static bool is_true(const struct entry *entry, const struct buf *segment, uint64_t at)
{
	struct naive_record real;

	if (at >= segment->size || naive_decode(segment->data + at, segment->size - at, &real))
		return false;
	return real.type == entry->record.type && real.txid == entry->record.txid &&
	       naive_same(real.key, entry->record.key) && real.size == entry->record.size;
}

/* Whether the segment has the header of the last record, and its checksum's field, where
 * the block says. */
static bool fits(const struct entry *last, const struct buf *segment, uint64_t end, uint32_t crc)
{
	uint64_t at = end - last->record.size;
	const uint8_t *p = segment->data + at;

	return end <= segment->size && segment->size - at >= 28 && !memcmp(p, "DWAL\1\0", 6) &&
	       p[6] == last->record.type && !p[7] && number(p + 8, 8) == last->record.txid &&
	       number(p + 16, 4) == last->record.key.size &&
	       number(p + 20, 4) == last->payload_size && number(segment->data + end - 4, 4) == crc;
}

/* A block at the front of `hint`, behind what was covered: its size; 0: none to believe. */
static size_t read_block(const uint8_t *hint, size_t size, const struct buf *segment,
			 uint64_t *covered, struct told *told)
{
	struct told more = *told;
	struct entry entry = {0};
	uint64_t txid = 0, time = 0, at = *covered;

	if (size < 40 || memcmp(hint, "DWHB", 4) != 0 || number(hint + 4, 4) > 1)
		return 0;
	uint64_t start = number(hint + 8, 8), end = number(hint + 16, 8);
	uint64_t count = number(hint + 24, 4), bytes = number(hint + 28, 4);
	if (start != at || end < start || end > segment->size || bytes > 1 << 20 ||
	    bytes > size - 40)
		return 0;
	struct buf covers = {0};
	fuzz_add(&covers, hint, 36);
	fuzz_add(&covers, hint + 40, (size_t)bytes);
	bool right = naive_crc(covers.data, covers.size) == number(hint + 36, 4);
	buf_release(&covers);
	struct fuzz_input in = {hint + 40, (size_t)bytes};
	uint64_t seen = 0;
	for (; right && in.size; seen++) {
		if (!next_entry(&in, &txid, &time, &entry) || entry.record.size > end - at)
			return 0;
		more.lies = more.lies || !is_true(&entry, segment, at);
		if (more.count < RECORDS_MAX)
			more.times[more.count++] = entry.time;
		at += entry.record.size;
	}
	if (!right || seen != count || at != end ||
	    (count && !fits(&entry, segment, end, (uint32_t)number(hint + 32, 4))))
		return 0;
	*told = more;
	*covered = end;
	return 40 + (size_t)bytes;
}

static struct told read_hint(const struct buf *hint, uint32_t id, const struct buf *segment)
{
	struct told told = {.count = 0};
	uint64_t covered = 0;
	size_t at = 16;

	if (hint->size < 16 || memcmp(hint->data, "DWHT\1\0\0\0", 8) != 0 ||
	    number(hint->data + 8, 4) != id ||
	    number(hint->data + 12, 4) != naive_crc(hint->data, 12))
		return told;
	for (size_t n = 1; n; at += n)
		n = read_block(hint->data + at, hint->size - at, segment, &covered, &told);
	return told;
}

/* --- checks --- */

struct world {
	struct buf segments[2], hint;
	struct naive_view view;
	struct told told[2];
	int which;
};

/* The place of the pair's record among those of its segment. */
static size_t index_of(const struct buf *segment, uint64_t offset)
{
	struct naive_record record;
	size_t n = 0;

	for (uint64_t at = 0; at < offset; at += record.size, n++)
		FUZZ_CHECK(!naive_decode(segment->data + at, segment->size - at, &record));
	return n;
}

static void check_true(struct world *w, struct dw_store *store)
{
	struct dw_stat stat;

	naive_check(&w->view, store);
	for (size_t i = 0; i < w->view.count; i++) {
		const struct naive_pair *pair = &w->view.pairs[i];
		const struct told *told = &w->told[pair->segment - 1];
		size_t n = index_of(&w->segments[pair->segment - 1], pair->offset);
		FUZZ_CHECK(!dw_stat(store, pair->key, &stat));
		FUZZ_CHECK(stat.mtime_ns ==
			   (n < told->count ? told->times[n] : MEMIO_MTIME_S * 1000000000ll));
	}
}

static bool was_written(const struct world *w, struct dw_bytes key, struct dw_bytes value)
{
	struct naive_record record;

	for (int i = 0; i < 2; i++)
		for (size_t at = 0; at < w->segments[i].size; at += record.size) {
			if (naive_decode(w->segments[i].data + at, w->segments[i].size - at,
					 &record))
				break;
			if (record.type == DW_PUT && naive_same(record.key, key) &&
			    naive_same(record.payload, value))
				return true;
		}
	return false;
}

/* Of what a lying hint tells, nothing false is served. */
static void check_lies(struct world *w, struct dw_store *store)
{
	struct dw_iter *iter = NULL;
	struct dw_value value;
	struct dw_item item;

	FUZZ_CHECK(!dw_iter_open(store, &iter));
	while (dw_iter_next(iter, &item) == 1) {
		int rc = dw_get(store, item.key, &value);
		FUZZ_CHECK(!rc || rc == -EBADMSG);
		if (rc)
			continue;
		FUZZ_CHECK(was_written(w, item.key, (struct dw_bytes){value.data, value.size}));
		free(value.data);
	}
	dw_iter_close(iter);
}

static void open_and_check(struct world *w, struct memio *mem, const struct dw_options *options)
{
	struct dw_store *store = NULL;
	int rc = store_open(&mem->io, "/store", options, NULL, &store);

	if (w->told[0].lies || w->told[1].lies) {
		FUZZ_CHECK(!rc || rc == -EBADMSG);
		if (!rc)
			check_lies(w, store);
	} else {
		FUZZ_CHECK(!rc);
		check_true(w, store);
	}
	if (!rc)
		FUZZ_CHECK(!dw_close(store));
}

/* Of the header, and of all that has the sizes of a block. */
static void fix_hint(struct buf *hint)
{
	struct buf covers = {0};
	size_t at = 16;

	for (int i = 0; i < 4 && hint->size >= 16; i++)
		hint->data[12 + i] = (uint8_t)(naive_crc(hint->data, 12) >> 8 * i);
	while (hint->size >= at + 40) {
		uint64_t size = number(hint->data + at + 28, 4);
		if (size > hint->size - at - 40)
			break;
		covers.size = 0;
		fuzz_add(&covers, hint->data + at, 36);
		fuzz_add(&covers, hint->data + at + 40, (size_t)size);
		for (size_t i = 0; i < 4; i++)
			hint->data[at + 36 + i] =
				(uint8_t)(naive_crc(covers.data, covers.size) >> 8 * i);
		at += 40 + (size_t)size;
	}
	buf_release(&covers);
}

static void put_all(struct world *w, struct memio *mem)
{
	for (int i = 0; i < 2; i++) {
		const struct buf *hint = w->which == i ? &w->hint : &hints[i];
		memio_put(mem, names[i], w->segments[i].data, w->segments[i].size);
		memio_put(mem, hint_names[i], hint->data, hint->size);
		w->told[i] = read_hint(hint, (uint32_t)i + 1, &w->segments[i]);
		(void)naive_replay(&w->view, (uint32_t)i + 1, w->segments[i].data,
				   w->segments[i].size, i == 1);
	}
}

const unsigned fuzz_runs = 1200;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = {data, size};
	uint8_t mode = fuzz_byte(&input);
	struct world w = {.which = mode & LAST};

	make_store();
	struct memio *mem = memio_fresh();
	fuzz_add(&w.hint, input.data, input.size);
	if (mode & FIX)
		fix_hint(&w.hint);
	copy(&w.segments[0], &segments[0]);
	copy(&w.segments[1], &segments[1]);
	if (mode & TORN)
		fuzz_add(&w.segments[1], "DWAL\1\0\1", 7);
	put_all(&w, mem);
	open_and_check(&w, mem, mode & WRITER ? &writing : &reading);
	if (mode & WRITER) /* with the hints that the first one left */
		open_and_check(&w, mem, &reading);
	naive_release(&w.view);
	buf_release(&w.hint);
	buf_release(&w.segments[0]);
	buf_release(&w.segments[1]);
	return 0;
}

bool fuzz_seed(size_t n, struct buf *ret)
{
	make_store();
	if (n >= 2 * MODES)
		return false;
	const struct buf *hint = &hints[n % 2];
	fuzz_add_byte(ret, (uint8_t)(n % MODES));
	/* the second half: in two blocks, by adding an empty one */
	fuzz_add(ret, hint->data, hint->size);
	if (n >= MODES)
		fuzz_add(ret, hint->data + 16, hint->size - 16);
	return true;
}
