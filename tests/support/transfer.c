/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * transfer.c - see transfer.h.
 */
#include "tests/support/transfer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *transfer_dir(void)
{
	enum { DIRS = 400 };
	static char *dirs[DIRS];
	static size_t next;
	char **dir = &dirs[next++ % DIRS];

	free(*dir);
	*dir = strdup(stores_dir());
	CHECK(*dir != NULL);
	return *dir;
}

struct transfer transfer_pair(uint64_t segment_size)
{
	struct transfer pair = {.from = transfer_dir(), .to = transfer_dir()};

	pair.store = stores_open(pair.from, segment_size);
	return pair;
}

struct files transfer_segments(const char *dir)
{
	struct files files = files_snapshot(dir);

	for (size_t i = 0; i < files.count;) {
		const char *name = files.items[i].name;
		if (strlen(name) == strlen("00000001.dwal") && strstr(name, ".dwal")) {
			i++;
			continue;
		}
		char gone[256];
		(void)snprintf(gone, sizeof gone, "%s", name);
		files_drop(&files, gone);
	}
	return files;
}

void transfer_expect_same(const char *a, const char *b)
{
	struct files x = transfer_segments(a), y = transfer_segments(b);

	CHECK(x.count > 0);
	CHECK(files_equal(&x, &y));
	files_release(&x);
	files_release(&y);
}

struct dw_receive *transfer_receiver(const char *dir)
{
	struct dw_receive *receive = NULL;

	CHECK_EQ(dw_receive_open(dir, NULL, &receive), 0);
	return receive;
}

int transfer_pump(struct dw_send *send, struct dw_receive *receive)
{
	struct dw_bytes bytes;
	int rc = 0, more;

	while (!rc && (more = dw_send_next(send, &bytes)) == 1)
		rc = dw_receive_take(receive, bytes.data, bytes.size);
	if (!rc)
		CHECK_EQ(more, 0);
	return rc;
}

struct dw_send *transfer_sender(const char *from, const struct dw_position *since, const char *have)
{
	const struct dw_send_options options = {.since = since, .have = have};
	struct dw_send *send = NULL;

	CHECK_EQ(dw_send_open(from, &options, &send), 0);
	return send;
}

struct dw_position transfer_position(const char *dir)
{
	struct dw_receive_progress progress;
	struct dw_receive *receive = transfer_receiver(dir);

	dw_receive_progress(receive, &progress);
	dw_receive_close(receive);
	return progress.position;
}

char *transfer_have(const char *dir)
{
	struct dw_receive *receive = transfer_receiver(dir);
	char *text = NULL;

	CHECK_EQ(dw_receive_have(receive, &text), 0);
	dw_receive_close(receive);
	return text;
}

int transfer_all(const char *from, const char *to, const struct dw_position *since,
		 const char *have)
{
	struct dw_send *send = transfer_sender(from, since, have);
	struct dw_receive *receive = transfer_receiver(to);
	struct dw_bytes bytes;
	int rc = transfer_pump(send, receive);

	if (!rc) {
		dw_send_end(send, &bytes);
		CHECK_EQ(dw_receive_take(receive, bytes.data, bytes.size), 1);
	}
	dw_receive_close(receive);
	dw_send_close(send);
	return rc;
}

void transfer_put(struct dw_store *store, int from, int to)
{
	char key[32], value[64];

	for (int i = from; i < to; i++) {
		(void)snprintf(key, sizeof key, "key %d", i);
		(void)snprintf(value, sizeof value, "the value of number %d", i);
		stores_put(store, key, value);
	}
}

struct buf transfer_stream(const char *from)
{
	struct dw_send *send = transfer_sender(from, NULL, NULL);
	struct buf all = {0};
	struct dw_bytes bytes;

	while (dw_send_next(send, &bytes) == 1)
		CHECK_EQ(buf_add(&all, bytes.data, bytes.size), 0);
	dw_send_end(send, &bytes);
	CHECK_EQ(buf_add(&all, bytes.data, bytes.size), 0);
	dw_send_close(send);
	return all;
}
