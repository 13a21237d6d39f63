/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * node.h - the tree of names: directories and files as the kernel knows them.
 *
 * One node a key or directory, in one hash table by (parent, name); a directory
 * also lists its children in the order of their cookies, which never change and
 * never come back, so that a listing goes on at the right place whatever is
 * created or removed meanwhile.
 *
 * A node's address is the kernel's node id, so a node never moves: it is freed
 * when it is out of the tree and nobody counts on it.  Addresses come back; with its
 * generation, which begins at random in each process and is another one for each node, the id
 * does not (before four thousand million others).
 *
 * Nothing here locks: the volume's namespace lock covers the tree (held for
 * writing by everything below that changes it), except for what says otherwise.
 */
#ifndef FS_TREE_NODE_H
#define FS_TREE_NODE_H

#include <stdatomic.h>
#include <stdbool.h>

#include "datawal.h"
#include "fs/attr/attr.h"
#include "fs/name/name.h"
#include "fs/tree/ino.h"
#include "fs/tree/nodetable.h"

struct cached;
struct children;

enum node_flag {
	NODE_TIMED = 1 << 0,    /* directory: when loaded it had something directly in it */
	NODE_LINKED = 1 << 1,   /* in the tree */
	NODE_MARKER = 1 << 2,   /* directory: its marker key is in the log */
	NODE_STORED = 1 << 3,   /* the component differs from the name and stands behind it */
	NODE_BESIDE = 1 << 4,   /* file: shown with %=, for a directory has its name */
	NODE_CONFLICT = 1 << 5, /* directory: names of the form NAME(%=)+ beside it are quoted */
	NODE_EXTERNAL = 1 << 6, /* `key` is on the heap, not behind the node */
	NODE_LINKABLE = 1 << 7, /* file: made without a name, may be given one */
};

/* What the table of nodes compares: the parent's address and the name. */
struct node_key {
	struct node *parent; /* NULL: the root, or out of the tree */
	char name[];         /* no NUL behind; with NODE_STORED the component follows */
};

struct node {
	atomic_uint_fast64_t refs; /* kernel lookups, opens, a dirty value, the tree */
	uint64_t ino;              /* st_ino: a hash of the key and the tree's secret */
	uint64_t cookie;           /* place in the parent's listing */
	_Atomic int64_t mtime_ns;  /* of the value; of a directory, the last change of its names */
	struct attrs *attrs;       /* NULL: nothing was set.  Lock: the volume's for the node */
	union {
		struct children *children; /* of a directory; NULL: none yet */
		struct cached *cached;     /* of a file; NULL: as in the log.  Lock: the node's */
	};
	struct node_key *key;
	atomic_uint size;        /* bytes of a file's value */
	uint32_t opens;          /* of a file.  Lock: the volume's for the node */
	uint32_t component_size; /* with NODE_STORED */
	uint32_t generation;     /* no other node of this address has it; never changes */
	uint16_t inline_size;    /* bytes behind the node */
	uint8_t name_size;
	uint8_t flags;        /* enum node_flag */
	bool is_dir : 1;      /* never changes: any thread may ask */
	bool in_snapshot : 1; /* of a snapshot, where nothing moves; likewise */
	atomic_bool pushed;   /* the kernel was given the value since it changed.  Any lock */
	bool direct : 1;      /* all who have it open go past the kernel's pages, see
				 volume_paging().  Lock: the volume's for the node */
	bool suspect : 1;     /* pages that the kernel keeps may be old; likewise */
	bool renewed : 1;     /* since it was suspect, each opening dropped them; likewise */
	bool lost : 1;        /* of a file that was never committed and is gone; likewise */
	atomic_bool logged;   /* a file: its key is in the log.  Any lock */
};
_Static_assert(sizeof(struct node) <= 80, "there is one for each key");
_Static_assert(NAME_SIZE_MAX <= UINT8_MAX, "name_size holds it");

struct tree {
	struct nodetable table; /* all linked nodes but the root */
	struct node *root;
	struct name_rules rules;
	struct ino_hash *inos; /* owned */
	uint64_t count;        /* linked nodes, the root included */
};

