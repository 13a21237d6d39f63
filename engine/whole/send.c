/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * send.c - a store as a stream of frames (codec/stream.h).
 *
 * A mark says that all before it is one moment of both logs.  The attributes are read to their end,
 * then the values, then the attributes again: if nothing came to them meanwhile, they stood there
 * all the time while the values' end was read, as if the writer had been killed then.
 *
 * What compaction did follows after the mark: copies first, then the list of the segments that are
 * left.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "store/opendir.h"
#include "whole/receive.h"
#include "whole/sendlog.h"

/* What the next frame is taken from. */
enum phase {
	PHASE_HELLO,
	PHASE_BEGIN, /* list both logs anew */
	PHASE_ATTRS,
	PHASE_VALUES,
	PHASE_AGAIN, /* the attributes: is there anything new */
	PHASE_MARK,
	PHASE_COPIES,
	PHASE_LISTS,
	PHASE_LAST_MARK,
	PHASE_HINTS,
	PHASE_IDLE,
};

struct dw_send {
	struct core *core; /* the directory; no segment is open in it */
	struct io *io;
	struct sendlog logs[STREAM_SIDES]; /* dirfd -1: there is none */
	dw_finding_fn *on_finding;
	void *context;
	enum phase phase;
	bool unmarked; /* something was sent behind the last mark */
	bool marked;   /* there was one */
	uint64_t number, bytes;
	struct buf frame; /* room for its header, then its payload */
	struct dw_position position;
};

/* --- opening --- */

/* The attributes come with the first one that is set. */
static int open_attrs(struct dw_send *send)
{
	struct sendlog *log = &send->logs[STREAM_ATTRS];

	if (log->dirfd >= 0)
		return 0;
	int fd = send->io->open(send->io, send->core->dirfd, DW_ATTR_DIRECTORY,
				O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP)
		return 0;
	if (fd < 0)
		return fd;
	log->dirfd = fd;
	return 0;
}

static int refresh(struct dw_send *send, enum stream_side side)
{
	int rc = side == STREAM_ATTRS ? open_attrs(send) : 0;

	if (rc < 0 || send->logs[side].dirfd < 0)
		return rc;
	return sendlog_refresh(&send->logs[side]);
}

static int start_since(struct dw_send *send, const struct dw_position *since)
{
	struct sendlog *log = &send->logs[STREAM_VALUES];

	if (!since->segment)
		return -EINVAL;
	int rc = sendlog_has_below(log, since->segment);
	if (!rc)
		rc = sendlog_has(log, since->segment, since->offset, since->crc);
	const struct stream_place end = {.segment = since->segment,
					 .offset = since->offset,
					 .txid = since->txid,
					 .crc = since->crc};
	return rc ? rc : sendlog_continue(log, &end);
}

/* One line of what a replica has. */
static int start_line(struct dw_send *send, const char *line)
{
	uint64_t size, txid;
	uint32_t id, crc;
	char name[8];

	if (sscanf(line, "segment %7s %" SCNu32 " %" SCNu64 " %" SCNx32, name, &id, &size, &crc) ==
	    4) {
		enum stream_side side = strcmp(name, "attr") ? STREAM_VALUES : STREAM_ATTRS;
		return sendlog_has(&send->logs[side], id, size, crc);
	}
	if (sscanf(line, "end %7s %" SCNu32 " %" SCNu64 " %" SCNu64 " %" SCNx32, name, &id, &size,
		   &txid, &crc) == 5) {
		enum stream_side side = strcmp(name, "attr") ? STREAM_VALUES : STREAM_ATTRS;
		const struct stream_place end = {
			.segment = id, .offset = size, .txid = txid, .crc = crc};
		return sendlog_continue(&send->logs[side], &end);
	}
	return -EINVAL;
}

static int start_have(struct dw_send *send, const char *have)
{
	static const char first[] = "datawal-have 1\n";
	char line[100];

	if (strncmp(have, first, sizeof first - 1) != 0)
		return -EINVAL;
	for (have += sizeof first - 1; *have;) {
		const char *end = strchr(have, '\n');
		if (!end || (size_t)(end - have) >= sizeof line)
			return -EINVAL;
		(void)snprintf(line, sizeof line, "%.*s", (int)(end - have), have);
		int rc = start_line(send, line);
		if (rc < 0)
			return rc;
		have = end + 1;
	}
	return 0;
}

static int start(struct dw_send *send, const struct dw_send_options *options)
{
	int rc = refresh(send, STREAM_ATTRS);

	if (!rc)
		rc = refresh(send, STREAM_VALUES);
	if (!rc && options->have)
		rc = start_have(send, options->have);
	else if (!rc && options->since)
		rc = start_since(send, options->since);
	return rc;
}

