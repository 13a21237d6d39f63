/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * kvindex - what finding keys costs when there are many of them and their values are small.
 *
 *   kvindex -b ./be_lmdb.so -d DIR [-t] [-o] [-R] [-s SCENARIO] [-r REP] [-n COUNT] [-x DIVISOR]
 *
 * Puts COUNT keys in random order (-o: in their own) in batches of 1000 and closes.  Keys are 16
 * hexadecimal digits; with -t they are d00017/file-0042.txt, 1000 in a directory.  Then, each in a
 * child: opening and looking keys up; opening after a kill behind 1,000,000 more puts (a tenth of
 * COUNT, if that is less); and, with -R, opening without the files *.run and index.
 * Times are of the processor, of all threads.  Prints CSV: rep,peer,scenario,metric,unit,value
 */
#define _GNU_SOURCE
#include "record.h"
#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

enum { VALUE_SIZE = 8, BATCH = 1000, TREE_KEY_SIZE = 20, IN_DIRECTORY = 1000, SAMPLES = 1000000 };

static const struct be *b;
static const char *dir, *scenario = "index";
static size_t count = 1000000;
static int rep, tree, ordered;

static void out(const char *metric, const char *unit, double v)
{
	emit(rep, b->name, scenario, metric, unit, v);
}

static double cpu(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* A figure of /proc/self/FILE, in bytes. */
static double figure(const char *file, const char *field, double unit)
{
	char line[256], path[64];
	double v = 0;
	size_t n = strlen(field);

	snprintf(path, sizeof path, "/proc/self/%s", file);
	FILE *f = fopen(path, "r");
	while (f && fgets(line, sizeof line, f))
		if (!strncmp(line, field, n) && line[n] == ':')
			v = atof(line + n + 1) * unit;
	if (f)
		fclose(f);
	return v;
}

static double anon(void)
{
	return figure("status", "RssAnon", 1024) / 1048576;
}

/* Bytes of the files in `dir` whose names end so; NULL: of all. */
static double file_bytes(const char *end)
{
	double sum = 0;
	struct dirent *e;
	struct stat st;
	DIR *d = opendir(dir);

	if (!d)
		err(1, "%s", dir);
	while ((e = readdir(d))) {
		size_t n = strlen(e->d_name), m = end ? strlen(end) : 0;
		if (n >= m && !strcmp(e->d_name + n - m, end ? end : "") &&
		    !fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) && S_ISREG(st.st_mode))
			sum += (double)st.st_blocks * 512;
	}
	closedir(d);
	return sum;
}

static struct rec record(char key[TREE_KEY_SIZE + 1], uint64_t id)
{
	struct rec r = make_record(key, id, 0, VALUE_SIZE);

	if (tree) {
		snprintf(key, TREE_KEY_SIZE + 1, "d%05u/file-%04u.txt", (unsigned)(id / IN_DIRECTORY % 100000),
			 (unsigned)(id % IN_DIRECTORY));
		r.klen = strlen(key);
	}
	return r;
}

/* Each number below `count` once, as if at random: the factor is a prime. */
static uint64_t shuffled(uint64_t i)
{
	return ordered ? i : (i * 2654435761u) % count;
}

static void put_some(void *h, uint64_t from, uint64_t n)
{
	char key[TREE_KEY_SIZE + 1];

	for (uint64_t i = 0; i < n; i++) {
		struct rec r = record(key, from + (from ? i : shuffled(i)));
		if (b->put(h, &r))
			errx(1, "%s: put failed at %zu", b->name, (size_t)i);
		if ((i % BATCH == BATCH - 1 || i == n - 1) && b->commit(h))
			errx(1, "%s: commit failed at %zu", b->name, (size_t)i);
	}
}

static void load(void *arg)
{
	double t = cpu();
	void *h = backend_open(b, dir, count, BATCH);

	(void)arg;
	put_some(h, 0, count);
	out("grow", "ns", (cpu() - t) * 1e9 / (double)count);
	out("anon_grown", "MiB", anon());
	t = cpu();
	backend_close(b, h);
	out("close", "ms", (cpu() - t) * 1e3);
	out("written", "B/key", figure("io", "write_bytes", 1) / (double)count);
	out("disk", "B/key", file_bytes(NULL) / (double)count);
	out("disk_log", "B/key", file_bytes(".dwal") / (double)count);
	out("disk_hints", "B/key", file_bytes(".hint") / (double)count);
	out("disk_index", "B/key", (file_bytes(".run") + file_bytes("index")) / (double)count);
}

/* Look up records `from`..`from + span` at random; unless `want`, keys that differ from theirs in
 * the last letter. */
static void look_up(void *h, const char *metric, uint64_t from, uint64_t span, int want)
{
	char key[TREE_KEY_SIZE + 1], buf[VALUE_SIZE];
	size_t n = span < SAMPLES ? span : SAMPLES;
	double t = cpu();

	for (size_t i = 0; i < n; i++) {
		struct rec r = record(key, from + mix(i) % span);
		key[r.klen - 1] = (char)(key[r.klen - 1] ^ !want);
		if ((b->get(h, &r, buf, sizeof buf) == VALUE_SIZE) != want)
			errx(1, "%s: %s: wrong answer for %zu", b->name, metric, i);
	}
	out(metric, "ns", (cpu() - t) * 1e9 / (double)n);
}

