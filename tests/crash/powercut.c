/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * powercut.c - writes a store until its file system goes down, and says afterwards
 * whether what is left may be so.  test_powercut.sh beside drives it.
 *
 *   powercut write STORE JOURNAL SEED        until a call fails
 *   powercut lie STORE JOURNAL SEED          the same, but syncs are only said to be done
 *   powercut check STORE JOURNAL VIEW NEXT   after the next mount
 *
 * The journal lies on another file system.  It names each operation before it is asked
 * for, in the order of the log, and each sync after it was acknowledged:
 *
 *   P n k    operation n puts value n under key k        D n k    ... deletes key k
 *   S n      all up to n are on disk
 *
 * A value is made of its two numbers, so that the journal tells what it must be.
 * check writes the view that it found to VIEW, in the words of tests/golden/replay.pl,
 * and to NEXT the journal that another round on the same store goes on with.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "datawal.h"
#include "tests/support/check.h"

enum {
	KEYS = 48,
	NONE = KEYS, /* in a journal: an operation that did not come through */
	VALUE_MAX = 100000,
	BATCH = 24,
	SEGMENT_SIZE = 1 << 20,
	SECONDS = 20, /* another process ends it, normally */
};

/* a small index in memory: it goes to disk again and again */
static const struct dw_options writing = {
	.create = true, .segment_size = SEGMENT_SIZE, .index_keys = 50};
static const struct dw_options reading = {.read_only = true};

static _Noreturn void die(const char *what, int rc)
{
	(void)fprintf(stderr, "powercut: %s: %s\n", what, strerror(rc < 0 ? -rc : rc));
	exit(2);
}

/* --- what is written --- */

static struct dw_bytes key_of(unsigned k, char text[16])
{
	return (struct dw_bytes){text, (size_t)snprintf(text, 16, k % 4 ? "key/%02u" : "%u", k)};
}

/* Mostly small; some go over many pages. */
static size_t value_of(uint64_t n, unsigned k, uint8_t ret[VALUE_MAX + 8])
{
	struct rng rng = {n * KEYS + k};
	size_t size = 8 + (size_t)rng_below(&rng, rng_below(&rng, 40) ? 1200 : VALUE_MAX - 8);

	memcpy(ret, &n, 8);
	for (size_t at = 8; at < size; at += 8) {
		uint64_t x = rng_next(&rng);
		memcpy(ret + at, &x, 8);
	}
	return size;
}

struct world {
	const char *dir;
	int journal;
	struct rng rng; /* of the thread that writes */
	bool lies;
	struct dw_store *store;
	uint64_t next;             /* the next operation */
	atomic_uint_fast64_t done; /* all up to here were appended */
	atomic_bool stop;
	pthread_rwlock_t life; /* held for reading by other threads that use the store */
};

static void note(struct world *w, char kind, uint64_t n, unsigned k)
{
	char line[64];
	int size = kind == 'S' ? snprintf(line, sizeof line, "S %" PRIu64 "\n", n)
			       : snprintf(line, sizeof line, "%c %" PRIu64 " %u\n", kind, n, k);

	if (write(w->journal, line, (size_t)size) != size)
		die("journal", errno);
}

/* A call may fail only because the volume is gone. */
static bool failed(struct world *w, int rc)
{
	if (rc < 0 && rc != -EIO && rc != -EROFS && rc != -EBUSY && !atomic_load(&w->stop))
		(void)fprintf(stderr, "powercut: stopped by %s\n", strerror(-rc));
	if (rc < 0)
		atomic_store(&w->stop, true);
	return rc < 0;
}

static void sync_store(struct world *w)
{
	uint64_t n = atomic_load(&w->done);

	if (w->lies || !failed(w, dw_sync(w->store)))
		note(w, 'S', n, 0);
}

static void write_batch(struct world *w)
{
	static uint8_t values[BATCH][VALUE_MAX + 8];
	char keys[BATCH][16];
	struct dw_op ops[BATCH];
	size_t count = 1 + (size_t)rng_below(&w->rng, rng_below(&w->rng, 5) ? 2 : BATCH);

	for (size_t i = 0; i < count; i++) {
		unsigned k = (unsigned)rng_below(&w->rng, KEYS);
		uint64_t n = w->next++;
		bool put = rng_below(&w->rng, 5);
		note(w, put ? 'P' : 'D', n, k);
		ops[i] =
			(struct dw_op){.type = put ? DW_PUT : DW_DELETE, .key = key_of(k, keys[i])};
		if (put)
			ops[i].value = (struct dw_bytes){values[i], value_of(n, k, values[i])};
	}
	if (!failed(w, dw_batch(w->store, ops, count)))
		atomic_store(&w->done, w->next - 1);
}

