/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * datawal.h - libdatawal, a DataWal store: append-only, CRC-framed log segments
 * in a directory, with a last-write-wins key/value view over them.
 *
 * The on-disk format is wire version 1 of the Rust crate `datawal` 0.1.5
 * (docs/FORMAT.md); stores move freely between the two.
 *
 * C11 and C++11.
 *
 * Conventions, unless a declaration says otherwise:
 *   - Functions return 0 or a negative errno; outputs (`ret`, `*_ret`) are
 *     untouched on failure.
 *   - Any thread may make any call on an open store.
 *   - Sizes and offsets are in bytes, times in nanoseconds since the epoch.
 *   - The first store that is read installs a handler for SIGBUS, which a page of a
 *     mapped segment raises when it cannot be read; every other SIGBUS goes to the
 *     handler that was there.  A program with one of its own installs it before.
 *   - The library never prints.  Its findings (damage, a lock held, bytes quarantined) go to
 * `dw_options.on_finding`.
 *
 * Errors that every call may return besides its own: -ENOMEM, -EIO and what
 * else the system calls below return.  -EROFS: the store is open for reading.
 * A store whose writer is poisoned (a failed fdatasync, or a failed append that
 * could not be undone) goes on reading; each write returns the first error.
 */
#ifndef DATAWAL_H
#define DATAWAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DW_KEY_SIZE_MAX   65536u    /* wire version 1 */
#define DW_VALUE_SIZE_MAX 67108864u /* wire version 1; 64 MiB */
/* The directory in a store's that has the attributes of its keys, a store itself. */
#define DW_ATTR_DIRECTORY       ".attr"
#define DW_SEGMENT_SIZE_DEFAULT (256ull << 20)

struct dw_store;
struct dw_segment;

/* Bytes somewhere else: never owned. */
struct dw_bytes {
	const void *data;
	size_t size;
};

/* The type byte of a record. */
enum dw_type { DW_RAW = 0, DW_PUT = 1, DW_DELETE = 2 };

/* The fault of the bytes where a record should stand. */
enum dw_damage {
	DW_DAMAGE_NONE,
	DW_DAMAGE_TRUNCATED, /* the record runs past the end of its segment */
	DW_DAMAGE_CRC,
	DW_DAMAGE_MAGIC,
	DW_DAMAGE_VERSION,
	DW_DAMAGE_TYPE,
	DW_DAMAGE_FLAGS,
	DW_DAMAGE_KEY_SIZE,
	DW_DAMAGE_PAYLOAD_SIZE,
	DW_DAMAGE_ZEROS,     /* nothing but zero bytes up to the end of the segment */
	DW_DAMAGE_KEY,       /* a sound record, but of another key than the one asked for */
	DW_DAMAGE_SHORTENED, /* its hint proves that the segment held more than it holds */
	DW_DAMAGE_MISSING,   /* a hint proves that there was a segment which is gone */
	DW_DAMAGE_HINT,      /* a sound record that the hint tells otherwise; the view was taken
				from it */
	DW_DAMAGE_INDEX,     /* a part of the index, which the log can replace: nothing is lost */
};

/* "crc", "magic", "key_size" ...: a static string. */
const char *dw_damage_name(enum dw_damage damage);

enum dw_finding_kind {
	DW_FINDING_TORN_TAIL, /* the last segment ends in bytes that are no record; read on without
				 them */
	DW_FINDING_QUARANTINED, /* those bytes were saved to `name` and cut off; zeros alone: only
				   cut off */
	DW_FINDING_DAMAGE,      /* bytes that are no record where one must be */
	DW_FINDING_LOCKED,      /* another process has the store open for writing */
	DW_FINDING_IO,          /* a system call failed */
	DW_FINDING_POISONED,    /* the writer stopped for good */
	DW_FINDING_LOST,        /* the newest record of a key is gone */
	DW_FINDING_SIDECAR,     /* the hint of a segment is of another log, and is not used */
	DW_FINDING_LOCAL_LOCKS, /* a writer's lock may hold on this machine only: `name` is the type
				   of the file system */
	DW_FINDING_REMOVED,     /* as POISONED: `segment` was removed, moved, replaced or cut while
				   the store was open; if that is 0, the directory was removed */
};

