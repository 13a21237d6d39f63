/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * children.c - see children.h.
 */
#include "fs/tree/children.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { CAPACITY_MIN = 2, HOLES_MIN = 32 };

static bool is_hole(uintptr_t slot)
{
	return slot & 1;
}

static uint64_t cookie_of(uintptr_t slot)
{
	return is_hole(slot) ? slot >> 1 : ((const struct node *)slot)->cookie;
}

uint32_t children_seek(const struct children *c, uint64_t cookie)
{
	uint32_t low = 0, high = c->used;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (cookie_of(c->slots[middle]) < cookie)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void close_holes(struct children *c)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < c->used; i++)
		if (!is_hole(c->slots[i]))
			c->slots[kept++] = c->slots[i];
	c->used = kept;
}

int children_reserve(struct children **children)
{
	struct children *c = *children;
	uint32_t capacity = c ? 2 * c->capacity : CAPACITY_MIN;

	if (c && c->used < c->capacity)
		return 0;
	struct children *grown = realloc(c, sizeof *c + capacity * sizeof *c->slots);
	if (!grown)
		return -ENOMEM;
	if (!c) {
		memset(grown, 0, sizeof *grown);
		grown->next_cookie = COOKIE_PARENT + 1;
	}
	grown->capacity = capacity;
	*children = grown;
	return 0;
}

/* Put a node where another one was. */
static void add_at(struct children *c, struct node *node, uint32_t at)
{
	if (at == c->used || cookie_of(c->slots[at]) != node->cookie) {
		memmove(c->slots + at + 1, c->slots + at, (c->used - at) * sizeof *c->slots);
		c->used++;
	}
	assert(c->used <= c->capacity);
	c->slots[at] = (uintptr_t)node;
}

int children_add(struct children **children, struct node *node, uint64_t cookie)
{
	int rc = children_reserve(children);
	struct children *c = *children;

	if (rc < 0)
		return rc;
	node->cookie = cookie ? cookie : c->next_cookie++;
	if (cookie)
		add_at(c, node, children_seek(c, cookie));
	else
		c->slots[c->used++] = (uintptr_t)node;
	c->live++;
	return 0;
}

void children_remove(struct children *c, struct node *node)
{
	uint32_t at = children_seek(c, node->cookie);

	assert(at < c->used && c->slots[at] == (uintptr_t)node);
	c->slots[at] = (uintptr_t)(node->cookie << 1 | 1);
	c->live--;
	if (c->used - c->live > HOLES_MIN && c->used - c->live > c->used / 2)
		close_holes(c);
}

void children_exchange(struct children *c, struct node *a, struct children *d, struct node *b)
{
	uint64_t cookie = a->cookie;
	uint32_t at = children_seek(c, a->cookie), there = children_seek(d, b->cookie);

	assert(c->slots[at] == (uintptr_t)a && d->slots[there] == (uintptr_t)b);
	c->slots[at] = (uintptr_t)b;
	d->slots[there] = (uintptr_t)a;
	a->cookie = b->cookie;
	b->cookie = cookie;
}

struct node *children_at(const struct children *c, uint32_t *at)
{
	for (uint32_t i = *at; i < c->used; i++)
		if (!is_hole(c->slots[i])) {
			*at = i;
			return (struct node *)c->slots[i];
		}
	return NULL;
}
