/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_volume_lost.c - a value that could not be committed is not shown as if it had been.
 */
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "fs/volume/dirty.h"
#include "fs/volume/lost.h"
#include "store/store.h"
#include "tests/support/faultio.h"
#include "tests/support/spaceio.h"
#include "tests/support/volumes.h"

/* The last log line of the volume, and the number of lines. */
static struct {
	pthread_mutex_t lock;
	char text[600];
	int count;
} said = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void on_log(void *context, int priority, const char *text)
{
	(void)context;
	(void)priority;
	(void)pthread_mutex_lock(&said.lock);
	(void)snprintf(said.text, sizeof said.text, "%s", text);
	said.count++;
	(void)pthread_mutex_unlock(&said.lock);
}

static int said_count(void)
{
	(void)pthread_mutex_lock(&said.lock);
	int count = said.count;
	(void)pthread_mutex_unlock(&said.lock);
	return count;
}

static bool said_last(const char *part)
{
	(void)pthread_mutex_lock(&said.lock);
	bool there = strstr(said.text, part) != NULL;
	if (!there)
		printf("  said: %s\n", said.text);
	(void)pthread_mutex_unlock(&said.lock);
	return there;
}

static struct volume *mount_io(struct io *io, const char *dir)
{
	struct volume_options options = volumes_defaults;
	struct dw_store *store = NULL;
	struct volume *volume = NULL;

	options.log = on_log;
	options.commit_ms = 5;
	said.count = 0;
	CHECK_EQ(store_open(io, dir, &(struct dw_options){.create = true}, NULL, &store), 0);
	CHECK_EQ(volume_open(store, &options, &volume), 0);
	return volume;
}

static void set_room(struct spaceio *space, int64_t room)
{
	(void)pthread_mutex_lock(&space->lock);
	space->room = room;
	(void)pthread_mutex_unlock(&space->lock);
}

static struct volume_figures figures_of(struct volume *volume)
{
	struct volume_figures figures;

	volume_get_figures(volume, &figures);
	return figures;
}

/* Like `cp BIG path`: the result of close(2).  The kernel knows the file meanwhile, as `*ret`,
 * counted. */
static int write_big(struct volume *volume, const char *path, struct node **ret)
{
	static char big[8000];
	int flags = O_CREAT | O_TRUNC | O_WRONLY;
	struct volume_entry entry;
	const char *name;
	struct node *parent = volumes_parent(volume, path, &name);

	CHECK_EQ(volume_create(volume, &volumes_cred, parent, name, 0600, flags, &entry), 0);
	memset(big, 'b', sizeof big);
	volumes_write_at(volume, entry.node, big, sizeof big, 0);
	int rc = volume_flush(volume, entry.node);
	CHECK_EQ(volume_release(volume, entry.node), rc);
	if (ret)
		*ret = entry.node;
	else
		volume_forget(volume, entry.node, 1);
	return rc;
}

static atomic_bool unreadable;

static ssize_t read_or_fail(struct io *io, int fd, const struct iovec *iov, int count, off_t offset)
{
	return unreadable ? -EIO : io_posix.preadv(io, fd, iov, count, offset);
}

/* A commit that fails before its first write is one that failed: the attributes that go with the
 * value cannot be read. */
static void test_attributes_unreadable(void)
{
	static const char large[1000];
	const char *dir = stores_dir();
	struct io io = io_posix;
	struct stat st = {.st_mode = 04755}; /* which a write takes away */

	io.map = NULL;
	io.preadv = read_or_fail;
	struct volume *v = mount_io(&io, dir);
	volumes_write(v, "f", "old");
	struct node *f = volumes_open(v, "f", O_RDWR, NULL);
	CHECK_EQ(volume_setattr(v, f, &st, ATTR_MODE, false, &st), 0);
	CHECK_EQ(volume_setxattr(v, f, "user.a", large, sizeof large, 0), 0);
	volumes_write_at(v, f, "new", 3, 0);
	unreadable = true;
	CHECK_EQ(volume_fsync(v, f), -EIO);
	CHECK_EQ(figures_of(v).commits_failed, 1);
	CHECK(said_last("'f' could not be committed: Input/output error"));
	unreadable = false;
	CHECK_EQ(volume_fsync(v, f), 0);
	CHECK_EQ(figures_of(v).commits_failed, 1);
	volumes_done(v, f);
	volumes_expect(v, "f", "new");
	CHECK_EQ(volumes_close(v), 0);
}

