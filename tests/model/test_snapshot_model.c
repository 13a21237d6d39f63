/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_snapshot_model.c - random operations on a store and on an array of pairs, with
 * snapshots and copies of the array: whatever happens to the store below, they stay the
 * same, byte by byte and in every figure.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "tests/support/stores.h"

enum { STEPS = 1500, KEYS = 90, NOISE = 1 << 20, RUNS = 4, SNAPSHOTS = 5 };

/* A snapshot and what was known of the store when it was taken. */
struct frozen {
	struct dw_store *store;
	struct model model;
	struct buf export;
	struct dw_stats stats;
	struct dw_verify_report verified;
	struct dw_segment_stat *segments;
	size_t segment_count;
	uint64_t digest;
};

struct world {
	struct rng rng;
	const char *dir;
	uint64_t segment_size;
	struct dw_store *store;
	struct model model;
	struct frozen frozen[SNAPSHOTS]; /* store NULL: none */
	uint8_t *noise;
	unsigned taken, checked;
};

static struct dw_bytes nth_key(uint64_t n, char text[32])
{
	(void)snprintf(text, 32, n % 3 ? "key/%u" : "a longer key with %u", (unsigned)n);
	return n ? stores_bytes(text) : (struct dw_bytes){NULL, 0};
}

static struct dw_bytes random_key(struct world *w, char text[32])
{
	return nth_key(rng_below(&w->rng, KEYS), text);
}

static struct dw_bytes random_value(struct world *w)
{
	size_t bound = rng_below(&w->rng, 50) ? 300 : 300000;

	return (struct dw_bytes){w->noise + rng_below(&w->rng, NOISE / 2),
				 (size_t)rng_below(&w->rng, bound)};
}

static void do_batch(struct world *w)
{
	struct dw_op ops[20];
	char texts[20][32];
	size_t count = (size_t)rng_below(&w->rng, rng_below(&w->rng, 4) ? 2 : 20) + 1;

	for (size_t i = 0; i < count; i++) {
		uint64_t kind = rng_below(&w->rng, 10);
		ops[i] = (struct dw_op){
			.type = kind < 5   ? DW_PUT
				: kind < 9 ? DW_DELETE
					   : DW_RAW,
			.key = random_key(w, texts[i]),
			.mtime_set = true,
			.mtime_ns = (int64_t)rng_below(&w->rng, 1u << 30),
		};
		if (ops[i].type != DW_DELETE)
			ops[i].value = random_value(w);
		if (ops[i].type == DW_PUT)
			model_put(&w->model, ops[i].key, ops[i].value);
		else if (ops[i].type == DW_DELETE)
			model_delete(&w->model, ops[i].key);
	}
	CHECK_EQ(dw_batch(w->store, ops, count), 0);
}

/* --- what a view shows --- */

static void read_export(struct dw_store *store, struct buf *ret)
{
	struct dw_export *export = NULL;
	char chunk[7001];
	ssize_t n;

	CHECK_EQ(dw_export_open(store, &export), 0);
	while ((n = dw_export_read(export, chunk, sizeof chunk)) > 0)
		CHECK_EQ(buf_add(ret, chunk, (size_t)n), 0);
	CHECK_EQ(n, 0);
	dw_export_close(export);
}

static bool same_buf(const struct buf *a, const struct buf *b)
{
	return a->size == b->size && (!a->size || !memcmp(a->data, b->data, a->size));
}

static int add_to_digest(void *context, struct dw_bytes key, const struct dw_stat *stat)
{
	uint64_t x = (uint64_t)stat->mtime_ns * 31 + stat->size;

	for (size_t i = 0; i < key.size; i++)
		x = x * 131 + ((const uint8_t *)key.data)[i];
	*(uint64_t *)context += x | 1; /* in no particular order */
	return 0;
}

static uint64_t digest_of(struct dw_store *store)
{
	uint64_t digest = 0;

	CHECK_EQ(dw_for_each(store, add_to_digest, &digest), 0);
	return digest;
}

static void check_figures(const struct frozen *f)
{
	struct dw_segment_stat *segments = NULL;
	struct dw_verify_report verified;
	struct dw_stats stats;
	size_t count = 0;

	dw_get_stats(f->store, &stats);
	CHECK_EQ(stats.keys, f->stats.keys);
	CHECK_EQ(stats.segments, f->stats.segments);
	CHECK_EQ(stats.bytes, f->stats.bytes);
	CHECK_EQ(stats.live_bytes, f->stats.live_bytes);
	CHECK_EQ(stats.next_txid, f->stats.next_txid);
	CHECK_EQ(stats.puts + stats.deletes + stats.damage, 0);
	CHECK_EQ(dw_verify(f->store, &verified), 0);
	CHECK_EQ(verified.records, f->verified.records);
	CHECK_EQ(verified.bytes, f->verified.bytes);
	CHECK_EQ(dw_segment_stats(f->store, &segments, &count), 0);
	CHECK_EQ(count, f->segment_count);
	CHECK(!memcmp(segments, f->segments, count * sizeof *segments));
	free(segments);
}

