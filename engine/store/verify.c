/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * verify.c - read every byte of the log and say what is damaged.
 *
 * Goes on behind damage, at the next sound record, and behind a segment that cannot be
 * read, so that one run tells all.
 */
#include <errno.h>

#include "store/replay.h"
#include "store/verify.h"

/* Bytes after which it is told how far one is. */
enum { PACE_SIZE = 256 << 10 };

static int take_pace(struct pace *pace, uint64_t from, uint64_t to, uint64_t *taken)
{
	*taken += to - from;
	if (*taken < PACE_SIZE)
		return 0;
	uint64_t bytes = *taken;
	*taken = 0;
	return pace_take(pace, bytes);
}

static int verify_scan(struct dw_store *store, struct dw_segment *segment, struct scan *scan,
		       struct pace *pace, struct dw_verify_report *report)
{
	uint64_t budget = replay_search_budget(scan->end), taken = 0;
	struct scan_record record;
	int rc = 1;

	while (rc == 1) {
		uint64_t before = scan->offset;
		rc = scan_next(scan, &record);
		if (rc == 1) {
			report->records++;
			report->bytes += record_size(&record.header);
		} else if (rc == -EBADMSG) {
			report->damaged++;
			(void)store_damaged(store, segment, scan->offset,
					    scan->damage); /* told at the end */
			rc = scan_resync(scan, &budget);
		}
		if (rc == 1 && take_pace(pace, before, scan->offset, &taken) < 0)
			rc = -ECANCELED;
	}
	return rc ? rc : pace_take(pace, taken);
}

static int verify_segment(struct dw_store *store, struct dw_segment *segment, uint64_t size,
			  struct pace *pace, struct dw_verify_report *report)
{
	struct scan scan = {0};
	int fd = segment_pin(segment);
	int rc = fd < 0 ? fd : scan_init(&scan, store->io, fd, 0, size);

	if (!rc)
		rc = verify_scan(store, segment, &scan, pace, report);
	if (rc < 0 && rc != -ECANCELED && rc != -ENOMEM) {
		const struct dw_finding finding = {.kind = DW_FINDING_IO,
						   .error = -rc,
						   .segment = segment->id,
						   .offset = scan.offset,
						   .name = "reading a segment"};
		store_report(store, &finding);
	}
	scan_release(&scan);
	if (fd >= 0)
		segment_unpin(segment);
	return rc;
}

int store_verify(struct dw_store *store, struct pace *pace, struct dw_verify_report *ret)
{
	struct dw_verify_report report = {0};
	struct segset segments = {0};
	uint64_t last_size = 0;
	int first = 0;

	log_lock(&store->log);
	int rc = segset_copy(&store->segments, store->segments.count, &segments);
	if (!rc && segments.count)
		last_size = store_segment_locked(store, segments.count - 1).size;
	log_unlock(&store->log);
	for (size_t i = 0; !rc && i < segments.count; i++) {
		/* the size of a sealed segment does not change; that of the last may */
		bool last = i + 1 == segments.count;
		uint64_t size = last ? last_size : segments.items[i]->size;
		rc = verify_segment(store, segments.items[i], size, pace, &report);
		if (rc < 0 && rc != -ECANCELED) {
			first = first ? first : rc;
			rc = 0;
		}
	}
	segset_release(&segments);
	rc = first ? first : rc;
	if (rc < 0)
		return rc;
	*ret = report;
	return report.damaged ? -EBADMSG : 0;
}

int dw_verify_with(struct dw_store *store, const struct dw_verify_options *options,
		   struct dw_verify_report *ret)
{
	struct maintain *maintain = &store->maintain;
	struct pace pace;

	pace_init(&pace, &maintain->bell, &maintain->verify_cancels, options ? options->rate : 0);
	return store_verify(store, &pace, ret);
}

int dw_verify(struct dw_store *store, struct dw_verify_report *ret)
{
	return dw_verify_with(store, NULL, ret);
}

void dw_verify_cancel(struct dw_store *store)
{
	pace_cancel(&store->maintain.bell, &store->maintain.verify_cancels);
}
