/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * fuzz_tree.c - any set of keys as a tree of files: each key is shown exactly once, under a
 * name by which it is found, with its value; and nothing else is shown.
 *
 * The first byte: 1 flat layout; then the keys: a byte of size (255: the next one more),
 * that many bytes, and a byte whose lowest bit says whether there is a value.
 */
#include <stdlib.h>
#include <string.h>

#include "fs/volume/core.h"
#include "store/store.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/memio.h"
#include "tests/fuzz/naive.h"

enum { KEYS = 40, DEPTH = 600 };

struct world {
	bool flat;
	struct volume *volume;
	struct naive_view view;
	size_t files;          /* met */
	struct buf dirs;       /* keys of directories that were met, each with its '/' and a NUL */
	struct node **pending; /* directories to be listed; owned */
	size_t pending_count;
};

static void next_pair(struct fuzz_input *input, struct naive_pair *ret)
{
	size_t size = fuzz_byte(input);

	if (size == 255)
		size += fuzz_byte(input);
	const uint8_t *key = fuzz_bytes(input, &size);
	*ret = (struct naive_pair){.key = {key, size}, .value = {"value", fuzz_byte(input) & 1}};
}

/* A key that ends in '/' without a value is its directory's marker. */
static bool is_marker(const struct world *w, const struct naive_pair *pair)
{
	const char *key = pair->key.data;
	size_t size = pair->key.size;

	return !w->flat && size && key[size - 1] == '/' && !pair->value.size;
}

static void check_file(struct world *w, struct node *node, struct dw_bytes key)
{
	const struct naive_pair *pair = naive_find(&w->view, key);
	char value[16];

	FUZZ_CHECK(pair && !is_marker(w, pair));
	FUZZ_CHECK(!volume_open_file(w->volume, node, 0));
	ssize_t n = volume_read(w->volume, node, value, sizeof value, 0);
	FUZZ_CHECK(n >= 0 && naive_same(pair->value, (struct dw_bytes){value, (size_t)n}));
	volume_release(w->volume, node);
	w->files++;
}

/* A directory is there for its marker, or for a key below. */
static void check_directory(struct world *w, struct dw_bytes key)
{
	bool reason = false;

	for (size_t i = 0; i < w->view.count; i++) {
		const struct naive_pair *pair = &w->view.pairs[i];
		reason = reason || (pair->key.size >= key.size &&
				    !memcmp(pair->key.data, key.data, key.size));
	}
	FUZZ_CHECK(reason);
}

struct entry {
	char name[NAME_SIZE_MAX + 1];
	struct node *node;
};

struct found_names {
	struct entry *items; /* owned */
	size_t count;
};

static int add_entry(void *context, const char *name, struct node *node, const struct stat *st,
		     uint64_t next)
{
	struct found_names *listing = context;

	(void)st;
	(void)next;
	if (!node)
		return 0; /* "." and ".." */
	listing->items = reallocarray(listing->items, listing->count + 1, sizeof *listing->items);
	FUZZ_CHECK(listing->items && strlen(name) <= NAME_SIZE_MAX && *name);
	FUZZ_CHECK(!strchr(name, '/') && strcmp(name, ".") != 0 && strcmp(name, "..") != 0);
	strcpy(listing->items[listing->count].name, name);
	listing->items[listing->count++].node = node;
	return 0;
}

static void check_entry(struct world *w, struct node *dir, const struct entry *entry)
{
	struct volume_entry found;
	struct key key;

	FUZZ_CHECK(!volume_lookup(w->volume, dir, entry->name, &found));
	FUZZ_CHECK(found.node == entry->node);
	volume_forget(w->volume, found.node, 1);
	FUZZ_CHECK(dir != volume_root(w->volume) || strcmp(entry->name, ".datawal") != 0);
	FUZZ_CHECK(!key_of_node(entry->node, &key));
	if (node_is_dir(entry->node)) {
		check_directory(w, key_bytes(&key));
		w->pending = reallocarray(w->pending, w->pending_count + 1, sizeof *w->pending);
		FUZZ_CHECK(w->pending);
		w->pending[w->pending_count++] = entry->node;
	} else {
		check_file(w, entry->node, key_bytes(&key));
	}
	key_release(&key);
}

