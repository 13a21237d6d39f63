/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * repair.c - repair: tell what is damaged, and with --yes take it out.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tools/cli/tool.h"

/* A segment, or its end. */
static void show_gone(const struct dw_repair_range *range)
{
	if (range->damage == DW_DAMAGE_MISSING)
		printf("segment %08" PRIu32 " is missing", range->segment);
	else
		printf("segment %08" PRIu32 " ends at offset %" PRIu64, range->segment,
		       range->offset);
	printf(": %" PRIu64 " records are gone, which its hint tells of", range->records);
	if (range->quarantine)
		printf("; it is now %s", range->quarantine);
	puts("");
}

static void show_range(void *context, const struct dw_repair_range *range)
{
	const struct args *args = context;

	if (args->json) {
		json_begin("damage");
		json_u64("segment", range->segment);
		json_u64("offset", range->offset);
		json_u64("len", range->size);
		json_text("reason", dw_damage_name(range->damage));
		json_text("quarantine", range->quarantine);
		json_u64("records", range->records);
		json_key(range->key);
		json_end();
		return;
	}
	if (range->damage == DW_DAMAGE_SHORTENED || range->damage == DW_DAMAGE_MISSING) {
		show_gone(range);
		return;
	}
	printf("segment %08" PRIu32 ", offset %" PRIu64 ": %" PRIu64 " bytes are no record (%s)",
	       range->segment, range->offset, range->size, dw_damage_name(range->damage));
	char *key = range->key.data ? format_bytes(range->key, args->bytes, FORMAT_CUT) : NULL;
	if (key)
		printf(", where one of key %s was", key);
	free(key);
	if (range->quarantine)
		printf("; now in %s", range->quarantine);
	else if (args->yes)
		printf("; zeros alone, saved nowhere");
	puts("");
}

static void show_report(const struct args *args, const struct dw_repair_report *report)
{
	if (args->json) {
		json_begin("repair");
		json_flag("done", args->yes);
		json_u64("segments", report->segments);
		json_u64("segments_damaged", report->segments_damaged);
		json_u64("places", report->ranges);
		json_u64("bytes_out", report->bytes_out);
		json_u64("records", report->records);
		json_u64("records_behind", report->records_behind);
		json_u64("segments_short", report->segments_short);
		json_u64("keys_lost", report->keys_lost);
		json_end();
		return;
	}
	if (report->segments_short)
		printf("%s without what %" PRIu32 " segments held and hold no more\n",
		       args->yes ? "the store goes on" : "the store would go on",
		       report->segments_short);
	if (report->keys_lost)
		printf("%" PRIu64 " keys lost their newest record, see above\n", report->keys_lost);
	if (report->segments_short && !report->segments_damaged && !args->yes)
		printf("nothing was changed; do it with 'datawal repair --yes %s'\n", args->store);
	if (report->segments_short && !report->segments_damaged)
		return;
	if (!report->segments_damaged) {
		printf("all %" PRIu64 " records of %" PRIu32 " segments are sound; nothing to do\n",
		       report->records, report->segments);
		return;
	}
	printf("%s %" PRIu64 " bytes in %" PRIu64 " places out of %" PRIu32 " of %" PRIu32
	       " segments, %s quarantine files beside them\n",
	       args->yes ? "took" : "would take", report->bytes_out, report->ranges,
	       report->segments_damaged, report->segments, args->yes ? "into" : "to");
	printf("all %" PRIu64 " sound records %s kept; of these, %" PRIu64
	       " behind damage %s back\n",
	       report->records, args->yes ? "are" : "would be", report->records_behind,
	       args->yes ? "are" : "would come");
	if (!args->yes)
		printf("nothing was changed; do it with 'datawal repair --yes %s'\n", args->store);
}

/* Lost keys are a result of this command. */
static void show_finding(void *context, const struct dw_finding *finding)
{
	const struct args *args = context;
	char text[512];

	if (finding->kind != DW_FINDING_LOST || args->json) {
		print_finding(context, finding);
		return;
	}
	(void)dw_finding_text(finding, text, sizeof text); /* cut is good enough */
	puts(text);
}

int run_repair(struct args *args)
{
	const struct dw_options options = {.on_finding = show_finding, .context = args};
	struct dw_repair_report report;

	args->tells_damage = true;
	int rc = dw_repair(args->store, args->yes, &options, show_range, args, &report);

	if (rc == -ENOSPC || rc == -EDQUOT || rc == -EIO)
		return fail(args, status_of(rc),
			    "repairing '%s': %s; nothing is lost, run it again", args->store,
			    strerror(-rc));
	if (rc < 0)
		return explain_open(args, rc);
	show_report(args, &report);
	return (report.segments_damaged || report.segments_short) && !args->yes ? STATUS_SOFT
										: STATUS_OK;
}
