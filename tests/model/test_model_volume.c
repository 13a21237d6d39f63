/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_model_volume.c - random operations on a volume and on a plain array of paths:
 * each result, the contents of open files, and regularly the whole tree are the same.
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

#include "fs/volume/core.h"
#include "fs/volume/evict.h"
#include "tests/support/world.h"

enum { OPS = 40000 };

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
	struct world_open_file *handle = &w->handles[world_below(w, WORLD_FILES_MAX)];
	char path[PATH_SIZE];
	int flags = O_RDWR, rc;

	world_path(w, path);
	flags |= world_below(w, 3) && w->paths.count < PATHS_MAX ? O_CREAT : 0;
	flags |= world_below(w, 3) ? 0 : O_EXCL;
	flags |= world_below(w, 4) ? 0 : O_TRUNC;
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
	*handle = (struct world_open_file){node, paths_find(&w->paths, path)->file};
	handle->file->refs++;
	if (flags & O_TRUNC)
		path_file_resize(handle->file, 0);
	return 0;
}

static int do_close(struct world *w)
{
	struct world_open_file *handle = world_handle(w);

	if (!handle)
		return -EAGAIN;
	volumes_done(w->volume, handle->node);
	path_file_unref(handle->file);
	*handle = (struct world_open_file){NULL, NULL};
	return 0;
}

static int do_write(struct world *w)
{
	struct world_open_file *handle = world_handle(w);
	size_t size = world_size(w) % 5000, offset = world_size(w);

	if (!handle || !size || offset + size > PATH_FILE_MAX)
		return -EAGAIN;
	if (world_below(w, 2))
		offset = offset < handle->file->size ? offset : handle->file->size; /* no hole */
	const uint8_t *data = w->noise + world_below(w, 10000);
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
	struct world_open_file *handle = world_handle(w);
	size_t size = world_size(w), offset = world_size(w);

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
	struct world_open_file *handle = world_handle(w);

	if (!handle)
		return -EAGAIN;
	int rc = world_below(w, 2) ? volume_fsync(w->volume, handle->node)
				   : volume_flush(w->volume, handle->node);
	CHECK_EQ(rc, 0);
	return 0;
}

static int do_truncate_open(struct world *w)
{
	struct world_open_file *handle = world_handle(w);
	struct stat st = {.st_size = (off_t)world_size(w)};

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
	size_t size = world_size(w);

	world_path(w, path);
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

	world_path(w, path);
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

	world_path(w, path);
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

	world_path(w, path);
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
	unsigned flags = kinds[world_below(w, 5)];
	char from[PATH_SIZE], to[PATH_SIZE];

	world_path(w, from);
	world_path(w, to);
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
	struct path_item *item = world_item(w);
	const struct stat st = {.st_mode = modes[world_below(w, 6)]};

	if (!item || world_is_link(item))
		return -EAGAIN;
	set(w, item, ATTR_MODE, &st);
	path_attrs_of(item)->mode = st.st_mode;
	return 0;
}

static int do_chown(struct world *w)
{
	struct path_item *item = world_item(w);
	const struct stat st = {.st_uid = 1000 + (uid_t)world_below(w, 3)};

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
	struct path_item *item = world_item(w);
	const struct stat st = {.st_mtim = {++w->date, 7}, .st_atim = {w->date, 8}};

	if (!item)
		return -EAGAIN;
	set(w, item, world_below(w, 2) ? ATTR_MTIME : ATTR_MTIME | ATTR_ATIME, &st);
	path_attrs_of(item)->dated = true;
	path_attrs_of(item)->mtime_s = w->date;
	return 0;
}

