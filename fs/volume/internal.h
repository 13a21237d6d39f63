/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * internal.h - what the files of the volume share.
 *
 * Lock order: `names`, then the lock of a node (of two: the one with the lower
 * address first), then `dirty_lock`, then the store's.  A call that only needs to
 * know which key a node has may drop `names` before it reads from the disk.
 */
#ifndef FS_VOLUME_INTERNAL_H
#define FS_VOLUME_INTERNAL_H

#include <pthread.h>

#include "fs/attr/attrstore.h"
#include "fs/tree/content.h"
#include "fs/volume/volume.h"

enum { NODE_LOCKS = 256 };

struct volume {
	struct dw_store *store;            /* owned */
	struct attrstore *attrs;           /* owned */
	atomic_uint_fast64_t settled_txid; /* values below are on disk, as far as known */
	struct volume_options options;
	struct attr_defaults defaults;

	pthread_rwlock_t names; /* covers `tree` */
	struct tree tree;
	atomic_bool direct;    /* volume_allow_direct() */
	atomic_bool told_open; /* that modes do not protect the store itself; told once */
	atomic_bool loaded;    /* it has all names; set once, with `names` held for writing */

	/* Each node has one of these for its content, attributes and count of opens. */
	pthread_mutex_t node_locks[NODE_LOCKS];

	struct room room;           /* for contents; the committer gives its spare block back */
	pthread_mutex_t dirty_lock; /* covers the rest */
	struct content *dirty;      /* oldest first */
	struct content *idle;       /* whose values may leave memory, longest unused first */
	struct content *contents;   /* all there are */
	pthread_cond_t wake;
	int64_t wakes_ms; /* when the committer looks by itself; INT64_MAX: when it is woken */
	pthread_t committer;
	bool running, stopping;

	atomic_uint_fast64_t commits_failed, values_lost, commits_early;
	atomic_bool failing; /* the last try to append or sync failed */
	atomic_int loss;     /* -errno of the first value that was lost; 0: none was */
};

/* The key of a node in memory of its own size. */
struct key {
	char *data;
	size_t size;
	char small[512];
};

/* Room for `size` bytes.  0 or -ENOMEM; key_release() in any case. */
int key_reserve(struct key *key, size_t size);
/* 0 or -ENOMEM; key_release() in any case.  `names` held. */
int key_of_node(const struct node *node, struct key *ret);
/* The key of a component below `parent`; -ENAMETOOLONG. */
int key_of_child(const struct node *parent, struct dw_bytes component, bool is_dir,
		 struct key *ret);
void key_release(struct key *key);

static inline struct dw_bytes key_bytes(const struct key *key)
{
	return (struct dw_bytes){key->data, key->size};
}

