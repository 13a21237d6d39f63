/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_fault.c - each system call of a scenario fails once.
 *
 * A scenario runs with its first call failing, its second, ... until it gets to
 * its end without meeting the fault.  Each time: acknowledged changes are there, a failed one left
 * no trace or is complete, the store goes on unless poisoned, it opens again, and no descriptor is
 * lost.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/opendir.h"
#include "store/store.h"
#include "tests/support/faultio.h"
#include "tests/support/files.h"
#include "tests/support/stores.h"

enum { SEGMENT_SIZE = 300, CALLS_MAX = 2000 };

struct world {
	struct faultio fault;
	char dir[128], extra[160]; /* the store; a file or directory beside it */
	struct dw_store *store;
	struct model model; /* acknowledged */
	int error;          /* first one that a call returned */
};

static int open_store(struct world *w)
{
	const struct dw_options options = {.create = true, .segment_size = SEGMENT_SIZE};

	return store_open(&w->fault.io, w->dir, &options, NULL, &w->store);
}

static void failed(struct world *w, int rc)
{
	if (!w->error)
		w->error = rc;
}

static void apply(struct model *model, const struct dw_op *ops, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (ops[i].type == DW_PUT)
			model_put(model, ops[i].key, ops[i].value);
		else if (ops[i].type == DW_DELETE)
			model_delete(model, ops[i].key);
	}
}

/* Compare without faults and without counting. */
static void check_view(struct world *w)
{
	struct faultio armed = w->fault;

	w->fault.fail_at = 0;
	w->fault.follow = false;
	model_check(&w->model, w->store);
	/* nothing of a failed append stays behind the log's end */
	if (!log_check(&w->store->core->log)) {
		struct stat st;
		CHECK_EQ(fstat(w->store->core->log.fd, &st), 0);
		CHECK_EQ(st.st_size, w->store->core->log.end);
	}
	w->fault = armed;
}

/* While the process lives a failed batch has left no trace. */
static void do_batch(struct world *w, const struct dw_op *ops, size_t count)
{
	int rc = dw_batch(w->store, ops, count);

	if (rc)
		failed(w, rc);
	else
		apply(&w->model, ops, count);
	check_view(w);
}

static void do_op(struct world *w, enum dw_type type, const char *key, const char *value)
{
	const struct dw_op op = {type, stores_bytes(key), stores_bytes(value), false, 0};

	do_batch(w, &op, 1);
}

static void prepare(struct world *w)
{
	char key[16];

	CHECK_EQ(open_store(w), 0);
	for (int i = 0; i < 12; i++) {
		(void)snprintf(key, sizeof key, "key %d", i % 8);
		do_op(w, DW_PUT, key, "some bytes that are a value");
	}
	do_op(w, DW_DELETE, "key 3", "");
	do_op(w, DW_RAW, "raw", "payload");
}

/* --- scenarios: `before` runs without faults --- */

static void before_nothing(struct world *w)
{
	(void)w;
}

static void before_torn(struct world *w)
{
	struct dw_stats stats;
	char path[160];

	prepare(w);
	dw_get_stats(w->store, &stats);
	CHECK_EQ(dw_close(w->store), 0);
	w->store = NULL;
	(void)snprintf(path, sizeof path, "%s/%08u.dwal", w->dir, stats.active_segment);
	struct buf bytes = files_read(AT_FDCWD, path);
	CHECK_EQ(buf_add(&bytes, "DWAL\1\0\1\0torn", 12), 0);
	files_write(AT_FDCWD, path, bytes.data, bytes.size);
	buf_release(&bytes);
}

static void run_opening(struct world *w)
{
	int rc = open_store(w);

	if (rc)
		failed(w, rc);
	else
		do_op(w, DW_PUT, "first", "of all");
}

static void run_puts(struct world *w)
{
	char key[16];

	for (int i = 0; i < 12; i++) {
		(void)snprintf(key, sizeof key, "new %d", i % 9);
		do_op(w, DW_PUT, key, i % 2 ? "one value" : "another value, longer");
	}
}

static void run_batch(struct world *w)
{
	struct dw_op ops[40];
	char keys[40][16];
	uint8_t *data = stores_noise(1, 100000);

	for (int i = 0; i < 40; i++) {
		(void)snprintf(keys[i], sizeof keys[i], "key %d", i);
		ops[i] = (struct dw_op){
			.type = i % 5 ? DW_PUT : DW_DELETE,
			.key = stores_bytes(keys[i]),
			.value = {data, i % 5 ? (size_t)(i % 7 ? 20000 : 70000) : 0}};
	}
	do_batch(w, ops, 40);
	do_op(w, DW_PUT, "behind", "the batch");
	free(data);
}