/* LOST: the state of the key now, or after a repair. */
enum dw_left {
	DW_LEFT_UNKNOWN,   /* not checked */
	DW_LEFT_NOTHING,   /* no value: the key is gone */
	DW_LEFT_EMPTY,     /* an older value, an empty one */
	DW_LEFT_OLDER,     /* an older value */
	DW_LEFT_UNDELETED, /* it was a tombstone: the value before it comes back */
};

struct dw_finding {
	enum dw_finding_kind kind;
	enum dw_damage damage; /* TORN_TAIL, DAMAGE */
	int error;             /* IO, POISONED: a positive errno */
	uint32_t segment;      /* id of the segment; 0 when none is meant */
	uint64_t offset;       /* in the segment; IO: where known */
	uint64_t size; /* TORN_TAIL, QUARANTINED: bytes; IO: room needed, 0: unknown; LOST: of
			  the value left */
	uint64_t records_behind; /* TORN_TAIL: whole valid records behind the damage */
	pid_t pid;             /* LOCKED: the writer, which lives; 0: it cannot be seen from here */
	const char *host;      /* LOCKED: its machine; NULL: unknown.  Valid during the call */
	uint64_t records_lost; /* DAMAGE: that the segment held and holds no more, as far as known;
				  those of keys follow as LOST, the first hundred at opening */
	enum dw_left left;     /* LOST */
	struct dw_bytes key;   /* LOST; DAMAGE, IO: of the record there, if known (data is not
				  NULL) */
	const char *name; /* QUARANTINED: file name, NULL: zeros alone; IO, POISONED: the operation
			     that failed; DAMAGE: of the index, the file, which the offset is in,
			     else NULL. Valid during the call */
};

/* Called from whichever thread came upon it, at times with the store's locks
 * held: it must return soon and must not call into the store. */
typedef void dw_finding_fn(void *context, const struct dw_finding *finding);

/* One line about a finding, ended by a NUL, cut to `size`.  Returns what snprintf would. */
int dw_finding_text(const struct dw_finding *finding, char *ret, size_t size);

struct dw_options {
	bool read_only;        /* no lock, changes nothing: a snapshot of the segments at open */
	bool create;           /* make the directory (not its parents) if it is missing */
	bool must_exist;       /* do not make a store of an empty directory: -ENOENT */
	bool among_files;      /* also make one where other files are, instead of -ENOMEDIUM */
	uint64_t segment_size; /* rotate before a segment outgrows this; 0: the default */
	uint64_t index_keys;   /* of the index, those that are kept in memory before they go to
				  disk; 0: a million */
	uint64_t
		index_budget; /* bytes of memory to hold what is on disk of the index; 0: 256 MiB */
	bool without_index;   /* read_only: take the view from the log alone, whose keys then take
				 memory; after an -EIO that the index is to blame for */
	uint32_t lock_wait_ms;     /* how long to wait for the writer's lock; 0: not at all */
	dw_finding_fn *on_finding; /* may be NULL */
	void *context;             /* handed to on_finding */
};

/* The result of opening. */
struct dw_report {
	uint32_t segments;
	uint64_t records; /* valid ones that were read, Raw and Delete included; not those that the
			     index has already */
	uint64_t last_txid;      /* the highest seen; 0: none */
	uint32_t segment;        /* the last segment; on -EBADMSG the damaged one */
	uint64_t offset;         /* end of its valid prefix; on -EBADMSG where the damage is */
	enum dw_damage damage;   /* the reason of a torn tail or of -EBADMSG */
	uint64_t torn_bytes;     /* behind the valid prefix of the last segment */
	uint64_t records_behind; /* whole valid records in there */
};

/* Open the store in directory `path`.  An empty directory (`lost+found` aside) becomes one when
 * it is opened for writing.
 * -ENOENT: no directory, or an empty one that is only to be read; -ENOTDIR; -ENOMEDIUM: no store
 * here, the directory has other files and no segment (nothing was changed); -EBUSY: another process
 * writes it (DW_FINDING_LOCKED), or makes and removes segments faster than they are opened
 * (DW_FINDING_IO); -EBADMSG: damaged (DW_FINDING_DAMAGE; nothing was changed; `datawal repair`);
 * -ELOOP: a segment is a symlink; -EINVAL: a segment is no regular file; -EEXIST: .lock is no
 * regular file (DW_FINDING_IO); -EROFS: for writing, a snapshot, or a replica that has not all of
 * its first stream (DW_FINDING_IO). A writer quarantines a torn tail before this returns.
 * `report_ret` may be NULL; it is also set on -EBADMSG. */
