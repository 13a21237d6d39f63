/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * core.c - see core.h.
 */
#include "fs/volume/core.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void volume_log(struct volume *volume, int priority, const char *format, ...)
{
	char text[512];
	va_list args;

	if (!volume->options.log)
		return;
	va_start(args, format);
	(void)vsnprintf(text, sizeof text, format, args); /* cut is good enough */
	va_end(args);
	volume->options.log(volume->options.context, priority, text);
}

pthread_mutex_t *volume_node_lock(struct volume *volume, const struct node *node)
{
	uint64_t mixed = (uint64_t)(uintptr_t)node * 0x9e3779b97f4a7c15u;

	return &volume->node_locks[mixed >> 56];
}

_Static_assert(NODE_LOCKS == 1 << 8, "eight bits choose the lock");

void file_lock(struct volume *volume, struct node *node)
{
	names_lock_read(volume);
	node_lock(volume, node);
}

void file_unlock(struct volume *volume, struct node *node)
{
	node_unlock(volume, node);
	names_unlock(volume);
}

/* --- keys --- */

int key_reserve(struct key *key, size_t size)
{
	key->size = size;
	key->data = size <= sizeof key->small ? key->small : malloc(size);
	return key->data ? 0 : -ENOMEM;
}

int key_of_node(const struct node *node, struct key *ret)
{
	int rc = key_reserve(ret, node_key_size(node));

	if (!rc)
		node_key_write(node, ret->data);
	return rc;
}

int key_of_child(const struct node *parent, struct dw_bytes component, bool is_dir, struct key *ret)
{
	size_t above = node_key_size(parent), size = above + component.size + is_dir;

	ret->data = ret->small;
	if (size > DW_KEY_SIZE_MAX)
		return -ENAMETOOLONG;
	int rc = key_reserve(ret, size);
	if (rc < 0)
		return rc;
	node_key_write(parent, ret->data);
	if (component.size)
		memcpy(ret->data + above, component.data, component.size);
	if (is_dir)
		ret->data[size - 1] = '/';
	return 0;
}

void key_release(struct key *key)
{
	if (key->data != key->small)
		free(key->data);
	key->data = key->small;
}

const char *volume_quote(const struct node *node, char ret[QUOTED_SIZE])
{
	static const char more[] = "...";
	struct key key = {.data = key.small};
	size_t used = 0;

	if (!node_is_linked(node) || key_of_node(node, &key) < 0)
		key.size = 0; /* a message without a name is better than none */
	for (size_t i = 0; i < key.size; i++) {
		unsigned char c = (unsigned char)key.data[i];
		bool plain = c >= ' ' && c < 0x7f && c != '\'' && c != '\\';
		if (used + 4 + sizeof more > QUOTED_SIZE) {
			memcpy(ret + used, more, sizeof more - 1);
			used += sizeof more - 1;
			break;
		}
		used += (size_t)snprintf(ret + used, 5, plain ? "%c" : "\\x%02x", c);
	}
	ret[used] = '\0';
	key_release(&key);
	return ret;
}