static void run_sync(struct world *w)
{
	for (int i = 0; i < 3; i++) {
		do_op(w, DW_PUT, "synced", i % 2 ? "odd" : "even");
		int rc = dw_sync(w->store);
		if (rc)
			failed(w, rc);
	}
}

static void run_rotate(struct world *w)
{
	for (int i = 0; i < 3; i++) {
		int rc = dw_rotate(w->store);
		if (rc)
			failed(w, rc);
		do_op(w, DW_PUT, "rotated", i % 2 ? "odd" : "even");
	}
}

static void run_compact(struct world *w)
{
	for (int i = 0; i < 2; i++) {
		int rc = dw_compact(w->store, NULL);
		if (rc)
			failed(w, rc);
		check_view(w);
		do_op(w, DW_PUT, "key 1", "written between");
		do_op(w, DW_DELETE, i ? "key 2" : "key 4", "");
	}
}

/* Runs of the oldest segments: one that is dead, and one that is so by half. */
static void run_compact_runs(struct world *w)
{
	for (int i = 0; i < 3; i++) {
		const struct dw_compact_options options = {.dead_percent = i ? 20 : 60};
		int rc = dw_compact_with(w->store, &options, NULL);
		if (rc)
			failed(w, rc);
		check_view(w);
		do_op(w, DW_PUT, i ? "key 0" : "key 1", "written between");
		do_op(w, DW_DELETE, i ? "key 2" : "key 4", "");
	}
}

static void run_delete(struct world *w)
{
	do_op(w, DW_DELETE, "key 1", "");
	do_op(w, DW_DELETE, "never there", "");
	do_op(w, DW_DELETE, "key 2", "");
	do_op(w, DW_PUT, "key 1", "is back");
}

static void run_read(struct world *w)
{
	struct dw_verify_report report;
	struct dw_value value;
	int rc = dw_get(w->store, stores_bytes("key 1"), &value);

	if (rc)
		failed(w, rc);
	else
		free(value.data);
	rc = dw_verify(w->store, &report);
	if (rc)
		failed(w, rc);
}

/* The file is the old one or the whole new one, and no temporary is left. */
static void run_export(struct world *w)
{
	files_write(AT_FDCWD, w->extra, "old\n", 4);
	int rc = dw_export_file(w->store, w->extra);
	struct buf got = files_read(AT_FDCWD, w->extra);
	bool old = got.size == 4 && !memcmp(got.data, "old\n", 4);
	size_t lines = 0;

	for (size_t i = 0; i < got.size; i++)
		lines += got.data[i] == '\n';
	CHECK(old || lines == w->model.count);
	CHECK(rc || !old);
	if (rc)
		failed(w, rc);
	buf_release(&got);
	do_op(w, DW_PUT, "exported", "yes");
}

/* A failed copy leaves a store that holds live keys only. */
static void run_compact_to(struct world *w)
{
	struct dw_store *copy = NULL;
	int rc = dw_compact_to(w->store, w->extra);
	int opened = dw_open(w->extra, &(struct dw_options){.read_only = true}, NULL, &copy);

	if (rc)
		failed(w, rc);
	else
		model_check(&w->model, copy);
	CHECK(opened == 0 || (rc && opened == -ENOENT));
	if (!opened)
		CHECK(dw_count(copy) <= w->model.count);
	(void)dw_close(copy);
}

static const struct scenario {
	const char *name;
	void (*before)(struct world *w), (*run)(struct world *w);
	bool closed; /* `run` opens the store */
} scenarios[] = {
	{"open fresh", before_nothing, run_opening, true},
	{"open torn", before_torn, run_opening, true},
	{"puts", prepare, run_puts, false},
	{"batch", prepare, run_batch, false},
	{"sync", prepare, run_sync, false},
	{"rotate", prepare, run_rotate, false},
	{"compact", prepare, run_compact, false},
	{"compact runs", prepare, run_compact_runs, false},
	{"delete", prepare, run_delete, false},
	{"read", prepare, run_read, false},
	{"export", prepare, run_export, false},
	{"compact to", prepare, run_compact_to, false},
};

/* --- */

