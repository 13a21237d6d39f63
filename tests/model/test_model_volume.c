/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_model_volume.c - random operations on a volume and on a plain array of paths:
 * each result, what open files read, and regularly the whole tree are the same.
 *
 * CHECK_SEED repeats a run, CHECK_OPS makes it longer.
 */
#include <errno.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include "tests/support/paths.h"
#include "tests/support/volumes.h"

enum { OPS = 40000, HANDLES = 8 };

struct handle {
	struct node *node; /* NULL: none */
	struct path_file *file;
};

struct world {
	struct rng rng;
	const char *dir;
	struct volume *volume;
	struct paths paths;
	struct handle handles[HANDLES];
	uint8_t *noise;
	int64_t date;      /* the next one to set by hand */
	uint64_t done[40]; /* how often an operation succeeded; by its number */
};

static uint64_t below(struct world *w, uint64_t bound)
{
	return rng_below(&w->rng, bound);
}

/* --- choosing --- */

/* A name in a directory that exists; also such as are there. */
static void random_path(struct world *w, char path[PATH_SIZE])
{
	const char *name = paths_alphabet[below(w, PATHS_NAMES)].name, *dir = "";
	size_t i = w->paths.count ? (size_t)below(w, w->paths.count) : 0;

	if (w->paths.count && below(w, 2)) {
		(void)snprintf(path, PATH_SIZE, "%s", w->paths.items[i].path);
		return;
	}
	if (w->paths.count && !w->paths.items[i].file && strlen(w->paths.items[i].path) < 20)
		dir = w->paths.items[i].path;
	(void)snprintf(path, PATH_SIZE, "%s%s%s", dir, *dir ? "/" : "", name);
}

static struct handle *random_handle(struct world *w)
{
	struct handle *handle = &w->handles[below(w, HANDLES)];

	return handle->node ? handle : NULL;
}

static size_t random_size(struct world *w)
{
	return (size_t)below(w, below(w, 30) ? 600 : PATH_FILE_MAX - 1000);
}

/* --- operations on files --- */

static int expect_open(struct world *w, const char *path, int flags)
{
	struct path_item *item = paths_find(&w->paths, path);

	if (item && flags & O_EXCL && flags & O_CREAT)
		return -EEXIST;
	if (item)
		return item->file ? 0 : -EISDIR;
	if (!(flags & O_CREAT))
		return -ENOENT;
	return paths_is_refused(path) ? -EINVAL : 0;
}

static int do_open(struct world *w)
{
	struct handle *handle = &w->handles[below(w, HANDLES)];
	char path[PATH_SIZE];
	int flags = O_RDWR, rc;

	random_path(w, path);
	flags |= below(w, 3) && w->paths.count < PATHS_MAX ? O_CREAT : 0;
	flags |= below(w, 3) ? 0 : O_EXCL;
	flags |= below(w, 4) ? 0 : O_TRUNC;
	const struct path_item *item = paths_find(&w->paths, path);
	if (handle->node || (item && item->file && item->file->is_link))
		return -EAGAIN; /* the kernel follows links before it opens */
	int want = expect_open(w, path, flags);
	struct node *node = volumes_open(w->volume, path, flags, &rc);
	CHECK_EQ(rc, want);
	if (rc < 0)
		return rc;
	if (!item) {
		paths_add(&w->paths, path, path_file_new());
		paths_names_changed(&w->paths, path);
	}
	*handle = (struct handle){node, paths_find(&w->paths, path)->file};
	handle->file->refs++;
	if (flags & O_TRUNC)
		path_file_resize(handle->file, 0);
	return 0;
}

static int do_close(struct world *w)
{
	struct handle *handle = random_handle(w);

	if (!handle)
		return -EAGAIN;
	volumes_done(w->volume, handle->node);
	path_file_unref(handle->file);
	*handle = (struct handle){NULL, NULL};
	return 0;
}

static int do_write(struct world *w)
{
	struct handle *handle = random_handle(w);
	size_t size = random_size(w) % 5000, offset = random_size(w);

	if (!handle || !size || offset + size > PATH_FILE_MAX)
		return -EAGAIN;
	if (below(w, 2))
		offset = offset < handle->file->size ? offset : handle->file->size; /* no hole */
	const uint8_t *data = w->noise + below(w, 10000);
	volumes_write_at(w->volume, handle->node, data, size, offset);
	memcpy(handle->file->data + offset, data, size);
	if (offset + size > handle->file->size)
		handle->file->size = offset + size;
	path_file_changed(handle->file);
	return 0;
}

