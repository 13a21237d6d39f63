/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * metrics.h - counting what the daemon does, and telling it to Prometheus.
 *
 * Counting takes no lock: there are several sets of counters, each thread keeps to
 * one, and telling adds them up.  The totals are therefore of about one moment; a
 * histogram's count is always the sum of its buckets.  Any thread may make any call.
 */
#ifndef FS_MOUNTED_METRICS_H
#define FS_MOUNTED_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct metrics;

/* The kinds of requests. */
enum metric_op {
	METRIC_LOOKUP,
	METRIC_FORGET,
	METRIC_GETATTR,
	METRIC_SETATTR,
	METRIC_READLINK,
	METRIC_MKNOD,
	METRIC_MKDIR,
	METRIC_UNLINK,
	METRIC_RMDIR,
	METRIC_SYMLINK,
	METRIC_RENAME,
	METRIC_LINK,
	METRIC_OPEN,
	METRIC_READ,
	METRIC_WRITE,
	METRIC_FLUSH,
	METRIC_RELEASE,
	METRIC_FSYNC,
	METRIC_OPENDIR,
	METRIC_READDIR,
	METRIC_FSYNCDIR,
	METRIC_STATFS,
	METRIC_SETXATTR,
	METRIC_GETXATTR,
	METRIC_LISTXATTR,
	METRIC_REMOVEXATTR,
	METRIC_CREATE,
	METRIC_FALLOCATE,
	METRIC_OPS,
};

/* NULL: no memory. */
struct metrics *metrics_new(void);
void metrics_free(struct metrics *metrics);

void metrics_add_op(struct metrics *metrics, enum metric_op op, int64_t duration_ns);
void metrics_add_read(struct metrics *metrics, size_t size);
void metrics_add_written(struct metrics *metrics, size_t size);
/* `error`: a positive errno that the kernel was given. */
void metrics_add_error(struct metrics *metrics, int error);

/* Sums, for tests and the log. */
uint64_t metrics_op_count(const struct metrics *metrics, enum metric_op op);
uint64_t metrics_bytes_read(const struct metrics *metrics);
uint64_t metrics_bytes_written(const struct metrics *metrics);

/* The metrics in Prometheus' text format, those of the store and of commands not
 * among them; errors of writing stay in `out`. */
void metrics_print(const struct metrics *metrics, FILE *out);

/* The two lines that stand before a metric's samples.  `type`: counter, gauge ... */
void metrics_print_head(FILE *out, const char *name, const char *type, const char *help);
/* A metric with one sample and no labels. */
void metrics_print_one(FILE *out, const char *name, const char *type, const char *help,
		       uint64_t value);

#endif
