/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * fuzz_store.c - operations on a store, decoded from the input, and the same on a naive
 * view: whatever is rotated, compacted, killed and opened between, they agree.
 *
 * The first byte chooses the segment size; then a byte an operation, with its arguments.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/store.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/memio.h"
#include "tests/fuzz/naive.h"
#include "whole/repair.h"

enum {
	PUT,
	DELETE,
	RAW,
	BATCH,
	ROTATE,
	COMPACT,
	REOPEN,
	KILL, /* without a sync, as kill -9 does */
	SYNC,
	CHECK,
	SNAPSHOT,
	COPY,
	EXPORT,
	DROP_HINT,
	HOLD, /* a value, for later */
	RELEASE,
	SPOIL_HINT, /* cut, damaged, of another segment, or an older one */
	OPERATIONS,
};

enum { STEPS = 60, NOISE = 140000, BATCH_MAX = 6, HELD = 3 };

static const char *const keys[] = {"",     "a",     "b",       "key", "users/1", "users/2", "d/",
				   "\xff", "a/b/c", ".hidden", "%00", "DWAL",    "x",       "y"};
enum { KEYS = sizeof keys / sizeof *keys };

struct held {
	struct dw_ref ref;
	struct dw_bytes key, value;
};

struct world {
	struct fuzz_input *input;
	struct memio *mem;
	struct dw_store *store;
	struct dw_options options;
	struct naive_view view;
	struct held held[HELD];
	uint64_t txid; /* the last one */
	bool copied;
	struct buf kept; /* a hint, to come back later */
	char kept_name[MEMIO_NAME];
};

static uint8_t noise[NOISE];

static struct dw_bytes next_key(struct world *w)
{
	const char *key = keys[fuzz_byte(w->input) % KEYS];

	return (struct dw_bytes){key, strlen(key)};
}

/* Mostly small; a few are larger than what is gathered for one write. */
static struct dw_bytes next_value(struct world *w)
{
	uint32_t n = fuzz_u16(w->input);
	size_t size = n >= 0xfff0 ? NOISE - 300 - (n & 15) : n >= 0xf000 ? n : n % 2000;

	return (struct dw_bytes){noise + n % 256, size};
}

static struct dw_op next_op(struct world *w, uint8_t type)
{
	struct dw_op op = {.type = type % 4 == 0   ? DW_RAW
				   : type % 4 == 1 ? DW_DELETE
						   : DW_PUT,
			   .key = next_key(w)};

	if (op.type != DW_DELETE)
		op.value = next_value(w);
	if (type & 4) {
		op.mtime_set = true;
		op.mtime_ns = (int64_t)(type & 8 ? INT64_MIN : INT64_MAX);
	}
	return op;
}

static void append(struct world *w, const struct dw_op *ops, size_t count)
{
	FUZZ_CHECK(!dw_batch(w->store, ops, count));
	w->txid += count;
	for (size_t i = 0; i < count; i++) {
		const struct naive_pair pair = {.key = ops[i].key, .value = ops[i].value};
		if (ops[i].type == DW_PUT)
			naive_put(&w->view, &pair);
		else if (ops[i].type == DW_DELETE)
			naive_delete(&w->view, ops[i].key);
	}
}

static void batch(struct world *w)
{
	struct dw_op ops[BATCH_MAX];
	size_t count = 1 + fuzz_byte(w->input) % BATCH_MAX;

	for (size_t i = 0; i < count; i++)
		ops[i] = next_op(w, fuzz_byte(w->input));
	append(w, ops, count);
}

/* --- values held --- */

static void release(struct world *w, struct held *held)
{
	static uint8_t got[NOISE];
	size_t done = 0;
	ssize_t n;

	if (!held->ref.segment)
		return;
	FUZZ_CHECK(held->ref.value_size == held->value.size);
	do {
		n = dw_ref_read(w->store, &held->ref, held->key, got + done,
				done ? 7000 : 1 + held->value.size % 100, done);
		FUZZ_CHECK(n >= 0);
		done += (size_t)n;
	} while (n);
	FUZZ_CHECK(naive_same(held->value, (struct dw_bytes){got, done}));
	dw_ref_put(w->store, &held->ref);
}

static void hold(struct world *w)
{
	struct held *held = &w->held[fuzz_byte(w->input) % HELD];
	struct dw_bytes key = next_key(w);
	const struct naive_pair *pair = naive_find(&w->view, key);

	release(w, held);
	int rc = dw_ref_get(w->store, key, &held->ref);
	FUZZ_CHECK(rc == (pair ? 0 : -ENOENT));
	if (pair) {
		held->key = key;
		held->value = pair->value;
	}
}

