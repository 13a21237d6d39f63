/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_store_model.c - random operations on a store and on an array of pairs: whatever
 * is rotated, compacted, closed and opened between, the two are the same.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/stores.h"

enum { STEPS = 1500, KEYS = 120, NOISE = 1 << 20, RUNS = 4 };

struct world {
	struct rng rng;
	const char *dir;
	uint64_t segment_size;
	struct dw_store *store;
	struct model model;
	uint64_t txid; /* records appended so far */
	uint8_t *noise;
};

static struct dw_bytes random_key(struct world *w, char text[32])
{
	int n = (int)rng_below(&w->rng, KEYS);

	(void)snprintf(text, 32, n % 3 ? "key/%d" : "a longer key with %d", n);
	return n ? stores_bytes(text) : (struct dw_bytes){NULL, 0};
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
			.type = kind < 6   ? DW_PUT
				: kind < 9 ? DW_DELETE
					   : DW_RAW,
			.key = random_key(w, texts[i]),
		};
		if (ops[i].type != DW_DELETE)
			ops[i].value = random_value(w);
		if (ops[i].type == DW_PUT)
			model_put(&w->model, ops[i].key, ops[i].value);
		else if (ops[i].type == DW_DELETE)
			model_delete(&w->model, ops[i].key);
	}
	CHECK_EQ(dw_batch(w->store, ops, count), 0);
	w->txid += count;
}

static void reopen(struct world *w)
{
	struct dw_store *reader = stores_open_reader(w->dir);

	model_check(&w->model, reader);
	stores_close(reader);
	stores_close(w->store);
	w->store = stores_open(w->dir, w->segment_size);
	model_check(&w->model, w->store);
}

static void check_figures(struct world *w)
{
	struct dw_verify_report report;
	struct dw_stats stats;
	uint64_t live = 0;

	for (size_t i = 0; i < w->model.count; i++)
		live += 28 + w->model.items[i].key.size + w->model.items[i].value.size;
	dw_get_stats(w->store, &stats);
	CHECK_EQ(stats.live_bytes, live);
	CHECK_EQ(stats.keys, w->model.count);
	CHECK_EQ(stats.next_txid, w->txid + 1);
	CHECK_EQ(dw_verify(w->store, &report), 0);
	CHECK_EQ(report.bytes, stats.bytes);
}

static void step(struct world *w)
{
	char text[32];
	struct dw_bytes key = random_key(w, text);
	const struct model_item *item = model_find(&w->model, key);
	/* the whole store, or a run that is dead enough */
	const struct dw_compact_options some = {
		.dead_percent = (unsigned)(rng_below(&w->rng, 2) * rng_below(&w->rng, 101))};

	switch (rng_below(&w->rng, 100)) {
	case 0: CHECK_EQ(dw_rotate(w->store), 0); break;
	case 1: CHECK_EQ(dw_compact_with(w->store, &some, NULL), 0); break;
	case 2: reopen(w); break;
	case 3: CHECK_EQ(dw_sync(w->store), 0); break;
	case 4: check_figures(w); break;
	default: do_batch(w); return;
	}
	CHECK_EQ(dw_contains(w->store, key), item != NULL);
	if (item)
		CHECK(stores_holds(w->store, item->key, item->value));
}

static void test_random(void)
{
	static const uint64_t sizes[RUNS] = {1, 2000, 100000, 0};
	struct world w = {.rng = check_rng()};

	w.noise = stores_noise(rng_next(&w.rng), NOISE);
	for (int run = 0; run < RUNS; run++) {
		w.dir = stores_dir();
		w.segment_size = sizes[run];
		w.store = stores_open(w.dir, w.segment_size);
		w.txid = 0;
		for (int i = 0; i < (run ? STEPS : STEPS / 15); i++)
			step(&w);
		reopen(&w);
		CHECK_EQ(dw_compact(w.store, NULL), 0);
		reopen(&w);
		check_figures(&w);
		stores_close(w.store);
		model_release(&w.model);
	}
	free(w.noise);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"model_random", test_random},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