int dw_open(const char *path, const struct dw_options *options, struct dw_report *report_ret,
	    struct dw_store **ret);

/* dw_open() of the store in the directory `name` inside the directory of `above`: a
 * store that belongs to another one, lives under its lock, and is closed before it.  Opened
 * relative to it, whatever its path means by now.
 * Open for writing it comes first: nothing that is appended to `above` is brought to disk,
 * by dw_sync(), a rotation, a compaction, or dw_close(), before all that was appended here earlier
 * is.  If records cannot be brought to disk here, those calls fail; `above` then stays in use.
 * -EBUSY: there is one already; -ENOTDIR also for a link; -EINVAL: `name` is no name in a
 * directory. */
int dw_open_in(struct dw_store *above, const char *name, const struct dw_options *options,
	       struct dw_report *report_ret, struct dw_store **ret);

/* End the maintenance, sync, let the lock go, free.  Waits for no one else: no other call
 * may be running and every dw_ref, dw_iter, dw_cursor and dw_export given back.  NULL is fine.
 * Of a store that lives in another one no call on that may be running either, and its
 * maintenance ends, too.
 * Returns the first error of the final sync; the store is gone in any case but one:
 * -EBUSY, and nothing was done, while snapshots of it are open. */
int dw_close(struct dw_store *store);

/* --- writing ------------------------------------------------------------ */

struct dw_op {
	enum dw_type type;
	struct dw_bytes key;
	struct dw_bytes value; /* of a Delete: empty */
	bool mtime_set;        /* false: the commit time is now */
	int64_t mtime_ns;      /* else this */
};

/* Append the records of `ops` in order, in as few system calls as their number
 * allows (one for up to 256 KiB, or a single record of any size), with
 * consecutive txids.  When this returns 0 the records outlive the process;
 * dw_sync() makes them outlive the machine.
 * All or nothing while the process lives; a crash may leave a prefix of `ops`.
 * -E2BIG: a key over DW_KEY_SIZE_MAX; -EFBIG: a value over DW_VALUE_SIZE_MAX, or
 * RLIMIT_FSIZE;
 * -EINVAL: a Delete with a value, an unknown type; -EOVERFLOW: txids are used up.
 * None of these writes a byte. */
int dw_batch(struct dw_store *store, const struct dw_op *ops, size_t count);

int dw_put(struct dw_store *store, struct dw_bytes key, struct dw_bytes value);
/* A tombstone is appended whether the key exists or not, as the reference does. */
int dw_delete(struct dw_store *store, struct dw_bytes key);
/* A Raw record: in the log, no part of the view. */
int dw_append_raw(struct dw_store *store, struct dw_bytes key, struct dw_bytes payload);

/* Return once everything appended before the call is on disk, also what was appended to
 * the store inside (dw_open_in), that first.  Callers that arrive together share one fdatasync.  A
 * failure poisons the writer. */
int dw_sync(struct dw_store *store);

/* Seal the active segment and start the next one.  -EOVERFLOW: segment 99999999
 * is in use; the store stays writable in it. */
int dw_rotate(struct dw_store *store);

/* --- reading ------------------------------------------------------------ */

struct dw_value {
	void *data; /* owned by the caller: free(3); never NULL */
	size_t size;
	int64_t mtime_ns;
};

/* Copy the newest value of `key`.
 * -ENOENT, -EBADMSG (damaged bytes: DW_FINDING_DAMAGE), -ENOMEM. */
int dw_get(struct dw_store *store, struct dw_bytes key, struct dw_value *ret);

struct dw_stat {
	uint32_t size;    /* of the value */
	int64_t mtime_ns; /* when it was committed, as far as known */
	uint32_t segment;
	uint64_t offset; /* of its record */
};

/* -ENOENT.  No I/O. */
int dw_stat(struct dw_store *store, struct dw_bytes key, struct dw_stat *ret);
/* False also if the index is damaged, so that it is not known: dw_stat() tells the two apart. */
bool dw_contains(struct dw_store *store, struct dw_bytes key);
/* The txid of the record that holds the newest value of `key`: it tells this value from
 * all that the key had or will have, and compaction in place keeps it.
 * -ENOENT, -EBADMSG.  Reads the header of the record, which is not checked further. */
