/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * listing.c - see listing.h.
 *
 * A listing reads all names of its directory when it begins, at one moment: the keys of the store
 * by a cursor that goes on after each directory, and files that are in no log yet.  It keeps them
 * as long as it is open; a place in it is a number of an entry.  So whatever is created, removed or
 * renamed meanwhile, an entry that is there throughout is listed once.
 *
 * It must never show what is not there any more: each entry is looked up when it is told.
 */
#include "fs/volume/listing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "fs/volume/dirscan.h"
#include "fs/volume/dirty.h"
#include "fs/volume/entries.h"
#include "fs/volume/keys.h"
#include "fs/volume/lookup.h"
#include "fs/volume/shown.h"
#include "fs/volume/stat.h"
#include "fs/volume/unlogged.h"

/* Cookies 1 and 2 are those of "." and ".."; then those of the entries. */
enum { COOKIE_SELF = 1, COOKIE_PARENT = 2 };

struct listing {
	struct volume *volume;
	struct node *dir;            /* counted */
	struct listing *prev, *next; /* of the directory's.  Lock: tree.lock */
	pthread_mutex_t lock;        /* one reader at a time; before `names` */
	/* changed with `lock` and `names`, or with `names` held for writing */
	bool read; /* the names were */
	struct entries entries;
	bool ended;                            /* the last one was told.  Lock: `lock` */
	struct listing *prev_kept, *next_kept; /* of the volume's.  Lock: tree.lock */
};

/* Listings that were closed and are kept: how many, and of what size. */
enum { KEPT_MAX = 8, KEPT_SIZE_MAX = 1 << 20 };

/* --- reading the names --- */

/* Give a file the name that it has beside the directory of its component. */
static int name_beside(struct listing *l, size_t number)
{
	struct name name;
	int rc = shown_name_as(l->volume, l->dir, entries_component(&l->entries, number), false,
			       true, &name);

	return rc ? rc : entries_set_name(&l->entries, number, &name);
}

/* Files with a component that is a prefix of the current key: a directory of the same component may
 * follow soon; in between come the keys that sort between a name and the name with a slash. */
struct beginnings {
	size_t *numbers; /* owned; each a prefix of the next */
	size_t count, capacity;
};

static bool begins(const struct listing *l, size_t number, struct dw_bytes component)
{
	const struct dw_bytes begin = entries_component(&l->entries, number);

	return begin.size <= component.size && !memcmp(begin.data, component.data, begin.size);
}

static int push(struct beginnings *b, size_t number)
{
	if (b->count == b->capacity) {
		size_t capacity = b->capacity ? 2 * b->capacity : 16;
		size_t *grown = reallocarray(b->numbers, capacity, sizeof *grown);
		if (!grown)
			return -ENOMEM;
		b->numbers = grown;
		b->capacity = capacity;
	}
	b->numbers[b->count++] = number;
	return 0;
}

static int add_found(struct listing *l, struct beginnings *b, struct dw_bytes component,
		     bool is_dir)
{
	struct name name;
	int rc = 0;

	while (b->count && !begins(l, b->numbers[b->count - 1], component))
		b->count--;
	if (is_dir && b->count &&
	    entries_component(&l->entries, b->numbers[b->count - 1]).size == component.size)
		rc = name_beside(l, b->numbers[b->count - 1]);
	bool was = !is_dir && shown_was_conflict(l->volume, l->dir, component);
	if (!rc)
		rc = shown_name_as(l->volume, l->dir, component, is_dir, was, &name);
	if (!rc)
		rc = entries_add(&l->entries, &name, component, is_dir);
	return rc || is_dir || l->volume->options.flat ? rc : push(b, l->entries.count - 1);
}