static int do_read(struct world *w)
{
	static uint8_t got[PATH_FILE_MAX];
	struct handle *handle = random_handle(w);
	size_t size = random_size(w), offset = random_size(w);

	if (!handle)
		return -EAGAIN;
	size_t have = handle->file->size > offset ? handle->file->size - offset : 0;
	size_t want = size < have ? size : have;
	CHECK_EQ(volume_read(w->volume, handle->node, got, size, offset), want);
	CHECK(!memcmp(got, handle->file->data + offset, want));
	return 0;
}

static int do_sync(struct world *w)
{
	struct handle *handle = random_handle(w);

	if (!handle)
		return -EAGAIN;
	int rc = below(w, 2) ? volume_fsync(w->volume, handle->node)
			     : volume_flush(w->volume, handle->node);
	CHECK_EQ(rc, 0);
	return 0;
}

static int do_truncate_open(struct world *w)
{
	struct handle *handle = random_handle(w);
	struct stat st = {.st_size = (off_t)random_size(w)};

	if (!handle)
		return -EAGAIN;
	path_file_resize(handle->file, (size_t)st.st_size);
	CHECK_EQ(volume_setattr(w->volume, handle->node, &st, ATTR_SIZE, true, &st), 0);
	CHECK_EQ(st.st_size, handle->file->size);
	return 0;
}

static int do_truncate(struct world *w)
{
	char path[PATH_SIZE];
	size_t size = random_size(w);

	random_path(w, path);
	struct path_item *item = paths_find(&w->paths, path);
	if (!item || (item->file && item->file->is_link))
		return -EAGAIN;
	CHECK_EQ(volumes_truncate(w->volume, path, size), item->file ? 0 : -EISDIR);
	if (item->file)
		path_file_resize(item->file, size);
	return 0;
}

static int do_unlink(struct world *w)
{
	char path[PATH_SIZE];

	random_path(w, path);
	struct path_item *item = paths_find(&w->paths, path);
	int want = !item ? -ENOENT : item->file ? 0 : -EISDIR;
	CHECK_EQ(volumes_unlink(w->volume, path), want);
	if (!want) {
		paths_remove(&w->paths, item);
		paths_names_changed(&w->paths, path);
	}
	return want;
}

/* --- operations on names --- */

static int do_mkdir(struct world *w)
{
	char path[PATH_SIZE];

	random_path(w, path);
	if (w->paths.count == PATHS_MAX)
		return -EAGAIN;
	int want = paths_find(&w->paths, path) ? -EEXIST : 0;
	CHECK_EQ(volumes_mkdir(w->volume, path), want);
	if (!want) {
		paths_add(&w->paths, path, NULL);
		paths_names_changed(&w->paths, path);
	}
	return want;
}

static int do_rmdir(struct world *w)
{
	char path[PATH_SIZE];

	random_path(w, path);
	struct path_item *item = paths_find(&w->paths, path);
	int want = !item                                       ? -ENOENT
		   : item->file                                ? -ENOTDIR
		   : paths_has_children(&w->paths, item->path) ? -ENOTEMPTY
							       : 0;
	CHECK_EQ(volumes_rmdir(w->volume, path), want);
	if (!want) {
		paths_remove(&w->paths, item);
		paths_names_changed(&w->paths, path);
	}
	return want;
}

static int expect_rename(struct world *w, const char *from, const char *to, unsigned flags)
{
	struct path_item *item = paths_find(&w->paths, from), *target = paths_find(&w->paths, to);

	if (!item)
		return -ENOENT;
	if (flags & RENAME_EXCHANGE && !target)
		return -ENOENT;
	if (target && flags & RENAME_NOREPLACE)
		return -EEXIST;
	if (target == item)
		return 0;
	if (flags & RENAME_EXCHANGE)
		return item->file && target->file ? 0 : -EINVAL;
	if (target && !item->file != !target->file)
		return target->file ? -ENOTDIR : -EISDIR;
	if (item->file)
		return !target && paths_is_refused(to) ? -EINVAL : 0;
	if (paths_is_below(to, from))
		return -EINVAL;
	return target && paths_has_children(&w->paths, to) ? -ENOTEMPTY : 0;
}

