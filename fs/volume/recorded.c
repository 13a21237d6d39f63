/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * recorded.c - see recorded.h.
 */
#include "fs/volume/recorded.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/attr/xattr.h"

/* Which of two records counts: `*record` becomes the one before, if the value is older than the
 * newer one; 1 then.  0; or -errno: that cannot be told. */
static int choose(struct volume *volume, struct dw_bytes key, struct attr_record *record)
{
	const struct dw_bytes before = record->before;
	const uint64_t since = record->since;
	uint64_t txid;

	record->since = 0;
	if (!since)
		return 0;
	int rc = dw_txid(volume->store, key, &txid);
	/* a key that is gone is dropped, whatever its record says; of a damaged one nothing is
	 * shown */
	if (rc < 0)
		return rc == -ENOENT || rc == -EBADMSG ? 0 : rc;
	if (txid >= since)
		return 0;
	(void)attr_record_decode(before, record); /* was checked with the whole */
	return 1;
}

/* A crash may have taken the value that times were set on, and its txid will be given to another
 * one. */
static bool forget_lost(struct volume *volume, struct attr_record *record)
{
	struct dw_stats stats;

	if (!record->attrs.txid)
		return false;
	dw_get_stats(volume->store, &stats);
	if (record->attrs.txid < stats.next_txid || !stats.next_txid)
		return false;
	record->attrs.set &= ~(unsigned)ATTR_TIMES;
	record->attrs.txid = 0;
	return true;
}

static int attrs_of_record(const struct attr_record *record, bool is_dir, struct attrs **ret)
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
	if (attr_record_decode((struct dw_bytes){value_ret->data, value_ret->size}, ret))
		return 0;
	free(value_ret->data);
	return -EBADMSG;
}

int recorded_read(struct volume *volume, bool is_dir, struct dw_bytes key, struct attrs **ret,
		  bool *stale_ret)
{
	struct attr_record record;
	struct dw_value value;
	int rc = read_record(volume, is_dir, key, &value, &record);

	*stale_ret = false;
	if (rc == -ENOENT)
		*ret = NULL;
	if (rc < 0)
		return rc == -ENOENT ? 0 : rc;
	rc = choose(volume, key, &record);
	if (rc >= 0) {
		bool lost = forget_lost(volume, &record);
		*stale_ret = rc || lost;
		rc = attrs_of_record(&record, is_dir, ret);
	}
	free(value.data);
	return rc;
}

int recorded_read_xattrs(struct volume *volume, bool is_dir, struct dw_bytes key,
			 struct xattrs **ret)
{
	struct attr_record record;
	struct dw_value value;
	int rc = read_record(volume, is_dir, key, &value, &record);

	if (rc < 0)
		return rc == -ENOENT ? -EBADMSG : rc;
	rc = choose(volume, key, &record);
	if (rc >= 0)
		rc = xattrs_new(record.xattrs, ret);
	free(value.data);
	return rc;
}
