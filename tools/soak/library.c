/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * library.c - a store by the calls of the library.
 *
 * The swap: a copy is written beside the store, the store is closed and moved aside, the
 * copy takes its place.  A kill between the two renames leaves no store under its name;
 * the next open() puts it back.
 */
#include "tools/soak/backend.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/soak/say.h"
#include "tools/soak/tree.h"
#include "tools/soak/workdir.h"

/* Clean up after a kill in the middle of a swap. */
static int recover_swap(const struct paths *paths)
{
	struct stat st;

	if (stat(paths->store, &st) < 0 && errno == ENOENT && !stat(paths->old, &st) &&
	    rename(paths->old, paths->store) < 0)
		return -errno;
	int rc = tree_remove(paths->old);
	return rc ? rc : tree_remove(paths->fresh);
}

static int open_store(struct backend *backend)
{
	const struct dw_options options = {.on_finding = soak_on_finding};

	return dw_open(backend->paths->store, &options, NULL, &backend->store);
}

static int library_open(struct backend *backend)
{
	int rc = recover_swap(backend->paths);

	return rc ? rc : open_store(backend);
}

static int library_close(struct backend *backend)
{
	int rc = dw_close(backend->store);

	backend->store = NULL;
	return rc;
}

static int library_put(struct backend *backend, const struct step *step, struct dw_bytes value)
{
	return dw_put(backend->store, step->slot->key, value);
}

static int library_remove(struct backend *backend, const struct slot *slot)
{
	return dw_delete(backend->store, slot->key);
}

static int library_get(struct backend *backend, const struct slot *slot, struct dw_value *ret)
{
	return dw_get(backend->store, slot->key, ret);
}

struct listing {
	const struct oracle *oracle;
	backend_seen_fn *seen;
	void *context;
};

static int visit(void *context, struct dw_bytes key, const struct dw_stat *stat)
{
	const struct listing *listing = context;

	(void)stat;
	return listing->seen(listing->context, oracle_find(listing->oracle, key), key);
}

static int library_list(struct backend *backend, backend_seen_fn *seen, void *context)
{
	struct listing listing = {backend->oracle, seen, context};

	return dw_for_each(backend->store, visit, &listing);
}

static int library_sync(struct backend *backend, const struct step *step)
{
	(void)step;
	return dw_sync(backend->store);
}

static int library_rotate(struct backend *backend)
{
	return dw_rotate(backend->store);
}

static int sync_directory(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = fd < 0 || fsync(fd) < 0 ? -errno : 0;

	if (fd >= 0)
		(void)close(fd); /* only read from */
	return rc;
}

static int swap(struct backend *backend)
{
	const struct paths *paths = backend->paths;
	int rc = dw_compact_to(backend->store, paths->fresh);

	if (!rc)
		rc = workdir_mark(paths->fresh);
	if (!rc)
		rc = library_close(backend);
	if (!rc && (rename(paths->store, paths->old) < 0 || rename(paths->fresh, paths->store) < 0))
		rc = -errno;
	/* the old one may go when the new one is sure to be found */
	if (!rc)
		rc = sync_directory(paths->above);
	if (!rc)
		rc = tree_remove(paths->old);
	return rc ? rc : open_store(backend);
}

static int library_compact(struct backend *backend)
{
	return backend->config->online ? dw_compact(backend->store, NULL) : swap(backend);
}

static int library_verify(struct backend *backend)
{
	struct dw_verify_report report;

	return dw_verify(backend->store, &report);
}

const struct backend_ops backend_library = {
	.open = library_open,
	.close = library_close,
	.put = library_put,
	.remove = library_remove,
	.get = library_get,
	.list = library_list,
	.sync = library_sync,
	.rotate = library_rotate,
	.compact = library_compact,
	.verify = library_verify,
};