static int do_rename(struct world *w)
{
	static const unsigned kinds[] = {0, 0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE};
	unsigned flags = kinds[below(w, 5)];
	char from[PATH_SIZE], to[PATH_SIZE];

	random_path(w, from);
	random_path(w, to);
	if (!paths_fit(&w->paths, from, to))
		return -EAGAIN;
	int want = expect_rename(w, from, to, flags);
	CHECK_EQ(volumes_rename(w->volume, from, to, flags), want);
	if (!want && flags == RENAME_EXCHANGE) {
		struct path_item *item = paths_find(&w->paths, from);
		struct path_item *target = paths_find(&w->paths, to);
		struct path_file *file = item->file;
		item->file = target->file;
		target->file = file;
		paths_names_changed(&w->paths, from);
		paths_names_changed(&w->paths, to);
	} else if (!want && strcmp(from, to)) {
		paths_rename(&w->paths, from, to);
		paths_names_changed(&w->paths, from);
		paths_names_changed(&w->paths, to);
	}
	return want;
}

/* --- attributes --- */

static struct path_item *random_item(struct world *w)
{
	return w->paths.count ? &w->paths.items[below(w, w->paths.count)] : NULL;
}

static bool is_link(const struct path_item *item)
{
	return item->file && item->file->is_link;
}

static void set(struct world *w, struct path_item *item, unsigned which, const struct stat *st)
{
	struct stat after;

	CHECK_EQ(volume_setattr(w->volume, volumes_find(w->volume, item->path), st, which, false,
				&after),
		 0);
}

static int do_chmod(struct world *w)
{
	static const mode_t modes[] = {0600, 0644, 0755, 04755, 0, 0777};
	struct path_item *item = random_item(w);
	const struct stat st = {.st_mode = modes[below(w, 6)]};

	if (!item || is_link(item))
		return -EAGAIN;
	set(w, item, ATTR_MODE, &st);
	path_attrs_of(item)->mode = st.st_mode;
	return 0;
}

static int do_chown(struct world *w)
{
	struct path_item *item = random_item(w);
	const struct stat st = {.st_uid = 1000 + (uid_t)below(w, 3)};

	if (!item)
		return -EAGAIN;
	set(w, item, ATTR_UID, &st);
	path_attrs_of(item)->uid = st.st_uid;
	if (item->file)
		path_attrs_of(item)->mode &= ~04000u;
	return 0;
}

static int do_date(struct world *w)
{
	struct path_item *item = random_item(w);
	const struct stat st = {.st_mtim = {++w->date, 7}, .st_atim = {w->date, 8}};

	if (!item)
		return -EAGAIN;
	set(w, item, below(w, 2) ? ATTR_MTIME : ATTR_MTIME | ATTR_ATIME, &st);
	path_attrs_of(item)->dated = true;
	path_attrs_of(item)->mtime_s = w->date;
	return 0;
}

static int do_label(struct world *w)
{
	struct path_item *item = random_item(w);
	char label = (char)('a' + below(w, 4));

	if (!item)
		return -EAGAIN;
	struct node *node = volumes_find(w->volume, item->path);
	char *now = &path_attrs_of(item)->label;
	if (below(w, 3)) {
		CHECK_EQ(volume_setxattr(w->volume, node, "user.label", &label, 1, 0), 0);
		*now = label;
	} else {
		CHECK_EQ(volume_removexattr(w->volume, node, "user.label"), *now ? 0 : -ENODATA);
		*now = '\0';
	}
	return 0;
}

static int do_symlink(struct world *w)
{
	char path[PATH_SIZE];
	struct volume_entry entry;
	const char *name;

	random_path(w, path);
	if (w->paths.count == PATHS_MAX)
		return -EAGAIN;
	int want = paths_find(&w->paths, path) ? -EEXIST : paths_is_refused(path) ? -EINVAL : 0;
	struct node *parent = volumes_parent(w->volume, path, &name);
	CHECK_EQ(volume_symlink(w->volume, &volumes_cred, parent, name, path, &entry), want);
	if (want < 0)
		return want;
	volume_forget(w->volume, entry.node, 1);
	struct path_file *file = path_file_new();
	file->is_link = true;
	file->size = strlen(path);
	memcpy(file->data, path, file->size);
	paths_add(&w->paths, path, file);
	paths_names_changed(&w->paths, path);
	return 0;
}