/* The same instance goes on unless poisoned, and then it says so. */
static void check_goes_on(struct world *w)
{
	struct dw_stats stats;

	if (!w->store)
		return;
	dw_get_stats(w->store, &stats);
	model_check(&w->model, w->store);
	const struct dw_op op = {.type = DW_PUT, .key = {"goes", 4}, .value = {"on", 2}};
	int rc = dw_batch(w->store, &op, 1);
	CHECK_EQ(rc, -stats.poisoned);
	CHECK(!rc || w->fault.hit);
	if (!rc) {
		apply(&w->model, &op, 1);
		CHECK_EQ(dw_sync(w->store), 0);
		CHECK_EQ(dw_compact(w->store, NULL), 0);
		model_check(&w->model, w->store);
	}
	CHECK_EQ(dw_close(w->store), -stats.poisoned);
	w->store = NULL;
}

static void check_reopened(struct world *w)
{
	struct dw_store *store = NULL;
	const struct dw_options options = {.create = true};

	CHECK_EQ(store_open(&w->fault.io, w->dir, &options, NULL, &store), 0);
	model_check(&w->model, store);
	CHECK_EQ(dw_put(store, stores_bytes("reopened"), stores_bytes("yes")), 0);
	CHECK_EQ(dw_compact(store, NULL), 0);
	stores_expect(store, "reopened", "yes");
	stores_close(store);
	CHECK_EQ(files_count_suffixed(w->dir, ".compact"), 0);
}

/* Whether the fault was met. */
static bool run_once(const struct scenario *scenario, enum faultio_kind kind, int error,
		     uint64_t fail_at)
{
	struct world w = {.store = NULL};
	int fds;

	(void)snprintf(w.dir, sizeof w.dir, "%s", check_dir());
	(void)snprintf(w.extra, sizeof w.extra, "%s/extra", check_dir());
	faultio_init(&w.fault);
	fds = stores_fd_count();
	scenario->before(&w);
	faultio_arm(&w.fault, kind, error, fail_at);
	scenario->run(&w);
	w.fault.fail_at = 0;
	w.fault.follow = false;
	CHECK(w.fault.hit || !w.error);
	if (kind == FAULTIO_EINTR || (kind == FAULTIO_SHORT && !error))
		CHECK_EQ(w.error, 0); /* the caller must not notice */
	if (w.error && w.error != -error)
		printf("  %s: %s says %s\n", scenario->name, w.fault.where, strerror(-w.error));
	CHECK(!w.error || w.error == -error);
	check_goes_on(&w);
	CHECK_EQ(stores_fd_count(), fds);
	check_reopened(&w);
	model_release(&w.model);
	return w.fault.hit;
}

static void run_all(enum faultio_kind kind, int error)
{
	for (size_t i = 0; i < sizeof scenarios / sizeof *scenarios; i++) {
		uint64_t n = 1;
		while (n < CALLS_MAX && run_once(&scenarios[i], kind, error, n))
			n++;
		CHECK(n > 1 && n < CALLS_MAX);
	}
}

static void test_eio(void)
{
	run_all(FAULTIO_ERROR, EIO);
}

static void test_enospc(void)
{
	run_all(FAULTIO_ERROR, ENOSPC);
}

static void test_eintr(void)
{
	run_all(FAULTIO_EINTR, EINTR);
}

/* A write of half, and the rest goes through. */
static void test_short(void)
{
	run_all(FAULTIO_SHORT, 0);
}

/* A write of half, and the rest does not. */
static void test_short_enospc(void)
{
	run_all(FAULTIO_SHORT, ENOSPC);
}

/* One system call for up to 256 KiB. */
static void test_call_count(void)
{
	struct world w = {.store = NULL};
	struct dw_op ops[100];
	uint8_t *data = stores_noise(1, 2600);

	(void)snprintf(w.dir, sizeof w.dir, "%s", check_dir());
	faultio_init(&w.fault);
	CHECK_EQ(store_open(&w.fault.io, w.dir, &(struct dw_options){.create = true}, NULL,
			    &w.store),
		 0);
	for (size_t i = 0; i < 100; i++)
		ops[i] =
			(struct dw_op){.type = DW_PUT, .key = {data + i, 8}, .value = {data, 2500}};
	CHECK_EQ(dw_batch(w.store, ops, 1), 0);
	uint64_t before = w.fault.pwritevs, calls = w.fault.calls;
	CHECK_EQ(dw_batch(w.store, ops, 100), 0);
	CHECK_EQ(w.fault.pwritevs - before, 1);
	/* once a second it also looks at the segment and the directory */
	CHECK(w.fault.calls - calls == 1 || w.fault.calls - calls == 3);
	CHECK_EQ(dw_close(w.store), 0);
	free(data);
}

