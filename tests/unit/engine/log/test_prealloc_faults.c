/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_prealloc_faults.c - calls that fail while zeros are put behind the log, or taken away.
 *
 * The file holds records that are not synced yet.  So a sync that fails must stop the log,
 * whatever its error, and anything else that fails must leave the file as it was, or stop
 * the log as well.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "disk/guard.h"
#include "log/prealloc.h"
#include "tests/support/faultio.h"
#include "tests/support/stores.h"

enum { END = 1000, SEGMENT_SIZE = 256 << 10, CALLS_MAX = 100 };

struct scene {
	struct faultio fault;
	struct prealloc prealloc;
	int fd;
};

static void begin(struct scene *s)
{
	char path[200], records[END] = {0};

	(void)snprintf(path, sizeof path, "%s/file", check_dir());
	s->fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
	CHECK_EQ(write(s->fd, records, END), END);
	faultio_init(&s->fault);
	prealloc_init(&s->prealloc, &s->fault.io, SEGMENT_SIZE);
	prealloc_attach(&s->prealloc, s->fd, END);
}

static void end(struct scene *s)
{
	(void)close(s->fd);
}

static uint64_t size_of(const struct scene *s)
{
	struct stat st;

	CHECK_EQ(fstat(s->fd, &st), 0);
	return (uint64_t)st.st_size;
}

static bool hit_a_sync(const struct scene *s)
{
	return !strcmp(s->fault.where, "fdatasync") || !strcmp(s->fault.where, "fsync");
}

/* Whether the fault was met. */
static bool enter_once(enum faultio_kind kind, int error, uint64_t fail_at)
{
	bool sync_failed = false;
	struct scene s;

	begin(&s);
	faultio_arm(&s.fault, kind, error, fail_at);
	int rc = prealloc_enter(&s.prealloc, END, &sync_failed);
	bool hit = s.fault.hit;
	if (!hit) {
		CHECK_EQ(rc, 0);
		CHECK(s.prealloc.on && !sync_failed);
		CHECK_EQ(size_of(&s), s.prealloc.size);
	} else {
		CHECK(!s.prealloc.on);
		CHECK(sync_failed || size_of(&s) == END);
		CHECK(sync_failed || !hit_a_sync(&s));
		/* without room it goes on as before; without the disk it does not */
		if (kind == FAULTIO_ERROR && error == ENOSPC && !hit_a_sync(&s))
			CHECK(!sync_failed);
		if (error == EIO || kind == FAULTIO_GONE)
			CHECK(sync_failed);
	}
	end(&s);
	return hit;
}

static void test_enter(void)
{
	static const int errors[] = {EIO, ENOSPC, EDQUOT};

	for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
		for (int gone = 0; gone < 2; gone++) {
			uint64_t n = 1;
			while (n < CALLS_MAX &&
			       enter_once(gone ? FAULTIO_GONE : FAULTIO_ERROR, errors[i], n))
				n++;
			CHECK(n > 4 && n < CALLS_MAX);
		}
}

/* Where the next value needs more zeros, and so many bytes further. */
static uint64_t last_place(const struct scene *s, uint64_t further)
{
	return s->prealloc.size - GUARD_SIZE - s->prealloc.reserve + further;
}

static bool grow_once(enum faultio_kind kind, int error, uint64_t fail_at, bool removes)
{
	bool sync_failed = false;
	struct scene s;

	begin(&s);
	CHECK_EQ(prealloc_enter(&s.prealloc, END, &sync_failed), 0);
	uint64_t before = s.prealloc.size, place = last_place(&s, 1);
	faultio_arm(&s.fault, kind, error, fail_at);
	int rc = prealloc_make_room(&s.prealloc, place, 0, removes, &sync_failed);
	bool hit = s.fault.hit;
	if (!hit) {
		CHECK_EQ(rc, 0);
		CHECK(!sync_failed && s.prealloc.size > before);
		CHECK_EQ(size_of(&s), s.prealloc.size);
	} else {
		CHECK_EQ(s.prealloc.size, before);
		CHECK(sync_failed || !hit_a_sync(&s));
		CHECK(sync_failed || size_of(&s) == before);
		CHECK_EQ(sync_failed, hit_a_sync(&s) || kind == FAULTIO_GONE);
		CHECK_EQ(rc, removes && !hit_a_sync(&s) ? 0 : -error);
	}
	end(&s);
	return hit;
}

