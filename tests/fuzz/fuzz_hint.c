/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * fuzz_hint.c - the bytes of a hint beside a sound store: it must open as without them.
 *
 * The hint is read naively as well (docs/FORMAT.md): whether it is valid, which records get their
 * times from it, and whether it proves a loss.  A hint that is to be believed can lie; then each
 * value must still be one that its key had, or an error.
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
	BOUND = 16, /* the segments are the files that the engine's own hints tell of */
	MODES = 32,
};

enum { RECORDS_MAX = 64, ENTRIES_MAX = 1024, TIME_STEP = 1000000 };

static const char *const names[] = {"00000001.dwal", "00000002.dwal"};
static const char *const hint_names[] = {"00000001.hint", "00000002.hint"};
static const struct dw_options writing = {.read_only = false};
static const struct dw_options reading = {.read_only = true};

/* A store that was written by the engine: made once. */
static struct buf segments[2], hints[2];
static uint64_t inodes[2];

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
		inodes[i] = *memio_inode(mem, names[i]);
	}
}

/* --- the hint, naively --- */

struct told {
	int64_t times[RECORDS_MAX]; /* of the records in order */
	bool known[RECORDS_MAX];    /* ... that are told */
	bool lies, is_short;
};

static uint64_t number(const uint8_t *p, int size)
{
	uint64_t v = 0;

	while (size--)
		v = v << 8 | p[size];
	return v;
}

/* LEB128; bits over 64 are cut, more than ten bytes are invalid. */
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
	uint64_t offset, txid, payload_size, size;
	uint8_t type;
	uint32_t crc;
	struct dw_bytes key;
	int64_t time;
};

/* A hint as it is told. */
struct hint {
	struct entry entries[ENTRIES_MAX];
	size_t count, blocks;
	uint64_t told, synced;
	uint32_t crc; /* of the last block */
	int layout;
	bool sealed, fits;
	uint64_t mtime, inode;
};

static bool next_entry(struct fuzz_input *in, int layout, uint64_t *txid, uint64_t *time,
		       struct entry *ret)
{
	uint64_t key_size, payload_size, txid_step, time_step, clock;
	size_t crc_size = layout == 2 ? 4 : 0;

	if (!in->size)
		return false;
	uint8_t type = fuzz_byte(in);
	bool has_clock = layout == 2 && type >= 128;
	type = has_clock ? type - 128 : type;
	if (type > 2 || in->size < crc_size)
		return false;
	const uint8_t *crc = fuzz_bytes(in, &crc_size);
	if (!leb(in, &key_size) || !leb(in, &payload_size) || !leb(in, &txid_step) ||
	    !leb(in, &time_step) || (has_clock && !leb(in, &clock)) || key_size > 65536 ||
	    payload_size > 67108864 || key_size > in->size)
		return false;
	*txid += zigzag_off(txid_step);
	*time += zigzag_off(time_step);
	size_t size = (size_t)key_size;
	const uint8_t *key = fuzz_bytes(in, &size);
	*ret = (struct entry){
		.type = type,
		.txid = *txid,
		.key = {key, size},
		.payload_size = payload_size,
		.size = 28 + key_size + payload_size,
		.crc = layout == 2 ? (uint32_t)number(crc, 4) : 0,
		.time = (int64_t)*time,
	};
	return true;
}

static bool is_true(const struct entry *entry, int layout, const struct buf *segment, uint64_t at)
{
	struct naive_record real;

	return !naive_decode(segment->data + at, segment->size - at, &real) &&
	       entry->offset == at && real.type == entry->type && real.txid == entry->txid &&
	       naive_same(real.key, entry->key) && real.size == entry->size &&
	       (layout == 1 || number(segment->data + at + real.size - 4, 4) == entry->crc);
}

/* Whether the CRC field of the record before `end` is this one. */
static bool crc_is_at(const struct buf *segment, uint64_t end, uint64_t crc)
{
	return end < 28 ? !end : end <= segment->size && number(segment->data + end - 4, 4) == crc;
}

/* A block at the front of `bytes`, behind what was told: its size; 0: no sound one. */
static size_t read_block(const uint8_t *bytes, size_t size, const struct buf *segment,
			 struct hint *hint)
{
	size_t head = hint->layout == 1 ? 40 : 60, count_before = hint->count;
	uint64_t txid = 0, time = 0, at = hint->told, seen = 0;

