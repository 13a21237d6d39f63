/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * be_datawal.c - libdatawal as a backend of kvbench.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datawal.h"
#include "be.h"

enum { BATCH_MAX = 1000, HELD_MAX = 1 << 20 };

struct held {
	struct dw_store *store;
	struct beopt options;
	struct dw_op ops[BATCH_MAX];
	size_t count, used;
	char bytes[HELD_MAX];	/* keys and values of `ops` */
};

static void *d_open(const char *dir, const struct beopt *o)
{
	struct held *h = calloc(1, sizeof *h);
	struct dw_options options = {.create = true};

	if (!h)
		return NULL;
	h->options = *o;
	int rc = dw_open(dir, &options, NULL, &h->store);
	if (rc < 0) {
		fprintf(stderr, "dw_open: %s\n", strerror(-rc));
		free(h);
		return NULL;
	}
	return h;
}

static int d_flush(struct held *h)
{
	int rc = dw_batch(h->store, h->ops, h->count);

	h->count = h->used = 0;
	return rc;
}

static int d_commit(void *handle)
{
	struct held *h = handle;
	int rc = d_flush(h);

	return rc || !h->options.durable ? rc : dw_sync(h->store);
}

static void *hold(struct held *h, const void *p, size_t n)
{
	void *at = h->bytes + h->used;

	memcpy(at, p, n);
	h->used += n;
	return at;
}

static int append(struct held *h, enum dw_type type, const struct rec *r, size_t vlen)
{
	struct dw_op op = {.type = type, .key = {r->key, r->klen}, .value = {r->val, vlen}};

	if (h->options.batch == 1) {
		int rc = dw_batch(h->store, &op, 1);
		return rc || !h->options.durable ? rc : dw_sync(h->store);
	}
	if (h->count == BATCH_MAX || h->used + r->klen + vlen > HELD_MAX) {
		int rc = d_flush(h);
		if (rc)
			return rc;
	}
	op.key.data = hold(h, r->key, r->klen);
	op.value.data = hold(h, r->val, vlen);
	h->ops[h->count++] = op;
	return 0;
}

static int d_put(void *handle, const struct rec *r)
{
	return append(handle, DW_PUT, r, r->vlen);
}

static int d_del(void *handle, const struct rec *r)
{
	return append(handle, DW_DELETE, r, 0);
}

static long d_get(void *handle, const struct rec *r, void *buf, size_t cap)
{
	struct held *h = handle;
	const struct dw_bytes key = {r->key, r->klen};
	struct dw_ref ref;

	if (dw_ref_get(h->store, key, &ref))
		return -1;
	long n = ref.value_size <= cap ? (long)dw_ref_read(h->store, &ref, key, buf, cap, 0) : -2;
	dw_ref_put(h->store, &ref);
	return n;
}

static long d_scan(void *handle, uint64_t *sum)
{
	struct held *h = handle;
	struct dw_iter *iter;
	struct dw_item item;
	size_t cap = 0;
	char *buf = NULL;
	long n = 0;

	if (dw_iter_open(h->store, &iter))
		return -1;
	while (dw_iter_next(iter, &item) == 1) {
		if (item.stat.size > cap)
			buf = realloc(buf, cap = item.stat.size);
		ssize_t got = dw_iter_read(iter, buf, item.stat.size, 0);
		if (got < 0)
			return -1;
		*sum ^= touch(buf, (size_t)got);
		n++;
	}
	free(buf);
	dw_iter_close(iter);
	return n;
}

static long d_list(void *handle, const char *prefix, size_t size, uint64_t *sum)
{
	struct held *h = handle;
	struct dw_cursor *cursor;
	struct dw_item item;
	long n = 0;

	if (dw_cursor_open(h->store, (struct dw_bytes){prefix, size}, &cursor))
		return -1;
	while (dw_cursor_next(cursor, &item) == 1) {
		*sum ^= touch(item.key.data, item.key.size);
		n++;
	}
	dw_cursor_close(cursor);
	return n;
}

static int d_compact(void *handle)
{
	struct held *h = handle;
	int rc = dw_compact(h->store, NULL);

	return rc ? rc : dw_sync(h->store);
}

static int d_close(void *handle)
{
	struct held *h = handle;
	int rc = d_commit(h), closed = dw_close(h->store);

	free(h);
	return rc ? rc : closed;
}

__attribute__((visibility("default"))) const struct be be = {"datawal", d_open, d_put, d_commit, d_get, d_del, d_scan, d_compact, d_close, d_list};
