/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * recorded.c - see recorded.h.
 */
#include "fs/volume/recorded.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/attr/xattr.h"

/* Which of two records counts: `*record` becomes the one before, if the value is older
 * than the newer one.  True: that is settled now, and can be written so. */
bool recorded_choose(struct volume *volume, struct dw_bytes key, struct attr_record *record)
{
	const struct dw_bytes before = record->before;
	uint64_t txid;

	if (!record->since)
		return false;
	/* a key that is gone is dropped, whatever its record says */
	int rc = dw_txid(volume->store, key, &txid);
	if (!rc && txid < record->since)
		(void)attr_record_decode(before, record); /* was checked with the whole */
	record->since = 0;
	return !rc;
}

int recorded_attrs(const struct attr_record *record, bool is_dir, struct attrs **ret)
{
	struct attrs *attrs = malloc(sizeof *attrs);

	if (!attrs)
		return -ENOMEM;
	*attrs = record->attrs;
	attrs->unchecked = !is_dir && attrs->set & (ATTR_MTIME | ATTR_ATIME);
	int rc = xattrs_new(record->xattrs, &attrs->xattrs);
	if (rc < 0)
		free(attrs);
	else
		*ret = attrs;
	return rc;
}

/* The record that counts for the value in the log, in memory of the caller's.  -ENOENT: there is
 * none; -EBADMSG: it cannot be read. */
static int read_record(struct volume *volume, bool is_dir, struct dw_bytes key,
		       struct dw_value *value_ret, struct attr_record *ret)
{
	struct dw_store *store = attrstore_store(volume->attrs);
	struct key lettered;
	int rc = key_reserve(&lettered, key.size + 1);

	if (rc < 0)
		return rc;
	lettered.data[0] = is_dir ? 'd' : 'f';
	if (key.size)
		memcpy(lettered.data + 1, key.data, key.size);
	rc = store ? dw_get(store, key_bytes(&lettered), value_ret) : -ENOENT;
	key_release(&lettered);
	if (rc < 0)
		return rc;
	if (!attr_record_decode((struct dw_bytes){value_ret->data, value_ret->size}, ret)) {
		free(value_ret->data);
		return -EBADMSG;
	}
	(void)recorded_choose(volume, key, ret); /* nothing is written here */
	return 0;
}

int attr_read_one(struct volume *volume, struct dw_bytes key, struct attrs **ret)
{
	struct attr_record record;
	struct dw_value value;

	if (attrstore_usable(volume->attrs) < 0)
		return -EBADMSG;
	int rc = read_record(volume, false, key, &value, &record);
	if (rc == -ENOENT)
		*ret = NULL;
	if (rc < 0)
		return rc == -ENOENT ? 0 : rc;
	rc = recorded_attrs(&record, false, ret);
	free(value.data);
	return rc;
}

int attr_read_xattrs(struct volume *volume, bool is_dir, struct dw_bytes key, struct xattrs **ret)
{
	struct attr_record record;
	struct dw_value value;
	int rc = read_record(volume, is_dir, key, &value, &record);

	if (rc < 0)
		return rc == -ENOENT ? -EBADMSG : rc;
	rc = xattrs_new(record.xattrs, ret);
	free(value.data);
	return rc;
}
