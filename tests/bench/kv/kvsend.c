/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * kvsend - a replica by send and receive beside cp of the same directory.
 *
 *   kvsend -d DIR [-r REP] [-n COUNT] [-x DIVISOR]
 *
 * datawal: dw_send in one process, dw_receive in another, a pipe between, of COUNT records whose
 * segments are in the page cache.  cp: cp(1) of the store's directory, and syncfs(2).
 * Both in MB of keys and values a second, until all is on disk.
 * Prints CSV: rep,peer,scenario,metric,unit,value
 */
#define _GNU_SOURCE
#include "datawal.h"
#include "record.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

enum { VALUE_SIZE = 4096, RECORD_SIZE = KEY_SIZE + VALUE_SIZE, BATCH = 100, PIPE_SIZE = 1 << 20 };

static size_t count = 100000;
static char store_path[4096], copy_path[4096], command[10000];
static int rep;

static void fail(int rc, const char *what)
{
	errno = -rc;
	err(1, "%s", what);
}

static void report(const char *peer, double secs)
{
	emit(rep, peer, "send", "send", "MB/s", (double)(count * RECORD_SIZE) / 1e6 / secs);
}

static void load(void *arg)
{
	static char keys[BATCH][KEY_SIZE];
	static struct dw_op ops[BATCH];
	struct dw_options options = {.create = true};
	struct dw_store *store;
	size_t n = 0;
	int rc = dw_open(store_path, &options, NULL, &store);

	(void)arg;
	if (rc)
		fail(rc, store_path);
	for (size_t i = 0; i < count; i++) {
		struct rec r = make_record(keys[n], i, 0, VALUE_SIZE);
		ops[n++] = (struct dw_op){
			.type = DW_PUT, .key = {r.key, r.klen}, .value = {r.val, r.vlen}};
		if (n < BATCH && i < count - 1)
			continue;
		rc = dw_batch(store, ops, n);
		if (rc)
			fail(rc, "dw_batch");
		n = 0;
	}
	rc = dw_close(store);
	if (rc)
		fail(rc, "dw_close");
}

static void write_all(int fd, const char *bytes, size_t size)
{
	while (size) {
		ssize_t n = write(fd, bytes, size);
		if (n < 0)
			err(1, "pipe");
		bytes += n;
		size -= (size_t)n;
	}
}

static void send_to(int fd)
{
	struct dw_send *send;
	struct dw_bytes bytes;
	int rc = dw_send_open(store_path, NULL, &send);

	if (rc)
		fail(rc, "dw_send_open");
	while ((rc = dw_send_next(send, &bytes)) == 1)
		write_all(fd, bytes.data, bytes.size);
	if (rc)
		fail(rc, "dw_send_next");
	dw_send_end(send, &bytes);
	write_all(fd, bytes.data, bytes.size);
	dw_send_close(send);
}

static void receive_from(int fd)
{
	struct dw_receive *receive;
	char *bytes = malloc(PIPE_SIZE);
	int rc = dw_receive_open(copy_path, NULL, &receive);
	ssize_t n;

	if (rc || !bytes)
		fail(rc, "dw_receive_open");
	while (!rc && (n = read(fd, bytes, PIPE_SIZE)) > 0)
		rc = dw_receive_take(receive, bytes, (size_t)n);
	if (rc != 1)
		fail(rc, "dw_receive_take");
	dw_receive_close(receive);
	free(bytes);
}

static void measure_send(void *arg)
{
	int fds[2];
	double t = now();

	(void)arg;
	if (pipe(fds))
		err(1, "pipe");
	(void)fcntl(fds[0], F_SETPIPE_SZ, PIPE_SIZE);
	pid_t pid = fork();
	if (pid < 0)
		err(1, "fork");
	if (!pid) {
		close(fds[0]);
		send_to(fds[1]);
		_exit(0);
	}
	close(fds[1]);
	receive_from(fds[0]);
	report("datawal", now() - t);
}

/* The next measurement must not include the write-back of earlier writes. */
static void dir_sync(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY);

	if (fd < 0 || syncfs(fd))
		err(1, "%s", dir);
	close(fd);
}

static void run(const char *what)
{
	if (system(what))
		errx(1, "failed: %s", what);
}

static void measure_cp(void *arg)
{
	double t = now();

	(void)arg;
	(void)snprintf(command, sizeof command, "cp -r '%s' '%s'", store_path, copy_path);
	run(command);
	dir_sync(copy_path);
	report("cp", now() - t);
}

static void remove_copy(const char *dir)
{
	(void)snprintf(command, sizeof command, "cmp '%s/00000001.dwal' '%s/00000001.dwal'",
		       store_path, copy_path);
	run(command);
	(void)snprintf(command, sizeof command, "rm -r '%s'", copy_path);
	run(command);
	dir_sync(dir);
}

int main(int argc, char **argv)
{
	const char *dir = NULL;
	size_t divisor = 1;
	int c;

	while ((c = getopt(argc, argv, "d:r:n:x:")) != -1)
		switch (c) {
		case 'd': dir = optarg; break;
		case 'r': rep = atoi(optarg); break;
		case 'n': count = strtoul(optarg, NULL, 0); break;
		case 'x': divisor = strtoul(optarg, NULL, 0); break;
		default: return 2;
		}
	if (!dir || !divisor || count < divisor)
		errx(2, "usage: kvsend -d DIR [-r REP] [-n COUNT] [-x DIVISOR]");
	count /= divisor;
	fill(pool, sizeof pool, 42);
	mkdir(dir, 0777);
	snprintf(store_path, sizeof store_path, "%s/store", dir);
	snprintf(copy_path, sizeof copy_path, "%s/copy", dir);
	in_child(load, NULL, "loading");
	dir_sync(dir);
	in_child(measure_send, NULL, "sending");
	remove_copy(dir);
	in_child(measure_cp, NULL, "copying");
	remove_copy(dir);
	return 0;
}
