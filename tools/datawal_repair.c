/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * datawal_repair.c - repair: tell what is damaged, and with --yes take it out.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "tools/datawal_tool.h"

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
		json_end();
		return;
	}
	printf("segment %08" PRIu32 ", offset %" PRIu64 ": %" PRIu64 " bytes are no record (%s)",
	       range->segment, range->offset, range->size, dw_damage_name(range->damage));
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
		json_end();
		return;
	}
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

int run_repair(struct args *args)
{
	const struct dw_options options = {.on_finding = print_finding, .context = args};
	struct dw_repair_report report;
	int rc = dw_repair(args->store, args->yes, &options, show_range, args, &report);

	if (rc == -ENOSPC || rc == -EDQUOT || rc == -EIO)
		return fail(args, status_of(rc),
			    "repairing '%s': %s; nothing is lost, run it again", args->store,
			    strerror(-rc));
	if (rc < 0)
		return explain_open(args, rc);
	show_report(args, &report);
	return report.segments_damaged && !args->yes ? STATUS_SOFT : STATUS_OK;
}