static void release_all(struct world *w)
{
	for (int i = 0; i < HELD; i++)
		release(w, &w->held[i]);
}

/* --- the whole store --- */

static void check(struct world *w)
{
	struct dw_verify_report verified;
	struct dw_stats stats;
	uint64_t live = 0;

	naive_check(&w->view, w->store);
	for (size_t i = 0; i < w->view.count; i++)
		live += 28 + w->view.pairs[i].key.size + w->view.pairs[i].value.size;
	dw_get_stats(w->store, &stats);
	FUZZ_CHECK(stats.keys == w->view.count && stats.live_bytes == live);
	FUZZ_CHECK(stats.next_txid == w->txid + 1 && !stats.poisoned && !stats.damage);
	FUZZ_CHECK(!dw_verify(w->store, &verified));
	FUZZ_CHECK(verified.bytes == stats.bytes);
}

/* A reader beside the writer, and the naive one over the same files. */
static void snapshot(struct world *w)
{
	struct dw_options reading = {.read_only = true};
	struct dw_store *reader = NULL;
	struct naive_view view = {0};
	char name[MEMIO_NAME];
	struct dw_stats stats;

	FUZZ_CHECK(!store_open(&w->mem->io, "/store", &reading, NULL, &reader));
	naive_check(&w->view, reader);
	FUZZ_CHECK(!dw_close(reader));
	dw_get_stats(w->store, &stats);
	for (uint32_t id = 1; id <= stats.active_segment; id++) {
		(void)snprintf(name, sizeof name, "%08u.dwal", id);
		const struct buf *bytes = memio_get(w->mem, name);
		bool last = id == stats.active_segment;
		if (bytes)
			FUZZ_CHECK(!naive_replay(&view, id, bytes->data, bytes->size, last).damage);
	}
	naive_check(&view, w->store);
	naive_release(&view);
}

static void open_store(struct world *w)
{
	struct dw_report report;

	FUZZ_CHECK(!store_open(&w->mem->io, "/store", &w->options, &report, &w->store));
	FUZZ_CHECK(!report.torn_bytes);
}

static void close_store(struct world *w, bool kill)
{
	struct core *core = w->store->core;

	release_all(w);
	if (kill) {
		store_drop(w->store);
		core_free(core);
	} else {

		FUZZ_CHECK(!dw_close(w->store));
	}
}

static void copy(struct world *w)
{
	struct dw_options reading = {.read_only = true};
	struct dw_store *other = NULL;

	if (w->copied)
		return;
	w->copied = true; /* once: the copy stays */
	FUZZ_CHECK(!dw_compact_to(w->store, "/copy"));
	FUZZ_CHECK(dw_compact_to(w->store, "/copy") == -EEXIST);
	FUZZ_CHECK(!store_open(&w->mem->io, "/copy", &reading, NULL, &other));
	naive_check(&w->view, other);
	FUZZ_CHECK(!dw_close(other));
}

/* The stream in odd pieces is the file. */
static void export(struct world *w)
{
	struct dw_export *stream = NULL;
	uint8_t piece[777];
	size_t at = 0, step = 1 + fuzz_byte(w->input) * 3u;
	ssize_t n;

	FUZZ_CHECK(!dw_export_file(w->store, "/store/out"));
	const struct buf *file = memio_get(w->mem, "out");
	FUZZ_CHECK(!dw_export_open(w->store, &stream));
	while ((n = dw_export_read(stream, piece, step < sizeof piece ? step : sizeof piece)) > 0) {
		FUZZ_CHECK(file->size - at >= (size_t)n &&
			   !memcmp(file->data + at, piece, (size_t)n));
		at += (size_t)n;
	}
	FUZZ_CHECK(!n && at == file->size);
	dw_export_close(stream);
	memio_remove(w->mem, "out");
}

static void drop_hint(struct world *w)
{
	char name[MEMIO_NAME];

	(void)snprintf(name, sizeof name, "%08u.hint", fuzz_byte(w->input) % 8 + 1u);
	close_store(w, false);
	memio_remove(w->mem, name);
	open_store(w);
}

static void keep_hint(struct world *w, const char *name, const struct buf *hint)
{
	w->kept.size = 0;
	fuzz_add(&w->kept, hint->data, hint->size);
	(void)snprintf(w->kept_name, sizeof w->kept_name, "%s", name); /* of the same size */
}

