/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * kvexport - the JSONL export beside the least that anything like it has to do.
 *
 *   kvexport -d DIR [-r REP] [-n COUNT] [-x DIVISOR]
 *
 * datawal: dw_export_file() of COUNT records whose segments are in the page cache.
 * base64: the bytes of the same keys and values, side by side in memory, through
 * EVP_EncodeBlock() and write(2) in large pieces, and one fsync(2).
 * Both in MB of keys and values a second.
 * Prints CSV: rep,peer,scenario,metric,unit,value
 */
#define _GNU_SOURCE
#include "datawal.h"
#include "record.h"
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>

enum { VALUE_SIZE = 100, RECORD_SIZE = KEY_SIZE + VALUE_SIZE, BATCH = 1000 };
enum { PIECE = 3 << 18 }; /* whole groups of three, 1 MiB when encoded */

static size_t count = 1000000;
static char store_path[4096], export_path[4096];
static int rep;

static void fail(int rc, const char *what)
{
	errno = -rc;
	err(1, "%s", what);
}

static void report(const char *peer, double secs)
{
	emit(rep, peer, "export", "export", "MB/s", (double)(count * RECORD_SIZE) / 1e6 / secs);
}

static struct dw_store *store_open(void)
{
	struct dw_options options = {.create = true};
	struct dw_store *store;
	int rc = dw_open(store_path, &options, NULL, &store);

	if (rc)
		fail(rc, store_path);
	return store;
}

static void load(void *arg)
{
	static char keys[BATCH][KEY_SIZE];
	static struct dw_op ops[BATCH];
	struct dw_store *store = store_open();
	size_t n = 0;
	int rc;

	(void)arg;
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

/* As many lines as keys, and each as long as base64 and the braces make it. */
static void check_export(void)
{
	static const size_t line = sizeof "{\"key_b64\":\"\",\"value_b64\":\"\"}\n" - 1 +
				   (KEY_SIZE + 2) / 3 * 4 + (VALUE_SIZE + 2) / 3 * 4;
	struct stat st;

	if (stat(export_path, &st) || (size_t)st.st_size != line * count)
		errx(1, "the export has not %zu bytes", line * count);
}

static void measure_export(void *arg)
{
	struct dw_store *store = store_open();
	double t = now();
	int rc = dw_export_file(store, export_path);

	(void)arg;
	t = now() - t;
	if (rc)
		fail(rc, "dw_export_file");
	check_export();
	report("datawal", t);
	rc = dw_close(store);
	if (rc)
		fail(rc, "dw_close");
}

static void measure_base64(void *arg)
{
	size_t size = count * RECORD_SIZE;
	unsigned char *bytes = malloc(size), *text = malloc(PIECE / 3 * 4 + 1);

	(void)arg;
	if (!bytes || !text)
		err(1, "malloc");
	for (size_t i = 0; i < count; i++) {
		unsigned char *at = bytes + i * RECORD_SIZE;
		struct rec r = make_record((char *)at, i, 0, VALUE_SIZE);
		memcpy(at + KEY_SIZE, r.val, VALUE_SIZE);
	}
	double t = now();
	int fd = open(export_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (fd < 0)
		err(1, "%s", export_path);
	for (size_t at = 0; at < size; at += PIECE) {
		size_t piece = size - at < PIECE ? size - at : PIECE;
		int n = EVP_EncodeBlock(text, bytes + at, (int)piece);
		if (write(fd, text, (size_t)n) != n)
			err(1, "%s", export_path);
	}
	if (fsync(fd) || close(fd))
		err(1, "%s", export_path);
	report("base64", now() - t);
	free(bytes);
	free(text);
}

/* The next measurement must not include the write-back of earlier writes. */
static void dir_sync(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY);

	if (fd < 0 || syncfs(fd))
		err(1, "%s", dir);
	close(fd);
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
		errx(2, "usage: kvexport -d DIR [-r REP] [-n COUNT] [-x DIVISOR]");
	count /= divisor;
	fill(pool, sizeof pool, 42);
	mkdir(dir, 0777);
	snprintf(store_path, sizeof store_path, "%s/store", dir);
	snprintf(export_path, sizeof export_path, "%s/export.jsonl", dir);
	in_child(load, NULL, "loading");
	dir_sync(dir);
	in_child(measure_export, NULL, "exporting");
	if (unlink(export_path))
		err(1, "%s", export_path);
	dir_sync(dir);
	in_child(measure_base64, NULL, "encoding");
	return 0;
}
