/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * kvopen - how long opening takes, up to the first answer.
 *
 *   kvopen -b ./be_datawal.so -d DIR [-u SUFFIX] [-s SCENARIO] [-r REP] [-n COUNT] [-x DIVISOR]
 *
 * Puts COUNT records in batches of 1000 and closes.  Each opening is of a fresh copy of that
 * store (the first one after a load may leave less to do for the next), in a child, for
 * writing: with all files in the page cache (open_warm), and with none of them there
 * (open_cold).  again_warm opens the warm copy once more.  With -u warm and cold are repeated
 * without the files whose names end in SUFFIX (bare_warm, bare_cold).
 * Prints CSV: rep,peer,scenario,metric,unit,value
 */
#define _GNU_SOURCE
#include "record.h"
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

enum { VALUE_SIZE = 100, BATCH = 1000, SAMPLES = 1000 };

static const struct be *b;
static const char *suffix, *scenario = "open";
static char loaded[4096], copy[4096]; /* the store as loading left it; the one that is opened */
static size_t count = 1000000;
static int rep;

static void load(void *arg)
{
	char key[KEY_SIZE];
	void *h = backend_open(b, loaded, count, BATCH);

	(void)arg;
	for (size_t i = 0; i < count; i++) {
		struct rec r = make_record(key, i, 0, VALUE_SIZE);
		if (b->put(h, &r))
			errx(1, "%s: put failed at %zu", b->name, i);
		if ((i % BATCH == BATCH - 1 || i == count - 1) && b->commit(h))
			errx(1, "%s: commit failed at %zu", b->name, i);
	}
	backend_close(b, h);
}

static void check_get(void *h, size_t id)
{
	char key[KEY_SIZE], buf[VALUE_SIZE];
	struct rec r = make_record(key, id, 0, VALUE_SIZE);

	if (!same_value(&r, buf, b->get(h, &r, buf, sizeof buf)))
		errx(1, "%s: wrong answer for %zu", b->name, id);
}

static void measure(void *arg)
{
	const char *metric = arg;
	double t = now();
	void *h = backend_open(b, copy, count, 1);

	check_get(h, count / 2);
	emit(rep, b->name, scenario, metric, "s", now() - t);
	for (size_t i = 0; i < SAMPLES; i++)
		check_get(h, mix(i) % count);
	backend_close(b, h);
}

/* Call `visit` for each regular file; the number of those for which it returned 1. */
static size_t for_each_file(int (*visit)(int dir_fd, const char *name))
{
	size_t n = 0;
	struct dirent *e;
	struct stat st;
	DIR *d = opendir(copy);

	if (!d)
		err(1, "%s", copy);
	while ((e = readdir(d)))
		if (!fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) && S_ISREG(st.st_mode))
			n += (size_t)visit(dirfd(d), e->d_name);
	closedir(d);
	return n;
}

static int file_open(int dir_fd, const char *name)
{
	int fd = openat(dir_fd, name, O_RDONLY);

	if (fd < 0)
		err(1, "%s", name);
	return fd;
}

static int file_warm(int dir_fd, const char *name)
{
	static char buf[1 << 20];
	int fd = file_open(dir_fd, name);

	while (read(fd, buf, sizeof buf) > 0)
		;
	close(fd);
	return 1;
}

static int file_drop(int dir_fd, const char *name)
{
	int fd = file_open(dir_fd, name);

	/* only clean pages can go */
	if (fsync(fd) || posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED))
		err(1, "dropping the cache of %s", name);
	close(fd);
	return 1;
}

static int file_remove(int dir_fd, const char *name)
{
	size_t n = strlen(name), m = strlen(suffix);

	if (n < m || strcmp(name + n - m, suffix))
		return 0;
	if (unlinkat(dir_fd, name, 0))
		err(1, "removing %s", name);
	return 1;
}

/* Make `copy` anew.  Nothing of it is left to be written while something is measured. */
static void copy_make(void)
{
	char command[4 * sizeof copy + 64];

	snprintf(command, sizeof command, "rm -rf '%s' && cp -a '%s' '%s' && sync -f '%s'", copy,
		 loaded, copy, copy);
	if (system(command))
		errx(1, "copying %s failed", loaded);
}

static void measure_copy(char *metric, int bare, int cold)
{
	copy_make();
	if (bare && !for_each_file(file_remove))
		errx(1, "%s: no file ends in '%s'", b->name, suffix);
	for_each_file(cold ? file_drop : file_warm);
	in_child(measure, metric, metric);
	if (!bare && !cold)
		in_child(measure, "again_warm", "again_warm");
}

int main(int argc, char **argv)
{
	const char *so = NULL, *dir = NULL;
	size_t divisor = 1;
	int c;

	while ((c = getopt(argc, argv, "b:d:u:s:r:n:x:")) != -1)
		switch (c) {
		case 'b': so = optarg; break;
		case 'd': dir = optarg; break;
		case 'u': suffix = optarg; break;
		case 's': scenario = optarg; break;
		case 'r': rep = atoi(optarg); break;
		case 'n': count = strtoul(optarg, NULL, 0); break;
		case 'x': divisor = strtoul(optarg, NULL, 0); break;
		default: return 2;
		}
	if (!so || !dir || !divisor || count < divisor)
		errx(2, "usage: kvopen -b BACKEND.so -d DIR [-u SUFFIX] [-s SCENARIO] [-r REP] "
			"[-n COUNT] [-x DIVISOR]");
	count /= divisor;
	b = load_backend(so);
	snprintf(loaded, sizeof loaded, "%s/loaded", dir);
	snprintf(copy, sizeof copy, "%s/copy", dir);
	mkdir(dir, 0777);
	if (mkdir(loaded, 0777))
		err(1, "%s", loaded);
	in_child(load, NULL, "loading");
	measure_copy("open_warm", 0, 0);
	measure_copy("open_cold", 0, 1);
	if (suffix) {
		measure_copy("bare_warm", 1, 0);
		measure_copy("bare_cold", 1, 1);
	}
	return 0;
}
