/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * shown.c - see shown.h.
 *
 * Let e be how a component is encoded, and X the encoded components in conflict.  It is shown as e
 * and as many %= as there are shorter names in X that e reads like, and one more for a file in X.
 * So with e(j) = BASE(%=)j, and q(j) of e(0) to e(j-1) in X, the directory e(j) is BASE(%=)(j +
 * q(j)): that grows by one or, after one in X, by two; the number in between is the file's.  Hence
 * each name stands for exactly one component.
 */
#include "fs/volume/shown.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "fs/volume/keys.h"

enum { REMEMBERED_MAX = 65536 };

/* A conflict that ended. */
struct conflict {
	UT_hash_handle hh;
	size_t size;
	char key[]; /* of the directory */
};

/* --- conflicts --- */

static struct conflict *find(const struct volume *volume, const struct key *key)
{
	const unsigned hash =
		(unsigned)XXH3_64bits_withSeed(key->data, key->size, volume->tree.seed);
	struct conflict *found = NULL;

	HASH_FIND_BYHASHVALUE(hh, volume->conflicts, key->data, (unsigned)key->size, hash, found);
	return found;
}

bool shown_was_conflict(struct volume *volume, struct node *dir, struct dw_bytes component)
{
	struct key key;

	if (!volume->conflicts)
		return false;
	bool was = !key_of_child(dir, component, true, &key) && find(volume, &key);
	key_release(&key);
	return was;
}

int shown_conflict(struct volume *volume, struct node *dir, struct dw_bytes component)
{
	struct dw_below_info below;
	struct dw_stat stat;

	if (volume->options.flat)
		return 0;
	if (shown_was_conflict(volume, dir, component))
		return 1;
	int rc = keys_stat_file(volume, dir, component, &stat);
	if (!rc)
		rc = keys_stat_dir(volume, dir, component, &below);
	return rc == -ENOENT || rc == -ENAMETOOLONG ? 0 : rc < 0 ? rc : 1;
}

static void add(struct volume *volume, const struct key *key)
{
	struct conflict *made = calloc(1, sizeof *made + key->size);

	/* without memory the name may change while it is known, and nothing worse */
	if (!made)
		return;
	made->size = key->size;
	memcpy(made->key, key->data, key->size);
	const unsigned hash =
		(unsigned)XXH3_64bits_withSeed(key->data, key->size, volume->tree.seed);
	HASH_ADD_KEYPTR_BYHASHVALUE(hh, volume->conflicts, made->key, (unsigned)made->size, hash,
				    made);
	if (!made->hh.tbl) {
		free(made);
		return;
	}
	if (HASH_COUNT(volume->conflicts) > REMEMBERED_MAX) {
		struct conflict *oldest = volume->conflicts;
		HASH_DELETE(hh, volume->conflicts, oldest);
		free(oldest);
	}
}

void shown_remember(struct volume *volume, struct node *dir, struct dw_bytes component)
{
	struct key key;

	if (shown_conflict(volume, dir, component) != 1)
		return;
	if (!key_of_child(dir, component, true, &key) && !find(volume, &key))
		add(volume, &key);
	key_release(&key);
}

void shown_forget(struct volume *volume, struct node *dir, struct dw_bytes component)
{
	struct key key;

	if (!volume->conflicts)
		return;
	struct conflict *found =
		key_of_child(dir, component, true, &key) ? NULL : find(volume, &key);
	if (found) {
		HASH_DELETE(hh, volume->conflicts, found);
		free(found);
	}
	key_release(&key);
}

void shown_release(struct volume *volume)
{
	struct conflict *conflict = volume->conflicts;

	if (conflict)
		HASH_CLEAR(hh, volume->conflicts);
	while (conflict) {
		struct conflict *next = conflict->hh.next;
		free(conflict);
		conflict = next;
	}
}

/* --- names --- */

/* Whether the first `size` bytes of a name are how a component in conflict is encoded. */
static int names_conflict(struct volume *volume, struct node *dir, const char *name, size_t size,
			  struct name *component_ret)
{
	char text[NAME_SIZE_MAX + 1];

