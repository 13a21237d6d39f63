/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_log_faults.c - the end of the log when calls fail: no sync fails unnoticed, and no part
 * of an append that failed stays.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "disk/hintreader.h"
#include "store/opendir.h"
#include "store/store.h"
#include "tests/support/faultio.h"
#include "tests/support/stores.h"

enum { SYNCS = 20, LARGE = 300 << 10, CALLS_MAX = 200 };

struct scene {
	struct faultio fault;
	const char *dir;
	struct dw_store *store;
};

/* `prealloc`: with zeros behind the log. */
static void begin(struct scene *s, bool prealloc)
{
	const struct dw_options options = {.create = true};

	s->dir = stores_dir();
	faultio_init(&s->fault);
	CHECK_EQ(store_open(&s->fault.io, s->dir, &options, NULL, &s->store), 0);
	for (int i = 0; i < (prealloc ? SYNCS : 1); i++) {
		stores_put(s->store, "key", "value");
		CHECK_EQ(dw_sync(s->store), 0);
	}
	CHECK_EQ(s->store->core->log.prealloc.on, prealloc);
	stores_put(s->store, "not", "synced");
}

static off_t size_of(const struct scene *s)
{
	struct stat st;

	CHECK_EQ(fstat(s->store->core->log.fd, &st), 0);
	return st.st_size;
}

/* --- operations --- */

static int do_sync(struct scene *s)
{
	return dw_sync(s->store);
}

static int do_rotate(struct scene *s)
{
	return dw_rotate(s->store);
}

static int do_put(struct scene *s)
{
	return dw_put(s->store, stores_bytes("key"), stores_bytes("another value"));
}

/* Too large for zeros: with a guard these are given up. */
static int do_put_large(struct scene *s)
{
	uint8_t *data = stores_noise(1, LARGE);
	int rc = dw_put(s->store, stores_bytes("key"), (struct dw_bytes){data, LARGE});

	free(data);
	return rc;
}

/* Those that come when zeros are wanted, or not wanted any more. */
static int do_many(struct scene *s)
{
	int rc = 0;

	for (int i = 0; !rc && i < SYNCS; i++) {
		rc = do_put(s);
		if (!rc)
			rc = do_sync(s);
	}
	return rc ? rc : do_put_large(s);
}

static int do_close(struct scene *s)
{
	int rc = dw_close(s->store);

	s->store = NULL;
	return rc;
}

static const struct {
	const char *name;
	int (*run)(struct scene *s);
} operations[] = {
	{"sync", do_sync},           {"rotate", do_rotate}, {"put", do_put},
	{"put large", do_put_large}, {"many", do_many},     {"close", do_close},
};
enum { OPERATIONS = sizeof operations / sizeof *operations };

static bool hit_a_sync(const struct scene *s)
{
	return s->fault.hit && s->fault.kind != FAULTIO_SHORT &&
	       (!strcmp(s->fault.where, "fdatasync") || !strcmp(s->fault.where, "fsync"));
}

/* Whether the fault was met. */
static bool run_once(int operation, bool prealloc, enum faultio_kind kind, int error,
		     uint64_t fail_at)
{
	struct dw_stats stats;
	struct scene s;

	begin(&s, prealloc);
	faultio_arm(&s.fault, kind, error, fail_at);
	int rc = operations[operation].run(&s);
	bool hit = s.fault.hit;
	if (hit_a_sync(&s))
		CHECK(rc < 0);
	if (s.store) {
		dw_get_stats(s.store, &stats);
		/* the pages may be gone, and the next sync may say yes */
		if (hit_a_sync(&s))
			CHECK(stats.poisoned != 0);
		/* nor does it go on with a file that it could not put right */
		if (!stats.poisoned)
			CHECK_EQ(size_of(&s), s.store->core->log.prealloc.on
						      ? s.store->core->log.prealloc.size
						      : s.store->core->log.end);
		s.fault.fail_at = 0;
		s.fault.hit = s.fault.follow = false;
		CHECK_EQ(dw_close(s.store), -stats.poisoned);
	}
	return hit;
}

static void run_all(enum faultio_kind kind, int error)
{
	for (int operation = 0; operation < OPERATIONS; operation++)
		for (int prealloc = 0; prealloc < 2; prealloc++) {
			uint64_t n = 1;
			while (n < CALLS_MAX && run_once(operation, prealloc, kind, error, n))
				n++;
			if (n < 2 || n == CALLS_MAX)
				printf("  %s: %d\n", operations[operation].name, (int)n);
			CHECK(n > 1 && n < CALLS_MAX);
		}
}

