/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * tree.h - the tree: all nodes that have a name.
 *
 * They are in one hash table (uthash, seeded) by (parent, name); each counts on its parent, which
 * lists it.  The tree must never keep a node without references, or a store of any size would
 * end up in memory.
 *
 * The volume's `names` covers which names nodes have: whatever gives or takes one holds it for
 * writing, but for tree_link() of what the store has already.  tree.lock, a leaf, covers the table
 * and the lists of children; all calls take it by themselves.
 */
#ifndef FS_TREE_TREE_H
#define FS_TREE_TREE_H

#include <pthread.h>

#include "fs/tree/ino.h"
#include "fs/tree/node.h"

struct tree {
	pthread_mutex_t lock; /* of `nodes`, children and `inos`; a leaf */
	struct node *nodes;   /* all that have a name, the oldest first: the root is in it always */
	atomic_size_t count;  /* of them, but the root.  Changed with `lock` */
	uint64_t seed;        /* of hashes: the process's */
	struct node *root;
	struct name_rules rules;
	struct ino_hash *inos; /* owned */
};

/* `secret`: of inode numbers.  0, -ENOMEM or what ino_hash_new() says; tree_release() in any
 * case. */
int tree_init(struct tree *tree, const struct name_rules *rules,
	      const uint8_t secret[INO_SECRET_SIZE]);
/* Free all nodes, also those still referenced.  No cached value is left. */
void tree_release(struct tree *tree);

/* Drop `count` references.  True: none is left.  Then the node has left the table; the caller frees
 * it, and drops its reference to `*parent_ret` (may be NULL). */
bool tree_unref(struct tree *tree, struct node *node, uint64_t count, struct node **parent_ret);
/* The node of a name, counted; NULL: there is none. */
struct node *tree_find(struct tree *tree, struct node *parent, const char *name, size_t size);

/* Give a node its name below `parent`, on which it counts; no node has that.  It is of a snapshot
 * if `parent` is.  0 or -ENOMEM. */
int tree_link(struct tree *tree, struct node *parent, struct node *node);

/* Take the name away; its reference to the parent is the caller's from now on. */
struct node *tree_unlink(struct tree *tree, struct node *node);

/* Give a node another place and name, which no node has.  -ENOMEM: unchanged.  Else the caller
 * counts on the parent of before in its place. */
int tree_move(struct tree *tree, struct node *node, struct node *parent, const struct name *name,
	      const struct dw_bytes *component);

/* Give two files each other's place and name.  tree_exchange_reserve() (0 or -ENOMEM) comes
 * first, so that nothing can fail any more. */
int tree_exchange_reserve(struct tree *tree, struct node *a, struct node *b);
void tree_exchange(struct tree *tree, struct node *a, struct node *b);

/* Compute st_ino anew of all nodes below a directory that moved. */
void tree_update_inos(struct tree *tree, struct node *top);

/* The st_ino of what has no node. */
uint64_t tree_ino(struct tree *tree, const struct node *parent, struct dw_bytes component,
		  bool is_dir);

/* How many nodes there are, but the root.  Any thread; no lock: as of some moment. */
size_t tree_count(const struct tree *tree);

/* The st_ino for the root of a snapshot, by its name, and so for all that comes below it: no node
 * has the one that it has in another tree. */
uint64_t tree_snapshot_ino(struct tree *tree, const char *name);

/* An st_ino that no key has, for a node without a name. */
void tree_forget_ino(struct tree *tree, struct node *node);

/* Whether a file below `dir` is in no log yet. */
bool tree_has_unlogged(struct tree *tree, const struct node *dir);

/* The files below `dir` that are in no log yet; as tree_below(). */
int tree_unlogged(struct tree *tree, const struct node *dir, struct node ***ret, size_t *count_ret);

/* The nodes below `top`, all the way down, parents first; NULL: all but the root.  Each is counted,
 * and the array is the caller's.  0 or -ENOMEM. */
int tree_below(struct tree *tree, struct node *top, struct node ***ret, size_t *count_ret);

/* Those whose names the kernel is to forget, since they have been known longest, and was not asked
 * to yet; from now on it was.  Each is counted.  How many, up to `size`; `nodes`: how many go with
 * them, if none of these is in use. */
size_t tree_take_oldest(struct tree *tree, struct node **ret, size_t size, size_t *nodes_ret);

#endif
