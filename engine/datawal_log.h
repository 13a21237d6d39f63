/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * datawal_log.h - the log of a store, record by record: positions in it, reading it, following it
 * as it grows, sending it and receiving it.  A part of datawal.h, whose conventions hold here;
 * include that.
 */
#ifndef DATAWAL_LOG_H
#define DATAWAL_LOG_H

#ifndef DATAWAL_H
#error "include <datawal.h>, which has the types that this needs"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* --- positions ---------------------------------------------------------- */

/* How far a reader of the log has come: which record it took last, and where that ended.  Valid
 * in this store and in its copies. */
struct dw_position {
	uint64_t txid;   /* of that record; 0: none was taken */
	uint64_t offset; /* where it ends in `segment`; with segment 0 also 0: not known */
	uint32_t segment;
	/* Its CRC field, the four bytes before `offset`; 0: not known.  After a power cut, or an
	 * append that failed, another record may get the same txid and place. */
	uint32_t crc;
};

enum { DW_POSITION_TEXT_SIZE = 64 };

/* "TXID@SEGMENT:OFFSET:CRC" with the CRC in eight hexadecimal digits; what is not known is left
 * out: "TXID@SEGMENT:OFFSET", "TXID". */
void dw_position_text(const struct dw_position *position, char ret[DW_POSITION_TEXT_SIZE]);

/* 0; -EINVAL: `text` is none of these. */
int dw_position_parse(const char *text, struct dw_position *ret);

/* --- following the log -------------------------------------------------- */

/* A reader that goes on as records are appended, by this or another process or machine, across
 * rotations and compactions.  It takes no lock, and writers do not notice it.  One thread at a
 * time, but for dw_tail_cancel(). */
struct dw_tail;

struct dw_tail_options {
	bool from_now;        /* without a position: only what is appended from now on */
	bool from_state;      /* without one: first all live keys, as after a DW_CHANGE_RESET */
	bool durable;         /* bring each record to disk before it is given (fdatasync(2) of its
				 segment, for many at once): a power cut then takes none back */
	uint32_t interval_ms; /* look so often where no event tells of a change; 0: as fits the
				 file system, 100 or 1000 */
	dw_finding_fn *on_finding; /* may be NULL: of damage */
	void *context;
};

enum dw_change_kind {
	DW_CHANGE_RECORD, /* a record of the log */
	DW_CHANGE_RESET,  /* what was given before does not lead to what comes: forget it */
	DW_CHANGE_STATE,  /* after a RESET: a live key of one moment, in byte order of the keys */
	DW_CHANGE_READY,  /* these were all; go on from `position` */
};

/* The reason of a RESET. */
enum dw_reset {
	DW_RESET_NONE,
	DW_RESET_ASKED,      /* dw_tail_options.from_state */
	DW_RESET_COMPACTED,  /* records between were dropped by a compaction or a repair */
	DW_RESET_TAKEN_BACK, /* the record given last is gone, or another one has its txid: a power
				cut or a failed append took it back, or this is another store */
};

struct dw_change {
	enum dw_change_kind kind;
	enum dw_reset reset;
	enum dw_type type;   /* RECORD; STATE: a Put */
	uint32_t value_size; /* RECORD, STATE */
	struct dw_bytes key; /* likewise; valid until the next call */
	int64_t mtime_ns;    /* likewise: when it was committed, as far as known */
	/* RECORD, READY: where another tail can go on once this was dealt with; else zeros */
	struct dw_position position;
	/* RESET, COMPACTED: of these txids at least one is gone */
	uint64_t missing_from, missing_to;
};

/* Follow the store in directory `path` from behind `since` on; NULL: from its first record on,
 * unless the options say otherwise.  A position whose place is not known, or was compacted, is
 * found by its txid.
 * -ENOENT: no store there; -ENOMEDIUM: other files; with from_now also as dw_open() of a reader. */
int dw_tail_open(const char *path, const struct dw_position *since,
		 const struct dw_tail_options *options, struct dw_tail **ret);
/* Likewise the store that is open, which may be closed before the tail is. */
int dw_tail_open_in(struct dw_store *store, const struct dw_position *since,
		    const struct dw_tail_options *options, struct dw_tail **ret);