static void check_tree(struct world *w)
{
	struct found_names listing;
	size_t wanted = 0;

	w->pending = malloc(sizeof *w->pending);
	FUZZ_CHECK(w->pending);
	w->pending[w->pending_count++] = volume_root(w->volume);
	while (w->pending_count) {
		struct node *dir = w->pending[--w->pending_count];
		listing = (struct found_names){0};
		struct listing *open_dir = NULL;
		FUZZ_CHECK(!volume_opendir(w->volume, dir, &open_dir));
		FUZZ_CHECK(!volume_readdir(open_dir, 0, true, add_entry, &listing));
		volume_closedir(open_dir);
		for (size_t i = 0; i < listing.count; i++)
			check_entry(w, dir, &listing.items[i]);
		free(listing.items);
	}
	free(w->pending);
	for (size_t i = 0; i < w->view.count; i++)
		wanted += !is_marker(w, &w->view.pairs[i]);
	FUZZ_CHECK(w->files == wanted);
}

const unsigned fuzz_runs = 2000;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct dw_options options = {.read_only = false};
	struct fuzz_input input = {data, size};
	struct world w = {.flat = fuzz_byte(&input) & 1};
	const struct volume_options as = {.flat = w.flat, .reserved = ".datawal"};
	struct dw_store *store = NULL;
	struct naive_pair pair;

	FUZZ_CHECK(!store_open(&memio_fresh()->io, "/store", &options, NULL, &store));
	for (int i = 0; i < KEYS && input.size; i++) {
		next_pair(&input, &pair);
		FUZZ_CHECK(!dw_put(store, pair.key, pair.value));
		naive_put(&w.view, &pair);
	}
	FUZZ_CHECK(!volume_open(store, &as, &w.volume));
	check_tree(&w);
	FUZZ_CHECK(!volume_close(w.volume));
	naive_release(&w.view);
	return 0;
}

static void add_key(struct buf *ret, const char *key, size_t size, uint8_t value)
{
	fuzz_add_byte(ret, (uint8_t)(size < 255 ? size : 255));
	if (size >= 255)
		fuzz_add_byte(ret, (uint8_t)(size - 255));
	fuzz_add(ret, key, size);
	fuzz_add_byte(ret, value);
}

bool fuzz_seed(size_t n, struct buf *ret)
{
	static const char *const sets[][12] = {
		{"users/1", "users/2", "a//b", "tmp/", "/etc/hosts", ".datawal", "%~", "."},
		{"a", "a/b", "a%=", "a%=%=", "a%=/c", "a/", "a/b/c"},
		{"", "/", "//", "%~/x", "%~", "a/../b", "a/..", "..", "%~%~"},
		{"d/.datawal", ".datawal/x", "%~.datawal", "%00", "%2500", "%2F"},
	};
	enum { SETS = sizeof sets / sizeof *sets };
	char text[300];

	if (n >= 2 * (SETS + 4))
		return false;
	fuzz_add_byte(ret, (uint8_t)(n % 2));
	n /= 2;
	if (n < SETS) {
		for (size_t i = 0; i < 12 && sets[n][i]; i++)
			add_key(ret, sets[n][i], strlen(sets[n][i]), i % 2);
		return true;
	}
	/* a long name that a directory has as well, and what that is shown as */
	memset(text, 'x', sizeof text);
	size_t size = 252 + (n - SETS);
	add_key(ret, text, size, 1);
	text[size] = '/';
	add_key(ret, text, size + 2, 1);
	memcpy(text + size, "%=", 2);
	add_key(ret, text, size + 2, 1);
	memcpy(text + 221, "%~0123456789abcdef0123456789abcdef", 34);
	add_key(ret, text, 255, 1);
	return true;
}
