/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * load.c - from the keys of a store to the tree of names.
 *
 * A key that is also a directory can only be told when all keys were seen: such
 * files are put aside and get their %= at the end.
 */
#include "fs/volume/load.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "fs/tree/heap.h"

struct conflict {
	struct node *dir;  /* the directory that has the name */
	struct node *file; /* in no tree; counted here */
};

enum { PENDING = 16, PENDING_KEY_MAX = 256 };

/* A directory on the way of a key. */
struct above {
	struct node *dir;
	uint64_t hash; /* of its key, where anybody set attributes */
};

/* A file that is to go into the tree. */
struct pending {
	struct above above;
	struct dw_stat stat;
	size_t size, dir_size; /* of the key; of what in it is the directory's */
	char key[PENDING_KEY_MAX];
};

struct load {
	struct volume *volume;
	struct attr_table *attrs;
	struct conflict *conflicts; /* owned */
	size_t count;
	/* Files wait a little, so that their places in the table are there when they go in. */
	struct pending pending[PENDING];
	size_t first, end; /* of those, as numbers that only grow */
};

static int put_aside(struct load *load, struct node *dir, struct node *file)
{
	struct conflict *grown = reallocarray(load->conflicts, load->count + 1, sizeof *grown);

	if (!grown)
		return -ENOMEM;
	load->conflicts = grown;
	grown[load->count++] = (struct conflict){dir, node_ref(file)};
	return 0;
}

/* Later is newer: the times of what lies in a directory are all it has to go by; where only
 * directories do, of all that is below.  A time that was set by hand cannot be later than
 * that was done. */
static void age(struct node *dir, int64_t mtime_ns, const struct attrs *attrs)
{
	if (attrs && attrs->set & ATTR_MTIME && attrs->set & ATTR_CTIME &&
	    attrs->ctime_ns < mtime_ns)
		mtime_ns = attrs->ctime_ns;
	if (!(dir->flags & NODE_TIMED) || mtime_ns > atomic_load(&dir->mtime_ns))
		atomic_store(&dir->mtime_ns, mtime_ns);
	dir->flags |= NODE_TIMED;
	while ((dir = dir->key->parent))
		if (!(dir->flags & NODE_TIMED) && mtime_ns > atomic_load(&dir->mtime_ns))
			atomic_store(&dir->mtime_ns, mtime_ns);
}

static struct node *new_node(struct load *load, struct node *parent, struct dw_bytes component,
			     bool is_dir, struct name *name)
{
	struct tree *tree = &load->volume->tree;

	(void)name_encode(&tree->rules, parent == tree->root, component.data, component.size, name);
	return node_new(name->text, name->size, &component, is_dir);
}

/* The directory `component` below `above`, which becomes it, made if it is not there; `key` is
 * that of its marker. */
static int enter(struct load *load, struct above *above, struct dw_bytes component,
		 struct dw_bytes key)
{
	struct tree *tree = &load->volume->tree;
	struct node **dir = &above->dir;
	struct name name;
	int rc = 0;

	if (!attr_table_is_empty(load->attrs))
		above->hash = attr_table_extend(above->hash, component);
	(void)name_encode(&tree->rules, *dir == tree->root, component.data, component.size, &name);
	struct node *there = tree_find(tree, *dir, name.text, name.size);
	if (there && node_is_dir(there)) {
		*dir = there;
		return 0;
	}
	struct node *node = new_node(load, *dir, component, true, &name);
	if (!node)
		return -ENOMEM;
	node->attrs = attr_table_take(load->attrs, true, key, above->hash);
	if (there) {
		rc = put_aside(load, node, there);
		if (!rc)
			tree_unlink(tree, there);
	}
	if (!rc)
		rc = tree_link(tree, *dir, node, 0);
	node_unref(node, 1);
	if (!rc)
		*dir = node;
	return rc;
}

