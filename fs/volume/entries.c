/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * entries.c - see entries.h.
 */
#include "fs/volume/entries.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/volume/dirscan.h"

/* An entry, in `bytes`; the name follows, then the component, if it differs. */
struct entry {
	uint64_t moved; /* where what it is now stands; 0: here */
	uint32_t component_size;
	uint8_t name_size;
	bool is_dir, stored, gone;
};

void entries_release(struct entries *e)
{
	free(e->bytes);
	free(e->places);
	free(e->moved);
	*e = (struct entries){.bytes = NULL};
}

static struct entry entry_at(const struct entries *e, uint64_t place)
{
	struct entry entry;

	assert(place + sizeof entry <= e->used);
	memcpy(&entry, e->bytes + place, sizeof entry);
	return entry;
}

static void entry_write(struct entries *e, uint64_t place, const struct entry *entry)
{
	memcpy(e->bytes + place, entry, sizeof *entry);
}

static struct dw_bytes component_at(const struct entries *e, uint64_t place)
{
	const struct entry entry = entry_at(e, place);
	const char *name = e->bytes + place + sizeof entry;

	return entry.stored ? (struct dw_bytes){name + entry.name_size, entry.component_size}
			    : (struct dw_bytes){name, entry.name_size};
}

/* --- adding --- */

/* Room for an entry at the end.  0 or -ENOMEM. */
static int reserve(struct entries *e, size_t size)
{
	size_t capacity = e->capacity ? e->capacity : 4096;

	while (e->used + size > capacity)
		capacity *= 2;
	if (capacity == e->capacity)
		return 0;
	char *grown = realloc(e->bytes, capacity);
	if (!grown)
		return -ENOMEM;
	e->bytes = grown;
	e->capacity = capacity;
	return 0;
}

static void add_bytes(struct entries *e, const void *data, size_t size)
{
	assert(e->used + size <= e->capacity);
	if (size)
		memcpy(e->bytes + e->used, data, size);
	e->used += size;
}

/* At the end; `component` is not in `bytes`. */
static int add_entry(struct entries *e, const struct name *name, struct dw_bytes component,
		     bool is_dir)
{
	const bool stored =
		component.size != name->size || memcmp(component.data, name->text, name->size) != 0;
	const struct entry entry = {.component_size = (uint32_t)component.size,
				    .name_size = (uint8_t)name->size,
				    .is_dir = is_dir,
				    .stored = stored};
	int rc = reserve(e, sizeof entry + name->size + component.size);

	if (rc < 0)
		return rc;
	add_bytes(e, &entry, sizeof entry);
	add_bytes(e, name->text, name->size);
	if (stored)
		add_bytes(e, component.data, component.size);
	return 0;
}

int entries_add(struct entries *e, const struct name *name, struct dw_bytes component, bool is_dir)
{
	const uint64_t place = e->used;

	if (e->count == e->places_capacity) {
		size_t capacity = e->places_capacity ? 2 * e->places_capacity : 64;
		uint64_t *grown = reallocarray(e->places, capacity, sizeof *grown);
		if (!grown)
			return -ENOMEM;
		e->places = grown;
		e->places_capacity = capacity;
	}
	int rc = add_entry(e, name, component, is_dir);
	if (!rc)
		e->places[e->count++] = place;
	return rc;
}

int entries_set_name(struct entries *e, size_t number, const struct name *name)
{
	const uint64_t place = e->used;
	const bool is_dir = entry_at(e, e->places[number]).is_dir;
	struct dw_bytes component = entries_component(e, number);
	char *copy = malloc(component.size + 1);

	assert(!e->moved_count);
	if (!copy)
		return -ENOMEM;
	if (component.size)
		memcpy(copy, component.data, component.size);
	component.data = copy;
	int rc = add_entry(e, name, component, is_dir);
	if (!rc)
		e->places[number] = place;
	free(copy);
	return rc;
}

/* --- finding --- */

struct dw_bytes entries_component(const struct entries *e, size_t number)
{
	assert(number < e->count);
	return component_at(e, e->places[number]);
}

bool entries_get(const struct entries *e, size_t number, struct entry_found *ret)
{
	assert(number < e->count);
	uint64_t place = e->places[number];
	struct entry entry = entry_at(e, place);

	if (entry.gone)
		return false;
	if (entry.moved) {
		place = entry.moved;
		entry = entry_at(e, place);
	}
	ret->name.size = entry.name_size;
	memcpy(ret->name.text, e->bytes + place + sizeof entry, entry.name_size);
	ret->name.text[entry.name_size] = '\0';
	ret->component = component_at(e, place);
	ret->is_dir = entry.is_dir;
	return true;
}

static int compare(const struct entries *e, uint64_t place, struct dw_bytes component, bool is_dir)
{
	return dirscan_compare(component_at(e, place), entry_at(e, place).is_dir, component,
			       is_dir);
}

/* The number of an entry by what it is now; e->count: there is none. */
static size_t find(const struct entries *e, struct dw_bytes component, bool is_dir)
{
	size_t low = 0, high = e->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (compare(e, e->places[middle], component, is_dir) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < e->count && !compare(e, e->places[low], component, is_dir)) {
		const struct entry entry = entry_at(e, e->places[low]);
		if (!entry.moved && !entry.gone)
			return low;
	}
	for (size_t i = 0; i < e->moved_count; i++) {
		const struct entry entry = entry_at(e, e->places[e->moved[i]]);
		if (!entry.gone && !compare(e, entry.moved, component, is_dir))
			return e->moved[i];
	}
	return e->count;
}

/* --- renaming --- */

static void mark_gone(struct entries *e, size_t number)
{
	struct entry entry = entry_at(e, e->places[number]);

	entry.gone = true;
	entry_write(e, e->places[number], &entry);
}

static int move(struct entries *e, size_t number, const struct name *to, struct dw_bytes component)
{
	const uint64_t place = e->places[number], now = e->used;
	struct entry entry = entry_at(e, place);

	if (!entry.moved) {
		size_t *grown = reallocarray(e->moved, e->moved_count + 1, sizeof *grown);
		if (!grown)
			return -ENOMEM;
		e->moved = grown;
	}
	int rc = add_entry(e, to, component, entry.is_dir);
	if (rc < 0)
		return rc;
	if (!entry.moved)
		e->moved[e->moved_count++] = number;
	entry.moved = now;
	entry_write(e, place, &entry);
	return 0;
}

void entries_rename(struct entries *e, bool is_dir, struct dw_bytes from, const struct name *to,
		    struct dw_bytes to_component)
{
	size_t number = find(e, from, is_dir);

	if (number == e->count)
		return;
	bool there = find(e, to_component, is_dir) != e->count;
	if (there || move(e, number, to, to_component) < 0)
		mark_gone(e, number);
}
