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

static int compare(const void *a, const void *b, void *context)
{
	const struct delta_item *x = a, *y = b;

	if (x->prefix != y->prefix)
		return x->prefix < y->prefix ? -1 : 1;
	return keydir_compare(keydir_entry_key(context, x->slot->entry),
			      keydir_entry_key(context, y->slot->entry));
}

static void sort_few(struct keydir *keydir, struct delta_item *items, size_t count)
{
	for (size_t i = 1; i < count; i++) {
		const struct delta_item item = items[i];
		size_t at = i;
		for (; at && compare(&items[at - 1], &item, keydir) > 0; at--)
			items[at] = items[at - 1];
		items[at] = item;
	}
}

/* Part them by the digit at `shift`, through `other`; ends_ret: where each part ends. */
static void part(struct delta_item *items, struct delta_item *other, size_t count, unsigned shift,
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
static void sort_part(struct keydir *keydir, struct delta_item *items, struct delta_item *other,
		      size_t count, unsigned bits)
{
	unsigned digit = count < MANY ? DIGIT_BITS : LARGE_DIGIT_BITS;
	size_t ends[1 << LARGE_DIGIT_BITS], at = 0;

	if (count <= FEW) {
		sort_few(keydir, items, count);
		return;
	}
	if (!bits) {
		qsort_r(items, count, sizeof *items, compare, keydir);
		return;
	}
	digit = digit < bits ? digit : bits;
	part(items, other, count, bits - digit, (size_t)1 << digit, ends);
	for (size_t d = 0; d < (size_t)1 << digit; at = ends[d++])
		if (ends[d] - at > 1)
			sort_part(keydir, items + at, other + at, ends[d] - at, bits - digit);
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

int sort_items(const struct keydir *keydir, struct delta_item *items, size_t count)
{
	struct delta_item *other = bulk_alloc((count + 1) * sizeof *other);

	if (!other)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		items[i].prefix = prefix_of(keydir_entry_key(keydir, items[i].slot->entry));
	/* qsort_r() has no place for a context that is const */
	sort_part((struct keydir *)(uintptr_t)keydir, items, other, count, 64);
	bulk_free(other, (count + 1) * sizeof *other);
	return 0;
}