/* Those that are in no log and whose key comes before what was found; NULL: all. */
static int add_unlogged(struct listing *l, struct unlogged *u, const struct dirscan *before)
{
	int rc = 0;

	while (!rc && u->at < u->count) {
		const struct node *node = u->nodes[u->at];
		const struct dw_bytes component = node_component(node);
		int order = before ? dirscan_compare(component, false, before->component,
						     before->is_dir)
				   : -1;
		if (order > 0)
			break;
		u->at++;
		if (!order)
			continue; /* it came into the log just now */
		struct name name = {.size = node->name_size};
		memcpy(name.text, node->key->name, name.size);
		rc = entries_add(&l->entries, &name, component, false);
	}
	return rc;
}

static int read_names(struct listing *l)
{
	struct beginnings beginnings = {.numbers = NULL};
	struct unlogged unlogged;
	struct dirscan scan;
	int rc = unlogged_init(&unlogged, l->volume, l->dir); /* first: it may come into the log */

	if (!rc)
		rc = dirscan_init(&scan, l->volume, l->dir, (struct dw_bytes){"", 0});
	if (!rc) {
		while (!rc && (rc = dirscan_next(&scan)) > 0) {
			rc = add_unlogged(l, &unlogged, &scan);
			if (!rc)
				rc = add_found(l, &beginnings, scan.component, scan.is_dir);
		}
		if (!rc)
			rc = add_unlogged(l, &unlogged, NULL);
		dirscan_release(&scan);
	}
	unlogged_release(&unlogged, l->volume);
	free(beginnings.numbers);
	return rc;
}

/* The names as they are now.  `names` is held. */
static int begin(struct listing *l)
{
	entries_release(&l->entries);
	int rc = node_is_linked(l->dir) ? read_names(l) : 0;
	if (rc < 0)
		entries_release(&l->entries);
	l->read = !rc;
	return rc;
}

/* --- renaming --- */

void listing_renamed(struct volume *volume, const struct listing_rename *rename)
{
	struct listing *l;

	(void)pthread_mutex_lock(&volume->tree.lock);
	DL_FOREACH(rename->dir->listings, l)
	if (l->read)
		entries_rename(&l->entries, rename->is_dir, rename->from, rename->to,
			       rename->to_component);
	(void)pthread_mutex_unlock(&volume->tree.lock);
}

/* --- the calls --- */

int volume_opendir(struct volume *volume, struct node *dir, struct listing **ret)
{
	struct listing *l = node_is_dir(dir) ? calloc(1, sizeof *l) : NULL;

	if (!l)
		return node_is_dir(dir) ? -ENOMEM : -ENOTDIR;
	int rc = -pthread_mutex_init(&l->lock, NULL);
	if (rc < 0) {
		free(l);
		return rc;
	}
	l->volume = volume;
	l->dir = node_ref(dir);
	(void)pthread_mutex_lock(&volume->tree.lock);
	DL_APPEND(dir->listings, l);
	(void)pthread_mutex_unlock(&volume->tree.lock);
	*ret = l;
	return 0;
}

static void listing_free(struct listing *l)
{
	(void)pthread_mutex_lock(&l->volume->tree.lock);
	DL_DELETE(l->dir->listings, l);
	(void)pthread_mutex_unlock(&l->volume->tree.lock);
	volume_unref(l->volume, l->dir, 1);
	entries_release(&l->entries);
	(void)pthread_mutex_destroy(&l->lock);
	free(l);
}

/* The oldest that is kept, if there are more than `most`; NULL: none. */
static struct listing *take_oldest_kept(struct volume *volume, size_t most)
{
	struct listing *oldest = NULL;

	(void)pthread_mutex_lock(&volume->tree.lock);
	if (volume->kept_count > most) {
		oldest = volume->kept;
		DL_DELETE2(volume->kept, oldest, prev_kept, next_kept);
		volume->kept_count--;
	}
	(void)pthread_mutex_unlock(&volume->tree.lock);
	return oldest;
}

void listing_release_kept(struct volume *volume)
{
	struct listing *l;

	while ((l = take_oldest_kept(volume, 0)))
		listing_free(l);
}

