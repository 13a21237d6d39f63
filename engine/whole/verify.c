/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * verify.c - read every byte of the log and say what is damaged.
 *
 * Goes on behind damage, at the next sound record, and behind a segment that cannot be
 * read, so that one run tells all.
 */
#include <errno.h>

#include "store/replay.h"
#include "whole/verify.h"

/* Bytes after which it is told how far one is. */
enum { TELL_SIZE = 256 << 10 };

static int take_share(struct throttle *throttle, uint64_t from, uint64_t to, uint64_t *taken)
{
	*taken += to - from;
	if (*taken < TELL_SIZE)
		return 0;
	uint64_t bytes = *taken;
	*taken = 0;
	return throttle_take(throttle, bytes);
}

static int verify_scan(struct core *core, struct dw_segment *segment, struct segcheck *check,
		       struct throttle *throttle, struct dw_verify_report *report)
{
	struct scan *scan = &check->scan;
	uint64_t budget = replay_search_budget(scan->end), taken = 0;
	struct scan_record record;
	int rc = 1;

	while (rc == 1) {
		uint64_t before = scan->offset;
		rc = segcheck_next(check, &record);
		if (rc == 1) {
			report->records++;
			report->bytes += record_size(&record.header);
		} else if (rc == -EBADMSG) {
			report->damaged++;
			(void)core_damaged(core, segment, scan->offset, scan->damage,
					   segcheck_key(check)); /* told at the end */
			rc = segcheck_resync(check, &budget);
		}
		if (rc == 1 && take_share(throttle, before, scan->offset, &taken) < 0)
			rc = -ECANCELED;
	}
	return rc ? rc : throttle_take(throttle, taken);
}

/* All of a segment was read: does its hint say the same? */
static int verify_hint(struct core *core, struct dw_segment *segment, struct segcheck *check,
		       struct dw_verify_report *report)
{
	const struct sidecar *sidecar = &check->sidecar;
	struct dw_finding finding = {.kind = DW_FINDING_DAMAGE,
				     .damage = DW_DAMAGE_SHORTENED,
				     .segment = segment->id,
				     .offset = check->scan.end};
	int rc = segcheck_is_short(check, check->scan.end, false);

	if (rc == 1 && !(rc = segcheck_name_missing(check))) {
		finding.records_lost = segcheck_missing(check);
	} else if (!rc && sidecar->bound && sidecar->differs < segment->hinted) {
		finding.damage = DW_DAMAGE_HINT; /* and the view was taken from it */
		finding.offset = sidecar->differs;
	} else if (!rc && sidecar_is_foreign(sidecar)) {
		finding.kind = DW_FINDING_SIDECAR;
	} else {
		return rc;
	}
	if (finding.kind == DW_FINDING_DAMAGE) {
		report->damaged++;
		atomic_fetch_add(&core->damage, 1);
	}
	core_report(core, &finding);
	loss_report(check->loss, core_on_finding, core);
	return 0;
}

static int verify_segment(struct core *core, struct dw_segment *segment, uint64_t size, bool last,
			  struct throttle *throttle, struct dw_verify_report *report)
{
	struct loss loss = {.limit = LOST_TOLD};
	struct segcheck check = {.loss = &loss};
	struct scan *scan = &check.scan;
	int fd = segment_pin(segment);
	int rc = fd < 0 ? fd : segcheck_init(&check, segment, fd, size, false, &loss);

	if (!rc && last) /* it is just being written */
		segcheck_ignore_hint(&check);
	if (!rc)
		rc = verify_scan(core, segment, &check, throttle, report);
	if (!rc)
		rc = verify_hint(core, segment, &check, report);
	if (rc < 0 && rc != -ECANCELED && rc != -ENOMEM) {
		const struct dw_finding finding = {.kind = DW_FINDING_IO,
						   .error = -rc,
						   .segment = segment->id,
						   .offset = scan->offset,
						   .name = "reading a segment"};
		core_report(core, &finding);
	}
	if (fd >= 0) {
		segcheck_release(&check);
		segment_unpin(segment);
	}
	loss_release(&loss);
	return rc;
}

int store_verify(struct dw_store *store, struct throttle *throttle, struct dw_verify_report *ret)
{
	struct dw_verify_report report = {0};
	struct segset segments = {0};
	uint64_t last_size = 0;
	int first = 0;

	log_lock(&store->core->log);
	const struct segset *set = store_segments_locked(store);
	int rc = segset_copy(set, set->count, &segments);
	if (!rc && segments.count)
		last_size = store_figures_locked(store, segments.count - 1).size;
	log_unlock(&store->core->log);
	for (size_t i = 0; !rc && i < segments.count; i++) {
		/* the size of a sealed segment does not change; that of the last may */
		bool last = i + 1 == segments.count;
		uint64_t size = last ? last_size : segments.items[i]->size;
		rc = verify_segment(store->core, segments.items[i], size, last, throttle, &report);
		if (rc < 0 && rc != -ECANCELED) {
			first = first ? first : rc;
			rc = 0;
		}
	}
	segset_release(&segments);
	if (!rc && !store->snapshot) {
		rc = index_verify(&store->core->index, throttle);
		if (rc < 0 && rc != -ECANCELED)
			rc = core_index_failed(store->core, rc);
	}
	rc = first ? first : rc;
	if (rc < 0)
		return rc;
	*ret = report;
	return report.damaged ? -EBADMSG : 0;
}

int dw_verify_with(struct dw_store *store, const struct dw_verify_options *options,
		   struct dw_verify_report *ret)
{
	struct throttle throttle;

	throttle_init(&throttle, &store->core->work.wakeup, &store->verify_cancels,
		      options ? options->rate : 0);
	return store_verify(store, &throttle, ret);
}

int dw_verify(struct dw_store *store, struct dw_verify_report *ret)
{
	return dw_verify_with(store, NULL, ret);
}

void dw_verify_cancel(struct dw_store *store)
{
	throttle_cancel(&store->core->work.wakeup, &store->verify_cancels);
}
