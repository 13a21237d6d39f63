/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * metrics.c - see metrics.h.
 */
#include "fs/mounted/metrics.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* Upper ends of the buckets; one more takes what is longer.  From a lookup in memory
 * to a sync of a disk that is busy. */
static const int64_t bounds_ns[] = {
	2000,    5000,    10000,    20000,    50000,     100000,     200000,      500000,
	1000000, 2000000, 10000000, 50000000, 100000000, 1000000000, 10000000000,
};

enum { BOUNDS = sizeof bounds_ns / sizeof *bounds_ns, BUCKETS = BOUNDS + 1 };
enum { SHARDS = 8, ERRNO_END = 134, CACHE_LINE = 64 };

struct op_counters {
	atomic_uint_fast64_t buckets[BUCKETS];
	atomic_uint_fast64_t sum_ns;
};

/* Of some of the threads. */
struct shard {
	_Alignas(CACHE_LINE) struct op_counters ops[METRIC_OPS];
	atomic_uint_fast64_t read, written;
};

struct metrics {
	struct shard shards[SHARDS];
	atomic_uint_fast64_t errors[ERRNO_END]; /* by errno; rare, so one for all threads */
};

static const char *const op_names[METRIC_OPS] = {
	[METRIC_LOOKUP] = "lookup",       [METRIC_FORGET] = "forget",
	[METRIC_GETATTR] = "getattr",     [METRIC_SETATTR] = "setattr",
	[METRIC_READLINK] = "readlink",   [METRIC_MKNOD] = "mknod",
	[METRIC_MKDIR] = "mkdir",         [METRIC_UNLINK] = "unlink",
	[METRIC_RMDIR] = "rmdir",         [METRIC_SYMLINK] = "symlink",
	[METRIC_RENAME] = "rename",       [METRIC_LINK] = "link",
	[METRIC_OPEN] = "open",           [METRIC_READ] = "read",
	[METRIC_WRITE] = "write",         [METRIC_FLUSH] = "flush",
	[METRIC_RELEASE] = "release",     [METRIC_FSYNC] = "fsync",
	[METRIC_OPENDIR] = "opendir",     [METRIC_READDIR] = "readdir",
	[METRIC_FSYNCDIR] = "fsyncdir",   [METRIC_STATFS] = "statfs",
	[METRIC_SETXATTR] = "setxattr",   [METRIC_GETXATTR] = "getxattr",
	[METRIC_LISTXATTR] = "listxattr", [METRIC_REMOVEXATTR] = "removexattr",
	[METRIC_CREATE] = "create",       [METRIC_FALLOCATE] = "fallocate",
};

struct metrics *metrics_new(void)
{
	size_t size = (sizeof(struct metrics) + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
	struct metrics *metrics = aligned_alloc(CACHE_LINE, size);

	if (metrics)
		memset(metrics, 0, size);
	return metrics;
}

void metrics_free(struct metrics *metrics)
{
	free(metrics);
}

/* --- counting --- */

static struct shard *own_shard(struct metrics *metrics)
{
	static atomic_uint threads;
	static _Thread_local unsigned number; /* 0: none yet */

	if (!number)
		number = 1 + atomic_fetch_add(&threads, 1) % SHARDS;
	return &metrics->shards[number - 1];
}

static void add(atomic_uint_fast64_t *counter, uint64_t n)
{
	atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static uint64_t get(const atomic_uint_fast64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

void metrics_add_op(struct metrics *metrics, enum metric_op op, int64_t duration_ns)
{
	struct op_counters *counters = &own_shard(metrics)->ops[op];
	size_t bucket = 0;

	while (bucket < BOUNDS && duration_ns > bounds_ns[bucket])
		bucket++;
	add(&counters->buckets[bucket], 1);
	add(&counters->sum_ns, duration_ns > 0 ? (uint64_t)duration_ns : 0);
}

void metrics_add_read(struct metrics *metrics, size_t size)
{
	add(&own_shard(metrics)->read, size);
}

void metrics_add_written(struct metrics *metrics, size_t size)
{
	add(&own_shard(metrics)->written, size);
}

void metrics_add_error(struct metrics *metrics, int error)
{
	if (error > 0 && error < ERRNO_END)
		add(&metrics->errors[error], 1);
}

/* --- adding up --- */

static uint64_t bucket_sum(const struct metrics *metrics, enum metric_op op, size_t bucket)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < SHARDS; i++)
		sum += get(&metrics->shards[i].ops[op].buckets[bucket]);
	return sum;
}

uint64_t metrics_op_count(const struct metrics *metrics, enum metric_op op)
{
	uint64_t sum = 0;

	for (size_t bucket = 0; bucket < BUCKETS; bucket++)
		sum += bucket_sum(metrics, op, bucket);
	return sum;
}

static uint64_t op_time_ns(const struct metrics *metrics, enum metric_op op)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < SHARDS; i++)
		sum += get(&metrics->shards[i].ops[op].sum_ns);
	return sum;
}