static void reopen(struct world *w)
{
	(void)pthread_rwlock_wrlock(&w->life);
	int rc = dw_close(w->store);
	w->store = NULL;
	if (!failed(w, rc)) {
		note(w, 'S', w->next - 1, 0);
		(void)failed(w, dw_open(w->dir, &writing, NULL, &w->store));
	}
	(void)pthread_rwlock_unlock(&w->life);
}

/* --- the threads beside --- */

static void pause_below(struct rng *rng, unsigned us)
{
	(void)usleep((useconds_t)rng_below(rng, us));
}

static void *sync_often(void *context)
{
	struct world *w = context;
	struct rng rng = {1};

	while (!atomic_load(&w->stop)) {
		pause_below(&rng, 60000);
		(void)pthread_rwlock_rdlock(&w->life);
		if (w->store)
			sync_store(w);
		(void)pthread_rwlock_unlock(&w->life);
	}
	return NULL;
}

static void *compact_often(void *context)
{
	struct world *w = context;
	struct rng rng = {2};

	while (!atomic_load(&w->stop)) {
		pause_below(&rng, 200000);
		(void)pthread_rwlock_rdlock(&w->life);
		if (w->store)
			(void)failed(w, dw_compact(w->store, NULL));
		(void)pthread_rwlock_unlock(&w->life);
	}
	return NULL;
}

/* The kernel may write back any page at any time: some of them now, out of order. */
static void write_back(const char *dir, struct rng *rng)
{
	DIR *list = opendir(dir);
	struct dirent *entry;
	int fd = -1;

	while (list && fd < 0 && (entry = readdir(list)))
		if (strstr(entry->d_name, ".dwal") && !rng_below(rng, 3))
			fd = openat(dirfd(list), entry->d_name, O_RDONLY | O_CLOEXEC);
	off_t size = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);
	if (size > 0)
		(void)sync_file_range(fd, (off_t)rng_below(rng, (uint64_t)size) & -4096,
				      4096 << rng_below(rng, 5), SYNC_FILE_RANGE_WRITE);
	if (fd >= 0)
		(void)close(fd); /* only for the call above, which is best effort */
	if (list)
		(void)closedir(list);
}

static void *write_back_often(void *context)
{
	struct world *w = context;
	struct rng rng = {3};

	while (!atomic_load(&w->stop)) {
		pause_below(&rng, 10000);
		write_back(w->dir, &rng);
	}
	return NULL;
}

/* --- write --- */

static int append_to(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);

	if (fd < 0)
		die(path, errno);
	return fd;
}

struct op {
	unsigned key;
	bool put;
};

struct journal {
	struct op *ops; /* from 1; owned */
	uint64_t count; /* the last one's number */
	uint64_t synced;
};

static struct journal journal_read(const char *path)
{
	struct journal j = {0};
	FILE *file = fopen(path, "re");
	char kind, line[64];
	uint64_t n;
	unsigned k;

	while (file && fgets(line, sizeof line, file)) {
		k = 0;
		if (sscanf(line, "%c %" SCNu64 " %u", &kind, &n, &k) < 2 || k > NONE)
			die("a line of the journal", EINVAL);
		if (kind == 'S') {
			j.synced = n > j.synced ? n : j.synced;
			continue;
		}
		if (n != j.count + 1)
			die("order of the journal", EINVAL);
		j.ops = reallocarray(j.ops, n + 1, sizeof *j.ops);
		if (!j.ops)
			die("journal", ENOMEM);
		j.ops[n] = (struct op){k, kind == 'P'};
		j.count = n;
	}
	if (file)
		(void)fclose(file); /* only read */
	return j;
}

static int run_write(const char *dir, const char *journal, uint64_t seed, bool lies)
{
	static void *(*const beside[])(void *) = {sync_often, compact_often, write_back_often};
	enum { THREADS = sizeof beside / sizeof *beside };
	struct journal before = journal_read(journal);
	struct world w = {.dir = dir, .journal = append_to(journal), .rng = {seed}, .lies = lies};
	pthread_t threads[THREADS];
	time_t end = time(NULL) + SECONDS;

	free(before.ops);
	w.next = before.count + 1;
	atomic_store(&w.done, before.count);
	(void)pthread_rwlock_init(&w.life, NULL); /* these cannot fail */
	if (failed(&w, dw_open(dir, &writing, NULL, &w.store)))
		return 0;
	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, beside[i], &w))
			die("thread", EAGAIN);
	while (!atomic_load(&w.stop) && time(NULL) < end) {
		switch (rng_below(&w.rng, 400)) {
		case 0: reopen(&w); break;
		case 1:
		case 2: (void)failed(&w, dw_rotate(w.store)); break;
		case 3:
		case 4: sync_store(&w); break;
		default: write_batch(&w);
		}
		pause_below(&w.rng, rng_below(&w.rng, 20) ? 300 : 8000);
	}
	atomic_store(&w.stop, true);
	for (int i = 0; i < THREADS; i++)
		(void)pthread_join(threads[i], NULL);
	(void)dw_close(w.store); /* its volume is gone */
	return 0;
}

