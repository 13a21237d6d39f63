/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_send_refused.c - a replica takes nothing that does not go on where it ends, and nothing that
 * is damaged.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "codec/stream.h"
#include "tests/support/transfer.h"

static void test_other_history(void)
{
	struct transfer p = transfer_pair(2000), other = transfer_pair(2000);

	transfer_put(p.store, 0, 50);
	transfer_put(other.store, 100, 150);
	CHECK_EQ(transfer_all(p.from, p.to, NULL, NULL), 0);
	struct files before = transfer_segments(p.to);
	struct dw_position since = transfer_position(p.to);
	char *have = transfer_have(p.to);
	struct dw_send *send = NULL;
	CHECK_EQ(transfer_all(other.from, p.to, NULL, NULL), -EILSEQ);
	CHECK_EQ(dw_send_open(other.from, &(struct dw_send_options){.since = &since}, &send),
		 -EILSEQ);
	CHECK_EQ(dw_send_open(other.from, &(struct dw_send_options){.have = have}, &send), -EILSEQ);
	struct files after = transfer_segments(p.to);
	CHECK(files_equal(&before, &after));
	files_release(&before);
	files_release(&after);
	free(have);
	stores_close(p.store);
	stores_close(other.store);
}

/* A replica that was written to has a history of its own. */
static void test_promoted(void)
{
	struct transfer p = transfer_pair(2000);

	transfer_put(p.store, 0, 50);
	CHECK_EQ(transfer_all(p.from, p.to, NULL, NULL), 0);
	struct dw_position since = transfer_position(p.to);
	struct dw_store *promoted = stores_open(p.to, 2000);
	stores_close(promoted); /* nothing was written */
	transfer_put(p.store, 50, 60);
	CHECK_EQ(transfer_all(p.from, p.to, &since, NULL), 0);
	transfer_expect_same(p.from, p.to);
	since = transfer_position(p.to);
	promoted = stores_open(p.to, 2000);
	stores_put(promoted, "key 1", "of the replica");
	stores_close(promoted);
	CHECK_EQ(transfer_all(p.from, p.to, &since, NULL), -EILSEQ);
	CHECK_EQ(transfer_all(p.from, p.to, NULL, NULL), -EILSEQ);
	stores_put(p.store, "key 1", "of the first one");
	CHECK_EQ(transfer_all(p.from, p.to, &since, NULL), -EILSEQ);
	promoted = stores_open_reader(p.to);
	stores_expect(promoted, "key 1", "of the replica");
	stores_close(promoted);
	stores_close(p.store);
}

static void test_gap(void)
{
	struct transfer p = transfer_pair(2000);
	struct dw_send *send;

	transfer_put(p.store, 0, 10);
	CHECK_EQ(transfer_all(p.from, p.to, NULL, NULL), 0);
	const struct dw_position early = transfer_position(p.to);
	transfer_put(p.store, 10, 30);
	CHECK_EQ(transfer_all(p.from, p.to, NULL, NULL), 0);
	const struct dw_position late = transfer_position(p.to);
	/* a fresh one has nothing that could go on */
	CHECK_EQ(transfer_all(p.from, transfer_dir(), &late, NULL), -ESTALE);
	/* an older one lacks what is between */
	const char *older = transfer_dir();
	CHECK_EQ(transfer_all(p.from, older, NULL, NULL), 0);
	transfer_put(p.store, 30, 50);
	const struct dw_position none = {0};
	CHECK_EQ(dw_send_open(p.from, &(struct dw_send_options){.since = &none}, &send), -EINVAL);
	CHECK_EQ(transfer_all(p.from, p.to, &early, NULL), 0); /* it has that, and it is the same */
	transfer_expect_same(p.from, p.to);
	const struct dw_position newest = transfer_position(p.to);
	CHECK_EQ(transfer_all(p.from, older, &newest, NULL), -ESTALE);
	transfer_put(p.store, 0, 50);
	CHECK_EQ(dw_compact(p.store, NULL), 0);
	CHECK_EQ(dw_send_open(p.from, &(struct dw_send_options){.since = &early}, &send), -ESTALE);
	CHECK_EQ(transfer_all(p.from, older, NULL, NULL), -ESTALE);
	stores_close(p.store);
}

/* Where the first mark begins. */
static size_t first_mark(const struct buf *stream)
{
	struct stream_frame frame;
	size_t at = 0;

	for (;;) {
		CHECK(stream_frame_decode(stream->data + at, &frame));
		if (frame.type == STREAM_MARK)
			return at;
		at += STREAM_HEADER_SIZE + frame.size;
	}
}

