/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * kvrun - one run of the index: the cost of writing it, and of a lookup.
 *
 *   kvrun -d DIR [-n KEYS] [-k flat|tree] [-r REP] [-m]
 *
 * The keys are 16 hexadecimal digits (flat), or d00017/file-0042.txt, 1,000 a directory (tree);
 * places are those of records of 150 bytes that were put in random order, ten microseconds apart.
 * Look-ups are of keys in random order.  Times are of this thread's processor.  With -m nothing is
 * read from large pages.
 * Prints CSV: rep,peer,scenario,metric,unit,value
 */
#define _GNU_SOURCE
#include "../bench.h"
#include <err.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "index/run.h"
#include "index/runwriter.h"

enum {
	KEY_ROOM = 40,
	RECORD_SIZE = 150,
	QUERIES = 1000000,
	LISTS = 2000,
	LIST_NAMES = 1000,
	SEED = 77,
};

static size_t count = 1000000;
static bool tree;
static uint64_t *flat; /* the keys of flat, sorted */
static char scenario[64];
static int rep;

static double cpu(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void say(const char *metric, const char *unit, double v)
{
	emit(rep, "run", scenario, metric, unit, v);
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static struct dw_bytes make_key(size_t i, char *ret)
{
	if (tree)
		snprintf(ret, KEY_ROOM, "d%05zu/file-%04zu.txt", i / LIST_NAMES, i % LIST_NAMES);
	else
		snprintf(ret, KEY_ROOM, "%016llx", (unsigned long long)flat[i]);
	return (struct dw_bytes){ret, strlen(ret)};
}

static struct run_place make_place(size_t i)
{
	uint64_t order = mix(i ^ SEED) % count, at = order * RECORD_SIZE;

	return (struct run_place){
		.segment = 1 + (uint32_t)(at >> 28),
		.offset = at & ((1 << 28) - 1),
		.value_size = RECORD_SIZE - 44,
		.mtime_ns = 1700000000000000000 + (int64_t)(order * 10000 + mix(i) % 5000),
		.change = 1,
	};
}

static void write_run(int dirfd)
{
	const struct runwriter_options options = {.id = 1, .seed = SEED};
	struct runwriter *writer;
	char key[KEY_ROOM];
	double empty = -cpu();

	for (size_t i = 0; i < count; i++) { /* the cost of making keys */
		struct dw_bytes k = make_key(i, key);
		struct run_place place = make_place(i);
		__asm__ volatile("" : : "r"(&k), "r"(&place) : "memory");
	}
	empty += cpu();
	double used = -cpu(), wall = -now();
	if (runwriter_open(&io_posix, dirfd, &options, &writer))
		errx(1, "cannot write");
	for (size_t i = 0; i < count; i++) {
		struct run_place place = make_place(i);
		if (runwriter_add(writer, make_key(i, key), &place))
			errx(1, "cannot add");
	}
	if (runwriter_finish(writer, true))
		errx(1, "cannot finish");
	used += cpu();
	wall += now();
	say("write", "ns/key", (used - empty) * 1e9 / (double)count);
	say("write_wall", "ns/key", (wall - empty) * 1e9 / (double)count);
	say("size", "B/key", (double)runwriter_size(writer) / (double)count);
	runwriter_free(writer);
}

/* Keys to ask for, one behind the other; every one, or none, is there. */
static char *make_queries(bool there)
{
	char *queries = malloc((size_t)QUERIES * KEY_ROOM);

	for (size_t q = 0; q < QUERIES; q++) {
		char *key = queries + q * KEY_ROOM;
		uint64_t random = mix(q + (1ull << 40)); /* none that is there */
		if (there || tree)
			make_key(random % count, key);
		else
			snprintf(key, KEY_ROOM, "%016llx", (unsigned long long)random);
		if (!there && tree)
			key[19] = 'x'; /* instead of .txt */
	}
	return queries;
}

static void ask(struct run *run, const char *metric, bool there)
{
	char *queries = make_queries(there);
	double best = 1e9;

	for (int round = 0; round < 3; round++) {
		double used = -cpu();
		for (size_t q = 0; q < QUERIES; q++) {
			const char *key = queries + q * KEY_ROOM;
			struct dw_bytes k = {key, tree ? 20 : 16};
			struct run_place place;
			if (run_get(run, k, run_hash(SEED, k), &place) != there)
				errx(1, "wrong answer for %s", key);
		}
		used += cpu();
		if (used < best)
			best = used;
	}
	say(metric, "ns", best * 1e9 / QUERIES);
	free(queries);
}

/* As many at once as a batch or a compaction asks for. */
static void ask_many(struct run *run)
{
	enum { MANY = 128 };
	static struct run_probe probes[MANY];
	char *queries = make_queries(true);
	double used = -cpu();

	for (size_t q = 0; q + MANY <= QUERIES; q += MANY) {
		for (size_t i = 0; i < MANY; i++) {
			struct dw_bytes k = {queries + (q + i) * KEY_ROOM, tree ? 20 : 16};
			probes[i].key = k;
			probes[i].hash = run_hash(SEED, k);
		}
		run_get_many(run, probes, MANY);
		for (size_t i = 0; i < MANY; i++)
			if (probes[i].rc != 1)
				errx(1, "wrong answer of many");
	}
	used += cpu();
	say("hit_many", "ns", used * 1e9 / (QUERIES / MANY * MANY));
	free(queries);
}

static void scan(struct run *run)
{
	struct run_cursor cursor;
	struct dw_bytes key;
	struct run_place place;
	size_t seen = 0;
	uint64_t sum = 0;
	double used = -cpu();

	if (run_cursor_init(&cursor, run))
		errx(1, "no cursor");
	for (; run_cursor_next(&cursor, &key, &place) == 1; seen++)
		sum += place.offset + key.size;
	used += cpu();
	if (seen != count || !sum)
		errx(1, "scan saw %zu keys", seen);
	say("scan", "ns/key", used * 1e9 / (double)count);
	run_cursor_release(&cursor);
}

static void list(struct run *run)
{
	struct run_cursor cursor;
	struct dw_bytes key;
	struct run_place place;
	char name[KEY_ROOM];
	double used = -cpu();

	if (run_cursor_init(&cursor, run))
		errx(1, "no cursor");
	for (uint64_t n = 0; n < LISTS; n++) {
		size_t first = mix(n) % count / LIST_NAMES * LIST_NAMES;
		struct dw_bytes prefix = make_key(first, name);
		if (tree)
			prefix.size = 7;
		if (run_cursor_seek(&cursor, prefix))
			errx(1, "cannot seek");
		for (int i = 0; i < LIST_NAMES; i++)
			if (run_cursor_next(&cursor, &key, &place) != 1)
				errx(1, "list ends early");
	}
	used += cpu();
	say("list_1000", "us", used * 1e6 / LISTS);
	run_cursor_release(&cursor);
}

static void below(struct run *run)
{
	int64_t change = 0, newest, sum = 0;
	char name[KEY_ROOM];
	double used = -cpu();

	for (uint64_t n = 0; n < QUERIES; n++) {
		struct dw_bytes key = make_key(mix(n) % count / LIST_NAMES * LIST_NAMES, name);
		if (run_below(run, (struct dw_bytes){key.data, 7}, &change, &newest) ||
		    change != LIST_NAMES)
			errx(1, "below says %lld", (long long)change);
		sum += change;
	}
	used += cpu();
	say("below", "ns", used * 1e9 / QUERIES + (sum ? 0 : 1));
}

static void ask_all(struct run *run, const char *how)
{
	snprintf(scenario, sizeof scenario, "%s_%zu_%s", tree ? "tree" : "flat", count, how);
	ask(run, "hit", true);
	ask(run, "miss", false);
	ask_many(run);
	scan(run);
	list(run);
	if (tree)
		below(run);
}

static void read_run(int dirfd, bool mapped_only)
{
	struct run *run;
	double used = -cpu();

	if (run_open(&io_posix, dirfd, 1, &run))
		errx(1, "cannot open");
	used += cpu();
	say("open", "us", used * 1e6);
	ask_all(run, "mapped");
	if (!mapped_only) {
		used = -cpu();
		if (run_make_resident(run))
			errx(1, "cannot be resident");
		used += cpu();
		ask_all(run, "resident");
		say("make_resident", "ms", used * 1e3);
	}
	run_unref(run);
}

int main(int argc, char **argv)
{
	const char *dir = NULL;
	bool mapped_only = false;
	int c;

	while ((c = getopt(argc, argv, "d:n:k:r:m")) != -1) {
		switch (c) {
		case 'd': dir = optarg; break;
		case 'n': count = strtoull(optarg, NULL, 10); break;
		case 'k': tree = !strcmp(optarg, "tree"); break;
		case 'r': rep = atoi(optarg); break;
		case 'm': mapped_only = true; break;
		default: return 2;
		}
	}
	int dirfd = dir ? open(dir, O_RDONLY | O_DIRECTORY) : -1;
	count = count / LIST_NAMES * LIST_NAMES;
	if (dirfd < 0 || !count)
		errx(2, "usage: kvrun -d DIR [-n KEYS] [-k flat|tree] [-r REP] [-m]");
	if (!tree) {
		flat = malloc(count * sizeof *flat);
		for (size_t i = 0; i < count; i++)
			flat[i] = mix(i);
		qsort(flat, count, sizeof *flat, compare);
	}
	snprintf(scenario, sizeof scenario, "%s_%zu", tree ? "tree" : "flat", count);
	write_run(dirfd);
	read_run(dirfd, mapped_only);
	unlinkat(dirfd, "00000001.run", 0);
	return 0;
}