/* The attributes of a file.  What is no target of a link is an ordinary file. */
static struct attrs *take_attrs(struct load *load, const struct above *above,
				struct dw_bytes component, struct dw_bytes key,
				const struct dw_stat *stat)
{
	if (attr_table_is_empty(load->attrs))
		return NULL;
	uint64_t hash = load->volume->options.flat ? attr_table_hash(load->attrs, false, key)
						   : attr_table_extend(above->hash, component);
	struct attrs *attrs = attr_table_take(load->attrs, false, key, hash);
	if (attrs && (!stat->size || stat->size >= PATH_MAX))
		attrs->set &= ~(unsigned)ATTR_SYMLINK;
	return attrs;
}

static int add_file(struct load *load, const struct above *above, struct dw_bytes component,
		    struct dw_bytes key, const struct dw_stat *stat)
{
	struct tree *tree = &load->volume->tree;
	struct node *dir = above->dir;
	struct name name;
	struct node *node = new_node(load, dir, component, false, &name);
	int rc;

	if (!node)
		return -ENOMEM;
	atomic_store(&node->size, stat->size);
	atomic_store(&node->mtime_ns, stat->mtime_ns);
	atomic_store(&node->logged, true);
	node->attrs = take_attrs(load, above, component, key, stat);
	age(dir, stat->mtime_ns, node->attrs);
	struct node *there = tree_find(tree, dir, name.text, name.size);
	rc = there ? put_aside(load, there, node) : tree_link(tree, dir, node, 0);
	node_unref(node, 1);
	return rc;
}

static int add_first_pending(struct load *load)
{
	const struct pending *p = &load->pending[load->first++ % PENDING];
	const struct dw_bytes component = {p->key + p->dir_size, p->size - p->dir_size},
			      key = {p->key, p->size};

	return add_file(load, &p->above, component, key, &p->stat);
}

/* The name most often reads as the component does; if it does not, nothing is lost. */
static int add_later(struct load *load, const struct above *above, struct dw_bytes component,
		     struct dw_bytes key, const struct dw_stat *stat)
{
	int rc = load->end - load->first == PENDING ? add_first_pending(load) : 0;

	if (rc < 0 || key.size > PENDING_KEY_MAX)
		return rc ? rc : add_file(load, above, component, key, stat);
	nodetable_prefetch(&load->volume->tree.table, above->dir, component.data, component.size);
	struct pending *p = &load->pending[load->end++ % PENDING];
	p->above = *above;
	p->stat = *stat;
	p->size = key.size;
	p->dir_size = key.size - component.size;
	if (key.size)
		memcpy(p->key, key.data, key.size); /* the store's own goes with the walk */
	return 0;
}

static int add_key(void *context, struct dw_bytes key, const struct dw_stat *stat)
{
	struct load *load = context;
	struct node *root = load->volume->tree.root;
	struct above above = {.dir = root, .hash = attr_table_root(load->attrs)};
	const char *start = key.data, *at = start, *end = at + key.size, *slash;

	while (!load->volume->options.flat && (slash = memchr(at, '/', (size_t)(end - at)))) {
		const struct dw_bytes component = {at, (size_t)(slash - at)},
				      marker = {key.data, (size_t)(slash + 1 - start)};
		int rc = enter(load, &above, component, marker);
		if (rc < 0)
			return rc;
		at = slash + 1;
	}
	if (at == end && above.dir != root && !stat->size) {
		above.dir->flags |= NODE_MARKER;
		age(above.dir, stat->mtime_ns, NULL);
		return 0;
	}
	return add_later(load, &above, (struct dw_bytes){at, (size_t)(end - at)}, key, stat);
}

/* Bytes of most nodes beside the struct: the key's parent, a name, malloc(3)'s own. */
enum { NODE_REST_LIKELY = sizeof(struct node_key) + 24 + 8 };

static int add_keys(struct load *load)
{
	struct volume *volume = load->volume;
	uint64_t count = dw_count(volume->store);
	int rc = nodetable_reserve(&volume->tree.table, count);
	struct heap_growth growth;

	heap_grow(&growth, (size_t)count * (sizeof(struct node) + NODE_REST_LIKELY));
	if (!rc)
		rc = dw_for_each(volume->store, add_key, load);
	while (!rc && load->first != load->end)
		rc = add_first_pending(load);
	heap_grown(&growth);
	return rc;
}

/* --- keys that are also directories --- */