	memcpy(text, name, size);
	text[size] = '\0';
	int rc = name_decode(&volume->tree.rules, dir == volume->tree.root, text, component_ret);
	if (rc < 0)
		return rc;
	/* no component is encoded as "" or "." */
	struct name again;
	(void)name_encode(&volume->tree.rules, dir == volume->tree.root, component_ret->text,
			  component_ret->size, &again);
	if (strcmp(again.text, text) != 0)
		return 0;
	return shown_conflict(volume, dir,
			      (struct dw_bytes){component_ret->text, component_ret->size});
}

static size_t count_suffixes(const char *name, size_t size)
{
	size_t count = 0;

	while (size >= 2 && !memcmp(name + size - 2, "%=", 2)) {
		size -= 2;
		count++;
	}
	return count;
}

int shown_component(struct volume *volume, struct node *dir, const char *name, struct name *ret,
		    bool *beside_ret)
{
	size_t size = strlen(name);

	if (size > NAME_SIZE_MAX)
		return -ENAMETOOLONG;
	*beside_ret = false;
	size_t count = volume->options.flat ? 0 : count_suffixes(name, size);
	size_t base = size - 2 * count, at = 0, more = 0; /* e(at) has that many %= in all */
	for (; at + more < count; at++) {
		int rc = names_conflict(volume, dir, name, base + 2 * at, ret);
		if (rc < 0)
			return rc;
		if (rc && at + more + 1 == count) {
			*beside_ret = true;
			return 0;
		}
		more += (size_t)rc;
	}
	char text[NAME_SIZE_MAX + 1];
	memcpy(text, name, base + 2 * at);
	text[base + 2 * at] = '\0';
	return name_decode(&volume->tree.rules, dir == volume->tree.root, text, ret);
}

/* `suffixes` %= more, if they fit. */
static bool append(struct name *name, size_t suffixes)
{
	if (name->size + 2 * suffixes > NAME_SIZE_MAX)
		return false;
	for (; suffixes; suffixes--, name->size += 2)
		memcpy(name->text + name->size, "%=", 2);
	name->text[name->size] = '\0';
	return true;
}

/* How many shorter names in conflict an encoded component reads like; or -errno. */
static int count_quotes(struct volume *volume, struct node *dir, const struct name *name)
{
	size_t count = volume->options.flat ? 0 : count_suffixes(name->text, name->size);
	struct name component;
	int quotes = 0;

	for (size_t i = 1; i <= count; i++) {
		int rc = names_conflict(volume, dir, name->text, name->size - 2 * i, &component);
		if (rc < 0)
			return rc;
		quotes += rc;
	}
	return quotes;
}

int shown_name_as(struct volume *volume, struct node *dir, struct dw_bytes component, bool is_dir,
		  bool conflict, struct name *ret)
{
	struct name name;

	(void)name_encode(&volume->tree.rules, dir == volume->tree.root, component.data,
			  component.size, &name);
	int quotes = count_quotes(volume, dir, &name);
	if (quotes < 0)
		return quotes;
	if (!append(&name, (size_t)quotes)) {
		struct name long_name = name;
		name_abbreviate(long_name.text, long_name.size, component.data, component.size,
				&name);
	}
	if (conflict && !is_dir && !append(&name, 1)) {
		/* the form for long ones, of what would have been shown; the slash, which is
		 * in no component, tells it from a key that reads so */
		char shown[NAME_SIZE_MAX + 3];
		memcpy(shown, name.text, name.size);
		memcpy(shown + name.size, "%=/", 3);
		name_abbreviate(shown, name.size + 2u, shown, name.size + 3u, &name);
	}
	*ret = name;
	return 0;
}

int shown_name(struct volume *volume, struct node *dir, struct dw_bytes component, bool is_dir,
	       struct name *ret)
{
	int conflict = is_dir ? 0 : shown_conflict(volume, dir, component);

	return conflict < 0 ? conflict
			    : shown_name_as(volume, dir, component, is_dir, conflict, ret);
}
