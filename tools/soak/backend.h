/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * backend.h - how a run gets at its store: by the library, or through a mount.
 *
 * All calls return 0 or a negative errno.  compact() may run on a thread of its own
 * beside the others, if the run compacts online.
 */
#ifndef TOOLS_SOAK_BACKEND_H
#define TOOLS_SOAK_BACKEND_H

#include "datawal.h"
#include "tools/soak/oracle.h"

struct paths {
	char *store;       /* the work directory, absolute; the next ones lie beside it */
	char *fresh, *old; /* during a swap its successor, itself */
	char *mount;       /* mount point */
	char *busy;        /* locked while a run lasts */
	char *above;       /* the directory that all these are in */
	char *lock;        /* the store's own */
};

struct backend;

/* A key of the store: the slot, or NULL and the bytes of a key that has none.
 * Non-zero ends the listing and is returned. */
typedef int backend_seen_fn(void *context, struct slot *slot, struct dw_bytes key);

struct backend_ops {
	int (*open)(struct backend *backend);
	int (*close)(struct backend *backend);
	int (*put)(struct backend *backend, const struct step *step, struct dw_bytes value);
	int (*remove)(struct backend *backend, const struct slot *slot);
	/* -ENOENT */
	int (*get)(struct backend *backend, const struct slot *slot, struct dw_value *ret);
	int (*list)(struct backend *backend, backend_seen_fn *seen, void *context);
	int (*sync)(struct backend *backend, const struct step *step);
	int (*rotate)(struct backend *backend);
	int (*compact)(struct backend *backend);
	/* Read and check all of the log. */
	int (*verify)(struct backend *backend);
};

struct backend {
	const struct backend_ops *ops;
	const struct config *config;
	const struct paths *paths;
	const struct oracle *oracle;
	struct dw_store *store; /* library */
	struct slot *names;     /* mount: slots by name */
	int root_fd;            /* mount */
};

extern const struct backend_ops backend_library, backend_mount;

/* Mount: the file that a put through a rename writes first. */
extern const char backend_temporary[];

/* Whether the put of this operation goes through that file. */
bool backend_renames(const struct step *step);

/* Give each slot the name of its file.  0, or SOAK_SETUP after a message. */
int backend_name_slots(struct oracle *oracle);

#endif
