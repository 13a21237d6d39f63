/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * sort.c - see sort.h.
 *
 * Radix sort of the first eight bytes of each key, from the highest digit on; the keys themselves
 * are seldom read.
 */
#include "index/sort.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bulk.h"

enum { FEW = 32, MANY = 1 << 16, DIGIT_BITS = 8, LARGE_DIGIT_BITS = 11 };

/* Where the keys of items are. */
struct source {
	const struct keydir *keydir;
	sort_key_fn *key_of;
};

static int compare(const void *a, const void *b, void *context)
{
	const struct sort_item *x = a, *y = b;
	const struct source *source = context;

	if (x->prefix != y->prefix)
		return x->prefix < y->prefix ? -1 : 1;
	return keydir_compare(source->key_of(source->keydir, x), source->key_of(source->keydir, y));
}

static void sort_few(struct source *source, struct sort_item *items, size_t count)
{
	for (size_t i = 1; i < count; i++) {
		const struct sort_item item = items[i];
		size_t at = i;
		for (; at && compare(&items[at - 1], &item, source) > 0; at--)
			items[at] = items[at - 1];
		items[at] = item;
	}
}

/* Part them by the digit at `shift`, through `other`; ends_ret: where each part ends. */
static void part(struct sort_item *items, struct sort_item *other, size_t count, unsigned shift,
		 size_t digits, size_t *ends_ret)
{
	const uint64_t mask = digits - 1;
	size_t at = 0;

	memset(ends_ret, 0, digits * sizeof *ends_ret);
	for (size_t i = 0; i < count; i++)
		ends_ret[items[i].prefix >> shift & mask]++;
	for (size_t d = 0; d < digits; d++) {
		size_t n = ends_ret[d];
		ends_ret[d] = at;
		at += n;
	}
	for (size_t i = 0; i < count; i++)
		other[ends_ret[items[i].prefix >> shift & mask]++] = items[i];
	memcpy(items, other, count * sizeof *items);
}

/* Sort those whose prefixes are the same above the lower `bits` bits. */
static void sort_part(struct source *source, struct sort_item *items, struct sort_item *other,
		      size_t count, unsigned bits)
{
	unsigned digit = count < MANY ? DIGIT_BITS : LARGE_DIGIT_BITS;
	size_t ends[1 << LARGE_DIGIT_BITS], at = 0;

	if (count <= FEW) {
		sort_few(source, items, count);
		return;
	}
	if (!bits) {
		qsort_r(items, count, sizeof *items, compare, source);
		return;
	}
	digit = digit < bits ? digit : bits;
	part(items, other, count, bits - digit, (size_t)1 << digit, ends);
	for (size_t d = 0; d < (size_t)1 << digit; at = ends[d++])
		if (ends[d] - at > 1)
			sort_part(source, items + at, other + at, ends[d] - at, bits - digit);
}

static uint64_t prefix_of(struct dw_bytes key)
{
	uint8_t bytes[8] = {0};
	uint64_t prefix = 0;

	if (key.size)
		memcpy(bytes, key.data, key.size < 8 ? key.size : 8);
	for (int i = 0; i < 8; i++)
		prefix = prefix << 8 | bytes[i];
	return prefix;
}

int sort_items(const struct keydir *keydir, struct sort_item *items, size_t count,
	       sort_key_fn *key_of)
{
	struct source source = {keydir, key_of};
	struct sort_item *other = NULL;

	if (count > FEW) {
		other = bulk_alloc(count * sizeof *other);
		if (!other)
			return -ENOMEM;
	}
	for (size_t i = 0; i < count; i++)
		items[i].prefix = prefix_of(key_of(keydir, &items[i]));
	sort_part(&source, items, other, count, 64);
	bulk_free(other, count * sizeof *other);
	return 0;
}