static void test_every_call(void)
{
	run_all(FAULTIO_ERROR, EIO);
	run_all(FAULTIO_ERROR, ENOSPC);
}

/* Half of a write is there. */
static void test_short(void)
{
	run_all(FAULTIO_SHORT, ENOSPC);
}

/* The disk is gone from some call on.  Then a sync may even say yes, of a file that was never
 * written to; so whatever failed, the log stops when the file cannot be put right. */
static void test_gone(void)
{
	for (int operation = 0; operation < OPERATIONS; operation++)
		for (uint64_t n = 1; n < 8; n++) {
			struct dw_stats stats;
			struct scene s;
			begin(&s, n % 2);
			faultio_arm(&s.fault, FAULTIO_GONE, EIO, n);
			(void)operations[operation].run(&s);
			if (!s.store)
				continue;
			/* perhaps it was only the hint's, which does not matter to the log */
			int rc = s.fault.hit ? do_put(&s) : 0;
			dw_get_stats(s.store, &stats);
			CHECK_EQ(rc, s.fault.hit ? -EIO : 0);
			CHECK_EQ(stats.poisoned, -rc);
			s.fault.fail_at = 0;
			CHECK_EQ(dw_close(s.store), rc);
		}
}

/* That the disk is gone shows in the call that failed, not only in the next. */
static void test_gone_at_rotation(void)
{
	struct dw_stats stats;
	struct scene s;

	for (uint64_t n = 1; n < 20; n++) {
		begin(&s, false);
		faultio_arm(&s.fault, FAULTIO_GONE, EIO, n);
		int rc = dw_rotate(s.store);
		dw_get_stats(s.store, &stats);
		if (rc < 0)
			CHECK_EQ(stats.poisoned, EIO);
		s.fault.fail_at = 0;
		s.fault.hit = false;
		CHECK_EQ(dw_close(s.store), rc < 0 ? -EIO : 0);
	}
}

static bool is_sealed(int dirfd, uint32_t id, uint64_t end)
{
	struct hintreader reader;
	struct hint_claims claims;

	hintreader_init(&reader, &io_posix, dirfd, id);
	CHECK_EQ(hintreader_survey(&reader, -1, &claims), 0);
	hintreader_release(&reader);
	return claims.sealed && claims.synced == end && claims.told == end;
}

/* A hint that is sealed says that its segment was closed in order, and is on disk. */
static void test_seal(void)
{
	for (int prealloc = 0; prealloc < 2; prealloc++)
		for (uint64_t n = 1; n < 20; n++) {
			struct scene s;
			begin(&s, prealloc);
			uint64_t end = s.store->core->log.end;
			faultio_arm(&s.fault, FAULTIO_ERROR, EIO, n);
			int rc = dw_close(s.store);
			int dirfd = open(s.dir, O_RDONLY | O_DIRECTORY);
			bool sealed = is_sealed(dirfd, 1, end);
			CHECK(!rc || !sealed);
			CHECK(s.fault.hit || sealed);
			(void)close(dirfd);
		}
}

/* --- segments --- */

/* A segment takes records up to its last byte, and not one more. */
static void test_full(void)
{
	const char *dir = stores_dir();
	const struct dw_options options = {.create = true, .segment_size = 4096};
	struct dw_store *store = NULL;
	uint8_t *data = stores_noise(1, 4096);
	const size_t first = 1000, rest = 4096 - 2 * (RECORD_OVERHEAD + 1) - first;

	for (size_t more = 0; more < 2; more++) {
		CHECK_EQ(dw_open(dir, &options, NULL, &store), 0);
		uint32_t id = store->core->log.active->id;
		CHECK_EQ(dw_put(store, stores_bytes("a"), (struct dw_bytes){data, first}), 0);
		CHECK_EQ(dw_put(store, stores_bytes("b"), (struct dw_bytes){data, rest + more}), 0);
		CHECK_EQ(store->core->log.active->id, id + more);
		CHECK_EQ(dw_rotate(store), 0);
		stores_close(store);
	}
	free(data);
}

/* --- syncs --- */

/* io_posix, but another thread appends while its sync is under way. */
struct appending {
	struct io io;
	struct dw_store *store;
	int syncs;
};

static int sync_and_append(struct io *io, int fd)
{
	struct appending *appending = (struct appending *)io;

	(void)fd;
	if (!appending->syncs++)
		stores_put(appending->store, "key", "appended meanwhile");
	return 0;
}