static int do_label(struct world *w)
{
	struct path_item *item = world_item(w);
	char label = (char)('a' + world_below(w, 4));

	if (!item)
		return -EAGAIN;
	struct node *node = volumes_find(w->volume, item->path);
	char *now = &path_attrs_of(item)->label;
	if (world_below(w, 3)) {
		char text[WORLD_LABEL_MAX];
		memset(text, label, sizeof text);
		CHECK_EQ(volume_setxattr(w->volume, node, "user.label", text,
					 world_label_size(label), 0),
			 0);
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

	world_path(w, path);
	if (w->paths.count == PATHS_MAX)
		return -EAGAIN;
	int want = paths_find(&w->paths, path) ? -EEXIST : paths_is_refused(path) ? -EINVAL : 0;
	struct node *parent = volumes_parent(w->volume, path, &name);
	CHECK_EQ(volume_symlink(w->volume, &volumes_cred, parent, name, path, &entry), want);
	if (want < 0)
		return want;
	(void)volumes_borrow(w->volume, entry.node);
	struct path_file *file = path_file_new();
	file->is_link = true;
	file->size = strlen(path);
	memcpy(file->data, path, file->size);
	paths_add(&w->paths, path, file);
	paths_names_changed(&w->paths, path);
	return 0;
}

/* --- looking --- */

static int do_list(struct world *w)
{
	char path[PATH_SIZE] = "";

	if (world_below(w, 3))
		world_path(w, path);
	const struct path_item *item = paths_find(&w->paths, path);
	CHECK_EQ(*path && !volumes_find(w->volume, path), *path && !item);
	if (*path && (!item || item->file))
		return -EAGAIN;
	world_check_listing(w, path, 1 + (unsigned)world_below(w, 6));
	return 0;
}

static int do_check(struct world *w)
{
	if (world_below(w, 4))
		return -EAGAIN;
	world_check(w);
	return 0;
}

/* --- the whole store --- */

static int do_compact(struct world *w)
{
	if (world_below(w, 4))
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

/* The kernel forgets all that is not open. */
static int do_forget(struct world *w)
{
	volumes_forget(w->volume);
	return 0;
}

/* All values leave memory, but those of files without a name. */
static int do_leave(struct world *w)
{
	size_t all = w->volume->room.max;
	int rc = volume_take_room(w->volume, all);

	if (!rc)
		room_give(&w->volume->room, all);
	CHECK(!rc || rc == -ENOSPC);
	CHECK(!w->volume->idle);
	return rc;
}

/* Files stay open, as when the mount is taken away; but those without a name, which
 * nothing would give back. */
static void unmount(struct world *w)
{
	for (size_t i = 0; i < WORLD_FILES_MAX; i++) {
		struct world_open_file *handle = &w->handles[i];
		if (handle->node && !paths_have(&w->paths, handle->file))
			volume_release(w->volume, handle->node);
		path_file_unref(handle->file);
		*handle = (struct world_open_file){NULL, NULL};
	}
	volumes_unmount(w->volume);
}

static int do_reopen(struct world *w)
{
	if (world_below(w, 4))
		return -EAGAIN;
	unmount(w);
	w->volume = volumes_mount_with(w->dir, NULL, 50000);
	world_check(w);
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
	{"symlink", 3, do_symlink},   {"leave", 3, do_leave},
	{"forget", 5, do_forget},
};
enum { OP_KINDS = sizeof ops / sizeof *ops };

/* How often each succeeded. */
static uint64_t done[OP_KINDS];

static void step(struct world *w)
{
	unsigned total = 0, i = 0;

	for (unsigned k = 0; k < OP_KINDS; k++)
		total += ops[k].weight;
	uint64_t at = world_below(w, total);
	while (at >= ops[i].weight)
		at -= ops[i++].weight;
	done[i] += ops[i].run(w) == 0;
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
	world_check(w);
	unmount(w);
	paths_check_store(&w->paths, w->dir);
	for (unsigned i = 0; i < OP_KINDS; i++)
		printf("  %s: %llu\n", ops[i].name, (unsigned long long)done[i]);
	for (unsigned i = 0; i < OP_KINDS && count >= OPS; i++)
		CHECK(done[i] > 0); /* else this would be no test of it */
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
