/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * log.c - scan, dump, report, verify: the log, record by record.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tools/cli/progress.h"
#include "tools/cli/tool.h"

enum { PIECE = 768 << 10 };
_Static_assert(PIECE % 3 == 0, "base64 pads only the last piece");

/* The tables of the human form: label and value. */
static void line_text(const char *label, const char *value)
{
	printf("%-21s%s\n", label, value);
}

static void line_u64(const char *label, uint64_t value)
{
	printf("%-21s%" PRIu64 "\n", label, value);
}

static int open_log(struct args *args, uint32_t from_segment, uint64_t from_offset,
		    struct dw_log **ret)
{
	const struct dw_options options = {.on_finding = print_finding, .context = args};
	int rc = dw_log_open(args->store, from_segment, from_offset, &options, ret);

	return rc < 0 ? explain_open(args, rc) : 0;
}

/* The exit status of a log that was read until dw_log_next() gave `rc`. */
static int log_status(struct args *args, const struct dw_log *log, int rc)
{
	struct dw_report report;

	dw_log_report(log, &report);
	if (rc < 0 && rc != -EBADMSG)
		return fail(args, status_of(rc), "reading '%s': %s", args->store, read_error(rc));
	return rc == -EBADMSG ? STATUS_HARD : report.torn_bytes ? STATUS_SOFT : STATUS_OK;
}

static void advance_bar(struct progress *progress, const struct dw_log *log)
{
	uint64_t done, total;

	if (!progress->on)
		return;
	dw_log_progress(log, &done, &total);
	progress->total = total;
	progress_at(progress, done);
}

/* --- scan, dump --- */

static void json_record_head(const char *kind, const struct dw_record *record)
{
	static const char *const names[] = {"Raw", "Put", "Delete"};

	json_begin(kind);
	json_u64("segment", record->segment);
	json_u64("offset", record->offset);
	json_u64("len", record->size);
	json_text("record_type", names[record->type]);
	json_u64("txid", record->txid);
}

static int json_record(struct dw_log *log, const struct dw_record *record, void *piece)
{
	ssize_t n = 0;

	json_record_head("record", record);
	json_base64("key_base64", record->key);
	json_base64_begin("payload_base64");
	for (uint64_t at = 0; (n = dw_log_read(log, piece, PIECE, at)) > 0; at += (uint64_t)n)
		json_base64_piece(piece, (size_t)n);
	json_base64_end();
	json_end();
	return (int)n;
}

static int print_head(const struct args *args, const struct dw_record *record)
{
	static const char *const names[] = {"RAW", "PUT", "DEL"};
	char *key = format_bytes(record->key, args->bytes, args->no_truncate ? 0 : FORMAT_CUT);

	if (!key)
		return -ENOMEM;
	printf("seg=%08" PRIu32 " off=%10" PRIu64 " len=%8" PRIu64 " type=%-3s txid=%10" PRIu64
	       " key=%s",
	       record->segment, record->offset, record->size, names[record->type], record->txid,
	       key);
	free(key);
	return 0;
}

/* How much of a payload is looked at: all of it to show it whole, else so much that
 * format_bytes() sees whether it is printable and must be cut. */
static size_t seen_size(const struct args *args, const struct dw_record *record)
{
	return args->no_truncate || record->payload_size < PIECE ? record->payload_size : PIECE;
}

static int print_record(const struct args *args, struct dw_log *log, const struct dw_record *record)
{
	size_t size = seen_size(args, record);
	uint8_t *seen = malloc(size + 1);
	ssize_t n = seen ? dw_log_read(log, seen, size, 0) : -ENOMEM;
	char *payload = NULL;
	int rc = n < 0 ? (int)n : 0;

	if (!rc) {
		payload = format_bytes((struct dw_bytes){seen, (size_t)n}, args->bytes,
				       args->no_truncate ? 0 : FORMAT_CUT);
		rc = payload ? print_head(args, record) : -ENOMEM;
	}
	if (!rc)
		printf(" payload=%s\n", payload);
	free(payload);
	free(seen);
	return rc;
}

static int print_frame(const struct args *args, const struct dw_record *record)
{
	if (args->json) {
		json_record_head("frame", record);
		json_u64("key_len", record->key.size);
		json_u64("payload_len", record->payload_size);
		json_end();
		return 0;
	}
	int rc = print_head(args, record);
	if (!rc)
		printf(" key_len=%zu payload_len=%" PRIu32 "\n", record->key.size,
		       record->payload_size);
	return rc;
}

int run_scan(struct args *args)
{
	struct dw_log *log = NULL;
	struct dw_record record;
	uint8_t *piece = malloc(PIECE);
	int rc = 0;

	if (!piece)
		return fail(args, STATUS_USER, "%s", strerror(ENOMEM));
	int status = open_log(args, args->from_segment, args->from_offset, &log);
	for (uint64_t i = 0; !status && rc >= 0 && i < args->limit; i++) {
		rc = dw_log_next(log, &record);
		if (rc != 1)
			break;
		rc = args->json ? json_record(log, &record, piece)
				: print_record(args, log, &record);
	}
	if (!status)
		status = log_status(args, log, rc);
	dw_log_close(log);
	free(piece);
	return status;
}