int dw_txid(struct dw_store *store, struct dw_bytes key, uint64_t *ret);
uint64_t dw_count(struct dw_store *store);

/* A value pinned in the log: it stays readable until dw_ref_put(), whatever is
 * overwritten, deleted or compacted meanwhile.  The fields are the library's;
 * one thread at a time may use a ref. */
struct dw_ref {
	struct dw_segment *segment;
	uint64_t offset;
	int64_t mtime_ns;
	uint32_t key_size;
	uint32_t value_size; /* may be read by the caller */
	bool verified;
};

/* Pin the newest value of `key`.  -ENOENT.  No I/O. */
int dw_ref_get(struct dw_store *store, struct dw_bytes key, struct dw_ref *ret);

/* Read up to `size` bytes from `offset` of the value.  Before the first byte is
 * given out the whole record was checked against its CRC and its key against
 * `key`, the one that dw_ref_get() was asked for.
 * The number of bytes (0 at the end), or -EBADMSG. */
ssize_t dw_ref_read(struct dw_store *store, struct dw_ref *ref, struct dw_bytes key, void *ret,
		    size_t size, uint64_t offset);

/* Let go; `{0}` is fine and what is left behind. */
void dw_ref_put(struct dw_store *store, struct dw_ref *ref);

/* Call `visit` for each live key, in byte order, as of one moment of the store, which goes on
 * meanwhile.  A non-zero result of `visit` ends the walk and is returned. */
typedef int dw_visit_fn(void *context, struct dw_bytes key, const struct dw_stat *stat);
int dw_for_each(struct dw_store *store, dw_visit_fn *visit, void *context);

/* One moment of the store, in byte order of the keys. */
struct dw_iter;

struct dw_item {
	struct dw_bytes key; /* valid until the next call on the iterator */
	struct dw_stat stat;
};

/* Takes little memory, whatever the number of keys; the store goes on. */
int dw_iter_open(struct dw_store *store, struct dw_iter **ret);
uint64_t dw_iter_count(const struct dw_iter *iter);
/* 1 and `*ret`; 0 at the end; or -errno.  One thread at a time. */
int dw_iter_next(struct dw_iter *iter, struct dw_item *ret);
/* Read from the value of the item that dw_iter_next() gave last, as dw_ref_read(). */
ssize_t dw_iter_read(struct dw_iter *iter, void *ret, size_t size, uint64_t offset);
void dw_iter_close(struct dw_iter *iter);

/* Keys in byte order, without a copy of them: those that begin with a prefix.  Of a snapshot they
 * are those of its moment.  A cursor of a store goes on behind the last key it gave, whatever
 * changed meanwhile: a key that is there throughout is given once, with the value it has by then;
 * one that comes or goes, perhaps. Writers do not wait; only the first cursor, or dw_below(), of a
 * store keeps them waiting while the keys that were put since the index was written last are
 * sorted.  From then on each new key costs a put 1 to 2 microseconds more. While it is open it may
 * hold segments that a compaction removed, so close it soon: before the store in any case. */
struct dw_cursor;

/* 0, -ENOMEM, -EIO: the index is damaged; or another -errno.  `prefix` is copied. */
int dw_cursor_open(struct dw_store *store, struct dw_bytes prefix, struct dw_cursor **ret);
/* 1 and `*ret`, whose key is valid until the next call on the cursor; 0 at the end, where it stays
 * until a seek; or -errno.  One thread at a time. */
int dw_cursor_next(struct dw_cursor *cursor, struct dw_item *ret);
/* The next item is the first whose key is not below `key`, forward or back, of those that begin
 * with the prefix.  0 or -errno. */
int dw_cursor_seek(struct dw_cursor *cursor, struct dw_bytes key);
/* Read from the value of the item that dw_cursor_next() gave last, as dw_ref_read().  -EINVAL:
 * there is none, because it was the end, or the cursor was moved. */
ssize_t dw_cursor_read(struct dw_cursor *cursor, void *ret, size_t size, uint64_t offset);
/* NULL is fine. */
void dw_cursor_close(struct dw_cursor *cursor);

struct dw_below_info {
	uint64_t keys; /* that are there */
	/* When the newest of their values was put, which may be one that was replaced or removed
	 * since; INT64_MIN: not known. */
	int64_t newest_ns;
};