static void test_grow(void)
{
	for (int i = 0; i < 8; i++) {
		uint64_t n = 1;
		while (n < CALLS_MAX && grow_once(i & 1 ? FAULTIO_GONE : FAULTIO_ERROR,
						  i & 2 ? EIO : ENOSPC, n, i & 4))
			n++;
		CHECK(n > 2 && n < CALLS_MAX);
	}
}

/* On a full disk values leave the last zeros to removals, and these end where the zeros do. */
static void test_reserve_of_zeros(void)
{
	bool sync_failed = false;
	struct scene s;

	begin(&s);
	CHECK_EQ(prealloc_enter(&s.prealloc, END, &sync_failed), 0);
	CHECK(s.prealloc.reserve > 1000);
	static const struct {
		int64_t further; /* than the reserve's begin */
		int value, removal;
	} cases[] = {{0, 0, 0}, {1, -ENOSPC, 0}, {500, -ENOSPC, 0}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		uint64_t place = last_place(&s, (uint64_t)cases[i].further);
		for (int removes = 0; removes < 2; removes++) {
			faultio_arm(&s.fault, FAULTIO_ERROR, ENOSPC, 1);
			CHECK_EQ(prealloc_make_room(&s.prealloc, place - 30, 30, removes,
						    &sync_failed),
				 removes ? cases[i].removal : cases[i].value);
		}
	}
	uint64_t last = last_place(&s, s.prealloc.reserve);
	for (int further = 0; further < 2; further++) {
		faultio_arm(&s.fault, FAULTIO_ERROR, ENOSPC, 1);
		CHECK_EQ(prealloc_make_room(&s.prealloc, last, (uint64_t)further, true,
					    &sync_failed),
			 further ? -ENOSPC : 0);
	}
	CHECK(!sync_failed);
	end(&s);
}

static int allocate_error;

static int allocate_fails(struct io *io, int fd, off_t offset, off_t size)
{
	(void)io;
	(void)fd;
	(void)offset;
	(void)size;
	return allocate_error;
}

/* The same of blocks: a value that would take the last ones is refused before it is written,
 * a removal may try. */
static void test_reserve_of_blocks(void)
{
	static const struct {
		int error, value, removal;
	} cases[] = {{-ENOSPC, -ENOSPC, 0},
		     {-EDQUOT, -EDQUOT, 0},
		     {-EFBIG, 0, 0}, /* the write itself may fit */
		     {-EOPNOTSUPP, 0, 0}};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		for (int removes = 0; removes < 2; removes++) {
			bool sync_failed = false;
			struct scene s;
			begin(&s);
			struct io io = s.fault.io;
			io.allocate = allocate_fails;
			prealloc_init(&s.prealloc, &io, SEGMENT_SIZE);
			prealloc_attach(&s.prealloc, s.fd, END);
			allocate_error = cases[i].error;
			CHECK_EQ(prealloc_make_room(&s.prealloc, END, 100, removes, &sync_failed),
				 removes ? cases[i].removal : cases[i].value);
			CHECK(!sync_failed);
			end(&s);
		}
}

/* The sync in the middle of an append over a guard is one as well. */
static void test_write_over(void)
{
	static const int errors[] = {EIO, ENOSPC};

	for (size_t i = 0; i < 2; i++) {
		uint8_t bytes[2048] = {1, 2, 3};
		int syncs = 0;
		for (uint64_t n = 1; n < 10; n++) {
			bool entered = false, sync_failed = false;
			struct scene s;
			begin(&s);
			CHECK_EQ(prealloc_enter(&s.prealloc, END, &entered), 0);
			faultio_arm(&s.fault, FAULTIO_ERROR, errors[i], n);
			int rc = guard_write_over(&s.fault.io, s.fd, bytes, sizeof bytes, END, true,
						  &sync_failed);
			CHECK_EQ(rc, s.fault.hit ? -errors[i] : 0);
			CHECK_EQ(sync_failed, s.fault.hit && hit_a_sync(&s));
			syncs += sync_failed;
			end(&s);
		}
		CHECK_EQ(syncs, 1);
	}
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"prealloc_faults_enter", test_enter},
		{"prealloc_faults_grow", test_grow},
		{"prealloc_faults_reserve_of_zeros", test_reserve_of_zeros},
		{"prealloc_faults_reserve_of_blocks", test_reserve_of_blocks},
		{"prealloc_faults_write_over", test_write_over},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