/* `secret`: of inode numbers.  0, -ENOMEM or what ino_hash_new() says; tree_release() in any
 * case. */
int tree_init(struct tree *tree, const struct name_rules *rules,
	      const uint8_t secret[INO_SECRET_SIZE]);
/* Free all nodes, whoever counts on them; or all but the root. */
void tree_release(struct tree *tree);
void tree_clear(struct tree *tree);

static inline bool node_is_dir(const struct node *node)
{
	return node->is_dir;
}

static inline bool node_is_linked(const struct node *node)
{
	return node->flags & NODE_LINKED;
}

/* Count.  Any thread, no lock.  The last reference frees; `cached` must be gone by then. */
struct node *node_ref(struct node *node);
void node_unref(struct node *node, uint64_t count);
/* Count unless nobody does, and the node is about to be freed; then NULL. */
struct node *node_ref_if_used(struct node *node);
/* The two halves of it: true if that was the last, whose holder then frees. */
bool node_release(struct node *node, uint64_t count);
void node_free(struct node *node);

struct dw_bytes node_component(const struct node *node);

/* The whole key: components joined by '/', with one behind for a directory's marker.
 * `ret` holds node_key_size() bytes. */
size_t node_key_size(const struct node *node);
void node_key_write(const struct node *node, char *ret);

struct node *tree_find(const struct tree *tree, const struct node *parent, const char *name,
		       size_t size);

/* A node that is in no tree, with one reference.  `component` NULL: it is the name.
 * NULL: no memory. */
struct node *node_new(const char *name, size_t name_size, const struct dw_bytes *component,
		      bool is_dir);

/* Put a node below `parent` at `cookie` (0: behind all others); the tree counts on it.
 * It is frozen if `parent` is.
 * 0 or -ENOMEM. */
int tree_link(struct tree *tree, struct node *parent, struct node *node, uint64_t cookie);

/* Give a node out of the tree another name.  0 or -ENOMEM. */
int node_set_name(struct node *node, const char *name, size_t name_size,
		  const struct dw_bytes *component);

/* Take it out of the tree, which no longer counts on it. */
void tree_unlink(struct tree *tree, struct node *node);

/* Give a linked node another place and name.  -ENOMEM: unchanged. */
int tree_move(struct tree *tree, struct node *node, struct node *parent, const char *name,
	      size_t name_size, const struct dw_bytes *component, uint64_t cookie);

/* Give two files, both in the log, each other's place and name.  tree_exchange_reserve()
 * (0 or -ENOMEM) comes first, so that nothing can fail any more. */
int tree_exchange_reserve(struct node *a, struct node *b);
void tree_exchange(struct tree *tree, struct node *a, struct node *b);

/* Recompute st_ino from the parent's and the component; of a directory, not of what is
 * below. */
void tree_update_ino(struct tree *tree, struct node *node);

/* Give the root an st_ino by a name, and so all that comes below it: no node has the one
 * that it has in another tree.  The tree is empty. */
void tree_set_ino(struct tree *tree, const char *name);

/* An st_ino that no key has, for a node out of the tree. */
void tree_forget_ino(struct tree *tree, struct node *node);

uint32_t node_child_count(const struct node *dir);

/* Children whose keys are in the log (directories always are). */
uint32_t node_logged_count(const struct node *dir);

/* The key of a file is in the log now, or no more.  No lock but the node's. */
void node_set_logged(struct node *node, bool logged);

/* Where a listing goes on behind `cookie`, while `names` is held; and the child at or
 * behind such a place, which `*at` becomes.  NULL: no more. */
uint32_t node_child_seek(const struct node *dir, uint64_t cookie);
struct node *node_child_at(const struct node *dir, uint32_t *at);
/* The highest cookie there is or was by now. */
uint64_t node_last_cookie(const struct node *dir);

/* Cookies 1 and 2 are those of "." and "..". */
enum { COOKIE_SELF = 1, COOKIE_PARENT = 2 };

#endif
