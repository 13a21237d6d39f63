/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * node.h - a directory or file that is referenced.
 *
 * A node exists only while the kernel knows it, it is open, it has a value that is not in the log
 * yet, or something below it has a node.  Nothing here knows what else there is: that is asked of
 * the store (fs/volume/lookup.h).  The tree must never keep a node without references, or a
 * store of any size would end up in memory.
 *
 * A node's address is the kernel's node id, so a node never moves.  Addresses come back; with its
 * generation, which begins at random in each process and is another one for each node, the id does
 * not (before four thousand million others).
 */
#ifndef FS_TREE_NODE_H
#define FS_TREE_NODE_H

#include <stdatomic.h>
#include <stdbool.h>
/* uthash reads this when it is included */
#ifndef HASH_NONFATAL_OOM
#define HASH_NONFATAL_OOM 1
#endif
#include <uthash.h>

#include "datawal.h"
#include "fs/attr/attr.h"
#include "fs/name/name.h"

struct cached;

enum node_flag {
	NODE_LINKED = 1 << 0,   /* it has a name, and is in the table */
	NODE_STORED = 1 << 1,   /* the component differs from the name and stands after it */
	NODE_EXTERNAL = 1 << 2, /* `key` is on the heap, not after the node */
	NODE_LINKABLE = 1 << 3, /* file: made without a name, may be given one */
};

/* The key of the table of nodes: the parent's address and the name. */
struct node_key {
	struct node *parent; /* counted; NULL: the root, or without a name */
	char name[];         /* no NUL after it; with NODE_STORED the component follows */
};

struct node {
	UT_hash_handle hh;
	atomic_uint_fast64_t refs; /* kernel lookups, opens, a dirty value, children */
	uint64_t ino;              /* st_ino: a hash of the key and the tree's secret */
	_Atomic int64_t mtime_ns;  /* of the value; of a directory, the last change of its names */
	struct attrs *attrs;       /* NULL: nothing was set.  Lock: the volume's for the node */
	struct cached *cached;     /* of a file; NULL: as in the log.  Lock: likewise */
	struct node *children;     /* of a directory: those that have nodes.  Lock: tree.lock */
	uint32_t child_count, subdirs; /* of these: how many, and directories; likewise */
	struct node *prev, *next;      /* of the parent's children; likewise */
	struct listing *listings;      /* of a directory: those under way.  Lock: likewise */
	struct node_key *key;
	atomic_uint size;        /* bytes of a file's value */
	uint32_t opens;          /* of a file.  Lock: the volume's for the node */
	uint32_t component_size; /* with NODE_STORED */
	uint32_t generation;     /* no other node of this address has it; never changes */
	uint16_t inline_size;    /* bytes after the node */
	uint8_t name_size;
	uint8_t flags;        /* enum node_flag */
	bool is_dir : 1;      /* never changes: any thread may ask */
	bool in_snapshot : 1; /* of a snapshot, where nothing moves; likewise */
	atomic_bool
		pushed;   /* the value is in the kernel's page cache, since it changed.  Any lock */
	bool direct : 1;  /* all that have it open go past the kernel's pages, see
			     volume_paging().  Lock: the volume's for the node */
	bool suspect : 1; /* pages that the kernel keeps may be old; likewise */
	bool renewed : 1; /* since it was suspect, each opening dropped them; likewise */
	bool lost : 1;    /* of a file that was never committed and is gone; likewise */
	bool asked : 1;   /* the kernel was asked to forget it.  Lock: tree.lock */
	atomic_bool logged; /* a file: its key is in the log.  Any lock */
};
_Static_assert(NAME_SIZE_MAX <= UINT8_MAX, "name_size holds it");

static inline bool node_is_dir(const struct node *node)
{
	return node->is_dir;
}

static inline bool node_is_linked(const struct node *node)
{
	return node->flags & NODE_LINKED;
}

/* Count on a node that the caller knows.  Any thread, no lock. */
struct node *node_ref(struct node *node);
/* Take a reference, unless there is none and the node is about to be freed; then NULL. */
struct node *node_ref_if_used(struct node *node);
/* A node without references; its cached value is gone. */
void node_free(struct node *node);

struct dw_bytes node_component(const struct node *node);

/* The whole key: components joined by '/', with one after them for a directory's marker.
 * `ret` holds node_key_size() bytes.  `names` held. */
size_t node_key_size(const struct node *node);
void node_key_write(const struct node *node, char *ret);

/* A node without a name, with one reference: that `name` and `component` are what it will be linked
 * as.  `component` NULL: it is the name.  NULL: no memory. */
struct node *node_new(const char *name, size_t name_size, const struct dw_bytes *component,
		      bool is_dir);

/* Give a node without a name what it will be linked as.  0 or -ENOMEM. */
int node_set_name(struct node *node, const char *name, size_t name_size,
		  const struct dw_bytes *component);

/* --- for fs/tree/tree.c: names --- */

/* The component, if it must be stored beside the name; NULL if both read the same. */
const struct dw_bytes *node_stored_component(const struct dw_bytes *component, const char *name,
					     size_t size);
size_t node_key_struct_size(size_t name_size, const struct dw_bytes *component);
/* A place for a new name: the node's own, or the heap.  NULL: no memory. */
struct node_key *node_key_for(struct node *node, size_t size);
void node_replace_key(struct node *node, struct node_key *key);
void node_write_name(struct node *node, const char *name, size_t name_size,
		     const struct dw_bytes *component);

#endif
