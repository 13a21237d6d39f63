/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_crash_attr.c - values and their attributes, which stand in two logs, after the daemon was
 * killed before any system call, and after any of the calls failed.
 *
 * At each moment every line that shows is one of before or of after the operation at hand: no value
 * attrscene_has the attributes of another; and each line that is in both shows.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/support/attrscene.h"
#include "tests/support/faultio.h"
#include "tests/support/files.h"
#include "tests/support/volumes.h"

enum { SNAPSHOTS_MAX = 600 };

/* --- killed before any system call --- */

struct killio {
	struct io io; /* first: the engine hands it back to us */
	const char *dir;
	struct attrscene_moment snapshots[SNAPSHOTS_MAX];
	int count, op;
};

static void take_snapshot(struct io *io)
{
	struct killio *kill = (struct killio *)io;
	char path[256];
	struct stat st;

	CHECK(kill->count < SNAPSHOTS_MAX);
	struct attrscene_moment *s = &kill->snapshots[kill->count++];
	*s = (struct attrscene_moment){.files = files_snapshot(kill->dir), .op = kill->op};
	attrscene_attr_dir(kill->dir, path);
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

static void check_between(const struct attrscene_lines *got, const struct attrscene_lines *before,
			  const struct attrscene_lines *after, int op)
{
	for (int i = 0; i < got->count; i++) {
		const char *line = got->text[i];
		bool fine = attrscene_has(before, line) || attrscene_has(after, line) ||
			    attrscene_may_show(line, op);
		/* within an operation of several steps a file is empty first */
		if (!fine)
			printf("  op %d shows \"%s\"\n", op, line);
		CHECK(fine);
	}
	for (int i = 0; i < before->count; i++) {
		bool lost = attrscene_has(after, before->text[i]) &&
			    !attrscene_has(got, before->text[i]);
		if (lost)
			printf("  op %d loses \"%s\"\n", op, before->text[i]);
		CHECK(!lost);
	}
}

static void test_killed(void)
{
	static struct killio kill;
	static struct attrscene_lines states[ATTRSCENE_LINES_MAX];
	int rc, ops = 0;

	kill = (struct killio){.io = io_posix, .dir = stores_dir()};
	kill.io.pwritev = kill_pwritev;
	kill.io.open = kill_open;
	kill.io.fdatasync = kill.io.fsync = no_sync;
	struct volume *v = attrscene_mount_io(&kill.io, kill.dir, 0);
	states[0] = attrscene_describe(v);
	while (attrscene_operate(v, ops, &rc)) {
		CHECK_EQ(rc, 0);
		states[++ops] = attrscene_describe(v);
		kill.op = ops;
	}
	volumes_unmount(v);
	int attrs = 0;
	for (int i = 0; i < kill.count; i++) {
		const struct attrscene_moment *s = &kill.snapshots[i];
		attrs += s->attrs.count != 0;
		v = attrscene_mount(s);
		struct attrscene_lines got = attrscene_describe(v);
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

/* --- a call fails --- */

static void check_same(const struct attrscene_lines *live, const struct attrscene_lines *next,
		       uint64_t call, const char *where)
{
	for (int i = 0; i < live->count; i++) {
		bool there = attrscene_has(next, live->text[i]);
		if (!there)
			printf("  call %llu (%s) loses \"%s\"\n", (unsigned long long)call, where,
			       live->text[i]);
		CHECK(there);
	}
	for (int i = 0; i < next->count; i++) {
		const char *line = next->text[i];
		bool there = attrscene_has(live, line) || (attrscene_left_over && line[0] == 'd');
		if (!there)
			printf("  call %llu (%s) brings \"%s\"\n", (unsigned long long)call, where,
			       line);
		CHECK(there);
	}
}

/* Whatever failed: the next mount shows the same as this one. */
static bool run_with_fault(enum faultio_kind kind, uint64_t fail_at)
{
	struct faultio fault;
	const char *dir = check_dir();
	int rc;

	attrscene_left_over = false;
	faultio_init(&fault);
	struct volume *v = attrscene_mount_io(&fault.io, dir, 0);
	faultio_arm(&fault, kind, ENOSPC, fault.calls + fail_at);
	for (int i = 0; attrscene_operate(v, i, &rc); i++)
		(void)rc; /* the result is compared with the next mount */
	bool hit = fault.hit;
	fault.fail_at = 0;
	CHECK_EQ(volume_commit_all(v), 0); /* nothing waits for a late success */
	struct attrscene_lines live = attrscene_describe(v);
	volumes_forget(v);
	if (volumes_close(v) < 0)
		CHECK(hit);
	v = volumes_mount(dir);
	struct attrscene_lines next = attrscene_describe(v);
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
		{"crash_attr_fault", test_fault},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
