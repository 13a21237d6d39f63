/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_crash_attr_cut.c - values and their attributes, which stand in two logs, after a power cut
 * that took back values but not attributes, and after one that left of both logs only the synced
 * bytes, at any instant.
 *
 * At each moment every line that shows is one since the last sync; and each line that is in all of
 * them shows.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/attrscene.h"
#include "tests/support/files.h"
#include "tests/support/volumes.h"

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

/* A line may be that of any state since the last sync; a line that is in all of them shows. */
static void check_since(const struct attrscene_lines *states, int first, int last,
			const struct attrscene_lines *got)
{
	for (int i = 0; i < got->count; i++) {
		bool fine = false;
		for (int s = first; s <= last; s++)
			fine = fine || attrscene_has(&states[s], got->text[i]) ||
			       attrscene_may_show(got->text[i], s);
		if (!fine)
			printf("  between %d and %d shows \"%s\"\n", first, last, got->text[i]);
		CHECK(fine);
	}
	for (int i = 0; i < states[first].count; i++) {
		const char *line = states[first].text[i];
		bool stays = true;
		for (int s = first; s <= last; s++)
			stays = stays && attrscene_has(&states[s], line);
		if (stays && !attrscene_has(got, line))
			printf("  between %d and %d loses \"%s\"\n", first, last, line);
		CHECK(!stays || attrscene_has(got, line));
	}
}

/* The values fall back to the last sync, the attributes do not. */
static int cut_power(int sync_every)
{
	static struct attrscene_lines states[ATTRSCENE_LINES_MAX];
	char dir[128]; /* stores_dir() says only some of them at a time */
	struct cutio cut = {.io = io_posix, .dir = dir};
	int rc, cuts = 0;

	(void)snprintf(dir, sizeof dir, "%s", stores_dir());
	cut.io.fdatasync = cut.io.fsync = cut_sync;
	struct volume *v = attrscene_mount_io(&cut.io, cut.dir, 0);
	CHECK_EQ(volume_sync(v), 0);
	states[0] = attrscene_describe(v);
	while (attrscene_operate(v, cut.op, &rc)) {
		struct attrscene_moment s = {.files = cut.durable};
		char path[256];
		struct stat st;
		CHECK_EQ(rc, 0);
		states[++cut.op] = attrscene_describe(v);
		attrscene_attr_dir(cut.dir, path);
		if (!stat(path, &st))
			s.attrs = files_snapshot(path);
		struct volume *after = attrscene_mount(&s);
		struct attrscene_lines got = attrscene_describe(after);
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

/* The daemon was killed, which loses nothing; the next mount begins, and then the power goes.
 * Attributes written by that mount are there; values are there if they were synced before, or by
 * it. */
static void test_cut_after_kill(void)
{
	static struct attrscene_lines states[ATTRSCENE_LINES_MAX];
	char dir[128];
	struct cutio cut = {.io = io_posix, .dir = dir};
	int rc, remounts = 0;

	(void)snprintf(dir, sizeof dir, "%s", stores_dir());
	cut.io.fdatasync = cut.io.fsync = cut_sync;
	struct volume *v = attrscene_mount_io(&cut.io, cut.dir, 0);
	CHECK_EQ(volume_sync(v), 0);
	states[0] = attrscene_describe(v);
	while (attrscene_operate(v, cut.op, &rc)) {
		struct attrscene_moment killed = {.op = cut.op};
		char attrs[256], copy[128];
		struct stat st;
		CHECK_EQ(rc, 0);
		states[++cut.op] = attrscene_describe(v);
		attrscene_attr_dir(dir, attrs);
		if (!stat(attrs, &st))
			killed.attrs = files_snapshot(attrs);
		killed.files = files_snapshot(dir);
		(void)snprintf(copy, sizeof copy, "%s", stores_dir());
		struct cutio again = {.io = io_posix,
				      .dir = copy,
				      .durable = files_clone(&cut.durable),
				      .op = cut.op,
				      .durable_op = cut.durable_op};
		again.io.fdatasync = again.io.fsync = cut_sync_segment;
		files_restore(&killed.files, copy);
		attrscene_attr_dir(copy, attrs);
		if (killed.attrs.count) {
			CHECK_EQ(mkdir(attrs, 0700), 0);
			files_restore(&killed.attrs, attrs);
		}
		struct volume *next = attrscene_mount_io(&again.io, copy, 0);
		struct attrscene_moment s = {.files = again.durable};
		if (!stat(attrs, &st))
			s.attrs = files_snapshot(attrs);
		struct volume *after = attrscene_mount(&s);
		struct attrscene_lines got = attrscene_describe(after);
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

/* The files that a power cut leaves at one instant. */
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
	attrscene_attr_dir(sync->dir, attrs);
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
	sync->instants[sync->count++] = (struct instant){.files = files_clone(&sync->files),
							 .attrs = files_clone(&sync->attrs),
							 .first = sync->durable_op,
							 .last = sync->op};
	return 0;
}

/* The upkeep after each operation. */
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
	static struct attrscene_lines states[ATTRSCENE_LINES_MAX];
	static struct syncio sync;
	char dir[128];
	int rc;

	(void)snprintf(dir, sizeof dir, "%s", stores_dir());
	sync = (struct syncio){.io = io_posix, .dir = dir};
	sync.io.fdatasync = sync.io.fsync = note_sync;
	struct volume *v = attrscene_mount_io(&sync.io, dir, how == SMALL_SEGMENTS ? 150 : 0);
	/* so that there are preallocated zeros, and syncs in the middle of appends */
	for (int i = 0; how == SYNCED && i < 40; i++) {
		volumes_write(v, "a", "not yet");
		CHECK_EQ(dw_sync(volume_store(v)), 0);
	}
	CHECK_EQ(volume_sync(v), 0);
	sync.recording = true;
	states[0] = attrscene_describe(v);
	while (attrscene_operate(v, sync.op++, &rc)) {
		CHECK_EQ(rc, 0);
		states[sync.op] = attrscene_describe(v);
		keep_up(&sync, v, how);
	}
	states[sync.op] = states[sync.op - 1];
	volumes_unmount(v);
	for (int i = 0; i < sync.count; i++) {
		struct instant *instant = &sync.instants[i];
		struct attrscene_moment moment = {.files = instant->files, .attrs = instant->attrs};
		v = attrscene_mount(&moment);
		struct attrscene_lines got = attrscene_describe(v);
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

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"crash_attr_power_cut", test_power_cut},
		{"crash_attr_cut_after_kill", test_cut_after_kill},
		{"crash_attr_both", test_both},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
