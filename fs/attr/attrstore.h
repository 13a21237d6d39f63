/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * attrstore.h - the second store, `.attr/` in the directory of the first.
 *
 * It is opened with the mount if it exists, and made when the first thing is to be
 * kept: where nothing is set nothing is written.  If it cannot be opened,
 * nothing is touched: the mount goes on with defaults, and whatever would have to be
 * kept is refused with -EIO.
 *
 * It lives in the other one (dw_open_in()), so each call that brings values to disk first brings
 * the attributes appended here before them.  The attributes of a removed key are kept until the
 * removal is on disk: a power cut may bring the key back, and it must not come back with the
 * defaults.
 *
 * Its keys are 'f' and the key of a file, or 'd' and the key of a directory's marker
 * ('d' alone: the root); its values are the records of fs/attr/attrrecord.h.  Any thread.
 */
#ifndef FS_ATTR_ATTRSTORE_H
#define FS_ATTR_ATTRSTORE_H

#include <stdbool.h>
#include <stdint.h>

#include "datawal.h"

struct attrstore;

/* `priority` is one of syslog's. */
typedef void attrstore_log_fn(void *context, int priority, const char *text);

/* `above` is the store whose files have the attributes; it must outlive this one.
 * `log` may be NULL.  0 or -ENOMEM: that the store cannot be opened is logged, and is
 * no failure. */
int attrstore_open(struct dw_store *above, bool read_only, attrstore_log_fn *log, void *context,
		   struct attrstore **ret);

/* Sync, close, free.  The first error.  NULL is fine. */
int attrstore_close(struct attrstore *attrs);

/* 0, or why nothing can be kept: -EROFS, or -EIO: it could not be opened. */
int attrstore_usable(const struct attrstore *attrs);

/* Whether there is a record, or that cannot be told. */
bool attrstore_has(struct attrstore *attrs, struct dw_bytes key);

/* Append in order, as dw_batch(); the store is made if need be.
 * -EROFS, -EIO as above, -ENAMETOOLONG: a key that leaves no room for the letter. */
int attrstore_batch(struct attrstore *attrs, const struct dw_op *ops, size_t count);

/* Remove the record of a key that was removed from the store above, once that is
 * durable; unless the key is written to before.  0 or -ENOMEM. */
int attrstore_forget(struct attrstore *attrs, struct dw_bytes key);

/* How many bytes of memory what is to be forgotten takes; 0: nothing. */
size_t attrstore_pending(struct attrstore *attrs);

/* Note a point of time; and: all that the store above had by then is on disk now. */
uint64_t attrstore_mark(struct attrstore *attrs);
int attrstore_settle(struct attrstore *attrs, uint64_t mark);

/* Compaction in place. */
int attrstore_compact(struct attrstore *attrs);

/* dw_maintain(), also of a store that is yet to be made. */
int attrstore_maintain(struct attrstore *attrs, const struct dw_maintain_options *options);

/* The store itself; NULL: there is none. */
struct dw_store *attrstore_store(struct attrstore *attrs);

#endif