static void list_directories(void *h)
{
	enum { DIRECTORIES = 1000 };
	char prefix[16];
	uint64_t sum = 0;
	double t = now(), c;

	snprintf(prefix, sizeof prefix, "d%05u/", (unsigned)(mix(7) % (count / IN_DIRECTORY)));
	if (b->list(h, prefix, strlen(prefix), &sum) != IN_DIRECTORY)
		errx(1, "%s: a directory is not whole", b->name);
	out("list_first", "us", (now() - t) * 1e6);
	c = cpu();
	for (uint64_t i = 0; i < DIRECTORIES; i++) {
		snprintf(prefix, sizeof prefix, "d%05u/", (unsigned)(mix(i) % (count / IN_DIRECTORY)));
		if (b->list(h, prefix, strlen(prefix), &sum) != IN_DIRECTORY)
			errx(1, "%s: a directory is not whole", b->name);
	}
	out("list", "us", (cpu() - c) * 1e6 / DIRECTORIES);
}

static uint64_t more(void)
{
	return count / 10 < 1000000 ? count / 10 : 1000000;
}

/* Each put alone. */
static void overwrite(void *h, const char *metric)
{
	double t = cpu();

	for (uint64_t i = 0; i < more(); i++) {
		char key[TREE_KEY_SIZE + 1];
		struct rec r = record(key, mix(i) % count);
		if (b->put(h, &r))
			errx(1, "%s: put failed", b->name);
	}
	out(metric, "ns", (cpu() - t) * 1e9 / (double)more());
}

static void measure(void *arg)
{
	double t = cpu(), w = now();
	uint64_t sum = 0;
	void *h = backend_open(b, dir, count, 1);

	(void)arg;
	out("open", "ms", (cpu() - t) * 1e3);
	out("open_wall", "ms", (now() - w) * 1e3);
	out("anon_open", "MiB", anon());
	look_up(h, "hit_first", 0, count, 1);
	look_up(h, "hit", 0, count, 1);
	look_up(h, "miss", 0, count, 0);
	out("anon_hit", "MiB", anon());
	overwrite(h, "overwrite");
	if (b->list) {
		if (tree)
			list_directories(h);
		t = cpu();
		if (b->list(h, "", 0, &sum) != (long)count)
			errx(1, "%s: a scan saw the wrong number of keys", b->name);
		out("scan", "ns", (cpu() - t) * 1e9 / (double)count);
		overwrite(h, "overwrite_listed");
	}
	out("anon_end", "MiB", anon());
	t = cpu();
	backend_close(b, h);
	out("close_after", "ms", (cpu() - t) * 1e3);
}

static void put_more(void *arg)
{
	void *h = backend_open(b, dir, count, BATCH);

	(void)arg;
	put_some(h, count, more());
	_exit(0); /* as if killed */
}

static void reopen(void *arg)
{
	double t = cpu(), w = now();
	void *h = backend_open(b, dir, count, 1);
	char metric[64];

	snprintf(metric, sizeof metric, "%s_open", (const char *)arg);
	out(metric, "ms", (cpu() - t) * 1e3);
	snprintf(metric, sizeof metric, "%s_open_wall", (const char *)arg);
	out(metric, "ms", (now() - w) * 1e3);
	struct rusage usage;
	getrusage(RUSAGE_SELF, &usage);
	snprintf(metric, sizeof metric, "%s_anon", (const char *)arg);
	out(metric, "MiB", anon());
	snprintf(metric, sizeof metric, "%s_rss_max", (const char *)arg);
	out(metric, "MiB", (double)usage.ru_maxrss / 1024);
	look_up(h, arg, count, more(), 1);
	backend_close(b, h);
}

static void remove_index(void)
{
	char command[4096 + 64];

	snprintf(command, sizeof command, "rm -f '%s'/*.run '%s'/index", dir, dir);
	if (system(command))
		errx(1, "removing the index failed");
}

int main(int argc, char **argv)
{
	const char *so = NULL;
	size_t divisor = 1;
	int c, rebuild = 0;

	while ((c = getopt(argc, argv, "b:d:toRs:r:n:x:")) != -1)
		switch (c) {
		case 'b': so = optarg; break;
		case 'd': dir = optarg; break;
		case 't': tree = 1; break;
		case 'o': ordered = 1; break;
		case 'R': rebuild = 1; break;
		case 's': scenario = optarg; break;
		case 'r': rep = atoi(optarg); break;
		case 'n': count = strtoul(optarg, NULL, 0); break;
		case 'x': divisor = strtoul(optarg, NULL, 0); break;
		default: return 2;
		}
	if (!so || !dir || !divisor || count / divisor < 10 * IN_DIRECTORY)
		errx(2, "usage: kvindex -b BACKEND.so -d DIR [-t] [-o] [-R] [-s SCENARIO] [-r REP] "
			"[-n COUNT] [-x DIVISOR]");
	count /= divisor;
	b = load_backend(so);
	if (mkdir(dir, 0777))
		err(1, "%s", dir);
	in_child(load, NULL, "loading");
	in_child(measure, NULL, "measuring");
	in_child(put_more, NULL, "putting more");
	in_child(reopen, "killed", "opening after a kill");
	if (rebuild) {
		remove_index();
		in_child(reopen, "rebuilt", "opening without an index");
	}
	return 0;
}