int send_open(struct io *io, const char *path, const struct dw_send_options *options,
	      struct dw_send **ret)
{
	static const struct dw_send_options defaults;
	const struct dw_options reader = {.read_only = true};
	struct dw_send *send = calloc(1, sizeof *send);

	if (!send)
		return -ENOMEM;
	if (!options)
		options = &defaults;
	send->io = io;
	send->on_finding = options->on_finding;
	send->context = options->context;
	sendlog_init(&send->logs[STREAM_ATTRS], io, -1, STREAM_ATTRS);
	sendlog_init(&send->logs[STREAM_VALUES], io, -1, STREAM_VALUES);
	int rc = directory_open(io, NULL, AT_FDCWD, path, &reader, &send->core);
	if (!rc) {
		send->logs[STREAM_VALUES].dirfd = send->core->dirfd;
		rc = start(send, options);
	}
	if (rc < 0)
		dw_send_close(send);
	else
		*ret = send;
	return rc;
}

int dw_send_open(const char *path, const struct dw_send_options *options, struct dw_send **ret)
{
	return send_open(&io_posix, path, options, ret);
}

void dw_send_close(struct dw_send *send)
{
	if (!send)
		return;
	struct sendlog *attrs = &send->logs[STREAM_ATTRS];
	sendlog_release(attrs);
	sendlog_release(&send->logs[STREAM_VALUES]);
	if (attrs->dirfd >= 0)
		(void)send->io->close(send->io, attrs->dirfd); /* a directory: nothing to lose */
	if (send->core)
		core_free(send->core);
	buf_release(&send->frame);
	free(send);
}

/* --- frames --- */

static void make_frame(struct dw_send *send, enum stream_type type, enum stream_side side,
		       struct dw_bytes *ret)
{
	struct buf *bytes = &send->frame;
	struct stream_frame frame = {
		.type = type,
		.side = side,
		.number = send->number++,
		.size = (uint32_t)(bytes->size - STREAM_HEADER_SIZE),
	};

	stream_frame_encode(&frame, bytes->data + STREAM_HEADER_SIZE, bytes->data);
	*ret = (struct dw_bytes){bytes->data, bytes->size};
}

static int make_hello(struct dw_send *send)
{
	struct stream_hello hello;
	uint8_t bytes[STREAM_HELLO_SIZE];
	int rc = 0;

	for (int side = 0; !rc && side < STREAM_SIDES; side++)
		rc = sendlog_place(&send->logs[side], false, &hello.places[side]);
	if (rc < 0)
		return rc;
	stream_hello_encode(&hello, bytes);
	rc = buf_add(&send->frame, bytes, sizeof bytes);
	return rc ? rc : 1;
}

/* What is sent must not be lost here: the replica would have another history.  The attributes come
 * first, as the writer has it. */
static int make_mark(struct dw_send *send)
{
	struct stream_mark mark = {.time_ns = clock_now_ns()};
	uint8_t bytes[STREAM_MARK_SIZE];
	int rc = 0;

	for (int side = 0; !rc && side < STREAM_SIDES; side++) {
		if (send->logs[side].dirfd >= 0)
			rc = sendlog_sync(&send->logs[side]);
		if (!rc)
			rc = sendlog_place(&send->logs[side], true, &mark.places[side]);
		mark.left += sendlog_left(&send->logs[side]);
	}
	stream_mark_encode(&mark, bytes);
	if (!rc)
		rc = buf_add(&send->frame, bytes, sizeof bytes);
	if (rc < 0)
		return rc;
	const struct stream_place *place = &mark.places[STREAM_VALUES];
	send->position =
		(struct dw_position){place->txid, place->offset, place->segment, place->crc};
	send->unmarked = false;
	send->marked = true;
	return 1;
}

/* --- what comes next --- */

typedef int next_fn(struct sendlog *log, struct buf *payload);

static int next_data(struct dw_send *send, enum stream_side side, next_fn *next)
{
	struct sendlog *log = &send->logs[side];
	int rc = log->dirfd < 0 ? 0 : next(log, &send->frame);

	if (rc == 1) {
		send->unmarked = true;
		send->bytes += send->frame.size - STREAM_HEADER_SIZE - STREAM_DATA_SIZE;
	}
	const struct dw_finding finding = {.kind = DW_FINDING_DAMAGE,
					   .damage = DW_DAMAGE_CRC,
					   .segment = log->damaged,
					   .offset = log->damage};
	if (rc == -EBADMSG && send->on_finding)
		send->on_finding(send->context, &finding);
	return rc;
}