/* An append that fails and can't be undone, or a failed sync, stops the writer: reads
 * go on, each write returns the first error. */
static void test_poison(void)
{
	struct world w = {.store = NULL};
	struct dw_stats stats;

	(void)snprintf(w.dir, sizeof w.dir, "%s", check_dir());
	faultio_init(&w.fault);
	prepare(&w);
	CHECK_EQ(dw_sync(w.store), 0);
	do_op(&w, DW_PUT, "last", "value");
	faultio_arm(&w.fault, FAULTIO_ERROR, EDQUOT, 1);
	CHECK_EQ(dw_sync(w.store), -EDQUOT);
	CHECK_EQ(dw_sync(w.store), -EDQUOT); /* never as if nothing had been */
	CHECK_EQ(dw_put(w.store, stores_bytes("x"), stores_bytes("y")), -EDQUOT);
	CHECK_EQ(dw_rotate(w.store), -EDQUOT);
	CHECK_EQ(dw_compact(w.store, NULL), -EDQUOT);
	dw_get_stats(w.store, &stats);
	CHECK_EQ(stats.poisoned, EDQUOT);
	model_check(&w.model, w.store);
	CHECK_EQ(dw_close(w.store), -EDQUOT);
	check_reopened(&w);
	model_release(&w.model);
}

/* --- readers on a network disk --- */

static int stale_list(struct io *io, int dirfd, io_name_fn *visit, void *context)
{
	(void)io;
	(void)dirfd;
	(void)visit;
	(void)context;
	return -ESTALE;
}

static void count_finding(void *context, const struct dw_finding *finding)
{
	(void)finding;
	++*(int *)context;
}

/* Whichever call of a reader meets a file or listing that a compaction elsewhere made stale: it
 * starts over.  A reader of the log alone does, too. */
static void test_stale(void)
{
	struct world w = {.model = {0}};
	int findings = 0, fds;
	const struct dw_options reading = {
		.read_only = true, .on_finding = count_finding, .context = &findings};

	(void)snprintf(w.dir, sizeof w.dir, "%s", check_dir());
	faultio_init(&w.fault);
	prepare(&w);
	CHECK_EQ(dw_close(w.store), 0);
	fds = stores_fd_count();
	for (int unread = 0; unread < 2; unread++) {
		uint64_t at = 0;
		do {
			uint64_t *sizes = NULL;
			struct core *core = NULL;
			w.store = NULL;
			faultio_init(&w.fault);
			faultio_arm(&w.fault, FAULTIO_ERROR, ESTALE, ++at);
			int rc = unread ? core_open_unread(&w.fault.io, w.dir, &reading, &sizes,
							   &core)
					: store_open(&w.fault.io, w.dir, &reading, NULL, &w.store);
			if (rc)
				printf("  call %llu: %s\n", (unsigned long long)at, w.fault.where);
			CHECK_EQ(rc, 0);
			CHECK((unread ? core : w.store->core)->segments.count > 1);
			w.fault.fail_at = 0;
			if (!unread)
				model_check(&w.model, w.store);
			if (unread)
				core_free(core);
			CHECK_EQ(dw_close(w.store), 0);
			free(sizes);
			CHECK_EQ(stores_fd_count(), fds);
		} while (w.fault.hit);
		CHECK(at > 8);
	}
	CHECK_EQ(findings, 0);
	/* one that stays is told; a writer alone in its store takes the first at its word */
	struct io stale = io_posix;
	stale.list = stale_list;
	CHECK_EQ(store_open(&stale, w.dir, &reading, NULL, &w.store), -ESTALE);
	faultio_init(&w.fault);
	faultio_arm(&w.fault, FAULTIO_ERROR, ESTALE, 2);
	CHECK_EQ(open_store(&w), -ESTALE);
	CHECK_EQ(stores_fd_count(), fds);
	model_release(&w.model);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"fault_eio", test_eio},
		{"fault_enospc", test_enospc},
		{"fault_eintr", test_eintr},
		{"fault_short", test_short},
		{"fault_short_enospc", test_short_enospc},
		{"fault_call_count", test_call_count},
		{"fault_poison", test_poison},
		{"fault_stale", test_stale},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
