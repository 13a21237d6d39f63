/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * figures.c - see figures.h.
 */
#include "fs/mounted/figures.h"

#include <inttypes.h>
#include <jansson.h>

#include "fs/mounted/metrics.h"

char *figures_json(struct volume *volume, bool one_line)
{
	struct volume_figures v;
	struct dw_stats s;

	dw_get_stats(volume_store(volume), &s);
	volume_get_figures(volume, &v);
	json_t *json = json_pack(
		"{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:i,s:I,s:I,s:I,s:I,"
		"s:I}",
		"keys", (json_int_t)s.keys, "segments", (json_int_t)s.segments, "active_segment",
		(json_int_t)s.active_segment, "bytes", (json_int_t)s.bytes, "live_bytes",
		(json_int_t)s.live_bytes, "next_txid", (json_int_t)s.next_txid, "puts",
		(json_int_t)s.puts, "deletes", (json_int_t)s.deletes, "raws", (json_int_t)s.raws,
		"bytes_appended", (json_int_t)s.bytes_appended, "syncs_asked",
		(json_int_t)s.syncs_asked, "syncs_done", (json_int_t)s.syncs_done, "rotations",
		(json_int_t)s.rotations, "compactions", (json_int_t)s.compactions, "damage",
		(json_int_t)s.damage, "poisoned", s.poisoned, "commits_failed",
		(json_int_t)v.commits_failed, "values_lost", (json_int_t)v.values_lost,
		"commits_early", (json_int_t)v.commits_early, "value_bytes",
		(json_int_t)v.value_bytes, "dirty_max", (json_int_t)v.dirty_max);
	char *text = json ? json_dumps(json, one_line ? JSON_COMPACT : JSON_INDENT(2)) : NULL;

	json_decref(json);
	return text;
}

static void print_records(const struct dw_stats *s, FILE *out)
{
	static const char name[] = "datawalfs_store_appended_records_total";

	metrics_print_head(out, name, "counter", "Records appended since the mount, by type.");
	(void)fprintf(out, "%s{type=\"put\"} %" PRIu64 "\n", name, s->puts);
	(void)fprintf(out, "%s{type=\"delete\"} %" PRIu64 "\n", name, s->deletes);
	(void)fprintf(out, "%s{type=\"raw\"} %" PRIu64 "\n", name, s->raws);
}

static void print_shares(const struct dw_stats *s, FILE *out)
{
	static const char name[] = "datawalfs_store_calls_per_sync";
	uint64_t count = 0;

	metrics_print_head(out, name, "histogram",
			   "Requests for a sync of the log that one sync served.");
	for (size_t i = 0; i < DW_SYNC_SHARES; i++) {
		count += s->syncs_served[i];
		if (i < DW_SYNC_SHARES - 1)
			(void)fprintf(out, "%s_bucket{le=\"%d\"} %" PRIu64 "\n", name, 1 << i,
				      count);
	}
	(void)fprintf(out, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n", name, count);
	(void)fprintf(out, "%s_sum %" PRIu64 "\n", name, s->calls_served);
	(void)fprintf(out, "%s_count %" PRIu64 "\n", name, count);
}

static void print_values(struct volume *volume, FILE *out)
{
	static const char counter[] = "counter", gauge[] = "gauge";
	struct volume_figures v;

	volume_get_figures(volume, &v);
	metrics_print_one(out, "datawalfs_commits_failed_total", counter,
			  "Tries to bring a written value into the log that failed.",
			  v.commits_failed);
	metrics_print_one(out, "datawalfs_values_lost_total", counter,
			  "Written values that were never committed; the log names them.",
			  v.values_lost);
	metrics_print_one(out, "datawalfs_commits_early_total", counter,
			  "Values that were committed before their time to make room for others.",
			  v.commits_early);
	metrics_print_one(out, "datawalfs_value_memory_bytes", gauge,
			  "Memory that the values of written files take.", v.value_bytes);
	metrics_print_one(out, "datawalfs_value_memory_max_bytes", gauge,
			  "Memory that they may take (-o dirty_max=).", v.dirty_max);
}

void figures_print(struct volume *volume, FILE *out)
{
	static const char gauge[] = "gauge", counter[] = "counter";
	struct dw_stats s;

	dw_get_stats(volume_store(volume), &s);
	metrics_print_one(out, "datawalfs_store_keys", gauge, "Live keys.", s.keys);
	metrics_print_one(out, "datawalfs_store_segments", gauge, "Segment files.", s.segments);
	metrics_print_one(out, "datawalfs_store_live_bytes", gauge,
			  "Bytes of records that are some key's newest.", s.live_bytes);
	metrics_print_one(out, "datawalfs_store_dead_bytes", gauge,
			  "All other bytes of the log; a compaction drops most of them.",
			  s.bytes > s.live_bytes ? s.bytes - s.live_bytes : 0);
	print_records(&s, out);
	metrics_print_one(out, "datawalfs_store_appended_bytes_total", counter,
			  "Bytes appended to the log since the mount.", s.bytes_appended);
	metrics_print_one(out, "datawalfs_store_sync_calls_total", counter,
			  "Requests for a sync of the log.", s.syncs_asked);
	metrics_print_one(out, "datawalfs_store_syncs_total", counter,
			  "Syncs of the log that were done for them.", s.syncs_done);
	print_shares(&s, out);
	metrics_print_one(out, "datawalfs_store_rotations_total", counter,
			  "Segments begun since the mount.", s.rotations);
	metrics_print_one(out, "datawalfs_store_compactions_total", counter,
			  "Compactions since the mount.", s.compactions);
	metrics_print_one(out, "datawalfs_store_damaged_records_total", counter,
			  "Damaged records met while reading.", s.damage);
	metrics_print_one(out, "datawalfs_store_poisoned", gauge,
			  "1 if the log takes no more writes until the next mount.",
			  s.poisoned != 0);
	print_values(volume, out);
}
