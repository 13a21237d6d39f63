/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * receive.c - receive: a replica made of the stream on standard input.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tools/cli/stream.h"

enum { READ_SIZE = 1 << 20, LOCK_WAIT_MS = 3000 };

static int64_t now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_REALTIME, &t); /* cannot fail */
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* By the clocks of both machines; one of them may be set back. */
static double lag_of(const struct dw_receive_progress *progress)
{
	double lag = (double)(now_ns() - progress->mark_time_ns) / 1e9;

	return progress->mark_time_ns && lag > 0 ? lag : 0;
}

static void tell_json(const struct dw_receive_progress *progress)
{
	char position[DW_POSITION_TEXT_SIZE];

	dw_position_text(&progress->position, position);
	json_begin("receive");
	json_text("position", position);
	json_u64("txid", progress->position.txid);
	json_u64("bytes", progress->bytes);
	json_u64("marks", progress->marks);
	json_u64("lag_bytes", progress->left);
	json_u64("lag_ms", (uint64_t)(lag_of(progress) * 1e3));
	json_u64("segments_kept", progress->segments_kept);
	json_end();
	(void)fflush(stdout); /* main() tells of an error */
}

static void tell_end(const struct args *args, const struct dw_receive_progress *progress)
{
	char position[DW_POSITION_TEXT_SIZE], size[FORMAT_SIZE];

	dw_position_text(&progress->position, position);
	format_size(progress->bytes, size);
	if (args->quiet || args->json)
		return;
	(void)fprintf(stderr, "datawal: receive: %s, up to %s\n", size, position);
	if (progress->segments_kept)
		(void)fail(args, 0,
			   "%" PRIu64 " segments are kept that the sender compacted; give 'send' "
			   "'--since -' and what 'datawal receive --have %s' prints",
			   progress->segments_kept, args->store);
}

static int explain_refusal(const struct args *args, const struct dw_receive *receive, int rc)
{
	struct dw_receive_progress progress;
	char position[DW_POSITION_TEXT_SIZE];

	dw_receive_progress(receive, &progress);
	dw_position_text(&progress.position, position);
	if (rc == -ESTALE && !progress.position.segment)
		return fail(args, STATUS_USER,
			    "'%s' has nothing yet that the stream could go on from; send all "
			    "(without --since)",
			    args->store);
	if (rc == -ESTALE)
		return fail(args, STATUS_USER,
			    "the stream does not go on where '%s' ends; send what comes "
			    "behind its position: --since %s",
			    args->store, position);
	if (rc == -EILSEQ)
		return fail(args, STATUS_USER,
			    "'%s', which is at %s, has other records than the sender: it is of "
			    "another history, or was written to; nothing was changed, receive into "
			    "a new directory",
			    args->store, position);
	if (rc == -EPROTO)
		return fail(args, STATUS_USER, "the stream is of a version that is not known here");
	if (rc == -EBADMSG)
		return fail(args, STATUS_HARD,
			    "the stream is damaged; '%s' is at %s, send on from there", args->store,
			    position);
	return fail(args, status_of(rc), "'%s': %s; it is at %s, send on from there", args->store,
		    strerror(-rc), position);
}

static int explain_cut(const struct args *args, const struct dw_receive *receive)
{
	struct dw_receive_progress progress;
	char position[DW_POSITION_TEXT_SIZE];

	dw_receive_progress(receive, &progress);
	dw_position_text(&progress.position, position);
	return fail(args, STATUS_SOFT, "the stream broke off; '%s' is at %s, send on from there",
		    args->store, position);
}

static ssize_t read_some(uint8_t *bytes)
{
	ssize_t n;

	do
		n = read(STDIN_FILENO, bytes, READ_SIZE);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

/* All of standard input, of which `n` bytes are read. */
static int take_all(struct args *args, struct dw_receive *receive, uint8_t *bytes, ssize_t n)
{
	struct dw_receive_progress progress = {.marks = 0};
	int rc = 0;

	for (; !rc && n > 0; n = rc ? n : read_some(bytes)) {
		uint64_t marks = progress.marks;
		rc = dw_receive_take(receive, bytes, (size_t)n);
		dw_receive_progress(receive, &progress);
		if (args->json && progress.marks != marks)
			tell_json(&progress);
	}
	if (rc < 0)
		return explain_refusal(args, receive, rc);
	if (n < 0)
		return fail(args, STATUS_USER, "reading stdin: %s", strerror((int)-n));
	if (!rc)
		return explain_cut(args, receive);
	tell_end(args, &progress);
	return STATUS_OK;
}

static int open_replica(struct args *args, struct dw_receive **ret)
{
	const struct dw_options options = {
		.lock_wait_ms = LOCK_WAIT_MS, .on_finding = print_finding, .context = args};
	int rc = dw_receive_open(args->store, &options, ret);

	return rc < 0 ? explain_open(args, rc) : 0;
}

/* The replica is not locked before the stream begins: what it has may be asked for in the same
 * pipeline. */
static int receive_stream(struct args *args)
{
	struct dw_receive *receive = NULL;
	uint8_t *bytes = malloc(READ_SIZE);
	ssize_t n = bytes ? read_some(bytes) : -ENOMEM;
	int status = 0;

	if (n < 0)
		status = fail(args, STATUS_USER, "reading stdin: %s", strerror((int)-n));
	else if (!n)
		status = fail(args, STATUS_SOFT, "no stream came; nothing was done");
	else
		status = open_replica(args, &receive);
	if (!status)
		status = take_all(args, receive, bytes, n);
	dw_receive_close(receive);
	free(bytes);
	return status;
}

static int tell_have(const struct args *args, const struct dw_receive *receive)
{
	char *text = NULL;
	int rc = dw_receive_have(receive, &text);

	if (rc < 0)
		return fail(args, status_of(rc), "%s", strerror(-rc));
	(void)fputs(text, stdout); /* main() tells of an error */
	free(text);
	return STATUS_OK;
}

int run_receive(struct args *args)
{
	struct dw_receive *receive = NULL;

	if (!args->have && isatty(STDIN_FILENO))
		return fail(args, STATUS_USER,
			    "a terminal sends no stream: datawal send STORE | datawal receive '%s'",
			    args->store);
	(void)fcntl(STDIN_FILENO, F_SETPIPE_SZ, STREAM_PIPE_SIZE); /* it may be no pipe */
	if (!args->have)
		return receive_stream(args);
	if (access(args->store, F_OK)) {
		puts("datawal-have 1"); /* no directory is made for a question */
		return STATUS_OK;
	}
	int status = open_replica(args, &receive);
	if (!status)
		status = tell_have(args, receive);
	dw_receive_close(receive);
	return status;
}
