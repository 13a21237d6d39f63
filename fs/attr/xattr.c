/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * xattr.c - see xattr.h.
 */
#include "fs/attr/xattr.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

enum { ENTRY_HEADER = 5, NAME_MAX_SIZE = 255 };

struct entry {
	const uint8_t *start; /* of the whole entry */
	const uint8_t *name, *value;
	size_t name_size, value_size;
};

static size_t entry_size(const struct entry *entry)
{
	return ENTRY_HEADER + entry->name_size + entry->value_size;
}

/* The entry at `at`, of which `left` bytes are there.  False: there is no valid one. */
static bool entry_decode(const uint8_t *at, size_t left, struct entry *ret)
{
	if (left < ENTRY_HEADER)
		return false;
	struct entry entry = {.start = at, .name_size = at[0], .name = at + ENTRY_HEADER};
	entry.value_size = at[1] | (size_t)at[2] << 8 | (size_t)at[3] << 16 | (size_t)at[4] << 24;
	entry.value = entry.name + entry.name_size;
	if (!entry.name_size || entry.value_size > XATTR_VALUE_MAX || entry_size(&entry) > left)
		return false;
	if (memchr(entry.name, 0, entry.name_size))
		return false;
	*ret = entry;
	return true;
}

static uint8_t *entry_encode(uint8_t *at, const char *name, size_t name_size, const void *value,
			     size_t size)
{
	*at++ = (uint8_t)name_size;
	for (int i = 0; i < 4; i++)
		*at++ = (uint8_t)(size >> 8 * i);
	memcpy(at, name, name_size);
	at += name_size;
	if (size)
		memcpy(at, value, size);
	return at + size;
}

/* `*at` becomes the offset behind the entry.  False: no more. */
static bool next(struct dw_bytes bytes, size_t *at, struct entry *ret)
{
	if (!entry_decode((const uint8_t *)bytes.data + *at, bytes.size - *at, ret))
		return false;
	*at += entry_size(ret);
	return true;
}

static bool find(struct dw_bytes bytes, const void *name, size_t name_size, struct entry *ret)
{
	size_t at = 0;

	while (next(bytes, &at, ret))
		if (ret->name_size == name_size && !memcmp(ret->name, name, name_size))
			return true;
	return false;
}

bool xattrs_valid(struct dw_bytes bytes)
{
	struct entry entry, twin;
	size_t at = 0, names = 0;

	if (bytes.size > XATTR_BYTES_MAX)
		return false;
	while (at < bytes.size) {
		const struct dw_bytes before = {bytes.data, at};
		if (!next(bytes, &at, &entry) || find(before, entry.name, entry.name_size, &twin))
			return false;
		names += entry.name_size + 1;
	}
	return names <= XATTR_NAMES_MAX;
}

int xattrs_new(struct dw_bytes bytes, struct xattrs **ret)
{
	struct xattrs *xattrs = NULL;

	if (bytes.size) {
		xattrs = malloc(sizeof *xattrs + bytes.size);
		if (!xattrs)
			return -ENOMEM;
		xattrs->size = (uint32_t)bytes.size;
		memcpy(xattrs->data, bytes.data, bytes.size);
	}
	*ret = xattrs;
	return 0;
}

struct dw_bytes xattrs_bytes(const struct xattrs *xattrs)
{
	if (!xattrs)
		return (struct dw_bytes){"", 0};
	return (struct dw_bytes){xattrs->data, xattrs->size};
}

bool xattrs_same(const struct xattrs *a, const struct xattrs *b)
{
	struct dw_bytes x = xattrs_bytes(a), y = xattrs_bytes(b);

	return x.size == y.size && !memcmp(x.data, y.data, x.size);
}

ssize_t xattrs_get(const struct xattrs *xattrs, const char *name, void *ret, size_t size)
{
	struct entry entry;

	if (!find(xattrs_bytes(xattrs), name, strlen(name), &entry))
		return -ENODATA;
	if (size && size < entry.value_size)
		return -ERANGE;
	if (size && entry.value_size)
		memcpy(ret, entry.value, entry.value_size);
	return (ssize_t)entry.value_size;
}

ssize_t xattrs_list(const struct xattrs *xattrs, char *ret, size_t size)
{
	struct entry entry;
	size_t at = 0, used = 0;

	while (next(xattrs_bytes(xattrs), &at, &entry)) {
		if (size && size - used < entry.name_size + 1)
			return -ERANGE;
		if (size) {
			memcpy(ret + used, entry.name, entry.name_size);
			ret[used + entry.name_size] = '\0';
		}
		used += entry.name_size + 1;
	}
	return (ssize_t)used;
}

static int check(const char *name, const void *value, size_t size, int flags, bool there)
{
	if (!*name || strlen(name) > NAME_MAX_SIZE)
		return -ERANGE;
	if (size > XATTR_VALUE_MAX)
		return -E2BIG;
	if (there && flags & XATTR_CREATE)
		return -EEXIST;
	return !there && (flags & XATTR_REPLACE || !value) ? -ENODATA : 0;
}

int xattrs_with(const struct xattrs *xattrs, const char *name, const void *value, size_t size,
		int flags, struct xattrs **ret)
{
	const struct dw_bytes old = xattrs_bytes(xattrs);
	const uint8_t *bytes = old.data;
	size_t name_size = strlen(name);
	struct entry entry = {.start = bytes + old.size};
	bool there = find(old, name, name_size, &entry);
	int rc = check(name, value, size, flags, there);

	if (rc < 0)
		return rc;
	size_t head = there ? (size_t)(entry.start - bytes) : old.size;
	size_t gone = there ? entry_size(&entry) : 0;
	size_t comes = value ? ENTRY_HEADER + name_size + size : 0;
	size_t total = old.size - gone + comes;
	ssize_t names = xattrs_list(xattrs, NULL, 0) + (there ? 0 : (ssize_t)name_size + 1);
	if (total > XATTR_BYTES_MAX || names > XATTR_NAMES_MAX)
		return -ENOSPC;
	if (!total) {
		*ret = NULL;
		return 0;
	}
	struct xattrs *made = malloc(sizeof *made + total);
	if (!made)
		return -ENOMEM;
	made->size = (uint32_t)total;
	memcpy(made->data, bytes, head);
	uint8_t *at = made->data + head;
	if (value)
		at = entry_encode(at, name, name_size, value, size);
	memcpy(at, bytes + head + gone, old.size - head - gone);
	*ret = made;
	return 0;
}
