/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * receive.c - a replica made of the stream that send.c writes.
 *
 * What comes is staged (whole/replica.h) and published at each mark, the attributes first.  The
 * log itself says how far a replica has come: no file could disagree with it.  `.receiving` is
 * there until the first mark is published: before that the segments are no moment of the store, and
 * are only good for comparing.
 */
#include "whole/receive.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/hold.h"
#include "store/opendir.h"
#include "store/opensegments.h"
#include "store/recover.h"
#include "whole/replica.h"

struct dw_receive {
	struct core *cores[STREAM_SIDES]; /* VALUES: has the lock; ATTRS: NULL: there are none */
	struct replica replicas[STREAM_SIDES];
	struct buf lists[STREAM_SIDES]; /* since the last mark */
	bool listed[STREAM_SIDES];
	bool incomplete;  /* `.receiving` is there */
	bool began;       /* the HELLO came */
	int state;        /* 0; 1: the end came; or the error that stopped it */
	struct buf bytes; /* of a frame that is not whole */
	uint64_t number;  /* of the next frame */
	struct dw_receive_progress progress;
};

/* --- opening --- */

static bool has_name(struct core *core, const char *name)
{
	int fd = core->io->open(core->io, core->dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);

	if (fd >= 0)
		(void)core->io->close(core->io, fd); /* it was only looked for */
	return fd >= 0;
}

/* Before the first segment gets its name. */
static int set_incomplete(struct dw_receive *receive)
{
	struct core *core = receive->cores[STREAM_VALUES];
	const int flags = O_WRONLY | O_CREAT | O_NOFOLLOW;
	int fd = core->io->open(core->io, core->dirfd, SEGNAME_RECEIVING, flags, OWNER_MODE_NEW);

	if (fd < 0)
		return fd;
	(void)core->io->close(core->io, fd); /* it is empty */
	receive->incomplete = true;
	return core->io->fsync(core->io, core->dirfd);
}

static int set_complete(struct dw_receive *receive)
{
	struct core *core = receive->cores[STREAM_VALUES];

	if (!receive->incomplete)
		return 0;
	assert(core); /* set_incomplete() had it */
	int rc = core->io->unlink(core->io, core->dirfd, SEGNAME_RECEIVING);
	if (!rc || rc == -ENOENT)
		rc = core->io->fsync(core->io, core->dirfd);
	receive->incomplete = rc < 0;
	return rc;
}

static int load(struct dw_receive *receive, enum stream_side side, uint64_t *sizes)
{
	struct core *core = receive->cores[side];
	int rc = recover_leftovers(core, true);

	if (!rc)
		rc = replica_init(&receive->replicas[side], core, sizes);
	free(sizes);
	return rc;
}

static int open_attrs(struct dw_receive *receive, bool make)
{
	struct core *above = receive->cores[STREAM_VALUES], *core = NULL;
	const struct dw_options options = {.on_finding = above->on_finding,
					   .context = above->context};
	uint64_t *sizes = NULL;
	int rc = make ? directory_make_below(above, DW_ATTR_DIRECTORY) : 0;

	if (!rc)
		rc = directory_open(above->io, above, above->dirfd, DW_ATTR_DIRECTORY, &options,
				    &core);
	if (rc < 0)
		return rc == -ENOENT && !make ? 0 : rc;
	rc = segments_open(core, &sizes);
	if (rc < 0) {
		core_free(core);
		return rc;
	}
	receive->cores[STREAM_ATTRS] = core;
	return load(receive, STREAM_ATTRS, sizes);
}

/* The end of the values' log. */
static void tell_position(struct dw_receive *receive)
{
	const struct replica *replica = &receive->replicas[STREAM_VALUES];
	const struct replica_segment *last = replica_last(replica);

	receive->progress.position = (struct dw_position){0};
	if (last && !receive->incomplete)
		receive->progress.position =
			(struct dw_position){replica->txid, last->size, last->id, last->crc};
}

int receive_open(struct io *io, const char *path, const struct dw_options *options,
		 struct dw_receive **ret)
{
	struct dw_options writer = {0};
	struct dw_receive *receive = calloc(1, sizeof *receive);
	uint64_t *sizes = NULL;

