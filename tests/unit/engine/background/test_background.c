/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_background.c - the threads in the background: the signals that they leave alone, and the
 * one that brings the index to disk.
 */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "store/store.h"
#include "tests/support/stores.h"

static void nap(void)
{
	(void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

/* The signals that thread `tid` of this process blocks, as the kernel tells it. */
static uint64_t blocked_by(const char *tid)
{
	unsigned long long mask = 0;
	char path[300], line[200];
	bool found = false;

	(void)snprintf(path, sizeof path, "/proc/self/task/%s/status", tid);
	FILE *status = fopen(path, "r");
	CHECK(status != NULL);
	while (!found && fgets(line, sizeof line, status))
		found = sscanf(line, "SigBlk: %llx", &mask) == 1;
	CHECK_EQ(fclose(status), 0);
	CHECK(found);
	return mask;
}

/* Signals go to the program's threads.  But SIGBUS, which a page raises that cannot be read, would
 * end the process if it were blocked. */
static void test_signals(void)
{
	const struct dw_maintain_options options = {.compact = true, .scrub_interval_ms = 1000000};
	struct dw_store *store = stores_open(stores_dir(), 0);
	char self[24];
	int others = 0;

#ifdef __SANITIZE_THREAD__
	check_skip("the sanitizer has a thread of its own");
	stores_close(store);
	return;
#endif
	CHECK_EQ(dw_maintain(store, &options), 0);
	(void)snprintf(self, sizeof self, "%ld", (long)gettid());
	DIR *tasks = opendir("/proc/self/task");
	CHECK(tasks != NULL);
	for (struct dirent *task; (task = readdir(tasks));) {
		if (*task->d_name == '.' || !strcmp(task->d_name, self))
			continue;
		/* until it has come to its own code, the C library blocks all */
		while (blocked_by(task->d_name) >> (SIGBUS - 1) & 1)
			nap();
		uint64_t mask = blocked_by(task->d_name);
		CHECK(mask >> (SIGTERM - 1) & 1);
		CHECK(mask >> (SIGALRM - 1) & 1);
		others++;
	}
	CHECK_EQ(closedir(tasks), 0);
	CHECK(others >= 2);
	stores_close(store);
}

/* The index goes to disk in the background, when enough of it is in memory. */
static void test_index(void)
{
	const struct dw_maintain_options options = {.compact = true, .dead_bytes_min = 1 << 30};
	const struct dw_options small = {.create = true, .index_keys = 50};
	const char *dir = stores_dir();
	struct dw_store *store = NULL;
	struct dw_report report;
	char key[16];

	CHECK_EQ(dw_open(dir, &small, NULL, &store), 0);
	CHECK_EQ(dw_maintain(store, &options), 0);
	for (int i = 0; i < 2000; i++) {
		(void)snprintf(key, sizeof key, "key %d", i);
		stores_put(store, key, "value");
		stores_expect(store, key, "value");
	}
	while (index_pending(&store->core->index) >= 200)
		nap();
	CHECK(index_is_on_disk(&store->core->index));
	CHECK_EQ(dw_maintain(store, NULL), 0);
	CHECK_EQ(dw_count(store), 2000);
	stores_kill(store);
	CHECK_EQ(dw_open(dir, &small, &report, &store), 0);
	CHECK(report.records < 400);
	CHECK_EQ(dw_count(store), 2000);
	for (int i = 0; i < 2000; i += 7) {
		(void)snprintf(key, sizeof key, "key %d", i);
		stores_expect(store, key, "value");
	}
	stores_close(store);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"maintain_signals", test_signals},
		{"maintain_index", test_index},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
