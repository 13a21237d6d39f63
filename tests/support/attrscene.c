/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * attrscene.c - see attrscene.h.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "store/store.h"
#include "tests/support/attrscene.h"
#include "tests/support/volumes.h"

/* --- what a volume shows --- */

struct listing {
	struct volume *volume;
	struct attrscene_lines *lines;
	char path[64];
	char dirs[ATTRSCENE_LINES_MAX][64];
	int dir_count;
};

static void value_of(struct volume *v, struct node *node, const struct stat *st, char ret[64])
{
	char *target = NULL;

	*ret = '\0';
	if (S_ISLNK(st->st_mode)) {
		CHECK_EQ(volume_readlink(v, node, &target), 0);
		(void)snprintf(ret, 64, "%.60s", target);
		free(target);
	} else if (S_ISREG(st->st_mode)) {
		ssize_t n = volume_read(v, node, ret, 63, 0);
		CHECK(n >= 0);
		ret[n] = '\0';
	}
}

static int note(void *context, const char *name, struct node *node, const struct stat *st,
		uint64_t next)
{
	struct listing *l = context;

	(void)st;
	(void)next;
	if (node)
		(void)snprintf(l->dirs[l->dir_count++], 64, "%.40s%s%.20s", l->path,
			       *l->path ? "/" : "", name);
	return 0;
}

static void describe_one(struct listing *l, const char *path)
{
	struct node *node = volumes_find(l->volume, path);
	struct stat st = volumes_stat(l->volume, path);
	char value[64], xattr[64] = "";

	value_of(l->volume, node, &st, value);
	ssize_t n = volume_getxattr(l->volume, node, "user.x", xattr, sizeof xattr - 1);
	CHECK(n >= 0 || n == -ENODATA);
	CHECK(l->lines->count < ATTRSCENE_LINES_MAX);
	(void)snprintf(l->lines->text[l->lines->count++], ATTRSCENE_LINE_SIZE,
		       "%.60s %o %u %u [%s] %s", path, st.st_mode, st.st_uid, st.st_gid,
		       n > 0 ? xattr : "", value);
	if (!S_ISDIR(st.st_mode))
		return;
	(void)snprintf(l->path, sizeof l->path, "%s", path);
	CHECK_EQ(volumes_readdir(l->volume, node, note, l), 0);
}

struct attrscene_lines attrscene_describe(struct volume *v)
{
	static struct listing l;
	static struct attrscene_lines lines;

	lines.count = 0;
	l = (struct listing){.volume = v, .lines = &lines, .dir_count = 1};
	for (int i = 0; i < l.dir_count; i++) {
		char path[64];
		memcpy(path, l.dirs[i], sizeof path);
		describe_one(&l, path);
	}
	return lines;
}

bool attrscene_has(const struct attrscene_lines *lines, const char *text)
{
	for (int i = 0; i < lines->count; i++)
		if (!strcmp(lines->text[i], text))
			return true;
	return false;
}

/* --- the scenario --- */

static const struct volume_cred other = {7, 8};

static int put(struct volume *v, const char *path, mode_t mode, const char *text)
{
	struct volume_entry entry;
	const char *name;
	struct node *parent = volumes_parent(v, path, &name);
	int rc = volume_create(v, mode & 01 ? &other : &volumes_cred, parent, name, mode,
			       O_CREAT | O_TRUNC, &entry);

	if (rc < 0)
		return rc;
	ssize_t n = volume_write(v, entry.node, text, strlen(text), 0);
	rc = volume_flush(v, entry.node);
	volume_release(v, entry.node);
	(void)volumes_borrow(v, entry.node);
	return n < 0 ? (int)n : rc;
}

static int change(struct volume *v, const char *path, unsigned which, mode_t mode, uid_t uid)
{
	const struct stat st = {
		.st_mode = mode, .st_uid = uid, .st_mtim = {1000, 1}, .st_atim = {2000, 2}};
	struct node *node = volumes_find(v, path);
	struct stat after;

	return node ? volume_setattr(v, node, &st, which, false, &after) : -ENOENT;
}

static int chmod_to(struct volume *v, const char *path, mode_t mode)
{
	return change(v, path, ATTR_MODE, mode, 0);
}

static int date(struct volume *v, const char *path)
{
	return change(v, path, ATTR_MTIME | ATTR_ATIME, 0, 0);
}

static int label(struct volume *v, const char *path, const char *value)
{
	struct node *node = volumes_find(v, path);

	return node ? volume_setxattr(v, node, "user.x", value, strlen(value), 0) : -ENOENT;
}

static int link_to(struct volume *v, const char *path, const char *target)
{
	struct volume_entry entry;
	const char *name;
	struct node *parent = volumes_parent(v, path, &name);
	int rc = volume_symlink(v, &volumes_cred, parent, name, target, &entry);

	if (!rc)
		(void)volumes_borrow(v, entry.node);
	return rc;
}