static void check_frozen(struct world *w, struct frozen *f)
{
	struct buf export = {0};
	char text[32];

	model_check(&f->model, f->store);
	for (uint64_t n = 0; n < KEYS; n++) {
		struct dw_bytes key = nth_key(n, text);
		const struct model_item *item = model_find(&f->model, key);
		struct dw_stat stat;
		CHECK_EQ(dw_contains(f->store, key), item != NULL);
		CHECK_EQ(dw_stat(f->store, key, &stat), item ? 0 : -ENOENT);
		if (item)
			CHECK_EQ(stat.size, item->value.size);
	}
	CHECK_EQ(digest_of(f->store), f->digest);
	read_export(f->store, &export);
	CHECK(same_buf(&export, &f->export));
	buf_release(&export);
	check_figures(f);
	w->checked++;
}

/* --- taking, closing --- */

static void take(struct world *w, struct frozen *f)
{
	read_export(w->store, &f->export);
	f->digest = digest_of(w->store);
	dw_get_stats(w->store, &f->stats);
	CHECK_EQ(dw_verify(w->store, &f->verified), 0);
	CHECK_EQ(dw_segment_stats(w->store, &f->segments, &f->segment_count), 0);
	model_copy(&w->model, &f->model);
	CHECK_EQ(dw_snapshot(w->store, &f->store), 0);
	w->taken++;
}

static void close_frozen(struct frozen *f)
{
	stores_close(f->store);
	model_release(&f->model);
	buf_release(&f->export);
	free(f->segments);
	*f = (struct frozen){0};
}

static void close_all(struct world *w)
{
	for (int i = 0; i < SNAPSHOTS; i++) {
		struct frozen *f = &w->frozen[i];
		if (!f->store)
			continue;
		CHECK_EQ(dw_close(w->store), -EBUSY);
		check_frozen(w, f);
		close_frozen(f);
	}
}

static void reopen(struct world *w)
{
	close_all(w);
	stores_close(w->store);
	w->store = stores_open(w->dir, w->segment_size);
	model_check(&w->model, w->store);
}

/* A copy of a snapshot as a store of its own. */
static void copy_out(struct frozen *f)
{
	const char *dir = stores_dir();
	struct buf export = {0};

	CHECK_EQ(dw_compact_to(f->store, dir), 0);
	struct dw_store *copy = stores_open_reader(dir);
	model_check(&f->model, copy);
	read_export(copy, &export);
	CHECK(same_buf(&export, &f->export));
	buf_release(&export);
	stores_close(copy);
}

static void step(struct world *w)
{
	struct frozen *f = &w->frozen[rng_below(&w->rng, SNAPSHOTS)];

	switch (rng_below(&w->rng, 100)) {
	case 0: CHECK_EQ(dw_rotate(w->store), 0); break;
	case 1:
	case 2: CHECK_EQ(dw_compact(w->store, NULL), 0); break;
	case 3: CHECK_EQ(dw_sync(w->store), 0); break;
	case 4:
	case 5:
	case 6:
		if (!f->store)
			take(w, f);
		else
			check_frozen(w, f);
		break;
	case 7:
		if (f->store)
			close_frozen(f);
		break;
	case 8:
		if (!rng_below(&w->rng, 4))
			reopen(w);
		else if (f->store && !rng_below(&w->rng, 4))
			copy_out(f);
		break;
	default: do_batch(w);
	}
}

static void test_random(void)
{
	static const uint64_t sizes[RUNS] = {1, 2000, 100000, 0};
	struct world w = {.rng = check_rng()};
	int fds = stores_fd_count();

	w.noise = stores_noise(rng_next(&w.rng), NOISE);
	for (int run = 0; run < RUNS; run++) {
		w.dir = stores_dir();
		w.segment_size = sizes[run];
		w.store = stores_open(w.dir, w.segment_size);
		for (int i = 0; i < (run ? STEPS : STEPS / 10); i++)
			step(&w);
		model_check(&w.model, w.store);
		reopen(&w);
		stores_close(w.store);
		model_release(&w.model);
	}
	printf("  %u snapshots taken, %u times compared\n", w.taken, w.checked);
	CHECK(w.taken > 20 && w.checked > w.taken);
	CHECK_EQ(stores_fd_count(), fds);
	free(w.noise);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"snapshot_model_random", test_random},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