/* Count the keys below a directory: those that begin with `prefix` and are longer; `prefix` is
 * empty or ends in '/'.  The time does not depend on their number.  0; -EINVAL: another prefix;
 * -ENOMEM, -EIO or another -errno. */
int dw_below(struct dw_store *store, struct dw_bytes prefix, struct dw_below_info *ret);

/* --- a frozen view ------------------------------------------------------ */

/* The store at this moment, which does not change by a byte whatever is written, removed
 * and compacted in `store` from now on.  All reading calls work on it, and writing ones
 * return -EROFS; dw_get_stats() and dw_segment_stats() tell the figures of the moment,
 * with those `since open` zero.  Only where a value is (dw_stat.segment, dw_stat.offset)
 * may change, by a compaction.  It is there as long as the process is: nothing of it is
 * on disk.
 *
 * Takes as long whatever the number of keys: a few microseconds, and some nanoseconds
 * for each segment.  Puts afterwards cost nothing more, and neither they nor reads wait for one
 * another.
 * The segments of the moment stay on disk until it is closed, each with an open
 * descriptor once a compaction took its name: until then a compaction frees no space.
 *
 * Several may be open at once.  Closed by dw_close(), which then does not wait either,
 * before `store` is.
 * -EINVAL: `store` is a snapshot itself. */
int dw_snapshot(struct dw_store *store, struct dw_store **ret);

/* --- snapshots that last --------------------------------------------------- */

/* A snapshot is a directory in the store's: `.snapshots/NAME`.  It has hard links of all segments
 * of its moment, and what belongs to them, and is a store itself, which any reader opens.  It
 * shares its blocks with the store, never changes, and is there until it is removed.  A name has 1
 * to DW_SNAPSHOT_NAME_MAX bytes, no '/', and does not begin with '.'. */
#define DW_SNAPSHOT_DIRECTORY ".snapshots"
#define DW_SNAPSHOT_NAME_MAX  255

/* What its files are: links; where the disk has none, files that share blocks; else copies. */
enum dw_snapshot_method { DW_SNAPSHOT_LINK, DW_SNAPSHOT_CLONE, DW_SNAPSHOT_COPY };

/* "link", "clone", "copy": a static string. */
const char *dw_snapshot_method_name(enum dw_snapshot_method method);

struct dw_snapshot_info {
	char name[DW_SNAPSHOT_NAME_MAX + 1];
	enum dw_snapshot_method method; /* the dearest that a file of it took */
	bool brief;                     /* dw_snapshot_prepare() */
	int64_t time_ns;                /* of its moment */
	uint64_t txid;                  /* the last in it; 0: there is none, or it is not known */
	uint32_t segments;              /* with those of the attributes */
	uint64_t bytes;                 /* of these */
	uint64_t alone_bytes; /* on disk, of files that neither the store has nor another snapshot:
				 to remove it frees so many (clones share blocks as well) */
};

/* Make a snapshot of the store, and of the attributes inside (DW_ATTR_DIRECTORY), in three steps,
 * which one thread makes.  Only the second must be alone: where both stores are written, no one may
 * write between their moments. */
struct dw_snapshot_making;

/* Sync, and get ready; waits for another one that is made, or for a compaction about to remove
 * segments.  From now on, until the end of it, such a compaction waits.
 * `brief`: it is for the time that the store is open, and removed by the writer that opens the
 * store next, if it is there by then. -EEXIST; -EINVAL: no such name may be; -EROFS; -EBADMSG: the
 * attributes are damaged. */
int dw_snapshot_prepare(struct dw_store *store, const char *name, bool brief,
			struct dw_snapshot_making **ret);
/* The moment.  Once, and then cancel or finish.  Attributes that were opened meanwhile are in it.
 * Takes a rotation of both stores: milliseconds, whatever the number of keys.  -EOVERFLOW, as
 * dw_rotate(). */
int dw_snapshot_take(struct dw_snapshot_making *making);
/* Make the links, durably: when this returns 0 the snapshot outlives the machine, else there is
 * none.  `making` is gone in any case.  `ret` may be NULL. */
int dw_snapshot_finish(struct dw_snapshot_making *making, struct dw_snapshot_info *ret);
/* Instead of the next step.  NULL is fine. */
void dw_snapshot_cancel(struct dw_snapshot_making *making);

