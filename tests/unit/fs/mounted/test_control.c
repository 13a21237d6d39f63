/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_control.c - commands that take long: cancelled by a command, and by the end of the mount.
 *
 * Their reads are slow, so that each would take much longer than it is given.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "fs/mounted/control.h"
#include "store/store.h"
#include "tests/support/files.h"
#include "tests/support/volumes.h"

enum { SEGMENTS = 40, VALUE = 1 << 20, READ_MS = 100 };

static void nap_ms(long ms)
{
	(void)nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

static ssize_t slow_preadv(struct io *io, int fd, const struct iovec *iov, int count, off_t offset)
{
	(void)io;
	nap_ms(READ_MS);
	return io_posix.preadv(&io_posix, fd, iov, count, offset);
}

struct world {
	struct io io;
	const char *dir;
	struct generations *generations;
	struct control *control;
	struct control_file *file;
	atomic_bool done;
	atomic_long result;
};

static const struct volume_cred root = {0, 0};

/* 40 values that live and 40 that do not: 80 MiB, at least 8 s to read. */
static void begin(struct world *w)
{
	const struct dw_options options = {.create = true, .segment_size = 2 * VALUE};
	const struct volume_options as = {.reserved = ".datawal"};
	static const struct generations_config none = {0};
	struct dw_store *store = NULL;
	struct volume *volume = NULL;
	uint8_t *value = stores_noise(1, VALUE);
	char key[16];

	*w = (struct world){.io = io_posix, .dir = stores_dir()};
	w->io.map = NULL;
	CHECK_EQ(store_open(&w->io, w->dir, &options, NULL, &store), 0);
	for (int i = 0; i < 2 * SEGMENTS; i++) {
		(void)snprintf(key, sizeof key, "%d", i % SEGMENTS);
		CHECK_EQ(dw_put(store, stores_bytes(key), (struct dw_bytes){value, VALUE}), 0);
	}
	free(value);
	w->io.preadv = slow_preadv;
	CHECK_EQ(volume_open(store, &as, &volume), 0);
	CHECK_EQ(generations_new(volume, &none, &w->generations), 0);
	const struct control_config config = {.generations = w->generations,
					      .name = ".datawal",
					      .export_fd = -1,
					      .export_path = "/.export"};
	CHECK_EQ(control_new(&config, &w->control), 0);
	CHECK_EQ(control_open(w->control, CONTROL_COMMANDS, O_WRONLY, &root, &w->file), 0);
}

static void on_done(void *context, ssize_t result)
{
	struct world *w = context;

	atomic_store(&w->result, result);
	atomic_store(&w->done, true);
}

/* Whether `status` has a line. */
static bool says(struct world *w, const char *line)
{
	struct control_file *file = NULL;
	char text[4096] = "";

	CHECK_EQ(control_open(w->control, CONTROL_STATUS, O_RDONLY, &root, &file), 0);
	ssize_t n = control_read(file, text, sizeof text - 1, 0);
	CHECK(n > 0);
	control_close(file);
	return strstr(text, line);
}

static void start(struct world *w, const char *command)
{
	atomic_store(&w->done, false);
	control_start(w->file, &root, stores_bytes(command), on_done, w);
	while (!says(w, "running 1\n"))
		nap_ms(1);
}

/* `end`: by the end of the mount, else by the command. */
static void check_cancelled(const char *command, bool end)
{
	struct timespec begun, ended;
	struct world w;

	begin(&w);
	start(&w, command);
	(void)clock_gettime(CLOCK_MONOTONIC, &begun);
	if (end)
		control_free(w.control);
	else
		while (!atomic_load(&w.done)) { /* before it quite began nothing is cancelled */
			CHECK_EQ(control_write(w.file, &root, stores_bytes("cancel")), 6);
			nap_ms(10);
		}
	(void)clock_gettime(CLOCK_MONOTONIC, &ended);
	CHECK(atomic_load(&w.done));
	CHECK_EQ(atomic_load(&w.result), -ECANCELED);
	CHECK(ended.tv_sec - begun.tv_sec < 6);
	w.io.preadv = io_posix.preadv;
	if (!end)
		control_free(w.control);
	CHECK_EQ(files_count_suffixed(w.dir, ".compact"), 0);
	CHECK_EQ(generations_free(w.generations), 0);
}

static void test_end(void)
{
	check_cancelled("compact", true);
	check_cancelled("verify", true);
	check_cancelled("export out", true);
}

static void test_cancel(void)
{
	check_cancelled("compact", false);
	check_cancelled("verify", false);
	check_cancelled("export out", false);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"control_end", test_end},
		{"control_cancel", test_cancel},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
