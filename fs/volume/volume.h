/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * volume.h - a mounted store: all semantics of the file system, without FUSE.
 *
 * Calls return 0 (or a count) or -errno as a file system would; outputs are
 * untouched on failure.  Any thread may make any call.  Nodes handed out in a
 * volume_entry carry a reference for the caller, dropped by volume_forget();
 * a node passed in is one that the caller holds.
 */
#ifndef FS_VOLUME_VOLUME_H
#define FS_VOLUME_VOLUME_H

#include <sys/stat.h>
#include <sys/statvfs.h>

#include "datawal.h"
#include "fs/attr/attr.h"
#include "fs/tree/ino.h"

struct volume;
struct node;

/* Told of what no caller can be told, e.g. a commit that failed in the background.
 * `priority` is one of syslog's. */
typedef void volume_log_fn(void *context, int priority, const char *text);

struct volume_options {
	bool read_only;
	bool flat; /* every key a file of the root */
	uid_t uid; /* owner where nothing else was set */
	gid_t gid;
	mode_t umask; /* taken from 0666 and 0777 where no mode was set */
	/* New files belong to this user and group, whichever process creates them; and these bits
	 * are taken off their mode. */
	bool fixed_uid, fixed_gid, fixed_umask;
	uint32_t commit_ms;   /* commit what stays open after so long; 0: 5000 */
	uint64_t dirty_max;   /* bytes of values in memory, at least DW_VALUE_SIZE_MAX; 0: by how
				 much memory there is */
	const char *reserved; /* name in the root that is no key's; NULL: none */
	/* The store is a snapshot of this name, read only: its st_ino follow from the name, and are
	 * not those of the store that it is of.  NULL: it is none.  Not kept. */
	const char *snapshot;
	/* A secret: an attacker who knows it could choose names that collide. */
	uint8_t ino_secret[INO_SECRET_SIZE];
	size_t nodes_max;   /* above so many files and directories that the kernel knows it is asked
			       to forget some; 0: a default */
	volume_log_fn *log; /* may be NULL */
	void *context;      /* handed to log */
};

/* The calling process. */
struct volume_cred {
	uid_t uid;
	gid_t gid;
};

struct volume_entry {
	struct node *node;
	struct stat st;
};

/* Take a store over (on success) and read its names. */
int volume_open(struct dw_store *store, const struct volume_options *options, struct volume **ret);

/* Start committing what stays open in the background; a thread of this process. */
int volume_start(struct volume *volume);

/* Commit everything, close the store, free.  All nodes are given back thereby.
 * Returns the first error, or that of a value that was lost since volume_open(); the volume
 * is gone in any case.  NULL is fine. */
int volume_close(struct volume *volume);

/* Make a snapshot of this moment, values, names and attributes, that lasts (dw_snapshot_prepare()):
 * dirty values are committed first.  Others wait for a rotation of the log, no longer.
 * `brief`: it goes when the store is opened for writing again.
 * -EROFS: `volume` is read only; -EEXIST; -EINVAL: no name for one. */
int volume_snapshot(struct volume *volume, const char *name, bool brief);
/* The st_ino that the root of a snapshot of this name has. */
uint64_t volume_snapshot_ino(struct volume *volume, const char *name);

/* Call `visit` for each name with referenced nodes below it, in a volume where nothing
 * moves.  No lock is held meanwhile. */
typedef void volume_known_fn(void *context, struct node *parent, const char *name);
void volume_for_known(struct volume *volume, volume_known_fn *visit, void *context);

/* Have `crowded` called when more than options.nodes_max are known: volume_for_surplus() should be
 * called soon, but not from there.  Before requests come. */
typedef void volume_crowded_fn(void *context);
void volume_on_crowd(struct volume *volume, volume_crowded_fn *crowded, void *context);
/* The same for those that have been known longest, where more are known than nodes_max: the kernel
 * is to forget their names. */
void volume_for_surplus(struct volume *volume, volume_known_fn *visit, void *context);
/* Whether the kernel, or anybody else, counts on a node of a volume where nothing moves. */
bool volume_is_known(struct volume *volume);

/* Whether a node is one of a snapshot. */
bool volume_is_snapshot(const struct node *node);
/* Tells a node from those that had its address before. */
uint32_t volume_generation(const struct node *node);
/* Whether it is a root; any node of a volume where nothing moves. */
bool volume_is_root(const struct node *node);

struct dw_store *volume_store(struct volume *volume);
const struct volume_options *volume_get_options(const struct volume *volume);

