/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * kvthreads - synced puts by one thread and by several on one open store.
 *
 *   kvthreads -b ./be_datawal.so -d DIR [-r REP] [-n COUNT] [-x DIVISOR]
 *
 * Each put is on disk when it returns; the same number of them is made by one thread, then
 * by eight, each time into a fresh store, which is then opened again and read.  Only for
 * backends whose put may be called by many threads at once.
 * Prints CSV: rep,peer,scenario,metric,unit,value
 */
#define _GNU_SOURCE
#include "record.h"
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>

enum { THREADS_MAX = 8, VALUE_SIZE = 100 };

struct run {
	char dir[4096];
	const char *metric;
	int threads;
};

static const struct be *b;
static const char *dir;
static void *handle;
static size_t count = 4000;
static int rep;

struct worker {
	pthread_t id;
	const struct run *run;
	size_t first;
	int failed;
};

static void *worker_run(void *arg)
{
	struct worker *w = arg;
	char key[KEY_SIZE];

	for (size_t i = w->first; i < count; i += (size_t)w->run->threads) {
		struct rec r = make_record(key, i, 0, VALUE_SIZE);
		if (b->put(handle, &r))
			w->failed = 1;
	}
	return NULL;
}

static void store_open(const char *path)
{
	struct beopt options = {.n = count, .batch = 1, .durable = 1};

	handle = b->open(path, &options);
	if (!handle)
		errx(1, "%s: open failed", b->name);
}

static void store_close(void)
{
	if (b->close(handle))
		errx(1, "%s: close failed", b->name);
}

static void put_all(void *arg)
{
	const struct run *run = arg;
	struct worker w[THREADS_MAX];

	store_open(run->dir);
	double t = now();
	for (int i = 0; i < run->threads; i++) {
		w[i] = (struct worker){.run = run, .first = (size_t)i};
		if (pthread_create(&w[i].id, NULL, worker_run, &w[i]))
			errx(1, "pthread_create");
	}
	for (int i = 0; i < run->threads; i++)
		pthread_join(w[i].id, NULL);
	t = now() - t;
	for (int i = 0; i < run->threads; i++)
		if (w[i].failed)
			errx(1, "%s: a put failed", b->name);
	emit(rep, b->name, "threads", run->metric, "ops/s", (double)count / t);
	store_close();
}

static void get_all(void *arg)
{
	const struct run *run = arg;
	char key[KEY_SIZE], buf[VALUE_SIZE];

	store_open(run->dir);
	for (size_t i = 0; i < count; i++) {
		struct rec r = make_record(key, i, 0, VALUE_SIZE);
		if (!same_value(&r, buf, b->get(handle, &r, buf, sizeof buf)))
			errx(1, "%s: wrong answer for %zu", b->name, i);
	}
	store_close();
}

static void measure(const char *metric, int threads)
{
	struct run run = {.metric = metric, .threads = threads};

	snprintf(run.dir, sizeof run.dir, "%s/%s", dir, metric);
	if (mkdir(run.dir, 0777))
		err(1, "%s", run.dir);
	in_child(put_all, &run, "putting");
	in_child(get_all, &run, "reading back");
}

int main(int argc, char **argv)
{
	const char *so = NULL;
	size_t divisor = 1;
	int c;

	while ((c = getopt(argc, argv, "b:d:r:n:x:")) != -1)
		switch (c) {
		case 'b': so = optarg; break;
		case 'd': dir = optarg; break;
		case 'r': rep = atoi(optarg); break;
		case 'n': count = strtoul(optarg, NULL, 0); break;
		case 'x': divisor = strtoul(optarg, NULL, 0); break;
		default: return 2;
		}
	if (!so || !dir || !divisor || count < divisor)
		errx(2, "usage: kvthreads -b BACKEND.so -d DIR [-r REP] [-n COUNT] [-x DIVISOR]");
	count /= divisor;
	b = load_backend(so);
	mkdir(dir, 0777);
	measure("put_1t", 1);
	measure("put_8t", THREADS_MAX);
	return 0;
}