/* After the last close an older value is the file's again: bytes, size, times, and what was
 * set on it; and it is not committed later, when there would be room. */
static void test_old_value(void)
{
	const char *dir = stores_dir();
	struct spaceio space;
	struct stat before, after, st = {.st_mode = 0600, .st_mtim = {1000000000, 7}};

	spaceio_init(&space);
	struct volume *v = mount_io(&space.io, dir);
	volumes_write(v, "keep", "old");
	struct node *f = volumes_find(v, "keep");
	CHECK_EQ(volume_setattr(v, f, &st, ATTR_MODE | ATTR_MTIME, false, &st), 0);
	CHECK_EQ(volume_setxattr(v, f, "user.a", "1", 1, 0), 0);
	before = volumes_stat(v, "keep");
	set_room(&space, 4000);
	CHECK_EQ(write_big(v, "keep", NULL), -ENOSPC);
	CHECK(said_last("'keep'") && said_last("8000 bytes, is lost (No space left on device)") &&
	      said_last("value again, 3 bytes"));
	CHECK_EQ(said.count, 2);
	CHECK_EQ(volume_paging(v, f), VOLUME_PAGES_NEW); /* the kernel has pages of the lost one */
	volumes_expect(v, "keep", "old");
	CHECK_EQ(volume_paging(v, f), VOLUME_PAGES_KEPT);
	after = volumes_stat(v, "keep");
	CHECK_EQ(after.st_size, 3);
	CHECK_EQ(after.st_mode, before.st_mode);
	CHECK_EQ(after.st_mtim.tv_sec, 1000000000);
	CHECK_EQ(volume_getxattr(v, f, "user.a", NULL, 0), 1);
	CHECK_EQ(figures_of(v).commits_failed, 1);
	CHECK_EQ(figures_of(v).values_lost, 1);
	set_room(&space, INT32_MAX);
	uint64_t puts = volumes_puts(v);
	CHECK_EQ(volume_commit_all(v), 0);
	CHECK_EQ(volumes_puts(v), puts);
	volumes_write(v, "keep", "new");
	volumes_expect(v, "keep", "new");
	CHECK_EQ(volumes_close(v), -ENOSPC);
	v = volumes_mount(dir);
	volumes_expect(v, "keep", "new");
	volumes_unmount(v);
}

/* A time without a hand: that of the commit. */
static void test_old_time(void)
{
	struct spaceio space;

	spaceio_init(&space);
	struct volume *v = mount_io(&space.io, stores_dir());
	volumes_write(v, "f", "old");
	struct stat before = volumes_stat(v, "f");
	set_room(&space, 4000);
	CHECK_EQ(write_big(v, "f", NULL), -ENOSPC);
	struct stat after = volumes_stat(v, "f");
	CHECK(!memcmp(&before.st_mtim, &after.st_mtim, sizeof before.st_mtim));
	CHECK_EQ(volumes_close(v), -ENOSPC);
}

/* A file that was never committed is gone, holders of its node are told to look again, and a new
 * file of its name has nothing of it. */