static void test_damaged_stream(void)
{
	struct transfer p = transfer_pair(600);

	transfer_put(p.store, 0, 20);
	struct buf stream = transfer_stream(p.from);
	for (size_t at = 0; at < stream.size; at += 1 + at % 3) {
		const char *to = transfer_dir();
		struct dw_receive *receive = transfer_receiver(to);
		uint8_t was = stream.data[at];
		stream.data[at] ^= (uint8_t)(1u << at % 8);
		int rc = dw_receive_take(receive, stream.data, stream.size);
		CHECK(rc == -EBADMSG || rc == -EPROTO || rc == 0); /* 0: a frame that never ends */
		CHECK_EQ(dw_receive_take(receive, stream.data, 0), rc);
		stream.data[at] = was;
		dw_receive_close(receive);
		struct files files = transfer_segments(to);
		CHECK(!files.count || at > first_mark(&stream));
		files_release(&files);
	}
	buf_release(&stream);
	stores_close(p.store);
}

/* Cut anywhere, and in pieces of any size. */
static void test_cut_stream(void)
{
	struct transfer p = transfer_pair(600);

	transfer_put(p.store, 0, 20);
	struct buf stream = transfer_stream(p.from);
	for (size_t end = 0; end < stream.size; end += 37) {
		const char *to = transfer_dir();
		struct dw_receive *receive = transfer_receiver(to);
		size_t piece = end % 97 + 1;
		for (size_t at = 0; at < end; at += piece)
			CHECK_EQ(dw_receive_take(receive, stream.data + at,
						 end - at < piece ? end - at : piece),
				 0);
		dw_receive_close(receive);
		CHECK_EQ(files_count_suffixed(to, ".dwal.receive"), 0);
		char *have = transfer_have(to);
		CHECK_EQ(transfer_all(p.from, to, NULL, have), 0);
		free(have);
		transfer_expect_same(p.from, to);
		CHECK_EQ(files_count_suffixed(to, ".receiv"), 0);
	}
	buf_release(&stream);
	stores_close(p.store);
}

static void test_locked(void)
{
	struct transfer p = transfer_pair(0);
	struct dw_receive *receive = NULL, *second = NULL;
	struct dw_store *store = NULL;

	transfer_put(p.store, 0, 3);
	CHECK_EQ(dw_receive_open(p.from, NULL, &receive), -EBUSY);
	receive = transfer_receiver(p.to);
	CHECK_EQ(dw_receive_open(p.to, NULL, &second), -EBUSY);
	CHECK_EQ(dw_open(p.to, &(struct dw_options){.create = true}, NULL, &store), -EBUSY);
	dw_receive_close(receive);
	stores_close(p.store);
}

/* A part of the first stream is no store to write to. */
static void test_part(void)
{
	struct transfer p = transfer_pair(600);
	struct dw_store *store = NULL;

	transfer_put(p.store, 0, 20);
	struct buf stream = transfer_stream(p.from);
	struct dw_receive *receive = transfer_receiver(p.to);
	CHECK_EQ(dw_receive_take(receive, stream.data, first_mark(&stream)), 0);
	dw_receive_close(receive);
	CHECK_EQ(dw_open(p.to, &(struct dw_options){.create = true}, NULL, &store), -EROFS);
	CHECK_EQ(transfer_all(p.from, p.to, NULL, NULL), 0);
	stores_close(stores_open(p.to, 0));
	buf_release(&stream);
	stores_close(p.store);
}

/* An append that was taken back, or a disk that lost power. */
static void test_taken_back(void)
{
	struct transfer p = transfer_pair(0);
	struct dw_receive *receive = transfer_receiver(p.to);
	struct stat st;

	transfer_put(p.store, 0, 3);
	stores_close(p.store);
	const char *path = stores_path(p.from, "00000001.dwal");
	struct dw_send *send = transfer_sender(p.from, NULL, NULL);
	CHECK_EQ(transfer_pump(send, receive), 0);
	CHECK_EQ(stat(path, &st), 0);
	struct buf bytes = files_read(AT_FDCWD, path);
	bytes.data[bytes.size - 1] ^= 1;
	int fd = open(path, O_WRONLY);
	CHECK_EQ(pwrite(fd, bytes.data, bytes.size, 0), bytes.size);
	struct dw_bytes frame;
	CHECK_EQ(dw_send_next(send, &frame), -ESTALE);
	(void)close(fd);
	buf_release(&bytes);
	dw_send_close(send);
	dw_receive_close(receive);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"send_other_history", test_other_history},
		{"send_promoted", test_promoted},
		{"send_gap", test_gap},
		{"send_damaged_stream", test_damaged_stream},
		{"send_cut_stream", test_cut_stream},
		{"send_locked", test_locked},
		{"send_part", test_part},
		{"send_taken_back", test_taken_back},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
