/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * fuzz_segment.c - the bytes of a segment: how the engine takes them, as a reader, as a writer and
 * in a repair, against the naive reader.
 *
 * The first byte is enum mode; the rest is the segment.
 */
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/record.h"
#include "store/store.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/memio.h"
#include "tests/fuzz/naive.h"
#include "whole/repair.h"

enum mode {
	SEALED = 1, /* another segment follows */
	FIX = 2,    /* right the checksums first */
	HINTED = 4, /* open as a writer twice: the second time there is a hint */
};

static const char first[] = "00000001.dwal", second[] = "00000002.dwal";

static const struct dw_options writing = {.read_only = false};
static const struct dw_options reading = {.read_only = true};

struct world {
	struct memio *mem;
	struct buf bytes; /* of the segment */
	struct buf next;  /* of the one behind, if any */
	struct naive_view view;
	struct naive_segment told;
	uint64_t records, last_txid;
};

static void add_record(struct buf *buf, enum dw_type type, uint64_t txid, const char *key,
		       size_t payload_size)
{
	const struct record_header header = {type, txid, (uint32_t)strlen(key),
					     (uint32_t)payload_size};
	char *payload = calloc(1, payload_size + 1);

	FUZZ_CHECK(payload);
	memset(payload, (int)txid, payload_size);
	FUZZ_CHECK(!buf_reserve(buf, (size_t)record_size(&header)));
	record_encode(&header, key, payload, buf->data + buf->size);
	buf->size += (size_t)record_size(&header);
	free(payload);
}

static void put_files(struct world *w)
{
	w->mem = memio_fresh();
	memio_put(w->mem, first, w->bytes.data, w->bytes.size);
	if (w->next.size)
		memio_put(w->mem, second, w->next.data, w->next.size);
}

static void check_report(const struct world *w, const struct dw_report *report)
{
	const struct naive_segment *told = &w->told;

	if (told->refuses || !w->next.size) {
		FUZZ_CHECK(report->segment == 1);
		FUZZ_CHECK(report->offset == told->end);
		FUZZ_CHECK(report->damage == told->damage);
	}
	if (told->refuses)
		return;
	FUZZ_CHECK(report->records == w->records);
	FUZZ_CHECK(report->last_txid == w->last_txid);
	FUZZ_CHECK(report->torn_bytes == (w->next.size ? 0 : w->bytes.size - (size_t)told->end));
}

static struct dw_store *open_store(struct world *w, const struct dw_options *options)
{
	struct dw_report report = {0};
	struct dw_store *store = NULL;
	int rc = store_open(&w->mem->io, "/store", options, &report, &store);

	FUZZ_CHECK(rc == (w->told.refuses ? -EBADMSG : 0));
	check_report(w, &report);
	return store;
}

static void read_it(struct world *w)
{
	struct dw_store *store = open_store(w, &reading);
	struct dw_verify_report verified;

	if (!store)
		return;
	naive_check(&w->view, store);
	FUZZ_CHECK(!dw_verify(store, &verified));
	FUZZ_CHECK(verified.records == w->records && !verified.damaged);
	FUZZ_CHECK(!dw_close(store));
}

/* How much of a torn tail is saved: of zeros alone nothing.  Inputs are too small for more of them
 * to be left out. */
static size_t saved_size(const uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (bytes[i])
			return size;
	return 0;
}

/* A writer changes nothing that it refuses, and throws nothing away. */
static void write_it(struct world *w)
{
	static const struct dw_bytes key = {"\xff new", 5}, value = {"value", 5};
	const struct naive_pair pair = {.key = key, .value = value};
	const struct buf *torn = NULL, *bytes = NULL;
	struct dw_store *store = open_store(w, &writing);
	size_t valid = w->told.refuses ? w->bytes.size : (size_t)w->told.end;

	bytes = memio_get(w->mem, first);
	FUZZ_CHECK(bytes->size == valid && (!valid || !memcmp(bytes->data, w->bytes.data, valid)));
	size_t cut = w->bytes.size - valid;
	size_t saved = saved_size(w->bytes.data + valid, cut);
	FUZZ_CHECK(memio_sizes(w->mem, ".torn-", &torn) == saved);
	FUZZ_CHECK(!saved || !memcmp(torn->data, w->bytes.data + valid, saved));
	if (!store)
		return;
	naive_check(&w->view, store);
	if (w->last_txid == UINT64_MAX) {
		FUZZ_CHECK(dw_put(store, key, value) == -EOVERFLOW);
	} else {
		FUZZ_CHECK(!dw_put(store, key, value));
		naive_put(&w->view, &pair);
	}
	FUZZ_CHECK(!dw_close(store));
	FUZZ_CHECK(!store_open(&w->mem->io, "/store", &writing, NULL, &store));
	naive_check(&w->view, store);
	FUZZ_CHECK(!dw_compact(store, NULL) || w->last_txid >= UINT64_MAX - 1);
	naive_check(&w->view, store);
	FUZZ_CHECK(!dw_close(store));
}

static void sum_saved(void *context, const struct dw_repair_range *range)
{
	size_t *saved = context;

	if (range->quarantine) /* else it was zeros alone */
		*saved += (size_t)range->size;
}