static int move(struct volume *v, const char *from, const char *to)
{
	return volumes_rename(v, from, to, 0);
}

static int make_dir(struct volume *v, const char *path, mode_t mode)
{
	struct volume_entry entry;
	const char *name;
	struct node *parent = volumes_parent(v, path, &name);
	int rc = volume_mkdir(v, &volumes_cred, parent, name, mode, &entry);

	if (!rc)
		(void)volumes_borrow(v, entry.node);
	return rc;
}

static int fill_dir(struct volume *v)
{
	int rc = volumes_find(v, "d") ? make_dir(v, "d/sub", 0711) : -ENOENT;

	if (!rc)
		rc = put(v, "d/x", 0600, "x");
	return rc ? rc : put(v, "d/sub/y", 0644, "y");
}

static int remove_dir(struct volume *v)
{
	int rc = volumes_find(v, "e/sub") ? volumes_unlink(v, "e/sub/y") : -ENOENT;

	return rc ? rc : volumes_rmdir(v, "e/sub");
}

bool attrscene_operate(struct volume *v, int i, int *rc_ret)
{
	int rc = 0;

	switch (i) {
	case 0: rc = put(v, "a", 0600, "secret"); break;
	case 1: rc = put(v, "b", 0644, "public"); break;
	case 2: rc = move(v, "a", "b"); break;
	case 3: rc = put(v, "c", 0644, "for all"); break;
	case 4: rc = move(v, "c", "b"); break;
	case 5: rc = put(v, "s1", 0641, "of another"); break;
	case 6: rc = move(v, "s1", "b"); break;
	case 7: rc = date(v, "b"); break;
	case 8: rc = put(v, "s2", 0641, "alike"); break;
	case 9: rc = move(v, "s2", "b"); break;
	case 10: rc = put(v, "s3", 0640, "group"); break;
	case 11: rc = label(v, "s3", "three"); break;
	case 12: rc = move(v, "s3", "b"); break;
	case 13: rc = label(v, "b", "four"); break;
	case 14: rc = volumes_unlink(v, "b"); break;
	case 15: rc = put(v, "b", 0644, "anew"); break;
	case 16: rc = link_to(v, "l", "b"); break;
	case 17: rc = move(v, "l", "b"); break;
	case 18: rc = put(v, "p", 0600, "file again"); break;
	case 19: rc = move(v, "p", "b"); break;
	case 20: rc = make_dir(v, "d", 0700); break;
	case 21: rc = fill_dir(v); break;
	case 22: rc = date(v, "d/x"); break;
	case 23: rc = make_dir(v, "e", 0755); break;
	case 24: rc = move(v, "d", "e"); break;
	case 25: rc = volumes_find(v, "e") ? put(v, "e/x", 0600, "other x") : -ENOENT; break;
	case 26: rc = remove_dir(v); break;
	case 27: rc = put(v, "f", 0755, "program"); break;
	case 28: rc = chmod_to(v, "f", 04755); break;
	case 29: rc = change(v, "f", ATTR_UID, 0, 99); break;
	case 30: rc = volumes_find(v, "f") ? volumes_truncate(v, "f", 3) : -ENOENT; break;
	case 31: rc = volumes_unlink(v, "f"); break;
	default: return false;
	}
	*rc_ret = rc;
	return true;
}

/* --- mounting --- */

void attrscene_attr_dir(const char *dir, char ret[256])
{
	(void)snprintf(ret, 256, "%s/.attr", dir);
}

bool attrscene_left_over;

static void on_log(void *context, int priority, const char *text)
{
	(void)context;
	(void)priority;
	attrscene_left_over = attrscene_left_over || strstr(text, "will show again");
}

struct volume *attrscene_mount_io(struct io *io, const char *dir, uint64_t segment_size)
{
	const struct dw_options options = {.segment_size = segment_size};
	struct dw_store *store = NULL;
	struct volume_options with_log = volumes_defaults;
	struct volume *volume = NULL;

	with_log.log = on_log;
	CHECK_EQ(store_open(io, dir, &options, NULL, &store), 0);
	CHECK_EQ(volume_open(store, &with_log, &volume), 0);
	return volume;
}

struct volume *attrscene_mount(const struct attrscene_moment *s)
{
	const char *dir = stores_dir();
	char path[256];

	files_restore(&s->files, dir);
	if (s->attrs.count) {
		attrscene_attr_dir(dir, path);
		CHECK_EQ(mkdir(path, 0755), 0);
		files_restore(&s->attrs, path);
	}
	return volumes_mount(dir);
}

bool attrscene_may_show(const char *line, int op)
{
	/* privileges go before the value does, and a change of owner takes them */
	if (op == 30)
		return !strcmp(line, "f 100755 99 100 [] program");
	/* a directory that is being replaced shows what replaces it */
	return op == 24 && !strcmp(line, "e 40700 1000 100 [] ");
}