uint64_t metrics_bytes_read(const struct metrics *metrics)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < SHARDS; i++)
		sum += get(&metrics->shards[i].read);
	return sum;
}

uint64_t metrics_bytes_written(const struct metrics *metrics)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < SHARDS; i++)
		sum += get(&metrics->shards[i].written);
	return sum;
}

/* --- telling --- */

void metrics_print_head(FILE *out, const char *name, const char *type, const char *help)
{
	(void)fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void metrics_print_one(FILE *out, const char *name, const char *type, const char *help,
		       uint64_t value)
{
	metrics_print_head(out, name, type, help);
	(void)fprintf(out, "%s %" PRIu64 "\n", name, value);
}

static void print_seconds(FILE *out, uint64_t ns)
{
	(void)fprintf(out, "%" PRIu64 ".%09" PRIu64 "\n", ns / 1000000000, ns % 1000000000);
}

static void print_histogram(const struct metrics *metrics, enum metric_op op, FILE *out)
{
	static const char name[] = "datawalfs_operation_duration_seconds";
	const char *label = op_names[op];
	uint64_t count = 0;

	for (size_t i = 0; i < BOUNDS; i++) {
		count += bucket_sum(metrics, op, i);
		(void)fprintf(out, "%s_bucket{operation=\"%s\",le=\"%g\"} %" PRIu64 "\n", name,
			      label, (double)bounds_ns[i] / 1e9, count);
	}
	count += bucket_sum(metrics, op, BOUNDS);
	(void)fprintf(out, "%s_bucket{operation=\"%s\",le=\"+Inf\"} %" PRIu64 "\n", name, label,
		      count);
	(void)fprintf(out, "%s_sum{operation=\"%s\"} ", name, label);
	print_seconds(out, op_time_ns(metrics, op));
	(void)fprintf(out, "%s_count{operation=\"%s\"} %" PRIu64 "\n", name, label, count);
}

static void print_errors(const struct metrics *metrics, FILE *out)
{
	static const char name[] = "datawalfs_operation_errors_total";

	metrics_print_head(out, name, "counter", "Requests answered with an error, by errno.");
	for (int error = 1; error < ERRNO_END; error++) {
		uint64_t count = get(&metrics->errors[error]);
		const char *label = strerrorname_np(error);
		/* those to be alerted on are there from the start */
		if (label && (count || error == EIO || error == ENOSPC))
			(void)fprintf(out, "%s{errno=\"%s\"} %" PRIu64 "\n", name, label, count);
	}
}

void metrics_print(const struct metrics *metrics, FILE *out)
{
	metrics_print_head(out, "datawalfs_operation_duration_seconds", "histogram",
			   "Time from reading a request of the kernel to having answered it.");
	for (enum metric_op op = 0; op < METRIC_OPS; op++)
		print_histogram(metrics, op, out);
	print_errors(metrics, out);
	metrics_print_one(out, "datawalfs_read_bytes_total", "counter",
			  "Bytes of files given to the kernel.", metrics_bytes_read(metrics));
	metrics_print_one(out, "datawalfs_written_bytes_total", "counter",
			  "Bytes of files taken from the kernel.", metrics_bytes_written(metrics));
}
