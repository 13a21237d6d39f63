/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * verify.c - read every byte of the log and say what is damaged.
 *
 * Goes on behind damage, at the next sound record, so that one run tells all.
 */
#include <errno.h>

#include "store/replay.h"
#include "store/store.h"

static int verify_scan(struct dw_store *store, struct dw_segment *segment, struct scan *scan,
		       struct dw_verify_report *report)
{
	uint64_t budget = replay_search_budget(scan->end);
	struct scan_record record;
	int rc = 1;

	while (rc == 1) {
		while ((rc = scan_next(scan, &record)) == 1) {
			report->records++;
			report->bytes += record_size(&record.header);
		}
		if (rc != -EBADMSG)
			break;
		report->damaged++;
		(void)store_damaged(store, segment, scan->offset,
				    scan->damage); /* told at the end */
		rc = scan_resync(scan, &budget);
	}
	return rc;
}

static int verify_segment(struct dw_store *store, struct dw_segment *segment, uint64_t size,
			  struct dw_verify_report *report)
{
	struct scan scan;
	int fd = segment_pin(segment);

	if (fd < 0)
		return fd;
	int rc = scan_init(&scan, store->io, fd, 0, size);
	if (!rc)
		rc = verify_scan(store, segment, &scan, report);
	scan_release(&scan);
	segment_unpin(segment);
	return rc;
}

int dw_verify(struct dw_store *store, struct dw_verify_report *ret)
{
	struct dw_verify_report report = {0};
	struct segset segments = {0};
	uint64_t last_size = 0;

	log_lock(&store->log);
	int rc = segset_copy(&store->segments, store->segments.count, &segments);
	if (!rc && segments.count)
		last_size = store_segment_locked(store, segments.count - 1).size;
	log_unlock(&store->log);
	for (size_t i = 0; !rc && i < segments.count; i++) {
		/* the size of a sealed segment does not change; that of the last may */
		bool last = i + 1 == segments.count;
		uint64_t size = last ? last_size : segments.items[i]->size;
		rc = verify_segment(store, segments.items[i], size, &report);
	}
	segset_release(&segments);
	if (rc < 0)
		return rc;
	*ret = report;
	return report.damaged ? -EBADMSG : 0;
}