	if (!receive)
		return -ENOMEM;
	if (options) {
		writer.lock_wait_ms = options->lock_wait_ms;
		writer.on_finding = options->on_finding;
		writer.context = options->context;
	}
	for (int side = 0; side < STREAM_SIDES; side++)
		receive->replicas[side].longer.fd = receive->replicas[side].hint.fd = -1;
	int rc = directory_make(io, path);
	if (!rc)
		rc = core_open_unread(io, path, &writer, &sizes, &receive->cores[STREAM_VALUES]);
	if (!rc) {
		receive->incomplete = has_name(receive->cores[STREAM_VALUES], SEGNAME_RECEIVING);
		rc = load(receive, STREAM_VALUES, sizes);
	}
	if (!rc)
		rc = open_attrs(receive, false);
	if (!rc && !receive->replicas[STREAM_VALUES].count)
		rc = set_incomplete(receive);
	if (rc < 0) {
		dw_receive_close(receive);
		return rc;
	}
	tell_position(receive);
	*ret = receive;
	return 0;
}

int dw_receive_open(const char *path, const struct dw_options *options, struct dw_receive **ret)
{
	return receive_open(&io_posix, path, options, ret);
}

void dw_receive_close(struct dw_receive *receive)
{
	if (!receive)
		return;
	for (int side = 0; side < STREAM_SIDES; side++) {
		replica_release(&receive->replicas[side]);
		buf_release(&receive->lists[side]);
		if (receive->cores[side])
			core_free(receive->cores[side]);
	}
	buf_release(&receive->bytes);
	free(receive);
}

/* --- frames --- */

static int take_hello(struct dw_receive *receive, struct dw_bytes payload)
{
	struct stream_hello hello;
	int rc = stream_hello_decode(payload, &hello);

	for (int side = 0; !rc && side < STREAM_SIDES; side++) {
		const struct stream_place *place = &hello.places[side];
		if (place->known == STREAM_UNKNOWN)
			continue;
		rc = receive->incomplete || !receive->cores[side]
			     ? -ESTALE
			     : replica_prove(&receive->replicas[side], place);
	}
	receive->began = !rc;
	return rc;
}

static int take_data(struct dw_receive *receive, enum stream_side side, struct dw_bytes payload)
{
	struct dw_bytes records;
	uint64_t offset;
	uint32_t id;
	int rc = 0;

	if (!stream_data_decode(payload, &id, &offset, &records))
		return -EBADMSG;
	if (!receive->cores[side])
		rc = open_attrs(receive, true);
	return rc ? rc : replica_take(&receive->replicas[side], id, offset, records);
}

static int take_hint(struct dw_receive *receive, enum stream_side side, struct dw_bytes payload)
{
	struct dw_bytes bytes;
	uint64_t offset;
	uint32_t id;
	bool last;

	if (!stream_hint_decode(payload, &id, &last, &offset, &bytes))
		return -EBADMSG;
	if (!receive->cores[side])
		return 0;
	return replica_take_hint(&receive->replicas[side], id, offset, last, bytes);
}

static int take_list(struct dw_receive *receive, enum stream_side side, struct dw_bytes payload)
{
	struct buf *list = &receive->lists[side];

	if (payload.size % STREAM_ENTRY_SIZE || !payload.size)
		return -EBADMSG;
	list->size = 0;
	receive->listed[side] = true;
	return buf_add(list, payload.data, payload.size);
}

static int reduce(struct dw_receive *receive)
{
	uint64_t kept = 0;
	int rc = 0;

	for (int side = STREAM_SIDES - 1; !rc && side >= 0; side--) {
		const struct buf *list = &receive->lists[side];
		size_t one = 0;
		if (!receive->cores[side] || !receive->listed[side])
			continue;
		rc = replica_reduce(&receive->replicas[side],
				    (struct dw_bytes){list->data, list->size}, &one);
		kept += one;
		receive->listed[side] = false;
		receive->progress.segments_kept = kept;
	}
	return rc;
}

static int take_mark(struct dw_receive *receive, struct dw_bytes payload)
{
	struct stream_mark mark;
	int rc = 0;

	if (!stream_mark_decode(payload, &mark))
		return -EBADMSG;
	for (int side = 0; !rc && side < STREAM_SIDES; side++) {
		const struct replica *replica = &receive->replicas[side];
		if (mark.places[side].known != STREAM_UNKNOWN)
			rc = replica_fits(replica, &mark.places[side]);
		else if (replica->count || replica->staged_count)
			rc = -EILSEQ;
	}
	/* the attributes come first: what they protect follows */
	for (int side = 0; !rc && side < STREAM_SIDES; side++)
		if (receive->cores[side])
			rc = replica_publish(&receive->replicas[side]);
	if (!rc)
		rc = set_complete(receive);
	if (!rc)
		rc = reduce(receive);
	if (rc < 0)
		return rc;
	receive->progress.bytes =
		receive->replicas[STREAM_ATTRS].taken + receive->replicas[STREAM_VALUES].taken;
	receive->progress.marks++;
	receive->progress.mark_time_ns = mark.time_ns;
	receive->progress.left = mark.left;
	tell_position(receive);
	return 0;
}