int run_dump(struct args *args)
{
	struct dw_log *log = NULL;
	struct dw_record record;
	int rc = 0, status = open_log(args, 0, 0, &log);

	if (status)
		return status;
	for (uint64_t i = 0; rc >= 0 && i < args->limit; i++) {
		rc = dw_log_next(log, &record);
		if (rc != 1)
			break;
		rc = print_frame(args, &record);
	}
	status = log_status(args, log, rc);
	dw_log_close(log);
	/* a torn tail is told, and no failure: every record that there is was shown */
	return status == STATUS_SOFT ? STATUS_OK : status;
}

/* --- report --- */

static void show_report(const struct args *args, const struct dw_report *report, bool damaged)
{
	bool version = damaged && report->damage == DW_DAMAGE_VERSION;

	if (args->json) {
		json_begin("report");
		json_u64("files_scanned", report->segments);
		json_u64("records_replayed", report->records);
		json_u64("tail_truncated", report->torn_bytes > 0);
		json_u64("tail_bytes_discarded", report->torn_bytes);
		json_u64("mid_stream_errors", damaged);
		json_u64("unsupported_versions", version);
		json_u64("last_txid_seen", report->last_txid);
		json_u64("records_behind", report->records_behind);
		json_text("damage",
			  damaged || report->torn_bytes ? dw_damage_name(report->damage) : NULL);
		json_end();
		return;
	}
	line_text("schema:", "datawal.cli.v1");
	line_u64("files_scanned:", report->segments);
	line_u64("records_replayed:", report->records);
	line_u64("tail_truncated:", report->torn_bytes > 0);
	line_u64("tail_bytes_discarded:", report->torn_bytes);
	line_u64("mid_stream_errors:", damaged);
	line_u64("unsupported_versions:", version);
	line_u64("last_txid_seen:", report->last_txid);
}

int run_report(struct args *args)
{
	struct progress progress;
	struct dw_report report;
	struct dw_record record;
	struct dw_log *log = NULL;
	int rc, status = open_log(args, 0, 0, &log);

	if (status)
		return status;
	progress_begin(&progress, args, 0);
	while ((rc = dw_log_next(log, &record)) == 1)
		advance_bar(&progress, log);
	progress_end(&progress);
	dw_log_report(log, &report);
	if (!rc || rc == -EBADMSG)
		show_report(args, &report, rc < 0);
	status = log_status(args, log, rc);
	dw_log_close(log);
	return status;
}

/* --- verify --- */

struct verified {
	uint64_t frames, crc_failures, damaged, index_damaged;
	uint32_t last_segment; /* of the last sound record */
	uint64_t last_offset;
};

/* Over all damage to the end: 0 or -errno. */
static int verify(struct args *args, struct dw_log *log, struct verified *ret)
{
	struct progress progress;
	struct dw_record record;
	struct dw_report report;
	int rc;

	progress_begin(&progress, args, 0);
	do {
		while ((rc = dw_log_next(log, &record)) == 1) {
			ret->frames++;
			ret->last_segment = record.segment;
			ret->last_offset = record.offset;
			advance_bar(&progress, log);
		}
		if (rc != -EBADMSG)
			break;
		dw_log_report(log, &report);
		ret->damaged++;
		ret->crc_failures += report.damage == DW_DAMAGE_CRC;
		rc = dw_log_resume(log);
	} while (!rc);
	progress_end(&progress);
	return rc;
}

static void show_verified(const struct args *args, const struct verified *verified,
			  const struct dw_report *report)
{
	if (args->json) {
		json_begin("verify");
		json_u64("frames_checked", verified->frames);
		json_u64("crc_failures", verified->crc_failures);
		json_u64("tail_truncated", report->torn_bytes > 0);
		json_u64("tail_bytes_discarded", report->torn_bytes);
		json_u64("last_segment", verified->last_segment);
		json_u64("last_offset", verified->last_offset);
		json_u64("damaged", verified->damaged);
		json_u64("index_damaged", verified->index_damaged);
		json_end();
		return;
	}
	line_text("schema:", "datawal.cli.v1");
	line_u64("frames_checked:", verified->frames);
	line_u64("crc_failures:", verified->crc_failures);
	line_u64("tail_truncated:", report->torn_bytes > 0);
	line_u64("tail_bytes_discarded:", report->torn_bytes);
	line_u64("last_segment:", verified->last_segment);
	line_u64("last_offset:", verified->last_offset);
	line_u64("damaged:", verified->damaged);
	line_u64("index_damaged:", verified->index_damaged);
}

int run_verify(struct args *args)
{
	struct verified verified = {0};
	struct dw_report report;
	struct dw_log *log = NULL;

	args->tells_damage = true;
	int status = open_log(args, 0, 0, &log);

	if (status)
		return status;
	int rc = verify(args, log, &verified);
	if (!rc)
		rc = dw_log_check_index(log, &verified.index_damaged);
	dw_log_report(log, &report);
	if (!rc)
		show_verified(args, &verified, &report);
	status = log_status(args, log, rc);
	if (!rc && (verified.damaged || verified.index_damaged))
		status = STATUS_HARD;
	dw_log_close(log);
	return status;
}