static int next_hint(struct dw_send *send, enum stream_side *side_ret)
{
	int rc = 0;

	for (int side = 0; !rc && side < STREAM_SIDES; side++) {
		*side_ret = (enum stream_side)side;
		if (send->logs[side].dirfd >= 0)
			rc = sendlog_next_hint(&send->logs[side], &send->frame);
	}
	return rc;
}

static int next_list(struct dw_send *send, enum stream_side *side_ret)
{
	int rc = 0;

	for (int side = 0; !rc && side < STREAM_SIDES; side++) {
		*side_ret = (enum stream_side)side;
		if (send->logs[side].dirfd >= 0)
			rc = sendlog_list(&send->logs[side], &send->frame);
	}
	send->unmarked = send->unmarked || rc == 1;
	return rc;
}

/* The payload of the next frame, or the next phase: 1, 0 or -errno. */
static int step(struct dw_send *send, enum stream_type *type_ret, enum stream_side *side_ret)
{
	int rc = 0;

	*type_ret = STREAM_DATA;
	*side_ret = STREAM_ATTRS;
	switch (send->phase) {
	case PHASE_HELLO:
		*type_ret = STREAM_HELLO;
		rc = make_hello(send);
		send->phase = PHASE_BEGIN;
		return rc;
	case PHASE_BEGIN:
		rc = refresh(send, STREAM_ATTRS);
		send->phase = PHASE_ATTRS;
		return rc;
	case PHASE_ATTRS:
		rc = next_data(send, STREAM_ATTRS, sendlog_next);
		if (!rc)
			rc = refresh(send, STREAM_VALUES);
		else
			return rc;
		send->phase = PHASE_VALUES;
		return rc;
	case PHASE_VALUES:
		*side_ret = STREAM_VALUES;
		rc = next_data(send, STREAM_VALUES, sendlog_next);
		if (rc)
			return rc;
		send->phase = PHASE_AGAIN;
		return refresh(send, STREAM_ATTRS);
	case PHASE_AGAIN:
		rc = next_data(send, STREAM_ATTRS, sendlog_next);
		send->phase = rc ? PHASE_ATTRS : PHASE_MARK;
		return rc;
	case PHASE_MARK:
		*type_ret = STREAM_MARK;
		send->phase = PHASE_COPIES;
		return send->unmarked || !send->marked ? make_mark(send) : 0;
	case PHASE_COPIES:
		rc = next_data(send, STREAM_ATTRS, sendlog_next_copy);
		if (rc)
			return rc;
		*side_ret = STREAM_VALUES;
		rc = next_data(send, STREAM_VALUES, sendlog_next_copy);
		if (!rc)
			send->phase = PHASE_LISTS;
		return rc;
	case PHASE_LISTS:
		*type_ret = STREAM_LIST;
		rc = next_list(send, side_ret);
		if (!rc)
			send->phase = PHASE_LAST_MARK;
		return rc;
	case PHASE_LAST_MARK:
		*type_ret = STREAM_MARK;
		send->phase = PHASE_HINTS;
		return send->unmarked ? make_mark(send) : 0;
	case PHASE_HINTS:
		*type_ret = STREAM_HINT;
		rc = next_hint(send, side_ret);
		if (!rc)
			send->phase = PHASE_IDLE;
		return rc;
	default: return -EINVAL;
	}
}

int dw_send_next(struct dw_send *send, struct dw_bytes *ret)
{
	if (send->phase == PHASE_IDLE)
		send->phase = PHASE_BEGIN;
	while (send->phase != PHASE_IDLE) {
		enum stream_type type = STREAM_DATA;
		enum stream_side side = STREAM_ATTRS;
		int rc = buf_reserve(&send->frame, STREAM_HEADER_SIZE);
		send->frame.size = rc ? 0 : STREAM_HEADER_SIZE;
		rc = rc ? rc : step(send, &type, &side);
		if (rc == 1)
			make_frame(send, type, side, ret);
		if (rc)
			return rc;
	}
	return 0;
}

void dw_send_end(struct dw_send *send, struct dw_bytes *ret)
{
	assert(send->frame.data); /* since the first frame */
	send->frame.size = STREAM_HEADER_SIZE;
	make_frame(send, STREAM_END, STREAM_ATTRS, ret);
}

void dw_send_progress(const struct dw_send *send, struct dw_send_progress *ret)
{
	*ret = (struct dw_send_progress){.bytes = send->bytes, .position = send->position};
	for (int side = 0; side < STREAM_SIDES; side++)
		ret->left += sendlog_left(&send->logs[side]);
}
