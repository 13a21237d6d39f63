/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * mend.c - see mend.h.
 *
 * No value of the key with other attributes can come back: when the record was written for a value
 * that was to come, those before had the same ones, or were on disk (fs/volume/journal.c).
 */
#include "fs/volume/mend.h"

#include "fs/volume/journal.h"
#include "fs/volume/recorded.h"

int mend_read(struct volume *volume, bool is_dir, struct dw_bytes key, struct attrs **ret)
{
	struct attrs *attrs = NULL;
	bool stale = false;
	int rc = recorded_read(volume, is_dir, key, &attrs, &stale);

	if (!rc && stale && !attrstore_usable(volume->attrs))
		rc = journal_write_alone(volume, is_dir, key, attrs);
	if (rc < 0)
		attrs_free(attrs);
	else
		*ret = attrs;
	return rc;
}