/* Sound records stay, those before the damage in place; damaged bytes are kept aside. */
static void repair_it(struct world *w)
{
	struct dw_repair_report plan, done;
	struct naive_view view = {0};
	const struct buf *last = NULL;
	struct dw_store *store = NULL;
	size_t end = (size_t)w->told.end, saved = 0;

	put_files(w);
	FUZZ_CHECK(!repair_store(&w->mem->io, "/store", false, NULL, NULL, NULL, &plan));
	FUZZ_CHECK(!memio_sizes(w->mem, ".torn-", &last));
	FUZZ_CHECK(!repair_store(&w->mem->io, "/store", true, NULL, sum_saved, &saved, &done));
	FUZZ_CHECK(plan.ranges == done.ranges && plan.bytes_out == done.bytes_out &&
		   plan.records == done.records && plan.records_behind == done.records_behind);
	FUZZ_CHECK(!done.ranges == !w->told.damage);
	const struct buf *bytes = memio_get(w->mem, first);
	FUZZ_CHECK(memio_sizes(w->mem, ".torn-", &last) == saved);
	FUZZ_CHECK(bytes->size + done.bytes_out == w->bytes.size);
	FUZZ_CHECK(bytes->size >= end && (!end || !memcmp(bytes->data, w->bytes.data, end)));
	struct naive_segment told = naive_replay(&view, 1, bytes->data, bytes->size, false);
	FUZZ_CHECK(!told.damage);
	if (w->next.size)
		told.records += naive_replay(&view, 2, w->next.data, w->next.size, true).records;
	FUZZ_CHECK(told.records == done.records);
	FUZZ_CHECK(!store_open(&w->mem->io, "/store", &reading, NULL, &store));
	naive_check(&view, store);
	FUZZ_CHECK(!dw_close(store));
	naive_release(&view);
}

const unsigned fuzz_runs = 1200;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = {data, size};
	uint8_t mode = fuzz_byte(&input);
	struct world w = {0};

	fuzz_add(&w.bytes, input.data, input.size);
	if (mode & FIX && w.bytes.size)
		naive_fix(w.bytes.data, w.bytes.size);
	w.told = naive_replay(&w.view, 1, w.bytes.data, w.bytes.size, !(mode & SEALED));
	w.records = w.told.records;
	w.last_txid = w.told.last_txid;
	if (mode & SEALED) {
		add_record(&w.next, DW_PUT, 7, "next", 3);
		struct naive_segment told =
			naive_replay(&w.view, 2, w.next.data, w.next.size, true);
		w.records += told.records;
		w.last_txid = told.last_txid > w.last_txid ? told.last_txid : w.last_txid;
	}
	put_files(&w);
	read_it(&w);
	if (mode & HINTED && !w.told.damage && w.last_txid != UINT64_MAX) {
		struct dw_store *store = open_store(&w, &writing);
		FUZZ_CHECK(!dw_close(store));
		read_it(&w);
	}
	write_it(&w);
	repair_it(&w);
	naive_release(&w.view);
	buf_release(&w.bytes);
	buf_release(&w.next);
	return 0;
}

/* --- seeds --- */

static void add_sample(struct buf *ret)
{
	add_record(ret, DW_PUT, 1, "users/1", 3);
	add_record(ret, DW_PUT, 2, "users/2", 100);
	add_record(ret, DW_DELETE, 3, "users/1", 0);
	add_record(ret, DW_RAW, 4, "note", 2);
	add_record(ret, DW_PUT, 5, "", 0);
	add_record(ret, DW_PUT, 6, "users/2", 40);
}

/* A value that is a segment itself, with its first byte broken or not. */
static void add_nested(struct buf *ret, bool broken)
{
	struct buf inner = {0};
	struct record_header header = {DW_PUT, 7, 4, 0};
	size_t at = ret->size;

	add_sample(&inner);
	header.payload_size = (uint32_t)inner.size;
	FUZZ_CHECK(!buf_reserve(ret, (size_t)record_size(&header)));
	record_encode(&header, "copy", inner.data, ret->data + at);
	ret->size += (size_t)record_size(&header);
	if (broken)
		ret->data[at + RECORD_HEADER_SIZE] ^= 1;
	buf_release(&inner);
	add_record(ret, DW_PUT, 8, "behind", 9);
}

/* Those of the reference implementation. */
static bool add_golden(size_t n, struct buf *ret)
{
	glob_t found;
	bool there = false;

	if (glob("tests/golden/read/*/store/*.dwal", 0, NULL, &found))
		return false;
	FILE *file = n / 2 < found.gl_pathc ? fopen(found.gl_pathv[n / 2], "re") : NULL;
	if (file) {
		for (int c; (c = fgetc(file)) != EOF;)
			fuzz_add_byte(ret, (uint8_t)c);
		(void)fclose(file); /* only read */
		there = true;
	}
	globfree(&found);
	return there;
}

bool fuzz_seed(size_t n, struct buf *ret)
{
	enum { OWN = 24 };

	fuzz_add_byte(ret, (uint8_t)(n < OWN ? n % 8 : n % 2));
	if (n >= OWN)
		return add_golden(n - OWN, ret);
	add_sample(ret);
	switch (n / 8) {
	case 0: break;
	case 1: add_nested(ret, false); break;
	default: add_nested(ret, true);
	}
	return true;
}