/* `base` and `count` times %=; false: it fits no name. */
static bool with_suffixes(const struct node *dir, size_t count, struct name *ret)
{
	ret->size = dir->name_size + 2 * count;
	if (ret->size > NAME_SIZE_MAX)
		return false;
	memcpy(ret->text, dir->key->name, dir->name_size);
	for (size_t i = 0; i < count; i++)
		memcpy(ret->text + dir->name_size + 2 * i, "%=", 2);
	ret->text[ret->size] = '\0';
	return true;
}

/* One %= more for names beside `dir` that read as if they had some already. */
static int quote_suffixes(struct tree *tree, struct node *dir)
{
	struct node *parent = dir->key->parent;
	struct name name, quoted;

	for (size_t count = (NAME_SIZE_MAX - dir->name_size) / 2; count; count--) {
		if (!with_suffixes(dir, count, &name))
			continue;
		struct node *node = tree_find(tree, parent, name.text, name.size);
		if (!node)
			continue;
		struct dw_bytes component = node_component(node);
		char *copy = malloc(component.size + 1);
		if (!copy)
			return -ENOMEM;
		memcpy(copy, component.data, component.size);
		component.data = copy;
		if (!with_suffixes(dir, count + 1, &quoted))
			name_abbreviate(name.text, name.size, copy, component.size, &quoted);
		int rc = tree_move(tree, node, parent, quoted.text, quoted.size, &component, 0);
		free(copy);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int settle(struct load *load, const struct conflict *conflict)
{
	struct tree *tree = &load->volume->tree;
	struct node *dir = conflict->dir, *file = conflict->file;
	struct dw_bytes component = node_component(file);
	struct name name;
	int rc = quote_suffixes(tree, dir);

	if (rc < 0)
		return rc;
	if (!with_suffixes(dir, 1, &name)) {
		/* the form for long ones, of what would have been shown; the slash, which is
		 * in no component, tells it from a key that reads so */
		char shown[NAME_SIZE_MAX + 3];
		memcpy(shown, dir->key->name, dir->name_size);
		memcpy(shown + dir->name_size, "%=/", 3);
		name_abbreviate(shown, dir->name_size + 2u, shown, dir->name_size + 3u, &name);
	}
	struct node *node = node_new(name.text, name.size, &component, false);
	if (!node)
		return -ENOMEM;
	atomic_store(&node->size, atomic_load(&file->size));
	atomic_store(&node->mtime_ns, atomic_load(&file->mtime_ns));
	atomic_store(&node->logged, true);
	node->attrs = file->attrs;
	file->attrs = NULL;
	node->flags |= NODE_BESIDE;
	dir->flags |= NODE_CONFLICT;
	rc = tree_link(tree, dir->key->parent, node, 0);
	node_unref(node, 1);
	return rc;
}

int volume_load(struct volume *volume)
{
	struct load load = {.volume = volume};
	const struct dw_bytes of_root = {"", 0};
	int rc = attr_table_read(volume, &load.attrs);

	if (!rc) {
		attrs_free(volume->tree.root->attrs); /* what was known so far of a snapshot's */
		volume->tree.root->attrs =
			attr_table_take(load.attrs, true, of_root, attr_table_root(load.attrs));
		rc = add_keys(&load);
	}

	for (size_t i = 0; i < load.count; i++) {
		if (!rc)
			rc = settle(&load, &load.conflicts[i]);
		node_unref(load.conflicts[i].file, 1);
	}
	free(load.conflicts);
	if (rc < 0)
		attr_table_free(load.attrs);
	else
		attr_table_finish(load.attrs);
	return rc;
}

int volume_load_late(struct volume *volume)
{
	struct node *root = volume->tree.root;
	int rc = 0;

	names_lock_write(volume);
	if (!atomic_load(&volume->loaded)) {
		int64_t mtime_ns = atomic_load(&root->mtime_ns);
		rc = volume_load(volume);
		atomic_store(&root->mtime_ns, mtime_ns);
		if (!rc)
			atomic_store(&volume->loaded, true);
		else
			tree_clear(&volume->tree); /* nobody was told of a node in it */
	}
	names_unlock(volume);
	return rc;
}
