/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_crash_attr.c - values and their attributes, which stand in two logs, after the
 * daemon was killed before any system call, after a power cut that took back values but
 * not attributes, after one that left of both logs what was synced at any instant, and after
 * any of the calls failed.
 *
 * Each file is described by one line: name, type, mode, owner, group, xattr and value.
 * Whatever moment is chosen, each line that shows is one of before or of after the
 * operation at hand: no value has the attributes of another; and each that is in both
 * shows.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "store/store.h"
#include "tests/support/faultio.h"
#include "tests/support/files.h"
#include "tests/support/volumes.h"

enum { LINES_MAX = 64, LINE_SIZE = 200, SNAPSHOTS_MAX = 600 };

/* --- what a volume shows --- */

struct lines {
	char text[LINES_MAX][LINE_SIZE];
	int count;
};

struct listing {
	struct volume *volume;
	struct lines *lines;
	char path[64];
	char dirs[LINES_MAX][64];
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
	CHECK(l->lines->count < LINES_MAX);
	(void)snprintf(l->lines->text[l->lines->count++], LINE_SIZE, "%.60s %o %u %u [%s] %s", path,
		       st.st_mode, st.st_uid, st.st_gid, n > 0 ? xattr : "", value);
	if (!S_ISDIR(st.st_mode))
		return;
	(void)snprintf(l->path, sizeof l->path, "%s", path);
	CHECK_EQ(volumes_readdir(l->volume, node, note, l), 0);
}

static struct lines describe(struct volume *v)
{
	static struct listing l;
	static struct lines lines;

	lines.count = 0;
	l = (struct listing){.volume = v, .lines = &lines, .dir_count = 1};
	for (int i = 0; i < l.dir_count; i++) {
		char path[64];
		memcpy(path, l.dirs[i], sizeof path);
		describe_one(&l, path);
	}
	return lines;
}

static bool has(const struct lines *lines, const char *text)
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

/* Operation `i`; false: there are no more. */
static bool operate(struct volume *v, int i, int *rc_ret)
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

/* --- killed before any system call --- */

struct attr_moment {
	struct files files, attrs;
	int op; /* during which it was taken */
};

struct killio {
	struct io io; /* first: the engine hands it back to us */
	const char *dir;
	struct attr_moment snapshots[SNAPSHOTS_MAX];
	int count, op;
};

static void attr_dir(const char *dir, char ret[256])
{
	(void)snprintf(ret, 256, "%s/.attr", dir);
}

static void take_snapshot(struct io *io)
{
	struct killio *kill = (struct killio *)io;
	char path[256];
	struct stat st;

	CHECK(kill->count < SNAPSHOTS_MAX);
	struct attr_moment *s = &kill->snapshots[kill->count++];
	*s = (struct attr_moment){.files = files_snapshot(kill->dir), .op = kill->op};
	attr_dir(kill->dir, path);
	if (!stat(path, &st))
		s->attrs = files_snapshot(path);
}

static ssize_t kill_pwritev(struct io *io, int fd, const struct iovec *iov, int count, off_t offset)
{
	take_snapshot(io);
	return io_posix.pwritev(&io_posix, fd, iov, count, offset);
}

static int kill_open(struct io *io, int dirfd, const char *name, int flags, mode_t mode)
{
	if (flags & O_CREAT)
		take_snapshot(io);
	return io_posix.open(&io_posix, dirfd, name, flags, mode);
}

static int no_sync(struct io *io, int fd)
{
	(void)io;
	(void)fd;
	return 0;
}

/* Old names of a renamed directory that could not be removed: that is said. */
static bool left_over;

static void on_log(void *context, int priority, const char *text)
{
	(void)context;
	(void)priority;
	left_over = left_over || strstr(text, "will show again");
}

static struct volume *mount_io(struct io *io, const char *dir, uint64_t segment_size)
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

static struct volume *mount_snapshot(const struct attr_moment *s)
{
	const char *dir = stores_dir();
	char path[256];

	files_restore(&s->files, dir);
	if (s->attrs.count) {
		attr_dir(dir, path);
		CHECK_EQ(mkdir(path, 0755), 0);
		files_restore(&s->attrs, path);
	}
	return volumes_mount(dir);
}

