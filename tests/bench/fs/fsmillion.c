/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * fsmillion - a store of many keys mounted: how long that takes, and what it keeps in memory.
 *
 *   fsmillion -e DATAWALFS -d DIR [-r REP] [-n COUNT] [-x DIVISOR]
 *
 * Makes a store of COUNT keys in DIR.  engine/open: dw_open() of it in a child.  project/mount:
 * from starting the daemon until the mount answers.  Then everything is listed once, with
 * attributes; anon_mounted and anon_listed are the daemon's anonymous memory a key, above that of
 * a mount of an empty store.  The page cache is warm for both.
 * Prints CSV: rep,peer,scenario,metric,unit,value
 */
#define _GNU_SOURCE
#include "../bench.h"
#include "datawal.h"
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

enum { KEY_SIZE = 16, VALUE_SIZE = 100, BATCH = 1000, FUSE_MAGIC = 0x65735546 };
enum { POLL_US = 1000, PATIENCE_S = 300 };

static const char *daemon_path;
static char store_path[4096], empty_path[4096], mount_path[4096];
static size_t count = 1000000;
static int rep;
static pid_t daemon_pid;

static void out(const char *peer, const char *metric, const char *unit, double v)
{
	emit(rep, peer, "million", metric, unit, v);
}

static void check(int rc, const char *what)
{
	errno = -rc;
	if (rc)
		err(1, "%s", what);
}

static struct dw_store *store_open(const char *path)
{
	struct dw_options options = {.create = true};
	struct dw_store *store;

	check(dw_open(path, &options, NULL, &store), path);
	return store;
}

static void load(void)
{
	static char keys[BATCH][KEY_SIZE + 1];
	static uint64_t value[(VALUE_SIZE + 7) / 8];
	static struct dw_op ops[BATCH];
	struct dw_store *store = store_open(store_path);
	size_t n = 0;

	fill(value, sizeof value, 42);
	for (size_t i = 0; i < count; i++) {
		snprintf(keys[n], sizeof keys[n], "%016llx", (unsigned long long)mix(i));
		ops[n] = (struct dw_op){
			.type = DW_PUT, .key = {keys[n], KEY_SIZE}, .value = {value, VALUE_SIZE}};
		if (++n < BATCH && i < count - 1)
			continue;
		check(dw_batch(store, ops, n), "dw_batch");
		n = 0;
	}
	check(dw_close(store), "dw_close");
}

static void engine_open(void)
{
	double t = now();
	struct dw_store *store = store_open(store_path);

	t = now() - t;
	if (dw_count(store) != count)
		errx(1, "the store has not %zu keys", count);
	out("engine", "open", "s", t);
	check(dw_close(store), "dw_close");
}

static void run_child(void (*fn)(void), const char *what)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		fn();
		exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
		errx(1, "%s failed", what);
}

/* Whatever happens, no mount is left. */
static void clean_up(void)
{
	if (daemon_pid)
		(void)umount2(mount_path, MNT_DETACH); /* it may not be mounted yet */
	if (daemon_pid)
		kill(daemon_pid, SIGTERM);
}

/* Start the daemon on a store; seconds until the mount answers. */
static double mount_store(const char *path)
{
	struct statfs sf;
	struct stat st;
	double t = now();

	daemon_pid = fork();
	if (!daemon_pid) {
		execl(daemon_path, daemon_path, "-f", path, mount_path, (char *)NULL);
		err(1, "%s", daemon_path);
	}
	while (statfs(mount_path, &sf) || sf.f_type != FUSE_MAGIC || stat(mount_path, &st)) {
		int status;
		if (waitpid(daemon_pid, &status, WNOHANG)) {
			daemon_pid = 0;
			errx(1, "the daemon ended before it had mounted");
		}
		if (now() - t > PATIENCE_S)
			errx(1, "not mounted after %d s", PATIENCE_S);
		usleep(POLL_US);
	}
	return now() - t;
}

static void unmount_store(void)
{
	int status;

	if (umount2(mount_path, 0))
		err(1, "unmounting %s", mount_path);
	if (waitpid(daemon_pid, &status, 0) != daemon_pid || status)
		errx(1, "the daemon failed");
	daemon_pid = 0;
}

static double daemon_anon(void)
{
	char path[64], line[256];
	double kib = -1;

	snprintf(path, sizeof path, "/proc/%d/status", (int)daemon_pid);
	FILE *f = fopen(path, "r");
	while (f && fgets(line, sizeof line, f))
		sscanf(line, "RssAnon: %lf", &kib);
	if (f)
		fclose(f);
	if (kib < 0)
		errx(1, "no RssAnon in %s", path);
	return kib * 1024;
}

static double list_all(void)
{
	double t = now();
	DIR *d = opendir(mount_path);
	struct dirent *e;
	struct stat st;
	size_t n = 0;

	if (!d)
		err(1, "%s", mount_path);
	while ((e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		if (fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) ||
		    st.st_size != VALUE_SIZE)
			err(1, "stat %s", e->d_name);
		n++;
	}
	closedir(d);
	if (n != count)
		errx(1, "saw %zu files, not %zu", n, count);
	return now() - t;
}

static void measure(void)
{
	double n = (double)count, empty, t;

	(void)mount_store(empty_path); /* only its memory is of interest */
	empty = daemon_anon();
	unmount_store();
	run_child(engine_open, "opening");
	t = mount_store(store_path);
	out("project", "mount", "s", t);
	out("project", "anon_mounted", "B/key", (daemon_anon() - empty) / n);
	out("project", "list", "ops/s", n / list_all());
	out("project", "anon_listed", "B/key", (daemon_anon() - empty) / n);
	unmount_store();
}

int main(int argc, char **argv)
{
	const char *dir = NULL;
	size_t divisor = 1;
	int c;

	while ((c = getopt(argc, argv, "e:d:r:n:x:")) != -1)
		switch (c) {
		case 'e': daemon_path = optarg; break;
		case 'd': dir = optarg; break;
		case 'r': rep = atoi(optarg); break;
		case 'n': count = strtoul(optarg, NULL, 0); break;
		case 'x': divisor = strtoul(optarg, NULL, 0); break;
		default: return 2;
		}
	if (!daemon_path || !dir || !divisor || count < divisor)
		errx(2, "usage: fsmillion -e DATAWALFS -d DIR [-r REP] [-n COUNT] [-x DIVISOR]");
	count /= divisor;
	snprintf(store_path, sizeof store_path, "%s/store", dir);
	snprintf(empty_path, sizeof empty_path, "%s/empty", dir);
	snprintf(mount_path, sizeof mount_path, "%s/mnt", dir);
	if (mkdir(dir, 0777) || mkdir(empty_path, 0777) || mkdir(mount_path, 0777))
		err(1, "%s", dir);
	run_child(load, "loading");
	atexit(clean_up);
	measure();
	return 0;
}