static void check_attrs(struct world *w, struct path_item *item)
{
	const struct path_attrs *want = path_attrs_of(item);
	struct node *node = volumes_find(w->volume, item->path);
	struct stat st = volumes_stat(w->volume, item->path);
	char label = '\0';

	CHECK_EQ(st.st_mode & S_IFMT, !item->file ? S_IFDIR : is_link(item) ? S_IFLNK : S_IFREG);
	CHECK_EQ(st.st_mode & 07777, is_link(item) ? 0777 : want->mode);
	CHECK_EQ(st.st_uid, want->uid);
	if (want->dated)
		CHECK_EQ(st.st_mtim.tv_sec, want->mtime_s);
	else if (item->file) /* that of a directory comes from what is in it, after a mount */
		CHECK(st.st_mtim.tv_sec > 1000000000);
	ssize_t n = volume_getxattr(w->volume, node, "user.label", &label, 1);
	CHECK_EQ(n, want->label ? 1 : -ENODATA);
	CHECK_EQ(label, want->label);
}

/* --- looking --- */

struct listing {
	struct world *w;
	const char *dir;
	unsigned left, count;
	uint64_t offset;
};

static int take(void *context, const char *name, struct node *node, const struct stat *st,
		uint64_t next)
{
	struct listing *l = context;
	char path[2 * PATH_SIZE];

	if (!l->left)
		return 1;
	l->left--;
	l->offset = next;
	if (!node)
		return 0;
	(void)snprintf(path, sizeof path, "%s%s%s", l->dir, *l->dir ? "/" : "", name);
	const struct path_item *item = paths_find(&l->w->paths, path);
	CHECK(item != NULL);
	CHECK_EQ(S_ISDIR(st->st_mode), !item->file);
	CHECK_EQ(st->st_size, item->file ? item->file->size : 0);
	l->count++;
	return 0;
}

/* A directory lists its names, some at a time. */
static void check_listing(struct world *w, const char *dir, unsigned step)
{
	struct listing l = {.w = w, .dir = dir};
	unsigned want = 0;

	for (size_t i = 0; i < w->paths.count; i++)
		want += paths_is_child(w->paths.items[i].path, dir);
	while (!l.left) {
		l.left = step;
		CHECK_EQ(volume_readdir(w->volume, volumes_find(w->volume, dir), l.offset, false,
					take, &l),
			 0);
	}
	CHECK_EQ(l.count, want);
}

static int do_list(struct world *w)
{
	char path[PATH_SIZE] = "";

	if (below(w, 3))
		random_path(w, path);
	const struct path_item *item = paths_find(&w->paths, path);
	CHECK_EQ(*path && !volumes_find(w->volume, path), *path && !item);
	if (*path && (!item || item->file))
		return -EAGAIN;
	check_listing(w, path, 1 + (unsigned)below(w, 6));
	return 0;
}

static void check_tree(struct world *w)
{
	check_listing(w, "", 1000);
	for (size_t i = 0; i < w->paths.count; i++) {
		struct path_item *item = &w->paths.items[i];
		check_attrs(w, item);
		if (!item->file) {
			check_listing(w, item->path, 1000);
			continue;
		}
		struct node *node = volumes_open(w->volume, item->path, O_RDONLY, NULL);
		volumes_expect_node(w->volume, node, item->file->data, item->file->size);
		volume_release(w->volume, node);
	}
	for (size_t i = 0; i < HANDLES; i++)
		if (w->handles[i].node)
			volumes_expect_node(w->volume, w->handles[i].node, w->handles[i].file->data,
					    w->handles[i].file->size);
}

static int do_check(struct world *w)
{
	if (below(w, 4))
		return -EAGAIN;
	check_tree(w);
	return 0;
}

/* --- the whole store --- */