	if (size < head || memcmp(bytes, "DWHB", 4) != 0 || number(bytes + 4, 4) > 1)
		return 0;
	uint64_t start = number(bytes + 8, 8), end = number(bytes + 16, 8);
	uint64_t count = number(bytes + 24, 4), entries = number(bytes + 28, 4);
	if (start != at || end < start || entries > 1 << 20 || entries > size - head ||
	    (hint->layout == 2 && number(bytes + 36, 4) != hint->crc))
		return 0;
	struct buf covers = {0};
	fuzz_add(&covers, bytes, head - 4);
	fuzz_add(&covers, bytes + head, (size_t)entries);
	bool right = naive_crc(covers.data, covers.size) == number(bytes + head - 4, 4);
	buf_release(&covers);
	struct fuzz_input in = {bytes + head, (size_t)entries};
	for (; right && in.size; seen++) {
		struct entry *entry = &hint->entries[hint->count];
		FUZZ_CHECK(hint->count < ENTRIES_MAX - 1);
		if (!next_entry(&in, hint->layout, &txid, &time, entry) || entry->size > end - at) {
			hint->count = count_before;
			return 0;
		}
		entry->offset = at;
		at += entry->size;
		hint->count++;
	}
	if (!right || seen != count || at != end) {
		hint->count = count_before;
		return 0;
	}
	hint->told = end;
	hint->crc = (uint32_t)number(bytes + head - 4, 4);
	hint->sealed = hint->layout == 2 && bytes[4];
	if (hint->sealed) {
		hint->synced = end;
		hint->mtime = number(bytes + 40, 8);
		hint->inode = number(bytes + 48, 8);
	}
	/* the inputs are too small for more than eight that count */
	hint->fits = hint->fits && crc_is_at(segment, end, number(bytes + 32, 4));
	hint->blocks++;
	return head + (size_t)entries;
}

static void read_blocks(const struct buf *bytes, uint32_t id, const struct buf *segment,
			struct hint *ret)
{
	size_t at = 16;

	*ret = (struct hint){.fits = true};
	if (bytes->size < 16 || memcmp(bytes->data, "DWHT", 4) != 0 ||
	    number(bytes->data + 4, 2) < 1 || number(bytes->data + 4, 2) > 2 ||
	    number(bytes->data + 6, 2) || number(bytes->data + 8, 4) != id ||
	    number(bytes->data + 12, 4) != naive_crc(bytes->data, 12))
		return;
	ret->layout = (int)number(bytes->data + 4, 2);
	ret->crc = (uint32_t)number(bytes->data + 12, 4);
	for (size_t n = 1; n; at += n)
		n = read_block(bytes->data + at, bytes->size - at, segment, ret);
}

/* The effects of a hint beside its segment. */
static struct told read_hint(const struct buf *bytes, uint32_t id, const struct buf *segment,
			     uint64_t inode)
{
	static struct hint hint;
	struct told told = {.lies = false};
	struct naive_record record;
	uint64_t at = 0;
	size_t n = 0, e = 0, agreed = 0;
	bool differs = false, foreign = false;

	read_blocks(bytes, id, segment, &hint);
	for (; !naive_decode(segment->data + at, segment->size - at, &record);
	     at += record.size, n++) {
		for (; e < hint.count && hint.entries[e].offset < at; e++) {
			differs = true;
			foreign = foreign || hint.entries[e].offset < hint.synced;
		}
		if (e == hint.count || hint.entries[e].offset > at)
			continue;
		told.known[n] = is_true(&hint.entries[e], hint.layout, segment, at);
		told.times[n] = hint.entries[e].time;
		agreed += told.known[n];
		if (!told.known[n]) {
			differs = true;
			foreign = foreign || at < hint.synced;
		}
		e++;
	}
	foreign = foreign || (n && !agreed && hint.told);
	bool bound = hint.sealed && hint.fits && hint.told == segment->size &&
		     hint.mtime == MEMIO_MTIME_S * 1000000000ull && hint.inode == inode;
	told.lies = bound && (differs || agreed != n || hint.count != n);
	told.is_short = !bound && !differs && !foreign && at < hint.synced;
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
			   (told->known[n] ? told->times[n] : MEMIO_MTIME_S * 1000000000ll));
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
	} else if (w->told[0].is_short || w->told[1].is_short) {
		FUZZ_CHECK(rc == -EBADMSG);
	} else {
		FUZZ_CHECK(!rc);
		check_true(w, store);
	}
	if (!rc)
		FUZZ_CHECK(!dw_close(store));
}

static void put_number(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

/* Of the header, and of all that has the sizes of a block. */
static void fix_hint(struct buf *hint)
{
	struct buf covers = {0};
	size_t at = 16;

	if (hint->size < 16)
		return;
	size_t head = hint->data[4] == 1 ? 40 : 60;
	uint32_t crc = naive_crc(hint->data, 12);
	put_number(hint->data + 12, crc);
	while (hint->size >= at + head) {
		uint64_t size = number(hint->data + at + 28, 4);
		if (size > hint->size - at - head)
			break;
		if (head == 60)
			put_number(hint->data + at + 36, crc);
		covers.size = 0;
		fuzz_add(&covers, hint->data + at, head - 4);
		fuzz_add(&covers, hint->data + at + head, (size_t)size);
		crc = naive_crc(covers.data, covers.size);
		put_number(hint->data + at + head - 4, crc);
		at += head + (size_t)size;
	}
	buf_release(&covers);
}

static void put_all(struct world *w, struct memio *mem, bool bound)
{
	for (int i = 0; i < 2; i++) {
		const struct buf *hint = w->which == i ? &w->hint : &hints[i];
		memio_put(mem, names[i], w->segments[i].data, w->segments[i].size);
		memio_put(mem, hint_names[i], hint->data, hint->size);
		if (bound)
			*memio_inode(mem, names[i]) = inodes[i];
		w->told[i] = read_hint(hint, (uint32_t)i + 1, &w->segments[i],
				       *memio_inode(mem, names[i]));
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
	put_all(&w, mem, mode & BOUND);
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
