/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * world.c - see world.h.
 */
#include "tests/support/world.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

uint64_t world_below(struct world *w, uint64_t bound)
{
	return rng_below(&w->rng, bound);
}

void world_path(struct world *w, char path[PATH_SIZE])
{
	const char *name = paths_alphabet[world_below(w, PATHS_NAMES)].name, *dir = "";
	size_t i = w->paths.count ? (size_t)world_below(w, w->paths.count) : 0;

	if (w->paths.count && world_below(w, 2)) {
		(void)snprintf(path, PATH_SIZE, "%s", w->paths.items[i].path);
		return;
	}
	if (w->paths.count && !w->paths.items[i].file && strlen(w->paths.items[i].path) < 20)
		dir = w->paths.items[i].path;
	(void)snprintf(path, PATH_SIZE, "%s%s%s", dir, *dir ? "/" : "", name);
}

struct world_open_file *world_handle(struct world *w)
{
	struct world_open_file *handle = &w->handles[world_below(w, WORLD_FILES_MAX)];

	return handle->node ? handle : NULL;
}

size_t world_size(struct world *w)
{
	return (size_t)world_below(w, world_below(w, 30) ? 600 : PATH_FILE_MAX - 1000);
}

struct path_item *world_item(struct world *w)
{
	return w->paths.count ? &w->paths.items[world_below(w, w->paths.count)] : NULL;
}

bool world_is_link(const struct path_item *item)
{
	return item->file && item->file->is_link;
}

static void check_attrs(struct world *w, struct path_item *item)
{
	const struct path_attrs *want = path_attrs_of(item);
	struct node *node = volumes_find(w->volume, item->path);
	struct stat st = volumes_stat(w->volume, item->path);
	char label[WORLD_LABEL_MAX];

	CHECK_EQ(st.st_mode & S_IFMT, !item->file           ? S_IFDIR
				      : world_is_link(item) ? S_IFLNK
							    : S_IFREG);
	CHECK_EQ(st.st_mode & 07777, world_is_link(item) ? 0777 : want->mode);
	CHECK_EQ(st.st_uid, want->uid);
	if (want->dated)
		CHECK_EQ(st.st_mtim.tv_sec, want->mtime_s);
	else if (item->file) /* that of a directory comes from what is in it, after a mount */
		CHECK(st.st_mtim.tv_sec > 1000000000);
	ssize_t n = volume_getxattr(w->volume, node, "user.label", label, sizeof label);
	CHECK_EQ(n, want->label ? (ssize_t)world_label_size(want->label) : -ENODATA);
	CHECK(n < 0 || (label[0] == want->label && label[n - 1] == want->label));
}

struct looking {
	struct world *w;
	const char *dir;
	unsigned left, count;
	uint64_t offset;
};

static int take(void *context, const char *name, struct node *node, const struct stat *st,
		uint64_t next)
{
	struct looking *l = context;
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

void world_check_listing(struct world *w, const char *dir, unsigned step)
{
	struct looking l = {.w = w, .dir = dir};
	unsigned want = 0;

	for (size_t i = 0; i < w->paths.count; i++)
		want += paths_is_child(w->paths.items[i].path, dir);
	struct listing *open_dir = NULL;
	CHECK_EQ(volume_opendir(w->volume, volumes_find(w->volume, dir), &open_dir), 0);
	while (!l.left) {
		l.left = step;
		CHECK_EQ(volume_readdir(open_dir, l.offset, false, take, &l), 0);
	}
	volume_closedir(open_dir);
	CHECK_EQ(l.count, want);
}

void world_check(struct world *w)
{
	world_check_listing(w, "", 1000);
	for (size_t i = 0; i < w->paths.count; i++) {
		struct path_item *item = &w->paths.items[i];
		check_attrs(w, item);
		if (!item->file) {
			world_check_listing(w, item->path, 1000);
			continue;
		}
		struct node *node = volumes_open(w->volume, item->path, O_RDONLY, NULL);
		volumes_expect_node(w->volume, node, item->file->data, item->file->size);
		volume_release(w->volume, node);
	}
	for (size_t i = 0; i < WORLD_FILES_MAX; i++)
		if (w->handles[i].node)
			volumes_expect_node(w->volume, w->handles[i].node, w->handles[i].file->data,
					    w->handles[i].file->size);
}
