/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * runpages.c - see runwriter_internal.h: the pages of a run on their way to its file.
 *
 * It must never write but behind what is there: a page goes into memory first, and many of them
 * to the file at once, in order.
 */
#include <errno.h>
#include <string.h>

#include "index/runwriter_internal.h"

int runwriter_flush(struct runwriter *writer)
{
	size_t size = (size_t)writer->out_count * RUN_PAGE_SIZE;

	writer->out_count = 0;
	return size ? atomicfile_write(&writer->file, writer->out, size) : 0;
}

uint8_t *runwriter_next_page(struct runwriter *writer, int *rc_ret)
{
	int rc = writer->out_count == RUNWRITER_OUT_PAGES ? runwriter_flush(writer) : 0;

	if (!rc && writer->pages >= UINT32_MAX / 2)
		rc = -EFBIG;
	if (rc < 0) {
		*rc_ret = rc;
		return NULL;
	}
	uint8_t *page = writer->out + (size_t)writer->out_count++ * RUN_PAGE_SIZE;
	writer->pages++;
	memset(page, 0, RUN_PAGE_SIZE);
	return page;
}

void runwriter_seal(struct runwriter *writer, enum run_page_kind kind, uint8_t *page)
{
	run_page_seal(writer->header.stamp, writer->pages - 1, kind, page);
}

int runwriter_write_bytes(struct runwriter *writer, enum run_page_kind kind, const uint8_t *data,
			  size_t size)
{
	int rc = 0;

	while (size) {
		size_t n = size < RUN_PAYLOAD ? size : RUN_PAYLOAD;
		uint8_t *page = runwriter_next_page(writer, &rc);
		if (!page)
			return rc;
		memcpy(page, data, n);
		runwriter_seal(writer, kind, page);
		data += n;
		size -= n;
	}
	return 0;
}
