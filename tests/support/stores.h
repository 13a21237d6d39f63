/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * stores.h - what tests of the engine share: short ways to open a store and to
 * say what it must hold, and a naive model of the view.
 *
 * Any error ends the test.
 */
#ifndef SUPPORT_STORES_H
#define SUPPORT_STORES_H

#include "datawal.h"
#include "disk/io.h"
#include "tests/support/check.h"

/* The bytes of a string, without its NUL. */
struct dw_bytes stores_bytes(const char *text);

/* A fresh directory; unlike check_dir()'s the text stays valid (a few of them). */
const char *stores_dir(void);
/* The path of `name` in `dir`; the text stays valid (a few of them). */
const char *stores_path(const char *dir, const char *name);

/* Open for writing (made if missing) with segments of `segment_size` (0: default). */
struct dw_store *stores_open(const char *dir, uint64_t segment_size);
struct dw_store *stores_open_reader(const char *dir);
void stores_close(struct dw_store *store);
/* Let go of it without a sync, as if the process were killed. */
void stores_kill(struct dw_store *store);

void stores_put(struct dw_store *store, const char *key, const char *value);
void stores_delete(struct dw_store *store, const char *key);
/* `value` NULL: the key must be absent. */
void stores_expect(struct dw_store *store, const char *key, const char *value);
bool stores_holds(struct dw_store *store, struct dw_bytes key, struct dw_bytes value);

/* `size` bytes that depend on `seed`; the caller frees. */
uint8_t *stores_noise(uint64_t seed, size_t size);

/* How many descriptors this process has open. */
int stores_fd_count(void);

/* The view as an array of pairs, searched from the front: too simple to be wrong. */
struct model_item {
	struct dw_bytes key, value; /* owned */
};

struct model {
	struct model_item *items; /* owned */
	size_t count;
};

void model_put(struct model *model, struct dw_bytes key, struct dw_bytes value);
void model_delete(struct model *model, struct dw_bytes key);
const struct model_item *model_find(const struct model *model, struct dw_bytes key);
/* The store's view is the model: count, every value, and the walk in key order. */
void model_check(const struct model *model, struct dw_store *store);
void model_copy(const struct model *from, struct model *to);
void model_release(struct model *model);

#endif