/* All three steps. */
int dw_snapshot_create(struct dw_store *store, const char *name, struct dw_snapshot_info *ret);

/* The snapshots of the store in the directory open as `dirfd`, by time.  The array is the caller's:
 * free(3).  Neither this nor the calls below need the store's lock, or that it is open. */
int dw_snapshot_list(int dirfd, struct dw_snapshot_info **ret, size_t *count_ret);

/* Remove one.  A store that was opened from it goes on.  -ENOENT; another error: its name may be
 * gone already, and the next writer that opens the store removes the rest. */
int dw_snapshot_remove(int dirfd, const char *name);

/* dw_open() of one, for reading whatever `options` say.  Independent of the store that it is of.
 * Its attributes are opened by dw_open_in().  -ENOENT. */
int dw_snapshot_open(int dirfd, const char *name, const struct dw_options *options,
		     struct dw_report *report_ret, struct dw_store **ret);

/* Whether the directory open as `dirfd` is a snapshot: a store that is only read.  dw_open() for
 * writing is -EROFS there. */
bool dw_snapshot_is(int dirfd);

/* --- the whole store ---------------------------------------------------- */

/* The JSONL export of one moment of the store, as a stream: the same bytes that
 * dw_export_file() writes.  Memory does not grow with values: at most some 10 MiB.
 * From 2,048 keys on, and with more than one processor, up to four threads of its own work ahead
 * from the first dw_export_read() to the end; they block signals, and dw_options.on_finding
 * may be called by them. */
struct dw_export;

int dw_export_open(struct dw_store *store, struct dw_export **ret);
/* Up to `size` further bytes; 0 at the end.  An error stays.  One thread at a time. */
ssize_t dw_export_read(struct dw_export *stream, void *ret, size_t size);
void dw_export_close(struct dw_export *stream);

/* Write the export to `path` (temporary file, sync, rename, sync of the
 * directory).  A file of that name is replaced; on failure it is as it was.
 * -EINVAL: `path` is a file of the store itself, or neither a file nor a directory;
 * -ECANCELED: dw_copy_cancel(). */
int dw_export_file(struct dw_store *store, const char *path);

/* Write the live view to a fresh store in directory `path` (made if missing):
 * keys in byte order, txids from 1.  On failure no segment is left there.
 * -EEXIST: there are segments in it already; -ENOMEDIUM: other files;
 * -ECANCELED: dw_copy_cancel(). */
int dw_compact_to(struct dw_store *store, const char *path);
/* The same, also among other files.  They stay as they are. */
int dw_compact_to_among(struct dw_store *store, const char *path);

/* Have dw_export_file() and dw_compact_to() of this store that run stop soon. */
void dw_copy_cancel(struct dw_store *store);

struct dw_compact_options {
	/* 0: the whole store.  Else the longest run of oldest segments of which so many
	 * percent are dead, and of the last of them, too: a byte that is copied
	 * then frees at least dead_percent / (100 - dead_percent) bytes. */
	unsigned dead_percent;
	uint64_t rate; /* bytes read and written a second; 0: no limit */
};

struct dw_compact_report {
	uint32_t segments_before, segments_after; /* those that took part, and their successors */
	uint64_t bytes_before, bytes_after;
	/* not 0, the disk had no room: free bytes with which something (more) could be done */
	uint64_t room_needed;
};

/* Compaction in place: drop what is dead.  Live Put records and Raw records are
 * kept unchanged, txid included.  Reads and writes go on meanwhile.
 * When the disk has no room for the copies, smaller runs of the oldest segments are
 * compacted, as much as there is room for; a segment in which all is dead needs none.  At the
 * last it takes what is in reserve for removals, which may find no room until it is done.
 * A compaction of the whole store keeps the order of Raw records; one of a run puts those
 * of the run behind the others: their txids then tell in which order they were appended.
 * -EBUSY: a compaction is under way (one in the background gives way instead);
 * -ECANCELED: dw_compact_cancel(); -EBADMSG: a damaged record (nothing is lost: the
 * segments stay); -EOVERFLOW: segment ids are used up; -ENOSPC, -EDQUOT: there was no room to
 * free anything, which never happens when nothing lives (`ret` tells how much is needed);
 * -EINVAL: dead_percent is over 100.
 * On failure the store is what it was, perhaps with some records twice.
 * `options` NULL: all zero.  `ret` may be NULL. */
