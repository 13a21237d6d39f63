/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * volumes.c - see volumes.h.
 */
#include "tests/support/volumes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct volume_options volumes_defaults = {
	.uid = 1000, .gid = 100, .umask = 022, .reserved = ".datawal"};
const struct volume_cred volumes_cred = {1000, 100};

/* --- nodes --- */

struct borrowed {
	struct volume *volume;
	struct node *node;
};
static struct borrowed *borrowed; /* owned */
static size_t borrowed_count;

struct node *volumes_borrow(struct volume *volume, struct node *node)
{
	borrowed = realloc(borrowed, (borrowed_count + 1) * sizeof *borrowed);
	CHECK(borrowed != NULL);
	borrowed[borrowed_count++] = (struct borrowed){volume, node};
	return node;
}

static void give_back(struct volume *volume, bool forget)
{
	size_t kept = 0;

	for (size_t i = 0; i < borrowed_count; i++)
		if (borrowed[i].volume != volume)
			borrowed[kept++] = borrowed[i];
		else if (forget)
			volume_forget(volume, borrowed[i].node, 1);
	borrowed_count = kept;
}

void volumes_forget(struct volume *volume)
{
	give_back(volume, true);
}

/* --- life --- */

struct volume *volumes_mount_with(const char *dir, const struct volume_options *options,
				  uint64_t segment_size)
{
	struct volume *volume = NULL;
	struct dw_store *store;

	options = options ? options : &volumes_defaults;
	store = options->read_only ? stores_open_reader(dir) : stores_open(dir, segment_size);
	CHECK_EQ(volume_open(store, options, &volume), 0);
	give_back(volume, false); /* of one that was closed and had the same address */
	return volume;
}

struct volume *volumes_mount(const char *dir)
{
	return volumes_mount_with(dir, NULL, 0);
}

struct volume *volumes_open_snapshot(int dirfd, const char *name)
{
	const struct dw_options options = {.read_only = true};
	struct volume_options volume_options = volumes_defaults;
	struct dw_store *store = NULL;
	struct volume *volume = NULL;

	volume_options.read_only = true;
	volume_options.snapshot = name;
	CHECK_EQ(dw_snapshot_open(dirfd, name, &options, NULL, &store), 0);
	CHECK_EQ(volume_open(store, &volume_options, &volume), 0);
	return volume;
}

struct volume *volumes_snapshot(struct volume *volume, const char *name)
{
	CHECK_EQ(volume_snapshot(volume, name, false), 0);
	return volumes_open_snapshot(dw_directory_fd(volume_store(volume)), name);
}

int volumes_close(struct volume *volume)
{
	volumes_forget(volume);
	return volume_close(volume);
}

void volumes_unmount(struct volume *volume)
{
	CHECK_EQ(volumes_close(volume), 0);
}

/* --- paths --- */

static struct node *child(struct volume *volume, struct node *dir, const char *name)
{
	struct volume_entry entry;

	if (volume_lookup(volume, dir, name, &entry))
		return NULL;
	return volumes_borrow(volume, entry.node);
}

/* `*path` becomes the last name. */
static struct node *walk(struct volume *volume, const char **path)
{
	struct node *node = volume_root(volume);
	char name[300];

	for (const char *slash; node && (slash = strchr(*path, '/')); *path = slash + 1) {
		(void)snprintf(name, sizeof name, "%.*s", (int)(slash - *path), *path);
		node = child(volume, node, name);
	}
	return node;
}

struct node *volumes_find(struct volume *volume, const char *path)
{
	if (!*path)
		return volume_root(volume);
	struct node *dir = walk(volume, &path);
	return dir ? child(volume, dir, path) : NULL;
}

struct node *volumes_parent(struct volume *volume, const char *path, const char **name_ret)
{
	struct node *dir = walk(volume, &path);

	CHECK(dir != NULL);
	*name_ret = path;
	return dir;
}

/* --- files --- */

static int open_by_path(struct volume *volume, const char *path, int flags, struct node **ret)
{
	const char *name;
	struct node *parent = volumes_parent(volume, path, &name);
	struct volume_entry entry;
	int rc;

	if (!(flags & O_CREAT)) {
		struct node *node = volumes_find(volume, path);
		*ret = node;
		return node ? volume_open_file(volume, node, flags) : -ENOENT;
	}
	rc = volume_create(volume, &volumes_cred, parent, name, 0644, flags, &entry);
	if (rc < 0)
		return rc;
	*ret = volumes_borrow(volume, entry.node);
	return 0;
}

struct node *volumes_open(struct volume *volume, const char *path, int flags, int *rc_ret)
{
	struct node *node = NULL;
	int rc = open_by_path(volume, path, flags, &node);

	if (rc_ret)
		*rc_ret = rc;
	else
		CHECK_EQ(rc, 0);
	return rc < 0 ? NULL : node;
}

void volumes_done(struct volume *volume, struct node *node)
{
	CHECK_EQ(volume_flush(volume, node), 0);
	volume_release(volume, node);
}

void volumes_write_at(struct volume *volume, struct node *node, const void *data, size_t size,
		      uint64_t offset)
{
	CHECK_EQ(volume_write(volume, node, data, size, offset), size);
}

void volumes_write(struct volume *volume, const char *path, const char *text)
{
	struct node *node = volumes_open(volume, path, O_CREAT | O_TRUNC | O_WRONLY, NULL);

	volumes_write_at(volume, node, text, strlen(text), 0);
	volumes_done(volume, node);
}