/* Of a segment that is there: without one a sealed hint proves a loss. */
static void spoil_hint(struct world *w)
{
	char name[MEMIO_NAME], segment[MEMIO_NAME], other[MEMIO_NAME];
	unsigned id = fuzz_byte(w->input) % 8 + 1u, how = fuzz_byte(w->input);
	struct buf copy = {0};

	(void)snprintf(name, sizeof name, "%08u.hint", id);
	(void)snprintf(segment, sizeof segment, "%08u.dwal", id);
	(void)snprintf(other, sizeof other, "%08u.hint", id % 8 + 1);
	close_store(w, how & 128);
	const struct buf *hint = memio_get(w->mem, name);
	const struct buf *from = how % 4 == 2 ? memio_get(w->mem, other) : hint;
	if (hint && from && memio_get(w->mem, segment)) {
		fuzz_add(&copy, from->data, from->size);
		if (how % 4 == 0)
			copy.size = copy.size * (how & 127) / 128;
		if (how % 4 == 1 && copy.size)
			copy.data[how * 37u % copy.size] ^= (uint8_t)(1 << (how >> 4 & 7));
		if (how % 4 == 3 && !strcmp(w->kept_name, name)) {
			copy.size = 0;
			fuzz_add(&copy, w->kept.data, w->kept.size);
		}
		keep_hint(w, name, hint);
		memio_put(w->mem, name, copy.data, copy.size);
	}
	buf_release(&copy);
	open_store(w);
}

static void step(struct world *w)
{
	struct dw_op op;

	switch (fuzz_byte(w->input) % OPERATIONS) {
	case DELETE:
		op = next_op(w, 1);
		append(w, &op, 1);
		break;
	case RAW:
		op = next_op(w, 0);
		append(w, &op, 1);
		break;
	case BATCH: batch(w); break;
	case ROTATE: FUZZ_CHECK(!dw_rotate(w->store)); break;
	case COMPACT: FUZZ_CHECK(!dw_compact(w->store, NULL)); break;
	case REOPEN:
	case KILL:
		close_store(w, fuzz_byte(w->input) & 1);
		open_store(w);
		break;
	case SYNC: FUZZ_CHECK(!dw_sync(w->store)); break;
	case CHECK: check(w); break;
	case SNAPSHOT: snapshot(w); break;
	case COPY: copy(w); break;
	case EXPORT: export(w); break;
	case DROP_HINT: drop_hint(w); break;
	case HOLD: hold(w); break;
	case RELEASE: release_all(w); break;
	case SPOIL_HINT: spoil_hint(w); break;
	default: op = next_op(w, 2); append(w, &op, 1);
	}
}

const unsigned fuzz_runs = 500;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint64_t sizes[] = {0, 1, 200, 5000};
	struct fuzz_input input = {data, size};
	struct world w = {.input = &input, .mem = memio_fresh()};

	for (size_t i = 0; !noise[1] && i < NOISE; i++)
		noise[i] = (uint8_t)(i * 2654435761u >> 13);
	w.options.segment_size = sizes[fuzz_byte(&input) % 4];
	open_store(&w);
	for (int i = 0; i < STEPS && input.size; i++)
		step(&w);
	check(&w);
	snapshot(&w);
	close_store(&w, false);
	open_store(&w);
	check(&w);
	close_store(&w, false);
	naive_release(&w.view);
	buf_release(&w.kept);
	return 0;
}

bool fuzz_seed(size_t n, struct buf *ret)
{
	static const uint8_t seeds[][32] = {
		{0, PUT, 0, 1, 0, SPOIL_HINT, 0, 3, PUT, 1, 1, 0, SPOIL_HINT, 0, 3, CHECK},
		{2, PUT, 3, 199, 0, PUT, 4, 199, 0, SPOIL_HINT, 0, 2, SPOIL_HINT, 1, 64, COMPACT},
		{1, PUT, 1, 5, 0, PUT, 2, 9, 0, ROTATE, DELETE, 1, COMPACT, CHECK, REOPEN, 0},
		{2, BATCH, 5, 2, 3, 7, 1, 1, 3, 2, 4, 1, 0, 0, 3, 9, 9, COMPACT, KILL, 1, SNAPSHOT},
		{3, PUT, 3, 0xf8, 0xff, HOLD, 0, 3, DELETE, 3, COMPACT, RELEASE, EXPORT, 40, COPY},
		{0, PUT, 0, 1, 0, REOPEN, 0, DROP_HINT, 0, RAW, 4, 1, 1, SYNC, KILL, 1, CHECK},
		{0, PUT, 0, 1, 0xf1, PUT, 1, 4, 1, REOPEN, 0, DELETE, 0, KILL, 1, COMPACT, COMPACT},
	};

	if (n >= sizeof seeds / sizeof *seeds)
		return false;
	fuzz_add(ret, seeds[n], sizeof seeds[n]);
	return true;
}