/* --- check --- */

struct view {
	/* The operation that a key's value is of; 0: absent, as NONE always is. */
	uint64_t value[KEYS + 1];
};

static int add_to_view(void *context, struct dw_bytes key, const struct dw_stat *stat)
{
	unsigned *count = context;

	(void)key;
	(void)stat;
	++*count;
	return 0;
}

/* The contents of the store. */
static struct view read_view(struct dw_store *store)
{
	static uint8_t want[VALUE_MAX + 8];
	struct view view = {0};
	struct dw_value got;
	unsigned total = 0, seen = 0;
	char text[16];

	for (unsigned k = 0; k < KEYS; k++) {
		int rc = dw_get(store, key_of(k, text), &got);
		if (rc == -ENOENT)
			continue;
		if (rc < 0)
			die(text, rc);
		uint64_t n = 0;
		if (got.size >= 8)
			memcpy(&n, got.data, 8);
		if (got.size != value_of(n, k, want) || memcmp(got.data, want, got.size)) {
			(void)printf("lost: key '%s' has a value that nobody wrote\n", text);
			exit(1);
		}
		view.value[k] = n;
		seen++;
		free(got.data);
	}
	(void)dw_for_each(store, add_to_view, &total);
	if (total != seen) {
		(void)printf("invented: %u keys, of which %u are known\n", total, seen);
		exit(1);
	}
	return view;
}

/* Each key has the value of the last sync, or a later one. */
static bool is_allowed(const struct journal *j, const struct view *view)
{
	uint64_t synced[KEYS + 1] = {0};
	bool good = true;
	char text[16];

	for (uint64_t n = 1; n <= j->synced; n++)
		synced[j->ops[n].key] = n;
	for (unsigned k = 0; k < KEYS; k++) {
		uint64_t n = view->value[k], last = synced[k];
		bool fine = n ? n >= last && n <= j->count && j->ops[n].put && j->ops[n].key == k
			      : !last || !j->ops[last].put;
		for (uint64_t later = j->synced + 1; !n && later <= j->count; later++)
			fine = fine || (j->ops[later].key == k && !j->ops[later].put);
		if (fine)
			continue;
		(void)key_of(k, text);
		(void)printf("lost: key '%s' has operation %" PRIu64 "; %" PRIu64 " (%s) was "
			     "synced by %" PRIu64 " of %" PRIu64 "\n",
			     text, n, last, j->ops[last].put ? "put" : "delete", j->synced,
			     j->count);
		good = false;
	}
	return good;
}

/* The log ends somewhere behind the last sync: the number of the last operation that
 * counts, or UINT64_MAX: the view is that of no prefix. */
static uint64_t prefix_of(const struct journal *j, const struct view *view)
{
	uint64_t now[KEYS + 1] = {0};
	unsigned wrong = 0;

	for (unsigned k = 0; k < KEYS; k++)
		wrong += view->value[k] != 0;
	for (uint64_t n = 0; n <= j->count; n++) {
		if (n) {
			unsigned k = j->ops[n].key;
			uint64_t value = j->ops[n].put ? n : 0;
			wrong -= now[k] != view->value[k];
			wrong += value != view->value[k];
			now[k] = value;
		}
		if (n >= j->synced && !wrong)
			return n;
	}
	return UINT64_MAX;
}

static void check_view(const struct journal *j, const struct view *view, bool repaired)
{
	if (!is_allowed(j, view))
		exit(1);
	if (!repaired && prefix_of(j, view) == UINT64_MAX) {
		(void)printf("lost: the view is that of no moment\n");
		exit(1);
	}
}