void volumes_expect_node(struct volume *volume, struct node *node, const void *data, size_t size)
{
	struct stat st;
	char *got = malloc(size + 2);

	CHECK(got != NULL);
	ssize_t n = volume_read(volume, node, got, size + 2, 0);
	if (n != (ssize_t)size || memcmp(got, data, size))
		printf("  read %zd bytes \"%.*s\"\n", n, n > 0 && n < 80 ? (int)n : 0, got);
	CHECK_EQ(n, size);
	CHECK(!memcmp(got, data, size));
	free(got);
	CHECK_EQ(volume_getattr(volume, node, &st), 0);
	CHECK_EQ(st.st_size, size);
}

void volumes_expect(struct volume *volume, const char *path, const char *text)
{
	struct node *node = volumes_find(volume, path);

	CHECK_EQ(node != NULL, text != NULL);
	if (!text)
		return;
	node = volumes_open(volume, path, O_RDONLY, NULL);
	volumes_expect_node(volume, node, text, strlen(text));
	volumes_done(volume, node);
}

struct stat volumes_stat(struct volume *volume, const char *path)
{
	struct node *node = volumes_find(volume, path);
	struct stat st;

	CHECK(node != NULL);
	CHECK_EQ(volume_getattr(volume, node, &st), 0);
	return st;
}

/* --- names --- */

int volumes_create(struct volume *volume, const char *path)
{
	int rc;
	struct node *node = volumes_open(volume, path, O_CREAT | O_EXCL | O_WRONLY, &rc);

	if (node)
		volumes_done(volume, node);
	return rc;
}

int volumes_mkdir(struct volume *volume, const char *path)
{
	const char *name;
	struct node *parent = volumes_parent(volume, path, &name);
	struct volume_entry entry;
	int rc = volume_mkdir(volume, &volumes_cred, parent, name, 0755, &entry);

	if (!rc)
		(void)volumes_borrow(volume, entry.node);
	return rc;
}

int volumes_unlink(struct volume *volume, const char *path)
{
	const char *name;
	struct node *parent = volumes_parent(volume, path, &name);

	return volume_unlink(volume, parent, name);
}

int volumes_rmdir(struct volume *volume, const char *path)
{
	const char *name;
	struct node *parent = volumes_parent(volume, path, &name);

	return volume_rmdir(volume, parent, name);
}

int volumes_rename(struct volume *volume, const char *from, const char *to, unsigned flags)
{
	const char *name, *new_name;
	struct node *parent = volumes_parent(volume, from, &name);
	struct node *new_parent = volumes_parent(volume, to, &new_name);

	return volume_rename(volume, parent, name, new_parent, new_name, flags);
}

int volumes_truncate(struct volume *volume, const char *path, uint64_t size)
{
	struct stat st = {.st_size = (off_t)size}, after;
	struct node *node = volumes_find(volume, path);

	CHECK(node != NULL);
	int rc = volume_setattr(volume, node, &st, ATTR_SIZE, false, &after);
	if (!rc)
		CHECK_EQ(after.st_size, size);
	return rc;
}

/* --- listings --- */

int volumes_readdir(struct volume *volume, struct node *dir, volume_dirent_fn *visit, void *context)
{
	struct listing *listing = NULL;
	int rc = volume_opendir(volume, dir, &listing);

	if (!rc)
		rc = volume_readdir(listing, 0, false, visit, context);
	volume_closedir(listing);
	return rc;
}

struct names {
	char **names; /* owned */
	size_t count, size;
};

static int add_name(void *context, const char *name, struct node *node, const struct stat *st,
		    uint64_t next)
{
	struct names *l = context;

	(void)next;
	if (!node) {
		CHECK(!strcmp(name, ".") || !strcmp(name, ".."));
		CHECK(S_ISDIR(st->st_mode));
		return 0;
	}
	l->names = realloc(l->names, (l->count + 1) * sizeof *l->names);
	CHECK(l->names != NULL);
	l->names[l->count] = strdup(name);
	CHECK(l->names[l->count++] != NULL);
	l->size += strlen(name) + 1;
	return 0;
}

static int by_bytes(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

char *volumes_list(struct volume *volume, const char *path)
{
	struct names l = {0};
	struct node *dir = volumes_find(volume, path);

	CHECK(dir != NULL);
	CHECK_EQ(volumes_readdir(volume, dir, add_name, &l), 0);
	if (l.count)
		qsort(l.names, l.count, sizeof *l.names, by_bytes);
	char *text = malloc(l.size + 1), *at = text;
	CHECK(text != NULL);
	*text = '\0';
	for (size_t i = 0; i < l.count; i++) {
		at += sprintf(at, "%s|", l.names[i]);
		CHECK(!i || strcmp(l.names[i - 1], l.names[i])); /* no name twice */
	}
	for (size_t i = 0; i < l.count; i++)
		free(l.names[i]);
	free(l.names);
	return text;
}

void volumes_expect_list(struct volume *volume, const char *path, const char *names)
{
	char *got = volumes_list(volume, path);

	if (strcmp(got, names))
		printf("  \"%s\" lists %s\n", path, got);
	CHECK(!strcmp(got, names));
	free(got);
}

uint64_t volumes_puts(struct volume *volume)
{
	struct dw_stats stats;

	dw_get_stats(volume_store(volume), &stats);
	return stats.puts;
}