/* Results of commits, since volume_open(). */
struct volume_figures {
	uint64_t commits_failed; /* each try counts */
	uint64_t values_lost;    /* values that were written and never committed */
	uint64_t commits_early;  /* values that made room for others */
	uint64_t value_bytes;    /* of memory that values take now */
	uint64_t dirty_max;      /* and may take */
};
void volume_get_figures(struct volume *volume, struct volume_figures *ret);
/* The root; not counted. */
struct node *volume_root(struct volume *volume);
/* The root and its attributes, counted. */
void volume_enter(struct volume *volume, struct volume_entry *ret);

/* --- names --- */

int volume_lookup(struct volume *volume, struct node *parent, const char *name,
		  struct volume_entry *ret);
void volume_forget(struct volume *volume, struct node *node, uint64_t count);

/* Create a regular file and open it; O_EXCL and O_TRUNC of `flags` count.
 * -EINVAL also for names that can be read and removed, but not created. */
int volume_create(struct volume *volume, const struct volume_cred *cred, struct node *parent,
		  const char *name, mode_t mode, int flags, struct volume_entry *ret);
/* Create a regular file without a name and open it (O_TMPFILE); `dir` says whose group it has.
 * volume_link() may give it a name, once, and commits it then: -EPERM for any other file, which
 * has one name; -EEXIST. */
int volume_tmpfile(struct volume *volume, const struct volume_cred *cred, struct node *dir,
		   mode_t mode, int flags, struct volume_entry *ret);
int volume_link(struct volume *volume, struct node *node, struct node *parent, const char *name,
		struct volume_entry *ret);
/* Create an empty regular file without opening it.  Other types: -EPERM. */
int volume_mknod(struct volume *volume, const struct volume_cred *cred, struct node *parent,
		 const char *name, mode_t mode, struct volume_entry *ret);
/* Create a symbolic link: its target is the value. */
int volume_symlink(struct volume *volume, const struct volume_cred *cred, struct node *parent,
		   const char *name, const char *target, struct volume_entry *ret);
int volume_mkdir(struct volume *volume, const struct volume_cred *cred, struct node *parent,
		 const char *name, mode_t mode, struct volume_entry *ret);
int volume_unlink(struct volume *volume, struct node *parent, const char *name);
int volume_rmdir(struct volume *volume, struct node *parent, const char *name);
/* `flags`: 0, RENAME_NOREPLACE, or RENAME_EXCHANGE of two files (of a directory: -EINVAL);
 * others are -EINVAL.  The value stands under the new name in the log before the old name
 * is taken back; of two that are exchanged a crash may leave one more copy, NAME.exchanged-N. */
int volume_rename(struct volume *volume, struct node *parent, const char *name,
		  struct node *new_parent, const char *new_name, unsigned flags);

/* Call `visit` for all below what has this name, as far as anybody may know it: of a
 * directory that was renamed, the nodes whose st_ino is another one now.  No call of the
 * volume from `visit`. */
typedef void volume_node_fn(void *context, struct node *node);
void volume_visit_below(struct volume *volume, struct node *parent, const char *name,
			volume_node_fn *visit, void *context);

/* An entry of a directory: `next` is where a listing goes on behind it.  0: taken;
 * else the listing ends before it.  `node` is NULL for "." and "..". */
typedef int volume_dirent_fn(void *context, const char *name, struct node *node,
			     const struct stat *st, uint64_t next);

/* An open directory lists the entries of the moment when it is first read, or read from the start
 * again.  An entry that is there throughout is listed once, whatever changes, also one that is
 * renamed within its directory; entries made later are not listed. */
struct listing;
int volume_opendir(struct volume *volume, struct node *dir, struct listing **ret);
void volume_closedir(struct listing *listing);

/* Call `visit` for each entry after `offset` (0: from the start), until it declines.
 * With `counted` each node taken is counted for the caller; while too many are known, entries are
 * told without a node. */
int volume_readdir(struct listing *listing, uint64_t offset, bool counted, volume_dirent_fn *visit,
		   void *context);

/* --- attributes ---
 *
 * Kept in a store of their own, `.attr/` inside the store's directory.  If that cannot be
 * opened, everything shows with the defaults, and what would have to be kept is -EIO. */

int volume_getattr(struct volume *volume, struct node *node, struct stat *ret);
/* `which`: of enum attr_bit.  A size set without an open file (`open` false) is
 * committed at once. */
