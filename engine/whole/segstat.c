/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * segstat.c - what each segment is made of.
 *
 * Sizes and live bytes are the view's; how many records there are and of which kind
 * is read from their headers, past the payloads.
 */
#include <errno.h>
#include <stdlib.h>

#include "disk/scan.h"
#include "store/store.h"

static int count_records(struct core *core, struct dw_segment *segment,
			 struct dw_segment_stat *stat)
{
	struct scan_record record;
	struct scan scan;
	int fd = segment_pin(segment);

	if (fd < 0)
		return fd;
	int rc = scan_init(&scan, core->io, fd, 0, stat->size);
	scan.keys_only = true;
	while (!rc && (rc = scan_next(&scan, &record)) == 1) {
		stat->records++;
		if (record.header.type == DW_RAW)
			stat->raw_bytes += record_size(&record.header);
		stat->deletes += record.header.type == DW_DELETE;
		rc = 0;
	}
	if (rc == -EBADMSG)
		rc = core_damaged(core, segment, scan.offset, scan.damage, (struct dw_bytes){0});
	scan_release(&scan);
	segment_unpin(segment);
	return rc;
}

int dw_segment_stats(struct dw_store *store, struct dw_segment_stat **ret, size_t *count_ret)
{
	struct segset segments = {0};
	struct dw_segment_stat *stats = NULL;

	log_lock(&store->core->log);
	const struct segset *set = store_segments_locked(store);
	int rc = segset_copy(set, set->count, &segments);
	if (!rc && !(stats = calloc(segments.count + 1, sizeof *stats)))
		rc = -ENOMEM;
	for (size_t i = 0; !rc && i < segments.count; i++) {
		const struct segment_figures figures = store_figures_locked(store, i);
		stats[i] = (struct dw_segment_stat){
			.id = segments.items[i]->id,
			.size = figures.size,
			.live_bytes = figures.live_bytes,
			.mtime_ns = segments.items[i]->mtime_ns,
		};
	}
	log_unlock(&store->core->log);
	for (size_t i = 0; !rc && i < segments.count; i++)
		rc = count_records(store->core, segments.items[i], &stats[i]);
	size_t count = segments.count;
	segset_release(&segments);
	if (rc < 0) {
		free(stats);
		return rc;
	}
	*ret = stats;
	*count_ret = count;
	return 0;
}