void volume_closedir(struct listing *l)
{
	if (!l)
		return;
	struct volume *volume = l->volume;
	/* where nothing changes, the same entry has the same number each time */
	if (volume->options.read_only || !l->read || l->ended || l->entries.used > KEPT_SIZE_MAX) {
		listing_free(l);
		return;
	}
	(void)pthread_mutex_lock(&volume->tree.lock);
	DL_APPEND2(volume->kept, l, prev_kept, next_kept);
	volume->kept_count++;
	(void)pthread_mutex_unlock(&volume->tree.lock);
	l = take_oldest_kept(volume, KEPT_MAX);
	if (l)
		listing_free(l);
}

/* The names of the last listing of the directory that was closed before its end; `names` is held.
 * False: there is none. */
static bool go_on(struct listing *l)
{
	struct volume *volume = l->volume;
	struct listing *kept = NULL, *found = NULL;

	(void)pthread_mutex_lock(&volume->tree.lock);
	DL_FOREACH2(volume->kept, kept, next_kept)
	if (kept->dir == l->dir)
		found = kept;
	if (found) {
		DL_DELETE2(volume->kept, found, prev_kept, next_kept);
		volume->kept_count--;
		l->entries = found->entries;
		l->read = true;
		found->entries = (struct entries){.bytes = NULL};
		found->read = false;
	}
	(void)pthread_mutex_unlock(&volume->tree.lock);
	if (found)
		listing_free(found);
	return found;
}

static int visit_dots(struct listing *l, uint64_t offset, volume_dirent_fn *visit, void *context)
{
	struct node *parent = l->dir->key->parent ? l->dir->key->parent : l->dir;
	struct stat st;
	int rc = 0;

	if (offset < COOKIE_SELF) {
		volume_stat_node(l->volume, l->dir, &st);
		rc = visit(context, ".", NULL, &st, COOKIE_SELF);
	}
	if (!rc && offset < COOKIE_PARENT) {
		volume_stat_node(l->volume, parent, &st);
		rc = visit(context, "..", NULL, &st, COOKIE_PARENT);
	}
	return rc;
}

/* Tell one entry, if it is still there. */
static int visit_entry(struct listing *l, size_t number, bool counted, volume_dirent_fn *visit,
		       void *context)
{
	struct entry_found found;
	struct node *node = NULL;
	struct stat st;

	if (!entries_get(&l->entries, number, &found))
		return 0;
	const struct lookup lookup = {&found.name, found.component, found.is_dir};
	int rc = volume_find_known(l->volume, l->dir, &lookup, &node);
	if (rc == -ENOENT)
		return 0;
	if (rc < 0)
		return rc;
	volume_stat_node(l->volume, node, &st);
	/* If the kernel does not forget as fast as it is told: an entry without a node costs it a
	 * lookup, but us no memory. */
	bool told = !counted || tree_count(&l->volume->tree) <= 2 * l->volume->options.nodes_max;
	rc = visit(context, found.name.text, told ? node : NULL, &st, number + COOKIE_PARENT + 1);
	if (rc || !counted || !told)
		volume_unref(l->volume, node, 1);
	return rc;
}

static int visit_all(struct listing *l, uint64_t offset, bool counted, volume_dirent_fn *visit,
		     void *context)
{
	int rc = visit_dots(l, offset, visit, context);
	uint64_t first = offset > COOKIE_PARENT ? offset - COOKIE_PARENT : 0;

	for (size_t i = (size_t)first; !rc && i < l->entries.count; i++)
		rc = visit_entry(l, i, counted, visit, context);
	l->ended = !rc;
	return rc < 0 ? rc : 0;
}

int volume_readdir(struct listing *l, uint64_t offset, bool counted, volume_dirent_fn *visit,
		   void *context)
{
	(void)pthread_mutex_lock(&l->lock);
	names_lock_read(l->volume);
	int rc = !offset || !(l->read || go_on(l)) ? begin(l) : 0;
	if (!rc)
		rc = visit_all(l, offset, counted, visit, context);
	names_unlock(l->volume);
	(void)pthread_mutex_unlock(&l->lock);
	return rc;
}