static void test_never_committed(void)
{
	const char *dir = stores_dir();
	struct spaceio space;
	struct node *f;
	struct stat st = {.st_mode = 0640};

	spaceio_init(&space);
	struct volume *v = mount_io(&space.io, dir);
	CHECK_EQ(volumes_mkdir(v, "d"), 0);
	volumes_write(v, "d/other", "x");
	CHECK_EQ(volume_setattr(v, volumes_find(v, "d/other"), &st, ATTR_MODE, false, &st), 0);
	set_room(&space, 4000);
	CHECK_EQ(write_big(v, "d/f", &f), -ENOSPC);
	CHECK(said_last("'d/f'") && said_last("never committed and is gone"));
	CHECK(!volumes_find(v, "d/f"));
	volumes_expect_list(v, "d", "other|");
	CHECK_EQ(volume_getattr(v, f, &st), -ESTALE);
	CHECK_EQ(volume_setattr(v, f, &st, ATTR_MODE, false, &st), -ESTALE);
	CHECK_EQ(volume_setxattr(v, f, "user.a", "1", 1, 0), -ESTALE);
	CHECK_EQ(volume_getxattr(v, f, "user.a", NULL, 0), -ESTALE);
	CHECK_EQ(volume_listxattr(v, f, NULL, 0), -ESTALE);
	CHECK_EQ(volume_open_file(v, f, O_RDWR | O_TRUNC), -ESTALE);
	volume_forget(v, f, 1);
	set_room(&space, INT32_MAX);
	volumes_write(v, "d/f", "second life");
	CHECK_EQ(volumes_stat(v, "d/f").st_mode & 07777, 0644);
	CHECK_EQ(volumes_close(v), -ENOSPC);
	v = volumes_mount(dir);
	CHECK_EQ(volumes_stat(v, "d/f").st_mode & 07777, 0644);
	volumes_unmount(v);
}

/* While another one has the file open nothing is lost, and a later try succeeds. */
static void test_others_open(void)
{
	struct spaceio space;

	spaceio_init(&space);
	struct volume *v = mount_io(&space.io, stores_dir());
	volumes_write(v, "f", "old");
	struct node *reader = volumes_open(v, "f", O_RDONLY, NULL);
	set_room(&space, 4000);
	struct node *f = volumes_open(v, "f", O_RDWR, NULL);
	static char big[8000];
	volumes_write_at(v, f, big, sizeof big, 0);
	CHECK_EQ(volume_fsync(v, f), -ENOSPC);
	CHECK_EQ(volume_flush(v, f), -ENOSPC);
	CHECK_EQ(volume_release(v, f), 0);
	CHECK_EQ(volumes_stat(v, "f").st_size, sizeof big);
	CHECK_EQ(volume_commit_all(v), -ENOSPC);
	CHECK_EQ(said.count, 1); /* not each try */
	CHECK_EQ(figures_of(v).values_lost, 0);
	set_room(&space, INT32_MAX);
	CHECK_EQ(volume_commit_all(v), 0);
	CHECK_EQ(volume_release(v, reader), 0);
	CHECK_EQ(volumes_stat(v, "f").st_size, sizeof big);
	CHECK_EQ(figures_of(v).values_lost, 0);
	CHECK(figures_of(v).commits_failed >= 3);
	volumes_unmount(v);
}

/* Bytes that came after a close was told of the failure are a new try. */
static void test_written_again(void)
{
	struct spaceio space;

	spaceio_init(&space);
	struct volume *v = mount_io(&space.io, stores_dir());
	struct node *f = volumes_open(v, "f", O_CREAT | O_RDWR, NULL);
	static char big[8000];
	volumes_write_at(v, f, big, sizeof big, 0);
	set_room(&space, 4000);
	CHECK_EQ(volume_flush(v, f), -ENOSPC);
	set_room(&space, INT32_MAX);
	volumes_write_at(v, f, "x", 1, 0);
	CHECK_EQ(volume_release(v, f), 0); /* a mapping's pages: no flush */
	CHECK_EQ(volumes_stat(v, "f").st_size, sizeof big);
	volumes_unmount(v);
}

/* Pages of a mapping, which come after the last flush. */
static void test_mapped(void)
{
	struct spaceio space;

	spaceio_init(&space);
	struct volume *v = mount_io(&space.io, stores_dir());
	volumes_write(v, "f", "old");
	struct node *f = volumes_open(v, "f", O_RDWR, NULL);
	static char big[8000];
	CHECK_EQ(volume_flush(v, f), 0);
	set_room(&space, 4000);
	volumes_write_at(v, f, big, sizeof big, 0);
	CHECK_EQ(volume_release(v, f), -ENOSPC);
	volumes_expect(v, "f", "old");
	CHECK_EQ(figures_of(v).values_lost, 1);
	CHECK_EQ(volumes_close(v), -ENOSPC);
}