static int do_compact(struct world *w)
{
	if (below(w, 4))
		return -EAGAIN;
	CHECK_EQ(dw_compact(volume_store(w->volume), NULL), 0);
	CHECK_EQ(volume_compact_attrs(w->volume), 0);
	return 0;
}

static int do_rotate(struct world *w)
{
	CHECK_EQ(dw_rotate(volume_store(w->volume)), 0);
	return 0;
}

/* Files stay open, as when the mount is taken away; but those without a name, which
 * nothing would give back. */
static void unmount(struct world *w)
{
	for (size_t i = 0; i < HANDLES; i++) {
		struct handle *handle = &w->handles[i];
		if (handle->node && !paths_have(&w->paths, handle->file))
			volume_release(w->volume, handle->node);
		path_file_unref(handle->file);
		*handle = (struct handle){NULL, NULL};
	}
	volumes_unmount(w->volume);
}

static int do_reopen(struct world *w)
{
	if (below(w, 4))
		return -EAGAIN;
	unmount(w);
	w->volume = volumes_mount_with(w->dir, NULL, 50000);
	check_tree(w);
	return 0;
}

/* --- */

typedef int op_fn(struct world *w);

static const struct {
	const char *name;
	unsigned weight;
	op_fn *run;
} ops[] = {
	{"open", 14, do_open},        {"close", 8, do_close},
	{"write", 14, do_write},      {"read", 6, do_read},
	{"sync", 4, do_sync},         {"unlink", 7, do_unlink},
	{"truncate", 3, do_truncate}, {"mkdir", 6, do_mkdir},
	{"rmdir", 5, do_rmdir},       {"truncate_open", 3, do_truncate_open},
	{"rename", 16, do_rename},    {"list", 6, do_list},
	{"check", 2, do_check},       {"compact", 2, do_compact},
	{"rotate", 1, do_rotate},     {"reopen", 2, do_reopen},
	{"chmod", 4, do_chmod},       {"chown", 3, do_chown},
	{"date", 4, do_date},         {"label", 3, do_label},
	{"symlink", 3, do_symlink},
};
enum { OP_KINDS = sizeof ops / sizeof *ops };

static void step(struct world *w)
{
	unsigned total = 0, i = 0;

	for (unsigned k = 0; k < OP_KINDS; k++)
		total += ops[k].weight;
	uint64_t at = below(w, total);
	while (at >= ops[i].weight)
		at -= ops[i++].weight;
	w->done[i] += ops[i].run(w) == 0;
}

/* Directories that no marker keeps, from outside. */
static void put_outside(struct world *w)
{
	struct dw_store *store = stores_open(w->dir, 0);

	stores_put(store, "a/b/c", "");
	stores_put(store, "b/b/b/b", "");
	stores_close(store);
	static const char *const dirs[] = {"a", "a/b", "b", "b/b", "b/b/b"};
	for (size_t i = 0; i < sizeof dirs / sizeof *dirs; i++)
		paths_add(&w->paths, dirs[i], NULL);
	paths_add(&w->paths, "a/b/c", path_file_new());
	paths_add(&w->paths, "b/b/b/b", path_file_new());
}

static void test_random(void)
{
	const char *given = getenv("CHECK_OPS");
	uint64_t count = given ? strtoull(given, NULL, 0) : OPS;
	struct world *w = calloc(1, sizeof *w);

	CHECK(w != NULL);
	w->rng = check_rng();
	w->dir = strdup(stores_dir());
	w->noise = stores_noise(rng_next(&w->rng), 20000);
	put_outside(w);
	w->volume = volumes_mount_with(w->dir, NULL, 50000);
	for (uint64_t i = 0; i < count; i++)
		step(w);
	check_tree(w);
	unmount(w);
	paths_check_store(&w->paths, w->dir);
	for (unsigned i = 0; i < OP_KINDS; i++)
		printf("  %s: %llu\n", ops[i].name, (unsigned long long)w->done[i]);
	for (unsigned i = 0; i < OP_KINDS && count >= OPS; i++)
		CHECK(w->done[i] > 0); /* else this would be no test of it */
	while (w->paths.count)
		paths_remove(&w->paths, w->paths.items);
	free(w->noise);
	free((void *)w->dir);
	free(w);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"model_volume_random", test_random},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