int dw_compact_with(struct dw_store *store, const struct dw_compact_options *options,
		    struct dw_compact_report *ret);

/* The same without options. */
int dw_compact(struct dw_store *store, struct dw_compact_report *ret);

/* Have a running compaction stop soon, with nothing changed and its files removed.  One
 * that has written all its copies goes on to its end.  When none runs this does nothing.
 * One in the background is tried again later. */
void dw_compact_cancel(struct dw_store *store);

enum dw_compact_phase {
	DW_COMPACT_IDLE,       /* none is under way; the rest is of the last one */
	DW_COMPACT_COPYING,    /* reading the segments, writing what lives */
	DW_COMPACT_PUBLISHING, /* the copies take their names and places */
	DW_COMPACT_REMOVING,   /* the segments go */
};

struct dw_compact_progress {
	enum dw_compact_phase phase;
	uint32_t segments_done, segments_total; /* COPYING: read; REMOVING: gone */
	uint64_t bytes_done, bytes_total;       /* of these segments, read */
};

/* How far a compaction is.  Cheap; the figures may be of slightly different moments.
 * When a full disk makes it start over with less, so do they. */
void dw_compact_progress(struct dw_store *store, struct dw_compact_progress *ret);

struct dw_verify_options {
	uint64_t rate; /* bytes read a second; 0: no limit */
};

struct dw_verify_report {
	uint64_t records, bytes; /* sound ones */
	uint64_t damaged;        /* places where no record could be read */
};

/* Read everything and check it.  Bytes in the page cache are not read from the disk again.  Each
 * place of damage goes to on_finding, and so does each segment that cannot be read (DW_FINDING_IO
 * with the offset; the others are read nevertheless, and the first such error is returned).  The
 * files of the index are checked, too: if one is damaged, that is reported, and the result is -EIO.
 * -EBADMSG if there was any damage;
 * `*ret` is set then as well.  -ECANCELED. `options` NULL: all zero. */
int dw_verify_with(struct dw_store *store, const struct dw_verify_options *options,
		   struct dw_verify_report *ret);

/* The same without options. */
int dw_verify(struct dw_store *store, struct dw_verify_report *ret);

/* Have all verifications that run stop soon, those of dw_maintain() aside. */
void dw_verify_cancel(struct dw_store *store);

/* Work in the background. */
struct dw_maintain_options {
	bool compact;               /* compact when it is worth it */
	unsigned dead_percent;      /* as in dw_compact_options; 0: 50 */
	uint64_t dead_bytes_min;    /* and at least so many can be freed; 0: 64 MiB */
	uint64_t compact_rate;      /* bytes read and written a second; 0: no limit.  None either
				       once more is dead than what lives and four times
				       dead_bytes_min: writers are faster than the rate */
	uint32_t look_ms;           /* look so long after a change; 0: 1000 */
	uint64_t scrub_interval_ms; /* verify so long after the last time; 0: never */
	uint64_t scrub_rate;        /* bytes read a second; 0: no limit */
};

/* Maintain the store from now on as `options` say, instead of what was said before; NULL:
 * not at all.  Takes a thread for compaction, one for scrubbing, which sleep while there
 * is nothing to do; dw_close() ends them.  The first scrub comes an interval after this
 * call.  Compaction leaves alone what a snapshot holds, for that would free nothing; after an
 * append that found no room it takes whatever is dead by a tenth or more.
 * Findings and failures go to on_finding, as for dw_compact_with() and
 * dw_verify_with(); after a failure they try again later.
 * Waits until what was going on has stopped.
 * -EROFS: compaction of a store open for reading; -EINVAL: dead_percent is over 100;
 * -ENOTSUP: the store is a snapshot, which never changes (verify it with dw_verify_with());
 * -EAGAIN: no thread can be had.  On failure nothing goes on in the background. */
int dw_maintain(struct dw_store *store, const struct dw_maintain_options *options);

/* How many dw_sync() calls one fdatasync(2) served: 1, 2, up to 4, up to 8, more. */
enum { DW_SYNC_SHARES = 5 };