/* Between a close that failed and its end another one wrote, and closed: that is tried, for nobody
 * was told that it fails. */
static void test_written_meanwhile(void)
{
	struct spaceio space;
	static char big[8000];

	spaceio_init(&space);
	struct volume *v = mount_io(&space.io, stores_dir());
	volumes_write(v, "f", "old");
	struct node *f = volumes_open(v, "f", O_RDWR, NULL);
	set_room(&space, 4000);
	volumes_write_at(v, f, big, sizeof big, 0);
	CHECK_EQ(volume_flush(v, f), -ENOSPC);
	volumes_write_at(v, f, "new", 3, 0);
	set_room(&space, INT64_MAX);
	CHECK(!volume_close_failed(v, f, -ENOSPC));
	CHECK_EQ(figures_of(v).values_lost, 0);
	volume_unref(v, f, 1);
	memcpy(big, "new", 3);
	f = volumes_open(v, "f", O_RDONLY, NULL);
	volumes_expect_node(v, f, big, sizeof big);
	volumes_done(v, f);
	CHECK_EQ(volumes_close(v), 0);
}

/* A mount that ends while files are open. */
static void test_unmount(void)
{
	const char *dir = stores_dir();
	struct spaceio space;
	static char big[8000];

	spaceio_init(&space);
	struct volume *v = mount_io(&space.io, dir);
	volumes_write(v, "f", "old");
	struct node *f = volumes_open(v, "f", O_RDWR, NULL);
	volumes_write_at(v, f, big, sizeof big, 0);
	set_room(&space, 4000);
	CHECK_EQ(volumes_close(v), -ENOSPC);
	CHECK(said_last("'f'") && said_last("is lost (No space left on device)"));
	v = volumes_mount(dir);
	volumes_expect(v, "f", "old");
	volumes_unmount(v);
}

/* The timer tries until it succeeds, and says so once. */
static void test_timer(void)
{
	struct spaceio space;
	static char big[8000];

	spaceio_init(&space);
	struct volume *v = mount_io(&space.io, stores_dir());
	CHECK_EQ(volume_start(v), 0);
	set_room(&space, 4000);
	struct node *f = volumes_open(v, "f", O_CREAT | O_RDWR, NULL);
	volumes_write_at(v, f, big, sizeof big, 0);
	for (int i = 0; i < 60000 && figures_of(v).commits_failed < 3; i++)
		(void)poll(NULL, 0, 1); /* the volume has no event to wait on */
	CHECK(figures_of(v).commits_failed >= 3);
	CHECK_EQ(said_count(), 1);
	CHECK(said_last("'f' could not be committed: No space left on device"));
	set_room(&space, INT32_MAX);
	for (int i = 0; i < 60000 && !dw_contains(volume_store(v), stores_bytes("f")); i++)
		(void)poll(NULL, 0, 1);
	volumes_done(v, f);
	CHECK_EQ(volumes_stat(v, "f").st_size, sizeof big);
	volumes_unmount(v);
}

/* Whatever the error: it arrives, and the file is what it was. */
static void test_errors(void)
{
	static const int errors[] = {ENOSPC, EIO, EDQUOT, EFBIG, ENOMEM};
	struct faultio fault;

	for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
		faultio_init(&fault);
		struct volume *v = mount_io(&fault.io, stores_dir());
		volumes_write(v, "f", "old");
		faultio_arm(&fault, FAULTIO_ERROR, errors[i], 1);
		CHECK_EQ(write_big(v, "f", NULL), -errors[i]);
		CHECK(fault.hit);
		volumes_expect(v, "f", "old");
		faultio_arm(&fault, FAULTIO_ERROR, errors[i], 1);
		CHECK_EQ(write_big(v, "fresh", NULL), -errors[i]);
		volumes_expect_list(v, "", "f|");
		CHECK_EQ(figures_of(v).values_lost, 2);
		fault.fail_at = 0;
		CHECK_EQ(write_big(v, "f", NULL), 0);
		CHECK_EQ(volumes_close(v), -errors[i]);
	}
}