void dw_tail_free(struct dw_tail *tail); /* NULL is fine */

/* 1 and `*ret`; 0: there is nothing new yet.  Records come whole, once, and in order of their
 * txids without a gap; a batch may come in parts.  They may come before the call that appends them
 * returns.  -EBADMSG: damage (on_finding); -ENOENT: the store was removed; or another -errno; the
 * next call tries again. */
int dw_tail_next(struct dw_tail *tail, struct dw_change *ret);

/* Sleep until there may be something new: 1; 0: `timeout_ms` (-1: none) is over; -ECANCELED. */
int dw_tail_wait(struct dw_tail *tail, int timeout_ms);

/* Have a dw_tail_wait() that runs, and each later one, return -ECANCELED.  Any thread, also in a
 * signal handler. */
void dw_tail_cancel(struct dw_tail *tail);

/* Read up to `size` bytes from `offset` of the value (or Raw payload) that dw_tail_next() gave
 * last.  Their number, 0 at its end; -EINVAL: it gave none; -ESTALE: it was taken back. */
ssize_t dw_tail_read(struct dw_tail *tail, void *ret, size_t size, uint64_t offset);

/* The change that dw_tail_next() gave last as a line of JSON, with its value if `values`, ended by
 * a line feed; docs/man/datawal.1.scd has the fields.  `*ret`, of `*size_ret` bytes, is the
 * caller's: free(3).  0, -ENOMEM, or as dw_tail_read(). */
int dw_tail_json(struct dw_tail *tail, const struct dw_change *change, bool values, char **ret,
		 size_t *size_ret);

/* The position behind the last record given. */
void dw_tail_position(const struct dw_tail *tail, struct dw_position *ret);

/* --- the log without a view --------------------------------------------- */

/* A reader of the log of the store in a directory, record by record: one moment of
 * it, without the lock and while another process writes.  Memory depends neither on
 * the number of keys nor on the size of values.  One thread at a time. */
struct dw_log;

struct dw_record {
	uint32_t segment;
	uint64_t offset; /* in the segment */
	uint64_t size;   /* of the whole record */
	enum dw_type type;
	uint64_t txid;
	struct dw_bytes key; /* valid until the next call */
	uint32_t payload_size;
};

/* Start with the first record of segment `from_segment` (or the next higher one, if
 * there is none; 0 therefore begins with the first) that stands at `from_offset` or behind; the
 * offset is for that very segment.  Of `options` on_finding and context count; NULL is fine.
 * Errors as dw_open() has them for a reader, -EBADMSG aside. */
int dw_log_open(const char *path, uint32_t from_segment, uint64_t from_offset,
		const struct dw_options *options, struct dw_log **ret);

/* 1: `*ret` is the next record, checked against its CRC; 0: the end, or a torn tail
 * (dw_log_report() tells); -EBADMSG: damage that refuses the store (dw_log_report()
 * tells where).  A torn tail and damage go to on_finding, too.  After an error every
 * further call returns it again. */
int dw_log_next(struct dw_log *log, struct dw_record *ret);

/* After -EBADMSG: go on at the next sound record behind the damage.  -EINVAL: there
 * was none. */
int dw_log_resume(struct dw_log *log);

/* Read up to `size` bytes from `offset` of the payload of the record that
 * dw_log_next() gave last.  Their number (0 at its end), -EINVAL: there is no record. */
ssize_t dw_log_read(struct dw_log *log, void *ret, size_t size, uint64_t offset);

/* Check every page of the files that the index has on disk.  Each one that is damaged goes to
 * on_finding (DAMAGE, with DW_DAMAGE_INDEX and its name), and their number to `*damaged_ret`:
 * nothing is lost by that, for without the file `index` it is made anew from the log.  0 or -errno.
 */
int dw_log_check_index(struct dw_log *log, uint64_t *damaged_ret);

/* The findings so far, as dw_open() reports them; `records` counts those returned. */
void dw_log_report(const struct dw_log *log, struct dw_report *ret);

/* Bytes of the log that were read, and all that there are to read. */
void dw_log_progress(const struct dw_log *log, uint64_t *done_ret, uint64_t *total_ret);