struct dw_stats {
	uint64_t keys;
	uint32_t segments;
	uint32_t active_segment;      /* id; 0: none */
	uint64_t bytes;               /* of all segments */
	uint64_t live_bytes;          /* of the records that the view points to */
	uint64_t next_txid;           /* 0: used up */
	uint64_t puts, deletes, raws; /* appended since open */
	uint64_t bytes_appended;
	uint64_t syncs_asked, syncs_done; /* dw_sync() calls, and fdatasync(2) calls they took */
	uint64_t syncs_served[DW_SYNC_SHARES]; /* those that did not fail, by that */
	uint64_t calls_served;                 /* by all of these */
	uint64_t rotations, compactions;
	uint64_t damage; /* damaged records met while reading */
	int poisoned;    /* 0 or the errno that stopped the writer */
};

void dw_get_stats(struct dw_store *store, struct dw_stats *ret);

/* The figures of a segment. */
struct dw_segment_stat {
	uint32_t id;
	uint64_t size;             /* of its records */
	uint64_t live_bytes;       /* of the records that the view points to */
	uint64_t raw_bytes;        /* of Raw records, which a compaction keeps */
	uint64_t records, deletes; /* all of them, and the tombstones among them */
	int64_t mtime_ns;          /* of the file, when it was opened */
};

/* All segments, by ascending id.  Reads the headers of the log.  The array is the
 * caller's: free(3).  -EBADMSG: damaged bytes (DW_FINDING_DAMAGE). */
int dw_segment_stats(struct dw_store *store, struct dw_segment_stat **ret, size_t *count_ret);

/* Whether users beside the one that runs this may read the files of the store: those of the
 * segments' group, or all, as far as the modes of the segments and of the directory say. */
bool dw_others_can_read(const struct dw_store *store);

/* A descriptor of the store's directory, for statvfs(3); the store's own. */
int dw_directory_fd(const struct dw_store *store);

/* --- repair ------------------------------------------------------------- */

/* Bytes without a sound record; or, SHORTENED and MISSING, the lost part of a segment. */
struct dw_repair_range {
	uint32_t segment;
	uint64_t offset, size;  /* in the damaged segment */
	enum dw_damage damage;  /* of its first bytes */
	struct dw_bytes key;    /* of the record there, if known (data is not NULL) */
	uint64_t records;       /* SHORTENED, MISSING: that are gone */
	const char *quarantine; /* the file that holds them, or what is known of them, now; NULL:
				   nothing was done, or they are zeros alone.  It and the key are
				   valid during the call */
};

/* Called in order of the log. */
typedef void dw_repair_fn(void *context, const struct dw_repair_range *range);

struct dw_repair_report {
	uint32_t segments;          /* that there are */
	uint32_t segments_damaged;  /* of those: written anew, or to be */
	uint64_t ranges, bytes_out; /* of damage, taken out or to be */
	uint64_t records;           /* sound ones, in all segments */
	uint64_t records_behind;    /* of those, in a segment behind damage: a replay does not
				       come to them before it is repaired */
	uint32_t segments_short;    /* that hold less than they held, or are missing */
	uint64_t keys_lost; /* keys that lost their newest record; each was reported (LOST) */
};

/* Take damaged bytes out of every segment of the store in `path`, and keep all sound
 * records, those behind damage included.  Removed bytes go to a file
 * `NNNNNNNN.dwal.torn-T` beside, a range each; nothing is deleted but zeros (a range
 * of them, or more than 4 KiB at the end of one), and a crash at any instant loses nothing.
 * Where a segment holds less than its hint proves, or is missing, the store goes on without
 * that, and the hint is kept as `NNNNNNNN.hint.lost-T`.  Each key that lost its newest record
 * goes to on_finding (LOST), with what it has now or would have.  A
 * record is looked for first where the damaged one before it says that it ends, then byte by byte.
 * With `do_it` false nothing is changed, only told.  No writer may have the store open
 * either way: -EBUSY (DW_FINDING_LOCKED).  Of `options` lock_wait_ms, on_finding and
 * context count; NULL is fine, so is `found`.  -ENOENT: an empty directory, too.  -ENOSPC: room for
 * a copy of the largest damaged segment and of the damage is needed; -EIO also: the written bytes
 * do not read back as planned. */
int dw_repair(const char *path, bool do_it, const struct dw_options *options, dw_repair_fn *found,
	      void *context, struct dw_repair_report *ret);

#ifdef __cplusplus
}
#endif

/* Readers of the log, and copies of it elsewhere. */
#include "datawal_log.h"

#endif