static int take_frame(struct dw_receive *receive, const struct stream_frame *frame,
		      const uint8_t *payload)
{
	const struct dw_bytes bytes = {payload, frame->size};

	if (frame->number != receive->number++)
		return -EBADMSG;
	if (!receive->began && frame->type != STREAM_HELLO)
		return -EBADMSG;
	switch (frame->type) {
	case STREAM_HELLO: return receive->began ? -EBADMSG : take_hello(receive, bytes);
	case STREAM_DATA: return take_data(receive, frame->side, bytes);
	case STREAM_LIST: return take_list(receive, frame->side, bytes);
	case STREAM_MARK: return take_mark(receive, bytes);
	case STREAM_HINT: return take_hint(receive, frame->side, bytes);
	case STREAM_END: return frame->size ? -EBADMSG : 1;
	}
	return -EBADMSG;
}

/* The frame at the start of `bytes`; `*used_ret`: its size, or 0: it is not whole, and then
 * `*needed_ret` is how much it takes. */
static int take_first(struct dw_receive *receive, const uint8_t *bytes, size_t size,
		      size_t *used_ret, size_t *needed_ret)
{
	struct stream_frame frame;

	*used_ret = 0;
	*needed_ret = STREAM_HEADER_SIZE;
	if (size < STREAM_HEADER_SIZE)
		return 0;
	if (!stream_frame_decode(bytes, &frame))
		return -EBADMSG;
	*needed_ret = STREAM_HEADER_SIZE + frame.size;
	if (size < *needed_ret)
		return 0;
	if (!stream_frame_check(bytes, bytes + STREAM_HEADER_SIZE, frame.size))
		return -EBADMSG;
	*used_ret = *needed_ret;
	return take_frame(receive, &frame, bytes + STREAM_HEADER_SIZE);
}

int dw_receive_take(struct dw_receive *receive, const void *data, size_t size)
{
	struct buf *rest = &receive->bytes;
	const uint8_t *bytes = data;
	size_t used, needed;

	while (!receive->state) {
		bool apart = rest->size; /* the start of a frame came before */
		int rc = apart ? take_first(receive, rest->data, rest->size, &used, &needed)
			       : take_first(receive, bytes, size, &used, &needed);
		receive->state = rc;
		if (rc)
			break;
		if (used && apart) {
			rest->size = 0;
		} else if (used) {
			bytes += used;
			size -= used;
		} else if (!size) {
			break;
		} else {
			size_t missing = needed - rest->size;
			size_t n = size < missing ? size : missing;
			receive->state = buf_add(rest, bytes, n);
			bytes += n;
			size -= n;
		}
	}
	return receive->state;
}

/* --- telling --- */

void dw_receive_progress(const struct dw_receive *receive, struct dw_receive_progress *ret)
{
	*ret = receive->progress;
}

static void tell_end(FILE *out, const char *side, const struct replica *replica)
{
	const struct replica_segment *last = replica_last(replica);

	(void)fprintf(out, "end %s %" PRIu32 " %" PRIu64 " %" PRIu64 " %08" PRIx32 "\n", side,
		      last->id, last->size, replica->txid, last->crc);
}

int dw_receive_have(const struct dw_receive *receive, char **ret)
{
	static const char *const names[STREAM_SIDES] = {"attr", "values"};
	size_t size;
	FILE *out = open_memstream(ret, &size);

	if (!out)
		return -ENOMEM;
	(void)fputs("datawal-have 1\n", out); /* errors stay for fclose() */
	for (int side = 0; side < STREAM_SIDES && !receive->incomplete; side++) {
		const struct replica *replica = &receive->replicas[side];
		for (size_t i = 0; i < replica->count; i++)
			(void)fprintf(out, "segment %s %" PRIu32 " %" PRIu64 " %08" PRIx32 "\n",
				      names[side], replica->items[i].id, replica->items[i].size,
				      replica->items[i].crc);
		if (replica->count)
			tell_end(out, names[side], replica);
	}
	return fclose(out) ? -ENOMEM : 0;
}