/* After a sync that failed nothing is written any more, and no write seems to be. */
static void test_poisoned(void)
{
	struct faultio fault;

	faultio_init(&fault);
	struct volume *v = mount_io(&fault.io, stores_dir());
	volumes_write(v, "f", "old");
	struct node *f = volumes_open(v, "f", O_RDWR, NULL);
	volumes_write_at(v, f, "new", 3, 0);
	faultio_arm(&fault, FAULTIO_ERROR, EIO, 2); /* behind the append */
	CHECK_EQ(volume_fsync(v, f), -EIO);
	CHECK(!strcmp(fault.where, "fdatasync"));
	volumes_write_at(v, f, "NEW", 3, 0);
	CHECK_EQ(volume_fsync(v, f), -EIO);
	CHECK_EQ(volume_flush(v, f), -EIO);
	CHECK_EQ(volume_release(v, f), -EIO);
	volumes_expect(v, "f", "new"); /* in the log, if not on disk */
	CHECK_EQ(write_big(v, "fresh", NULL), -EIO);
	CHECK(!volumes_find(v, "fresh"));
	CHECK_EQ(volumes_truncate(v, "f", 1), -EIO);
	volumes_expect(v, "f", "new");
	CHECK_EQ(volumes_close(v), -EIO);
}

/* Where commits fail a truncation does not wait for a last close, which could not report the error.
 */
static void test_truncated(void)
{
	struct spaceio space;

	spaceio_init(&space);
	struct volume *v = mount_io(&space.io, stores_dir());
	volumes_write(v, "f", "old");
	set_room(&space, 4000);
	CHECK_EQ(write_big(v, "g", NULL), -ENOSPC);
	set_room(&space, 0);
	struct node *f = volumes_open(v, "f", O_TRUNC | O_WRONLY, NULL);
	CHECK_EQ(volume_flush(v, f), -ENOSPC);
	CHECK_EQ(volume_release(v, f), -ENOSPC);
	volumes_expect(v, "f", "old");
	f = volumes_open(v, "new", O_CREAT | O_WRONLY, NULL);
	CHECK_EQ(volume_flush(v, f), -ENOSPC);
	CHECK_EQ(volume_release(v, f), -ENOSPC);
	volumes_expect(v, "new", NULL);
	CHECK_EQ(volumes_close(v), -ENOSPC);
}

/* A key in the log cannot write what a terminal obeys, nor another line; it is cut. */
static void test_quoted(void)
{
	struct spaceio space;
	char name[256];

	spaceio_init(&space);
	struct volume *v = mount_io(&space.io, stores_dir());
	set_room(&space, 4000);
	CHECK_EQ(write_big(v, "a\nb'\\\x1b\xc3\xa4", NULL), -ENOSPC);
	CHECK(said_last("'a\\x0ab\\x27\\x5c\\x1b\\xc3\\xa4': "));
	memset(name, '\x01', sizeof name - 1);
	name[sizeof name - 1] = '\0';
	CHECK_EQ(write_big(v, name, NULL), -ENOSPC);
	CHECK(said_last("\\x01...': the value written last, 8000 bytes, is lost"));
	CHECK_EQ(volumes_close(v), -ENOSPC);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"lost_old_value", test_old_value},
		{"lost_attributes_unreadable", test_attributes_unreadable},
		{"lost_old_time", test_old_time},
		{"lost_never_committed", test_never_committed},
		{"lost_others_open", test_others_open},
		{"lost_written_again", test_written_again},
		{"lost_mapped", test_mapped},
		{"lost_written_meanwhile", test_written_meanwhile},
		{"lost_unmount", test_unmount},
		{"lost_timer", test_timer},
		{"lost_errors", test_errors},
		{"lost_poisoned", test_poisoned},
		{"lost_truncated", test_truncated},
		{"lost_quoted", test_quoted},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
