/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_metrics.c - counting: buckets, sums, threads; and the text.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "fs/mounted/figures.h"
#include "fs/mounted/metrics.h"
#include "tests/support/check.h"
#include "tests/support/volumes.h"

static char *printed(const struct metrics *metrics)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	metrics_print(metrics, out);
	CHECK_EQ(fclose(out), 0);
	return text;
}

/* Whether the text has this line. */
static bool has(const char *text, const char *line)
{
	size_t size = strlen(line);

	for (const char *at = text; (at = strstr(at, line)); at++)
		if ((at == text || at[-1] == '\n') && at[size] == '\n')
			return true;
	return false;
}

static void test_buckets(void)
{
	struct metrics *metrics = metrics_new();
	static const int64_t times[] = {0, 1, 2000, 2001, 5000, 10000000000, 10000000001};

	for (size_t i = 0; i < sizeof times / sizeof *times; i++)
		metrics_add_op(metrics, METRIC_READ, times[i]);
	char *text = printed(metrics);
	/* an upper end belongs to its bucket, and each bucket has all before it */
	CHECK(has(text, "datawalfs_operation_duration_seconds_bucket{operation=\"read\","
			"le=\"2e-06\"} 3"));
	CHECK(has(text, "datawalfs_operation_duration_seconds_bucket{operation=\"read\","
			"le=\"5e-06\"} 5"));
	CHECK(has(text, "datawalfs_operation_duration_seconds_bucket{operation=\"read\","
			"le=\"1\"} 5"));
	CHECK(has(text, "datawalfs_operation_duration_seconds_bucket{operation=\"read\","
			"le=\"10\"} 6"));
	CHECK(has(text, "datawalfs_operation_duration_seconds_bucket{operation=\"read\","
			"le=\"+Inf\"} 7"));
	CHECK(has(text, "datawalfs_operation_duration_seconds_count{operation=\"read\"} 7"));
	CHECK(has(text, "datawalfs_operation_duration_seconds_sum{operation=\"read\"} "
			"20.000009003"));
	CHECK(has(text, "datawalfs_operation_duration_seconds_count{operation=\"write\"} 0"));
	CHECK_EQ(metrics_op_count(metrics, METRIC_READ), 7);
	free(text);
	metrics_free(metrics);
}

static void test_errors_and_bytes(void)
{
	struct metrics *metrics = metrics_new();

	metrics_add_error(metrics, ENOENT);
	metrics_add_error(metrics, ENOENT);
	metrics_add_error(metrics, 0);
	metrics_add_error(metrics, 100000);
	metrics_add_error(metrics, -5);
	metrics_add_read(metrics, 7);
	metrics_add_written(metrics, 9);
	char *text = printed(metrics);
	CHECK(has(text, "datawalfs_operation_errors_total{errno=\"ENOENT\"} 2"));
	CHECK(has(text, "datawalfs_operation_errors_total{errno=\"EIO\"} 0"));
	CHECK(!strstr(text, "EPERM"));
	CHECK(has(text, "datawalfs_read_bytes_total 7"));
	CHECK(has(text, "datawalfs_written_bytes_total 9"));
	free(text);
	metrics_free(metrics);
}

enum { THREADS = 20, ROUNDS = 5000 };

static void *count(void *arg)
{
	for (int i = 0; i < ROUNDS; i++) {
		metrics_add_op(arg, METRIC_LOOKUP, i * 1000);
		metrics_add_read(arg, 3);
	}
	return NULL;
}

/* More threads than sets of counters: nothing is lost. */
static void test_threads(void)
{
	struct metrics *metrics = metrics_new();
	pthread_t threads[THREADS];

	for (int i = 0; i < THREADS; i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, count, metrics), 0);
	for (int i = 0; i < THREADS; i++)
		CHECK_EQ(pthread_join(threads[i], NULL), 0);
	CHECK_EQ(metrics_op_count(metrics, METRIC_LOOKUP), THREADS * ROUNDS);
	CHECK_EQ(metrics_bytes_read(metrics), THREADS * ROUNDS * 3);
	metrics_free(metrics);
}

/* The figures of a store agree with what it says itself. */
static void test_figures(void)
{
	struct volume *volume = volumes_mount(stores_dir());
	struct dw_store *store = volume_store(volume);
	char *text = NULL, want[128];
	struct dw_stats stats;
	size_t size;

	CHECK_EQ(dw_put(store, (struct dw_bytes){"k", 1}, (struct dw_bytes){"old", 3}), 0);
	CHECK_EQ(dw_put(store, (struct dw_bytes){"k", 1}, (struct dw_bytes){"new", 3}), 0);
	CHECK_EQ(dw_sync(store), 0);
	dw_get_stats(store, &stats);
	FILE *out = open_memstream(&text, &size);
	figures_print(volume, out);
	CHECK_EQ(fclose(out), 0);
	CHECK(has(text, "datawalfs_store_keys 1"));
	CHECK(has(text, "datawalfs_store_appended_records_total{type=\"put\"} 2"));
	(void)snprintf(want, sizeof want, "datawalfs_store_dead_bytes %llu",
		       (unsigned long long)(stats.bytes - stats.live_bytes));
	CHECK(has(text, want));
	CHECK(has(text, "datawalfs_store_sync_calls_total 1"));
	CHECK(has(text, "datawalfs_store_calls_per_sync_bucket{le=\"1\"} 1"));
	CHECK(has(text, "datawalfs_store_calls_per_sync_sum 1"));
	CHECK(has(text, "datawalfs_store_calls_per_sync_count 1"));
	CHECK(has(text, "datawalfs_commits_failed_total 0"));
	CHECK(has(text, "datawalfs_values_lost_total 0"));
	CHECK(has(text, "datawalfs_commits_early_total 0"));
	CHECK(has(text, "datawalfs_value_memory_bytes 0"));
	CHECK(strstr(text, "\ndatawalfs_value_memory_max_bytes ") != NULL);
	free(text);
	text = figures_json(volume, true);
	CHECK(strstr(text, "\"keys\":1,") && !strchr(text, '\n'));
	CHECK(strstr(text, "\"commits_failed\":0,\"values_lost\":0,\"commits_early\":0,"
			   "\"value_bytes\":0,\"dirty_max\":") != NULL);
	free(text);
	volumes_unmount(volume);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"metrics_buckets", test_buckets},
		{"metrics_errors_and_bytes", test_errors_and_bytes},
		{"metrics_threads", test_threads},
		{"metrics_figures", test_figures},
		{NULL, NULL},
	};

	return check_main(argc, argv, tests);
}
