/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * stats.c - stats: where the bytes are, and how many of them are dead.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tools/cli/tool.h"

static const unsigned percents[] = {0, 50, 90, 99, 100};
enum { PERCENTS = sizeof percents / sizeof *percents };

/* The sizes of all keys, or of all values. */
struct sizes {
	uint32_t *items; /* owned */
	size_t count;
};

struct figures {
	struct dw_stats stats;
	struct dw_segment_stat *segments; /* owned */
	size_t segment_count;
	uint64_t frees; /* bytes that a compaction would free */
	uint32_t keys[PERCENTS], values[PERCENTS];
	struct dw_snapshot_info *snapshots; /* owned */
	size_t snapshot_count;
};

static int compare_sizes(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* The smallest size that so many percent of all do not exceed. */
static void percentiles(struct sizes *sizes, uint32_t ret[PERCENTS])
{
	if (!sizes->count)
		return;
	qsort(sizes->items, sizes->count, sizeof *sizes->items, compare_sizes);
	for (size_t i = 0; i < PERCENTS; i++) {
		size_t rank = (sizes->count * percents[i] + 99) / 100;
		ret[i] = sizes->items[rank ? rank - 1 : 0];
	}
}

struct both {
	struct sizes keys, values;
};

static int add_sizes(void *context, struct dw_bytes key, const struct dw_stat *stat)
{
	struct both *both = context;

	both->keys.items[both->keys.count++] = (uint32_t)key.size;
	both->values.items[both->values.count++] = stat->size;
	return 0;
}

static int gather_sizes(struct dw_store *store, struct figures *figures)
{
	struct both both = {0};
	size_t count = (size_t)figures->stats.keys + 1;

	both.keys.items = calloc(count, sizeof *both.keys.items);
	both.values.items = calloc(count, sizeof *both.values.items);
	int rc = both.keys.items && both.values.items ? 0 : -ENOMEM;
	if (!rc) {
		rc = dw_for_each(store, add_sizes, &both);
		percentiles(&both.keys, figures->keys);
		percentiles(&both.values, figures->values);
	}
	free(both.keys.items);
	free(both.values.items);
	return rc;
}

static int gather(struct dw_store *store, struct figures *figures)
{
	dw_get_stats(store, &figures->stats);
	figures->frees = figures->stats.bytes - figures->stats.live_bytes;
	int rc = dw_segment_stats(store, &figures->segments, &figures->segment_count);
	for (size_t i = 0; !rc && i < figures->segment_count; i++)
		figures->frees -= figures->segments[i].raw_bytes;
	if (!rc)
		rc = dw_snapshot_list(dw_directory_fd(store), &figures->snapshots,
				      &figures->snapshot_count);
	return rc ? rc : gather_sizes(store, figures);
}

static void json_percentiles(const char *what, const uint32_t sizes[PERCENTS])
{
	static const char *const names[] = {"min", "p50", "p90", "p99", "max"};
	char name[32];

	for (size_t i = 0; i < PERCENTS; i++) {
		(void)snprintf(name, sizeof name, "%s_size_%s", what, names[i]); /* fits */
		json_u64(name, sizes[i]);
	}
}

static void show_json(const struct figures *figures)
{
	for (size_t i = 0; i < figures->segment_count; i++) {
		const struct dw_segment_stat *segment = &figures->segments[i];
		json_begin("segment");
		json_u64("segment", segment->id);
		json_u64("bytes", segment->size);
		json_u64("live_bytes", segment->live_bytes);
		json_u64("raw_bytes", segment->raw_bytes);
		json_u64("dead_bytes", segment->size - segment->live_bytes - segment->raw_bytes);
		json_u64("records", segment->records);
		json_u64("deletes", segment->deletes);
		json_end();
	}
	for (size_t i = 0; i < figures->snapshot_count; i++)
		show_snapshot_json(&figures->snapshots[i]);
	json_begin("stats");
	json_u64("keys", figures->stats.keys);
	json_u64("segments", figures->segment_count);
	json_u64("bytes", figures->stats.bytes);
	json_u64("live_bytes", figures->stats.live_bytes);
	json_u64("compaction_frees", figures->frees);
	json_percentiles("key", figures->keys);
	json_percentiles("value", figures->values);
	json_end();
}

static void print_percentiles(const char *what, const uint32_t sizes[PERCENTS])
{
	printf("%-11s min %" PRIu32 "  p50 %" PRIu32 "  p90 %" PRIu32 "  p99 %" PRIu32
	       "  max %" PRIu32 "\n",
	       what, sizes[0], sizes[1], sizes[2], sizes[3], sizes[4]);
}

static void show_text(const struct figures *figures)
{
	char bytes[FORMAT_SIZE], live[FORMAT_SIZE], frees[FORMAT_SIZE];

	printf("%-9s %14s %14s %14s %10s\n", "segment", "bytes", "live", "dead", "records");
	for (size_t i = 0; i < figures->segment_count; i++) {
		const struct dw_segment_stat *segment = &figures->segments[i];
		uint64_t kept = segment->live_bytes + segment->raw_bytes;
		printf("%08" PRIu32 "  %14" PRIu64 " %14" PRIu64 " %14" PRIu64 " %10" PRIu64 "\n",
		       segment->id, segment->size, kept, segment->size - kept, segment->records);
	}
	format_size(figures->stats.bytes, bytes);
	format_size(figures->stats.live_bytes, live);
	format_size(figures->frees, frees);
	printf("\nkeys        %" PRIu64 "\n", figures->stats.keys);
	print_percentiles("key size", figures->keys);
	print_percentiles("value size", figures->values);
	printf("log         %s, of which %s live\n", bytes, live);
	printf("compaction  would free %s\n", frees);
	if (figures->snapshot_count)
		putchar('\n');
	show_snapshots(figures->snapshots, figures->snapshot_count);
}

int run_stats(struct args *args)
{
	struct figures figures = {0};
	struct dw_store *store = NULL;
	int torn = 0, status = open_reader(args, index_is_damaged(args), &store, &torn);

	if (status)
		return status;
	int rc = gather(store, &figures);
	if (rc < 0)
		status = fail(args, status_of(rc), "reading '%s': %s", args->store, read_error(rc));
	else if (args->json)
		show_json(&figures);
	else
		show_text(&figures);
	free(figures.segments);
	free(figures.snapshots);
	(void)dw_close(store); /* a reader has nothing to bring to the disk */
	return status ? status : torn;
}