/* What may show between two states though it is in neither. */
static bool may_show(const char *line, int op)
{
	/* privileges go before the value does, and a change of owner takes them */
	if (op == 30)
		return !strcmp(line, "f 100755 99 100 [] program");
	/* a directory that is being replaced shows what replaces it */
	return op == 24 && !strcmp(line, "e 40700 1000 100 [] ");
}

static void check_between(const struct lines *got, const struct lines *before,
			  const struct lines *after, int op)
{
	for (int i = 0; i < got->count; i++) {
		const char *line = got->text[i];
		bool fine = has(before, line) || has(after, line) || may_show(line, op);
		/* within an operation of several steps a file is empty first */
		if (!fine)
			printf("  op %d shows \"%s\"\n", op, line);
		CHECK(fine);
	}
	for (int i = 0; i < before->count; i++) {
		bool lost = has(after, before->text[i]) && !has(got, before->text[i]);
		if (lost)
			printf("  op %d loses \"%s\"\n", op, before->text[i]);
		CHECK(!lost);
	}
}

static void test_killed(void)
{
	static struct killio kill;
	static struct lines states[LINES_MAX];
	int rc, ops = 0;

	kill = (struct killio){.io = io_posix, .dir = stores_dir()};
	kill.io.pwritev = kill_pwritev;
	kill.io.open = kill_open;
	kill.io.fdatasync = kill.io.fsync = no_sync;
	struct volume *v = mount_io(&kill.io, kill.dir, 0);
	states[0] = describe(v);
	while (operate(v, ops, &rc)) {
		CHECK_EQ(rc, 0);
		states[++ops] = describe(v);
		kill.op = ops;
	}
	volumes_unmount(v);
	int attrs = 0;
	for (int i = 0; i < kill.count; i++) {
		const struct attr_moment *s = &kill.snapshots[i];
		attrs += s->attrs.count != 0;
		v = mount_snapshot(s);
		struct lines got = describe(v);
		check_between(&got, &states[s->op], &states[s->op < ops ? s->op + 1 : ops], s->op);
		volumes_unmount(v);
	}
	printf("  %d operations, killed at %d moments\n", ops, kill.count);
	CHECK(attrs > 60);
	for (int i = 0; i < kill.count; i++) {
		files_release(&kill.snapshots[i].files);
		files_release(&kill.snapshots[i].attrs);
	}
}

/* --- values lost by a power cut --- */

struct cutio {
	struct io io; /* first: the engine hands it back to us */
	const char *dir;
	struct files durable; /* the store of values as of its last sync */
	int op, durable_op;   /* during which that was */
};