static void test_sync_of_what_was(void)
{
	struct appending appending = {.io = io_posix};

	appending.io.fdatasync = sync_and_append;
	CHECK_EQ(store_open(&appending.io, stores_dir(), &(struct dw_options){.create = true}, NULL,
			    &appending.store),
		 0);
	stores_put(appending.store, "key", "value");
	CHECK_EQ(dw_sync(appending.store), 0);
	CHECK_EQ(appending.syncs, 1);
	CHECK_EQ(dw_sync(appending.store), 0);
	CHECK_EQ(appending.syncs, 2); /* it was not in the first */
	CHECK_EQ(dw_sync(appending.store), 0);
	CHECK_EQ(appending.syncs, 2);
	stores_close(appending.store);
}

/* --- readers --- */

/* io_posix, but something happens behind the first listing of the segments.  Before it the
 * directory is looked at. */
enum { LOOKS = 1, FIRST = LOOKS + 1 };

struct listing {
	struct io io;
	int lists;
	const char *hides;       /* a name that is missing up to then; or NULL */
	struct dw_store *writer; /* compacts then; or NULL */
	io_name_fn *visit;
	void *context;
};

static int pass_on(void *context, const char *name)
{
	struct listing *listing = context;

	if (listing->lists <= FIRST && listing->hides && !strcmp(name, listing->hides))
		return 0;
	return listing->visit(listing->context, name);
}

static int list(struct io *io, int dirfd, io_name_fn *visit, void *context)
{
	struct listing *listing = (struct listing *)io;

	listing->lists++;
	listing->visit = visit;
	listing->context = context;
	int rc = io_posix.list(&io_posix, dirfd, pass_on, listing);
	if (listing->lists == FIRST && listing->writer)
		CHECK_EQ(dw_compact(listing->writer, NULL), 0);
	return rc;
}

/* Four segments, a key in each, and one that is overwritten in the last. */
static struct dw_store *four_segments(const char *dir)
{
	struct dw_store *store = stores_open(dir, 0);
	char key[16];

	for (int i = 1; i <= 4; i++) {
		(void)snprintf(key, sizeof key, "key %d", i);
		stores_put(store, key, "value");
		stores_put(store, "last", i == 4 ? "new" : "old");
		if (i < 4)
			CHECK_EQ(dw_rotate(store), 0);
	}
	return store;
}

static void expect_all(struct listing *listing, const char *dir)
{
	const struct dw_options options = {.read_only = true};
	struct dw_store *reader = NULL;
	struct core *core = NULL;
	uint64_t *sizes = NULL;
	char key[16];

	CHECK_EQ(store_open(&listing->io, dir, &options, NULL, &reader), 0);
	/* the one that missed something, and at least two that agreed */
	CHECK(listing->lists >= FIRST + 2);
	CHECK_EQ(dw_count(reader), 5);
	for (int i = 1; i <= 4; i++) {
		(void)snprintf(key, sizeof key, "key %d", i);
		stores_expect(reader, key, "value");
	}
	stores_expect(reader, "last", "new");
	stores_close(reader);
	/* the same for readers of the log */
	listing->lists = 0;
	CHECK_EQ(core_open_unread(&listing->io, dir, &options, &sizes, &core), 0);
	CHECK(listing->lists >= LOOKS + 2);
	free(sizes);
	core_free(core);
}

/* A listing that is no moment: a segment that was made meanwhile is missing, later ones are
 * there. */
static void test_reader_lists_again(void)
{
	const char *dir = stores_dir();
	struct listing listing = {.io = io_posix, .hides = "00000002.dwal"};

	listing.io.list = list;
	stores_close(four_segments(dir));
	expect_all(&listing, dir);
}

/* A compaction removes what was listed before it is opened. */
static void test_reader_meets_compaction(void)
{
	const char *dir = stores_dir();
	struct listing listing = {.io = io_posix, .writer = four_segments(dir)};

	listing.io.list = list;
	expect_all(&listing, dir);
	stores_close(listing.writer);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"log_faults_every_call", test_every_call},
		{"log_faults_short", test_short},
		{"log_faults_gone", test_gone},
		{"log_faults_gone_at_rotation", test_gone_at_rotation},
		{"log_faults_seal", test_seal},
		{"log_full", test_full},
		{"log_sync_of_what_was", test_sync_of_what_was},
		{"log_reader_lists_again", test_reader_lists_again},
		{"log_reader_meets_compaction", test_reader_meets_compaction},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