pthread_mutex_t *volume_node_lock(struct volume *volume, const struct node *node);
/* `names` for reading, then that. */
void volume_lock_file(struct volume *volume, struct node *node);
void volume_unlock_file(struct volume *volume, struct node *node);
void volume_log(struct volume *volume, int priority, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* An empty volume, without stores; and free what volume_close() does not. */
int volume_new(const struct volume_options *options, struct volume **ret);
void volume_free(struct volume *volume);

/* Read all keys into the tree (fs/volume/load.c). */
int volume_load(struct volume *volume);
/* The same for a snapshot, once (fs/volume/freeze.c). */
int volume_load_late(struct volume *volume);

/* Before the first look at a name.  `names` not held. */
static inline int volume_need_names(struct volume *volume)
{
	return atomic_load(&volume->loaded) ? 0 : volume_load_late(volume);
}

/* Keeping attributes (fs/volume/keep.c).  `key` is that of the node, or will be;
 * `names` and the node's lock are held, or `names` for writing. */

/* Keep what a node has now; what its value must come first for is left to that. */
int volume_keep(struct volume *volume, struct node *node);
/* Around each Put of a file's value. */
int volume_keep_before_put(struct volume *volume, struct node *node, struct dw_bytes key);
int volume_keep_after_put(struct volume *volume, struct node *node, struct dw_bytes key);
/* Around the records that give a node another key; `target`: the file that has it, or
 * NULL.  Undo: there were no such records. */
int volume_keep_before_move(struct volume *volume, const struct node *node,
			    const struct node *target, struct dw_bytes new_key);
void volume_keep_undo_move(struct volume *volume, const struct node *node, struct node *target,
			   struct dw_bytes new_key);
void volume_keep_after_move(struct volume *volume, struct node *node, struct dw_bytes old_key,
			    struct dw_bytes new_key);
/* The same where another file has the old key from now on. */
void volume_keep_moved(struct volume *volume, struct node *node, struct dw_bytes new_key);
/* Bring all values to disk, and forget what was kept for those that are gone. */
int volume_settle(struct volume *volume);
/* The key is gone. */
void volume_keep_drop(struct volume *volume, bool is_dir, struct dw_bytes key);
/* Keep it under a key, whatever the log says. */
int volume_keep_as(struct volume *volume, bool is_dir, struct dw_bytes key,
		   const struct attrs *attrs);
/* The same, when no older value of the key can come back. */
int volume_keep_alone(struct volume *volume, bool is_dir, struct dw_bytes key,
		      const struct attrs *attrs);
/* Forget times that were set on another value than the node has by now. */
void volume_check_times(struct volume *volume, struct node *node);

/* What was kept, while keys are read into the tree (fs/volume/load_attr.c). */
struct attr_table;
int attr_table_read(struct volume *volume, struct attr_table **ret);
bool attr_table_is_empty(const struct attr_table *table);
/* The hash of the root, and of what is below a directory with that of the directory: a key
 * is looked up by the hash of its components, one after the other. */
uint64_t attr_table_root(const struct attr_table *table);
uint64_t attr_table_extend(uint64_t above, struct dw_bytes component);
/* The same of a whole key. */
uint64_t attr_table_hash(const struct attr_table *table, bool is_dir, struct dw_bytes key);
/* The caller's from now on; NULL: none. */
struct attrs *attr_table_take(struct attr_table *table, bool is_dir, struct dw_bytes key,
			      uint64_t hash);
/* Drop the records of keys that vanished; free.  NULL is fine. */
void attr_table_finish(struct attr_table *table);
void attr_table_free(struct attr_table *table);

/* What is kept for one file's value as the log has it; *ret NULL: nothing.  The caller frees.
 * -EBADMSG: the record cannot be read; or another -errno. */
int attr_read_one(struct volume *volume, struct dw_bytes key, struct attrs **ret);
/* Only the extended ones, of a file or directory that has some.  0; -EBADMSG: they cannot be
 * read; or another -errno. */
struct xattrs;
int attr_read_xattrs(struct volume *volume, bool is_dir, struct dw_bytes key, struct xattrs **ret);

/* st of a node; `names` and its lock are held. */
void volume_fill_stat(struct volume *volume, struct node *node, struct stat *ret);
/* Count a node for the caller and tell its attributes; `names` is held. */
void volume_fill_entry(struct volume *volume, struct node *node, struct volume_entry *ret);
/* Attributes of its own for a node; NULL: no memory.  Its lock is held. */
struct attrs *volume_own_attrs(struct node *node);

/* Of a file; `names` (at least for reading) and the node's lock are held. */
int volume_get_content(struct volume *volume, struct node *node, struct content **ret);
int volume_load_content(struct volume *volume, struct node *node, struct content **ret);
void volume_mark_dirty(struct volume *volume, struct content *content);
void volume_mark_clean(struct volume *volume, struct content *content);
int volume_commit_locked(struct volume *volume, struct node *node);
/* The same for the close of one of several descriptors, perhaps, which may leave it to the last
 * close, a sync or the timer. */
int volume_commit_close(struct volume *volume, struct node *node);
/* Commit what was written first, before its time.  1: done; 0: nothing is to be committed; or
 * -errno.  No lock is held. */
int volume_commit_early(struct volume *volume);
int volume_resize_locked(struct volume *volume, struct node *node, uint64_t size);
/* One more who has a file open, by open(2)'s `flags`. */
void volume_note_open(struct volume *volume, struct node *node, int flags);
void volume_note_close(struct node *node);
/* The kernel may keep pages that are not what the file has.  The node's lock is not held. */
void volume_suspect_pages(struct volume *volume, struct node *node);
/* The same, committed: on failure nothing is changed. */
int volume_truncate_locked(struct volume *volume, struct node *node, uint64_t size);
/* node_unref() for whoever may be the last to know a file. */
void volume_unref(struct volume *volume, struct node *node, uint64_t count);
void volume_free_content(struct volume *volume, struct node *node);
/* Let the content go if nobody needs it. */
void volume_drop_content(struct volume *volume, struct node *node);

/* A value could not be committed (fs/volume/lost.c).  Both locks are held, except that
 * volume_close_failed() takes them, `names` for writing. */

/* Count it and, once for each error until a commit succeeds, log it. */
void volume_note_failed(struct volume *volume, struct node *node, int rc);
/* A close whose commit failed.  If it is the last one, what was not committed is forgotten:
 * the file is again what the log says, or gone if the log never had it.  Whether it was. */
bool volume_close_failed(struct volume *volume, struct node *node, int rc);
/* Count and log a value that is lost; `after` says what the file is now. */
void volume_note_lost(struct volume *volume, struct node *node, int rc, const char *after);

/* The key of a node for a message: cut, and nothing in it that a terminal obeys. */
enum { QUOTED_SIZE = 256 };
const char *volume_quote(const struct node *node, char ret[QUOTED_SIZE]);

/* Extended attributes (fs/volume/xattr.c).  `names` and the node's lock are held, or `names` for
 * writing. */

/* Have them in memory, to be looked at or written: nobody else reads node->attrs->xattrs.
 * 0 or -errno. */
int volume_need_xattrs(struct volume *volume, struct node *node);
/* They may leave it again, if they are many bytes, and kept. */
void volume_let_xattrs_go(struct node *node);
/* The same for attributes that are kept. */
void volume_xattrs_leave(struct attrs *attrs);
/* The node is about to leave the tree: what it has stays, as far as there is room; and goes. */
void volume_keep_nameless_xattrs(struct volume *volume, struct node *node);
void volume_drop_nameless_xattrs(struct volume *volume, struct node *node);
/* They count no more, and stay. */
void volume_uncount_xattrs(struct volume *volume, struct node *node);

/* Memory for values (fs/volume/room.c). */

/* Its value could leave memory; it could not.  Both locks are held. */
void volume_note_idle(struct volume *volume, struct content *content);
void volume_note_busy(struct volume *volume, struct content *content);
/* Take room for so many bytes of values, to be given back by room_give(): values leave memory for
 * it, are committed early.  No lock is held, no room was taken.  0; -ENOSPC: what is in memory has
 * to stay; or what kept values from being committed. */
int volume_take_room(struct volume *volume, size_t size);
/* volume_lock_file(), with room for a change behind which the value has `end` bytes or more;
 * 0: what it has. */
int volume_lock_for(struct volume *volume, struct node *node, uint64_t end, size_t *taken_ret);
void volume_unlock_for(struct volume *volume, struct node *node, size_t taken);

/* Keep the value of a file that is about to leave the tree for those who know it. */
int volume_preserve(struct volume *volume, struct node *node);
/* Take a file out of the tree; the caller counts on it.  Bytes not yet committed are
 * nobody's but its openers'.  `names` is held for writing. */
void volume_detach(struct volume *volume, struct node *node);

/* Check a name that shall be created below `parent`, and tell its component: `beside`
 * says that it is the key of a file whose name a directory has.  `names` held. */
int volume_new_component(struct volume *volume, struct node *parent, const char *name, bool is_dir,
			 struct name *ret, bool *beside_ret);
/* Owner and mode of something new below `parent`, where they differ from what the mount says.
 * `names` held, no node's lock. */
int volume_set_initial_attrs(struct volume *volume, const struct volume_cred *cred,
			     const struct node *parent, mode_t mode, struct node *node);
/* Whether a file has the key already, under whatever name. */
bool volume_key_is_taken(struct volume *volume, struct node *parent, const struct name *component);
/* Whether a file has the key of this directory's name, in the end. */
void volume_update_conflict(struct volume *volume, struct node *dir);
/* The names of a directory changed. */
void volume_touch_dir(struct volume *volume, struct node *dir);

/* The value of a file as its openers see it, and its time; `owned` holds what the caller
 * frees.  The node's lock and `names` are held. */
int volume_current_value(struct volume *volume, struct node *node, struct dw_value *owned,
			 struct dw_bytes *ret);
int64_t volume_current_mtime(struct volume *volume, struct node *node);

/* Give two files each other's name.  `names` is held for writing, and both nodes' locks. */
int volume_exchange(struct volume *volume, struct node *a, struct node *b);

/* Whether an empty value of this file would read as its directory's marker. */
bool volume_is_marker_name(const struct volume *volume, const struct node *node);

#endif