static int cut_sync(struct io *io, int fd)
{
	struct cutio *cut = (struct cutio *)io;
	char link[64], path[300] = "";

	(void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	CHECK(readlink(link, path, sizeof path - 1) > 0);
	if (strstr(path, "/.attr"))
		return 0;
	files_release(&cut->durable);
	cut->durable = files_snapshot(cut->dir);
	cut->durable_op = cut->op;
	return 0;
}

/* A line may be that of any state since the last sync; what is in all of them shows. */
static void check_since(const struct lines *states, int first, int last, const struct lines *got)
{
	for (int i = 0; i < got->count; i++) {
		bool fine = false;
		for (int s = first; s <= last; s++)
			fine = fine || has(&states[s], got->text[i]) || may_show(got->text[i], s);
		if (!fine)
			printf("  between %d and %d shows \"%s\"\n", first, last, got->text[i]);
		CHECK(fine);
	}
	for (int i = 0; i < states[first].count; i++) {
		const char *line = states[first].text[i];
		bool stays = true;
		for (int s = first; s <= last; s++)
			stays = stays && has(&states[s], line);
		if (stays && !has(got, line))
			printf("  between %d and %d loses \"%s\"\n", first, last, line);
		CHECK(!stays || has(got, line));
	}
}

static struct files copy_of(const struct files *files)
{
	struct files copy = {.items = calloc(files->count + 1, sizeof *copy.items),
			     .count = files->count};

	CHECK(copy.items != NULL);
	for (size_t i = 0; i < files->count; i++) {
		const struct file_image *from = &files->items[i];
		struct file_image *to = &copy.items[i];
		memcpy(to->name, from->name, sizeof to->name);
		if (from->data.size)
			CHECK_EQ(buf_add(&to->data, from->data.data, from->data.size), 0);
	}
	return copy;
}

/* The values fall back to the last sync, the attributes do not. */
static int cut_power(int sync_every)
{
	static struct lines states[LINES_MAX];
	char dir[128]; /* stores_dir() says only some of them at a time */
	struct cutio cut = {.io = io_posix, .dir = dir};
	int rc, cuts = 0;

	(void)snprintf(dir, sizeof dir, "%s", stores_dir());
	cut.io.fdatasync = cut.io.fsync = cut_sync;
	struct volume *v = mount_io(&cut.io, cut.dir, 0);
	CHECK_EQ(volume_sync(v), 0);
	states[0] = describe(v);
	while (operate(v, cut.op, &rc)) {
		struct attr_moment s = {.files = cut.durable};
		char path[256];
		struct stat st;
		CHECK_EQ(rc, 0);
		states[++cut.op] = describe(v);
		attr_dir(cut.dir, path);
		if (!stat(path, &st))
			s.attrs = files_snapshot(path);
		struct volume *after = mount_snapshot(&s);
		struct lines got = describe(after);
		check_since(states, cut.durable_op, cut.op, &got);
		volumes_unmount(after);
		files_release(&s.attrs);
		cuts++;
		if (cut.op % sync_every == 0)
			CHECK_EQ(volume_sync(v), 0);
	}
	volumes_unmount(v);
	files_release(&cut.durable);
	return cuts;
}

/* That of the directory, or of a hint, says nothing about what is in the segments. */
static int cut_sync_segment(struct io *io, int fd)
{
	char link[64], path[300] = "";

	(void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	CHECK(readlink(link, path, sizeof path - 1) > 0);
	return strstr(path, ".dwal") ? cut_sync(io, fd) : 0;
}

/* The daemon was killed, which loses nothing; the next mount begins, and then the power goes.  What
 * that mount wrote of attributes is there, of the values what was synced before, or by it. */
static void test_cut_after_kill(void)
{
	static struct lines states[LINES_MAX];
	char dir[128];
	struct cutio cut = {.io = io_posix, .dir = dir};
	int rc, remounts = 0;

	(void)snprintf(dir, sizeof dir, "%s", stores_dir());
	cut.io.fdatasync = cut.io.fsync = cut_sync;
	struct volume *v = mount_io(&cut.io, cut.dir, 0);
	CHECK_EQ(volume_sync(v), 0);
	states[0] = describe(v);
	while (operate(v, cut.op, &rc)) {
		struct attr_moment killed = {.op = cut.op};
		char attrs[256], copy[128];
		struct stat st;
		CHECK_EQ(rc, 0);
		states[++cut.op] = describe(v);
		attr_dir(dir, attrs);
		if (!stat(attrs, &st))
			killed.attrs = files_snapshot(attrs);
		killed.files = files_snapshot(dir);
		(void)snprintf(copy, sizeof copy, "%s", stores_dir());
		struct cutio again = {.io = io_posix,
				      .dir = copy,
				      .durable = copy_of(&cut.durable),
				      .op = cut.op,
				      .durable_op = cut.durable_op};
		again.io.fdatasync = again.io.fsync = cut_sync_segment;
		files_restore(&killed.files, copy);
		attr_dir(copy, attrs);
		if (killed.attrs.count) {
			CHECK_EQ(mkdir(attrs, 0700), 0);
			files_restore(&killed.attrs, attrs);
		}
		struct volume *next = mount_io(&again.io, copy, 0);
		struct attr_moment s = {.files = again.durable};
		if (!stat(attrs, &st))
			s.attrs = files_snapshot(attrs);
		struct volume *after = mount_snapshot(&s);
		struct lines got = describe(after);
		check_since(states, again.durable_op, cut.op, &got);
		volumes_unmount(after);
		volumes_unmount(next);
		files_release(&s.attrs);
		files_release(&again.durable);
		files_release(&killed.files);
		files_release(&killed.attrs);
		remounts++;
		if (cut.op % 6 == 0)
			CHECK_EQ(volume_sync(v), 0);
	}
	volumes_unmount(v);
	files_release(&cut.durable);
	CHECK(remounts > 25);
}

static void test_power_cut(void)
{
	int cuts = 0;

	for (int sync_every = 1; sync_every <= 4; sync_every++)
		cuts += cut_power(sync_every);
	CHECK(cuts > 100);
}

/* --- both logs fall back to what was synced --- */

enum { INSTANTS_MAX = 1500 };

/* What a power cut leaves at one instant. */
struct instant {
	struct files files, attrs;
	int first, last; /* states that it may show */
};

struct syncio {
	struct io io; /* first: the engine hands it back to us */
	const char *dir;
	struct files files, attrs; /* as far as they are on disk */
	int durable_op, op; /* the values on disk are those of the one, or later up to the other */
	bool recording;
	struct instant instants[INSTANTS_MAX];
	int count;
};

static bool holds(const struct files *files, const char *name)
{
	for (size_t i = 0; i < files->count; i++)
		if (!strcmp(files->items[i].name, name))
			return true;
	return false;
}

static void set_durable(struct files *files, const char *name, struct buf data)
{
	files_drop(files, name);
	files->items = reallocarray(files->items, files->count + 1, sizeof *files->items);
	CHECK(files->items != NULL);
	struct file_image *item = &files->items[files->count++];
	*item = (struct file_image){.data = data};
	(void)snprintf(item->name, sizeof item->name, "%s", name);
}

/* The names of a directory are on disk: a file that is new to it was synced under another one,
 * or is empty. */
static void names_synced(struct files *files, const char *dir)
{
	struct files now = files_snapshot(dir);
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	CHECK(fd >= 0);
	for (size_t i = files->count; i--;)
		if (!holds(&now, files->items[i].name))
			files_drop(files, files->items[i].name);
	for (size_t i = 0; i < now.count; i++)
		if (strstr(now.items[i].name, ".dwal") && !holds(files, now.items[i].name))
			set_durable(files, now.items[i].name, files_read(fd, now.items[i].name));
	(void)close(fd);
	files_release(&now);
}

static int note_sync(struct io *io, int fd)
{
	struct syncio *sync = (struct syncio *)io;
	char link[64], path[300] = "", attrs[256];
	struct stat st;

	(void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	CHECK(readlink(link, path, sizeof path - 1) > 0);
	attr_dir(sync->dir, attrs);
	bool is_attr = !strncmp(path, attrs, strlen(attrs));
	CHECK(!strncmp(path, sync->dir, strlen(sync->dir)));
	CHECK(!fstat(fd, &st));
	struct files *files = is_attr ? &sync->attrs : &sync->files;
	const char *name = strrchr(path, '/') + 1;
	if (S_ISDIR(st.st_mode))
		names_synced(files, is_attr ? attrs : sync->dir);
	else if (strstr(name, ".dwal"))
		set_durable(files, name, files_read(AT_FDCWD, path));
	if (!sync->recording)
		return 0;
	CHECK(sync->count < INSTANTS_MAX);
	sync->instants[sync->count++] = (struct instant){.files = copy_of(&sync->files),
							 .attrs = copy_of(&sync->attrs),
							 .first = sync->durable_op,
							 .last = sync->op};
	return 0;
}

/* What is done behind each operation. */
enum upkeep { ROTATED, COMPACTED, COMPACTED_PARTLY, SYNCED, SMALL_SEGMENTS, CLOSED, UPKEEPS };

static void keep_up(struct syncio *sync, struct volume *v, enum upkeep how)
{
	const struct dw_compact_options part = {.dead_percent = 1};
	struct dw_store *store = volume_store(v);

	switch (how) {
	case ROTATED: CHECK_EQ(dw_rotate(store), 0); break;
	case COMPACTED: CHECK_EQ(dw_compact(store, NULL), 0); break;
	case COMPACTED_PARTLY: CHECK_EQ(dw_compact_with(store, &part, NULL), 0); break;
	case SYNCED: CHECK_EQ(dw_sync(store), 0); break;
	default: return;
	}
	if (how != COMPACTED_PARTLY)
		sync->durable_op = sync->op;
}

/* Values and attributes fall back to what was synced of each, at every instant. */
static int cut_both(enum upkeep how)
{
	static struct lines states[LINES_MAX];
	static struct syncio sync;
	char dir[128];
	int rc;

	(void)snprintf(dir, sizeof dir, "%s", stores_dir());
	sync = (struct syncio){.io = io_posix, .dir = dir};
	sync.io.fdatasync = sync.io.fsync = note_sync;
	struct volume *v = mount_io(&sync.io, dir, how == SMALL_SEGMENTS ? 150 : 0);
	/* so that there are preallocated zeros, and syncs in the middle of appends */
	for (int i = 0; how == SYNCED && i < 40; i++) {
		volumes_write(v, "a", "not yet");
		CHECK_EQ(dw_sync(volume_store(v)), 0);
	}
	CHECK_EQ(volume_sync(v), 0);
	sync.recording = true;
	states[0] = describe(v);
	while (operate(v, sync.op++, &rc)) {
		CHECK_EQ(rc, 0);
		states[sync.op] = describe(v);
		keep_up(&sync, v, how);
	}
	states[sync.op] = states[sync.op - 1];
	volumes_unmount(v);
	for (int i = 0; i < sync.count; i++) {
		struct instant *instant = &sync.instants[i];
		struct attr_moment moment = {.files = instant->files, .attrs = instant->attrs};
		v = mount_snapshot(&moment);
		struct lines got = describe(v);
		check_since(states, instant->first, instant->last, &got);
		volumes_unmount(v);
		files_release(&instant->files);
		files_release(&instant->attrs);
	}
	files_release(&sync.files);
	files_release(&sync.attrs);
	return sync.count;
}

static void test_both(void)
{
	for (enum upkeep how = 0; how < UPKEEPS; how++) {
		int instants = cut_both(how);
		printf("  %d: %d instants\n", (int)how, instants);
		CHECK(instants > (how == CLOSED ? 2 : 40));
	}
}

/* --- a call fails --- */

static void check_same(const struct lines *live, const struct lines *next, uint64_t call,
		       const char *where)
{
	for (int i = 0; i < live->count; i++) {
		bool there = has(next, live->text[i]);
		if (!there)
			printf("  call %llu (%s) loses \"%s\"\n", (unsigned long long)call, where,
			       live->text[i]);
		CHECK(there);
	}
	for (int i = 0; i < next->count; i++) {
		const char *line = next->text[i];
		bool there = has(live, line) || (left_over && line[0] == 'd');
		if (!there)
			printf("  call %llu (%s) brings \"%s\"\n", (unsigned long long)call, where,
			       line);
		CHECK(there);
	}
}

/* Whatever failed: what the mount says is what the next one says. */
static bool run_with_fault(enum faultio_kind kind, uint64_t fail_at)
{
	struct faultio fault;
	const char *dir = check_dir();
	int rc;

	left_over = false;
	faultio_init(&fault);
	struct volume *v = mount_io(&fault.io, dir, 0);
	faultio_arm(&fault, kind, ENOSPC, fault.calls + fail_at);
	for (int i = 0; operate(v, i, &rc); i++)
		(void)rc; /* what it says is held against the next mount */
	bool hit = fault.hit;
	fault.fail_at = 0;
	CHECK_EQ(volume_commit_all(v), 0); /* nothing waits for a late success */
	struct lines live = describe(v);
	volumes_forget(v);
	if (volumes_close(v) < 0)
		CHECK(hit);
	v = volumes_mount(dir);
	struct lines next = describe(v);
	check_same(&live, &next, fail_at, fault.where);
	volumes_unmount(v);
	return hit;
}

static void test_fault(void)
{
	uint64_t n = 1;
	int written = 0;

	while (run_with_fault(FAULTIO_ERROR, n))
		n++;
	for (uint64_t i = 1; i < n; i++)
		written += run_with_fault(FAULTIO_SHORT, i);
	printf("  %llu calls failed, %d were cut short\n", (unsigned long long)n - 1, written);
	CHECK(n > 80);
	CHECK(written > 50);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"crash_attr_killed", test_killed},
		{"crash_attr_power_cut", test_power_cut},
		{"crash_attr_cut_after_kill", test_cut_after_kill},
		{"crash_attr_both", test_both},
		{"crash_attr_fault", test_fault},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