/* In the words of replay.pl, in order of the keys. */
static void print_view(struct dw_store *store, const char *path)
{
	FILE *file = fopen(path, "we");
	struct dw_iter *iter = NULL;
	struct dw_item item;
	struct dw_value value;

	if (!file || dw_iter_open(store, &iter) < 0)
		die(path, errno ? errno : ENOMEM);
	while (dw_iter_next(iter, &item) == 1) {
		int rc = dw_get(store, item.key, &value);
		if (rc < 0)
			die("a value", rc);
		for (size_t i = 0; i < item.key.size; i++)
			(void)fprintf(file, "%02x", ((const uint8_t *)item.key.data)[i]);
		(void)fprintf(file, " %zu %08" PRIx32 "\n", value.size,
			      crc32c(0, value.data, value.size));
		free(value.data);
	}
	dw_iter_close(iter);
	if (fclose(file))
		die(path, errno);
}

/* The next round starts from the present contents. */
static void write_next(const struct journal *j, const struct view *view, const char *path)
{
	FILE *file = fopen(path, "we");

	if (!file)
		die(path, errno);
	for (uint64_t n = 1; n <= j->count; n++) {
		unsigned k = j->ops[n].key;
		bool there = view->value[k] == n;
		(void)fprintf(file, "%c %" PRIu64 " %u\n", there ? 'P' : 'D', n, there ? k : NONE);
	}
	(void)fprintf(file, "S %" PRIu64 "\n", j->count);
	if (fclose(file))
		die(path, errno);
}

static struct dw_store *open_checked(const char *dir, const struct dw_options *options)
{
	struct dw_store *store = NULL;
	int rc = dw_open(dir, options, NULL, &store);

	if (rc < 0)
		die(dir, rc);
	return store;
}

/* A writer takes it up, appends, and the view is what it was. */
static void go_on(const char *dir, const struct view *view, bool repaired)
{
	struct dw_bytes extra = {"extra", 5};
	struct dw_store *store = open_checked(dir, &writing);
	struct dw_verify_report verified;
	struct view after = read_view(store);
	int rc = memcmp(&after, view, sizeof after) ? -EBADMSG : dw_put(store, extra, extra);

	if (!rc)
		rc = dw_delete(store, extra);
	if (!rc)
		rc = dw_verify(store, &verified);
	rc = dw_close(store) < 0 || rc < 0 ? -EBADMSG : 0;
	store = open_checked(dir, &reading);
	after = read_view(store);
	(void)dw_close(store); /* a reader */
	if (rc < 0 || memcmp(&after, view, sizeof after)) {
		(void)printf("lost: a writer that went on%s changed the view\n",
			     repaired ? " after repair" : "");
		exit(1);
	}
}

static int run_check(const char *dir, const char *journal, const char *words, const char *next)
{
	struct journal j = journal_read(journal);
	struct dw_report report = {0};
	struct dw_repair_report repair = {0};
	struct dw_store *store = NULL;
	int rc = dw_open(dir, &reading, &report, &store);
	bool repaired = rc == -EBADMSG;
	const char *state = repaired ? "refused" : report.torn_bytes ? "torn" : "clean";

	if (rc == -ENOENT && !j.synced) {
		(void)printf("clean: not even the directory\n");
		write_next(&(struct journal){0}, &(struct view){0}, next);
		return 0;
	}
	if (repaired) {
		rc = dw_repair(dir, true, NULL, NULL, NULL, &repair);
		if (rc < 0)
			die("repair", rc);
		store = open_checked(dir, &reading);
	} else if (rc < 0) {
		die(dir, rc);
	}
	struct view view = read_view(store);
	print_view(store, words);
	(void)dw_close(store); /* a reader */
	check_view(&j, &view, repaired);
	go_on(dir, &view, repaired);
	write_next(&j, &view, next);
	(void)printf("%s: %" PRIu64 " operations, %" PRIu64 " synced", state, j.count, j.synced);
	if (!repaired)
		(void)printf(", %" PRIu64 " kept", prefix_of(&j, &view));
	if (repaired || report.torn_bytes)
		(void)printf("; segment %" PRIu32 " offset %" PRIu64 " %s", report.segment,
			     report.offset, dw_damage_name(report.damage));
	(void)printf("%s\n", repair.records_behind ? ", with records behind" : "");
	free(j.ops);
	return 0;
}

int main(int argc, char **argv)
{
	bool lies = argc == 5 && !strcmp(argv[1], "lie");

	if (lies || (argc == 5 && !strcmp(argv[1], "write")))
		return run_write(argv[2], argv[3], strtoull(argv[4], NULL, 0), lies);
	if (argc == 6 && !strcmp(argv[1], "check"))
		return run_check(argv[2], argv[3], argv[4], argv[5]);
	(void)fprintf(stderr, "usage: powercut write|lie STORE JOURNAL SEED\n"
			      "       powercut check STORE JOURNAL VIEW NEXT\n");
	return 2;
}
