/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * attrstore.c - see attrstore.h.
 */
/* uthash reads these when it is included; names are anybody's, so its own hash will not do */
#define HASH_NONFATAL_OOM 1
#define HASH_FUNCTION(key, size, ret)                                                              \
	((ret) = (unsigned)XXH3_64bits_withSeed(key, size, seed_get()))

#include "fs/attr/attrstore.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <uthash.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "fs/base/seed.h"

static const char directory[] = DW_ATTR_DIRECTORY;

/* A record that is to go. */
struct pending {
	UT_hash_handle hh;
	uint64_t mark; /* when it was said */
	size_t size;
	char key[];
};

struct attrstore {
	struct dw_store *above;
	bool read_only;
	bool refused; /* it is there, but could not be opened; never changes */
	attrstore_log_fn *log;
	void *context;
	pthread_mutex_t lock;                /* held while it is made; and covers: */
	struct dw_maintain_options maintain; /* of a store that is made */
	bool maintained;
	struct pending *pending; /* in the order in which it was said */
	size_t pending_size;     /* bytes of all */
	uint64_t mark;
	/* --- */
	_Atomic(struct dw_store *) store; /* owned; NULL: none yet */
};

static void log_text(struct attrstore *attrs, int priority, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void log_text(struct attrstore *attrs, int priority, const char *format, ...)
{
	char text[512];
	va_list args;

	if (!attrs->log)
		return;
	va_start(args, format);
	(void)vsnprintf(text, sizeof text, format, args); /* cut is good enough */
	va_end(args);
	attrs->log(attrs->context, priority, text);
}

static void on_finding(void *context, const struct dw_finding *finding)
{
	struct attrstore *attrs = context;
	char text[400];

	bool serious = finding->kind != DW_FINDING_TORN_TAIL &&
		       finding->kind != DW_FINDING_QUARANTINED &&
		       finding->kind != DW_FINDING_SIDECAR;

	(void)dw_finding_text(finding, text, sizeof text); /* cut is good enough */
	log_text(attrs, serious ? LOG_ERR : LOG_WARNING, "in '%s', the store of attributes: %s",
		 directory, text);
}

static int open_below(struct attrstore *attrs, bool create)
{
	const struct dw_options options = {
		.read_only = attrs->read_only,
		.create = create,
		.on_finding = on_finding,
		.context = attrs,
	};
	struct dw_store *store;
	int rc = dw_open_in(attrs->above, directory, &options, NULL, &store);

	if (!rc)
		atomic_store(&attrs->store, store);
	return rc;
}

int attrstore_open(struct dw_store *above, bool read_only, attrstore_log_fn *log, void *context,
		   struct attrstore **ret)
{
	struct attrstore *attrs = calloc(1, sizeof *attrs);

	if (!attrs)
		return -ENOMEM;
	attrs->above = above;
	attrs->read_only = read_only;
	attrs->log = log;
	attrs->context = context;
	(void)pthread_mutex_init(&attrs->lock, NULL); /* cannot fail on Linux */
	int rc = open_below(attrs, false);
	if (rc == -ENOTDIR || rc == -ELOOP || rc == -ENOMEDIUM) {
		attrs->refused = true;
		log_text(attrs, LOG_ERR,
			 "'%s' inside the store is %s: everything shows with the owner and mode of "
			 "the mount, and none can be set; unmount and move it away",
			 directory,
			 rc == -ENOMEDIUM ? "no store" : "no directory (a link is not followed)");
	} else if (rc < 0 && rc != -ENOENT) {
		attrs->refused = true;
		log_text(attrs, LOG_ERR,
			 "the attributes in '%s' inside the store cannot be read (%s): everything "
			 "shows with the owner and mode of the mount, and none can be set; mount "
			 "with "
			 "-o recover, or move it away",
			 directory, rc == -EBADMSG ? "they are damaged" : strerror(-rc));
	}
	*ret = attrs;
	return 0;
}

/* --- what is to go --- */

static void drop_pending(struct attrstore *attrs, struct pending *pending)
{
	HASH_DEL(attrs->pending, pending);
	attrs->pending_size -= sizeof *pending + pending->size;
	free(pending);
}

static struct pending *find_pending(struct attrstore *attrs, struct dw_bytes key)
{
	struct pending *pending;

	HASH_FIND(hh, attrs->pending, key.data, (unsigned)key.size, pending);
	return pending;
}

int attrstore_forget(struct attrstore *attrs, struct dw_bytes key)
{
	if (!attrstore_has(attrs, key))
		return 0;
	struct pending *pending = malloc(sizeof *pending + key.size);
	if (!pending)
		return -ENOMEM;
	memset(pending, 0, sizeof *pending);
	pending->size = key.size;
	memcpy(pending->key, key.data, key.size);
	(void)pthread_mutex_lock(&attrs->lock);
	struct pending *known = find_pending(attrs, key);
	if (known)
		drop_pending(attrs, known);
	pending->mark = attrs->mark;
	HASH_ADD_KEYPTR(hh, attrs->pending, pending->key, (unsigned)pending->size, pending);
	bool added = pending->hh.tbl;
	if (added)
		attrs->pending_size += sizeof *pending + pending->size;
	(void)pthread_mutex_unlock(&attrs->lock);
	if (!added)
		free(pending);
	return added ? 0 : -ENOMEM;
}

size_t attrstore_pending(struct attrstore *attrs)
{
	(void)pthread_mutex_lock(&attrs->lock);
	size_t size = attrs->pending_size;
	(void)pthread_mutex_unlock(&attrs->lock);
	return size;
}

uint64_t attrstore_mark(struct attrstore *attrs)
{
	(void)pthread_mutex_lock(&attrs->lock);
	uint64_t mark = attrs->mark++;
	(void)pthread_mutex_unlock(&attrs->lock);
	return mark;
}

int attrstore_settle(struct attrstore *attrs, uint64_t mark)
{
	int rc = 0;

	(void)pthread_mutex_lock(&attrs->lock);
	while (!rc && attrs->pending && attrs->pending->mark <= mark) {
		const struct dw_bytes key = {attrs->pending->key, attrs->pending->size};
		rc = dw_delete(atomic_load(&attrs->store), key);
		if (!rc)
			drop_pending(attrs, attrs->pending);
	}
	(void)pthread_mutex_unlock(&attrs->lock);
	return rc;
}

/* --- */

int attrstore_close(struct attrstore *attrs)
{
	int rc = 0;

	if (!attrs)
		return 0;
	if (atomic_load(&attrs->store))
		rc = dw_close(atomic_load(&attrs->store));
	while (attrs->pending)
		drop_pending(attrs, attrs->pending);
	(void)pthread_mutex_destroy(&attrs->lock); /* fails only while in use */
	free(attrs);
	return rc;
}

int attrstore_usable(const struct attrstore *attrs)
{
	if (attrs->read_only)
		return -EROFS;
	return attrs->refused ? -EIO : 0;
}

struct dw_store *attrstore_store(struct attrstore *attrs)
{
	return atomic_load(&attrs->store);
}

bool attrstore_has(struct attrstore *attrs, struct dw_bytes key)
{
	struct dw_stat stat;
	struct dw_store *store = atomic_load(&attrs->store);

	return store && dw_stat(store, key, &stat) != -ENOENT;
}

static int make_store(struct attrstore *attrs)
{
	int rc = 0;

	(void)pthread_mutex_lock(&attrs->lock);
	if (!atomic_load(&attrs->store)) {
		rc = open_below(attrs, true);
		/* without a thread it grows until the next mount, no more */
		if (!rc && attrs->maintained)
			(void)dw_maintain(atomic_load(&attrs->store), &attrs->maintain);
	}
	(void)pthread_mutex_unlock(&attrs->lock);
	return rc;
}

int attrstore_batch(struct attrstore *attrs, const struct dw_op *ops, size_t count)
{
	int rc = attrstore_usable(attrs);

	for (size_t i = 0; !rc && i < count; i++)
		if (ops[i].key.size > DW_KEY_SIZE_MAX)
			rc = -ENAMETOOLONG;
	if (!rc && !atomic_load(&attrs->store))
		rc = make_store(attrs);
	if (rc < 0)
		return rc;
	(void)pthread_mutex_lock(&attrs->lock);
	rc = dw_batch(atomic_load(&attrs->store), ops, count);
	for (size_t i = 0; !rc && attrs->pending && i < count; i++) {
		struct pending *pending = find_pending(attrs, ops[i].key);
		if (pending)
			drop_pending(attrs, pending);
	}
	(void)pthread_mutex_unlock(&attrs->lock);
	return rc;
}

int attrstore_compact(struct attrstore *attrs)
{
	struct dw_store *store = atomic_load(&attrs->store);

	return store && !attrs->read_only ? dw_compact(store, NULL) : 0;
}

int attrstore_maintain(struct attrstore *attrs, const struct dw_maintain_options *options)
{
	int rc = 0;

	(void)pthread_mutex_lock(&attrs->lock);
	attrs->maintained = options;
	if (options)
		attrs->maintain = *options;
	if (atomic_load(&attrs->store))
		rc = dw_maintain(atomic_load(&attrs->store), options);
	(void)pthread_mutex_unlock(&attrs->lock);
	return rc;
}