int volume_setattr(struct volume *volume, struct node *node, const struct stat *st, unsigned which,
		   bool open, struct stat *ret);
/* Extended attributes: names that begin with "user."; others are -EOPNOTSUPP.
 * setxattr: XATTR_CREATE, XATTR_REPLACE; -EEXIST, -ENODATA, -ERANGE: a bad name, -E2BIG: a
 * value over 64 KiB, -ENOSPC: more than 1 MiB of them, or 64 KiB of names.
 * getxattr, listxattr: the size, and the bytes if `size` is not 0; -ENODATA, -ERANGE. */
int volume_setxattr(struct volume *volume, struct node *node, const char *name, const void *value,
		    size_t size, int flags);
int volume_removexattr(struct volume *volume, struct node *node, const char *name);
ssize_t volume_getxattr(struct volume *volume, struct node *node, const char *name, void *ret,
			size_t size);
ssize_t volume_listxattr(struct volume *volume, struct node *node, char *ret, size_t size);
/* Compact the store of attributes, if there is one. */
int volume_compact_attrs(struct volume *volume);

/* Have compactions and verifications that run stop soon.  Takes no lock but the engine's last. */
void volume_cancel(struct volume *volume);

/* dw_maintain() of values and attributes. */
int volume_maintain(struct volume *volume, const struct dw_maintain_options *options);
int volume_statfs(struct volume *volume, struct statvfs *ret);

/* --- files --- */

/* Every success is followed by one volume_release(). */
int volume_open_file(struct volume *volume, struct node *node, int flags);

/* How the kernel may use pages of a file for an opener. */
enum volume_paging {
	VOLUME_PAGES_KEPT,   /* keep what it has, and more */
	VOLUME_PAGES_NEW,    /* keep pages, but forget those of before */
	VOLUME_PAGES_DIRECT, /* each read and write comes here; other pages are dropped */
};

/* Let files that are opened for writing only be written past the kernel's pages, from now
 * on.  For a kernel that drops the pages that such a write changes, and that lets these files
 * be mapped. */
void volume_allow_direct(struct volume *volume);
/* For an opener of the file. */
enum volume_paging volume_paging(struct volume *volume, struct node *node);

/* If the caller alone has the file open, for reading, if its value has at most `size_max` bytes,
 * is not empty, and was not pushed since it changed: call `push` with it.  No call of the volume
 * from there; the file does not change meanwhile.  Whatever fails, nothing is lost. */
typedef void volume_push_fn(void *context, const void *data, size_t size);
void volume_push(struct volume *volume, struct node *node, size_t size_max, volume_push_fn *push,
		 void *context);
/* The last release commits bytes that no flush did.  If that fails, or the flush before failed,
 * they are lost: the file goes back to the value in the log, or is gone (-ESTALE for callers that
 * still hold the node).  0, or the -errno of the commit: the caller's idea of the file's attributes
 * is wrong then. */
int volume_release(struct volume *volume, struct node *node);
ssize_t volume_read(struct volume *volume, struct node *node, void *ret, size_t size,
		    uint64_t offset);
/* May write less than `size`, up to DW_VALUE_SIZE_MAX; from there on -EFBIG. */
ssize_t volume_write(struct volume *volume, struct node *node, const void *data, size_t size,
		     uint64_t offset);
/* A descriptor is closed, perhaps one of several: commit what was written, so that the value
 * outlives the process; or leave that to the last release, a sync or the timer, if nothing was
 * written since a creation or O_TRUNC, or if the records of its closes grow much faster than
 * the file does.  On failure the value stays in memory while the file is open. */
int volume_flush(struct volume *volume, struct node *node);
/* Commit what was written, now. */
int volume_commit(struct volume *volume, struct node *node);
/* The same, to outlive the machine. */
int volume_fsync(struct volume *volume, struct node *node);
/* Bring everything that was committed or set to disk. */
int volume_sync(struct volume *volume);
/* The same, and commit files of this directory that were created and are in no log yet. */
int volume_fsync_dir(struct volume *volume, struct node *dir);
/* The target of a symbolic link, ended by a NUL, to be freed.  -EINVAL: it is none. */
int volume_readlink(struct volume *volume, struct node *node, char **ret);
/* fallocate(2): mode 0, KEEP_SIZE, and with it PUNCH_HOLE; ZERO_RANGE. */
int volume_fallocate(struct volume *volume, struct node *node, int mode, uint64_t offset,
		     uint64_t size);

/* Commit all that is open and written.  The first error. */
int volume_commit_all(struct volume *volume);

#endif