/* NULL is fine. */
void dw_log_close(struct dw_log *log);

/* --- send and receive --------------------------------------------------- */

/* A store as a stream of frames, from which dw_receive_take() makes a replica: another directory
 * with the same segments, byte for byte, which is a store itself.  The attributes, a store in
 * DW_ATTR_DIRECTORY, come along.  No lock: the writer of the store goes on.
 * One thread at a time. */
struct dw_send;

struct dw_send_options {
	/* What the replica has; with neither it has nothing, or what it has is compared with all
	 * that is sent. */
	const struct dw_position *since; /* all values up to there; attributes are sent whole */
	const char *have;          /* or this: what dw_receive_have() said of it; what the writer
				      compacted meanwhile is then sent as well */
	dw_finding_fn *on_finding; /* may be NULL; DAMAGE */
	void *context;
};

/* Errors as dw_open() has them for a reader, and: -ESTALE: the records behind `since` were
 * compacted away; -EILSEQ: the replica has other records than the store; -EINVAL: `since` without
 * a segment, or `have` is not what dw_receive_have() says. */
int dw_send_open(const char *path, const struct dw_send_options *options, struct dw_send **ret);

/* 1: `*ret` are the next bytes of the stream, valid until the next call; 0: all was sent that the
 * store has now, up to a mark (a replica shows it when it has the mark), and later calls send what
 * is appended until then.  Everything was brought to disk here before its mark is sent.
 * -ESTALE: what comes next was compacted before it was read, or what was sent is not in the store
 * any more (an append that failed was taken back); -EBADMSG: damage (DW_FINDING_DAMAGE).  After an
 * error there is no use in going on. */
int dw_send_next(struct dw_send *send, struct dw_bytes *ret);

/* The last bytes of the stream, after dw_send_next() returned 0. */
void dw_send_end(struct dw_send *send, struct dw_bytes *ret);

struct dw_send_progress {
	uint64_t bytes;              /* of the log that were sent */
	uint64_t left;               /* that were there and are not sent yet */
	struct dw_position position; /* of the last mark */
};

void dw_send_progress(const struct dw_send *send, struct dw_send_progress *ret);

/* NULL is fine. */
void dw_send_close(struct dw_send *send);

/* A replica that is being received.  It is locked as for writing.  Readers find at each instant a
 * store as it was at one mark, but for segments that a compaction replaced, which may be there
 * together with their copies.  One thread at a time. */
struct dw_receive;

/* Open or make (not its parents) the replica in directory `path`.  Of `options` lock_wait_ms,
 * on_finding and context count; NULL is fine.  Errors as dw_open(). */
int dw_receive_open(const char *path, const struct dw_options *options, struct dw_receive **ret);

/* Take bytes of the stream, cut anywhere.  When this returns, all up to the last mark in them is on
 * disk.  1: that was the end of the stream.
 * -EBADMSG: the stream is damaged; -EPROTO: its version is unknown; -ESTALE: it does not go on
 * where the replica ends, and something in between is missing; -EILSEQ: the replica has other
 * records than the sender: it is of another history, or was written to.  After an error every
 * further call returns it again; nothing of the mark under way is shown, or it is shown whole as
 * far as the log of values, and a stream that goes on from dw_receive_progress() mends the rest. */
int dw_receive_take(struct dw_receive *receive, const void *bytes, size_t size);

struct dw_receive_progress {
	struct dw_position position; /* all up to there is on disk; all zero: nothing */
	uint64_t bytes;              /* of the log that were new */
	uint64_t marks;
	int64_t mark_time_ns;   /* the sender's clock when it sent the last mark; 0: none came */
	uint64_t left;          /* bytes that the sender had yet to send then */
	uint64_t segments_kept; /* that the sender has not any more; something of what it made of
				   them is missing */
};

void dw_receive_progress(const struct dw_receive *receive, struct dw_receive_progress *ret);

/* What the replica has, for dw_send_options: text of some lines.  The caller's: free(3). */
int dw_receive_have(const struct dw_receive *receive, char **ret);

/* Let go of the replica; what came behind the last mark is forgotten.  NULL is fine. */
void dw_receive_close(struct dw_receive *receive);

#ifdef __cplusplus
}
#endif

#endif
