/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * send.c - send: a store as a stream on standard output.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/cli/progress.h"
#include "tools/cli/stream.h"
#include "tools/common/clock.h"

enum { POLL_MS = 20 };

static volatile sig_atomic_t ended;

static void on_signal(int number)
{
	(void)number;
	ended = 1;
}

/* With --follow a signal ends the stream in order; without, it ends the program, as ever. */
static void catch_signals(const struct args *args)
{
	const struct sigaction end = {.sa_handler = on_signal};
	const struct sigaction ignore = {.sa_handler = SIG_IGN};

	/* these fail for bad arguments only */
	(void)sigaction(SIGPIPE, &ignore, NULL);
	if (!args->follow)
		return;
	(void)sigaction(SIGINT, &end, NULL);
	(void)sigaction(SIGTERM, &end, NULL);
	(void)sigaction(SIGHUP, &end, NULL);
}

static int write_all(const uint8_t *bytes, size_t size)
{
	while (size) {
		ssize_t n = write(STDOUT_FILENO, bytes, size);
		if (n < 0 && errno == EINTR)
			continue; /* a frame is written whole */
		if (n < 0)
			return -errno;
		bytes += n;
		size -= (size_t)n;
	}
	return 0;
}

/* Wait until so many bytes are due. */
static void keep_rate(const struct args *args, int64_t begun_ns, uint64_t bytes)
{
	uint64_t rate = args->compact.rate;
	int64_t now = clock_monotonic_ns();

	if (!rate)
		return;
	int64_t due = begun_ns + (int64_t)((double)bytes / (double)rate * 1e9);
	if (due <= now || ended)
		return;
	const struct timespec wait = {(due - now) / 1000000000, (due - now) % 1000000000};
	(void)nanosleep(&wait, NULL); /* a signal ends it early */
}

/* Wait a moment.  False: nobody reads the stream any more. */
static bool wait_for_more(const struct args *args)
{
	struct pollfd out = {.fd = STDOUT_FILENO};

	if (args->dry_run)
		return true;
	return poll(&out, 1, POLL_MS) <= 0 || !(out.revents & (POLLERR | POLLNVAL));
}

static int explain_broken(const struct args *args, int rc)
{
	if (rc == -EPIPE)
		return fail(
			args, STATUS_USER,
			"the receiver is gone; nothing is lost: go on with '--since -' and what "
			"'datawal receive --have DIR' prints there");
	return fail(args, STATUS_USER, "writing to stdout: %s", strerror(-rc));
}

static int explain_next(const struct args *args, int rc)
{
	if (rc == -ESTALE)
		return fail(args, STATUS_USER,
			    "'%s' has not any more what comes next, or what was sent: a compaction "
			    "was faster, or an append was taken back; send all of it to a new "
			    "directory",
			    args->store);
	if (rc == -EBADMSG)
		return fail(args, STATUS_HARD,
			    "'%s' is damaged; see what 'datawal repair' would do", args->store);
	return fail(args, status_of(rc), "reading '%s': %s", args->store, strerror(-rc));
}

/* Send until all is sent, or, with --follow, until a signal comes. */
static int stream_out(struct args *args, struct dw_send *send, struct progress *progress)
{
	int64_t begun = clock_monotonic_ns();
	uint64_t written = 0;

	for (;;) {
		struct dw_bytes bytes;
		int more = ended ? 0 : dw_send_next(send, &bytes);
		if (more < 0)
			return explain_next(args, more);
		bool ends = !more && (!args->follow || ended);
		if (!more && !ends && !wait_for_more(args))
			return explain_broken(args, -EPIPE);
		if (!more && !ends)
			continue;
		if (ends)
			dw_send_end(send, &bytes);
		int rc = args->dry_run ? 0 : write_all(bytes.data, bytes.size);
		if (rc < 0)
			return explain_broken(args, rc);
		if (ends)
			return STATUS_OK;
		written += bytes.size;
		progress_at(progress, written);
		keep_rate(args, begun, written);
	}
}

static void tell_sent(const struct args *args, const struct dw_send *send)
{
	struct dw_send_progress done;
	char position[DW_POSITION_TEXT_SIZE], size[FORMAT_SIZE];

	dw_send_progress(send, &done);
	dw_position_text(&done.position, position);
	format_size(done.bytes, size);
	if (args->json && args->dry_run) {
		json_begin("send");
		json_u64("bytes", done.bytes);
		json_text("position", position);
		json_end();
	} else if (args->dry_run) {
		printf("bytes:    %" PRIu64 " (%s)\nposition: %s\n", done.bytes, size, position);
	} else if (!args->quiet) {
		(void)fprintf(stderr, "datawal: send: %s, up to %s\n", size, position);
	}
}

/* What the replica has, from standard input. */
static int read_have(struct args *args, char **ret)
{
	size_t size = 0;
	FILE *text = open_memstream(ret, &size);
	int c;

	if (!text)
		return fail(args, STATUS_USER, "%s", strerror(errno));
	while ((c = getchar()) != EOF)
		(void)fputc(c, text); /* an error stays for fclose() */
	if (fclose(text) || ferror(stdin))
		return fail(args, STATUS_USER, "reading what the replica has: %s", strerror(errno));
	return 0;
}

static int explain_start(struct args *args, int rc)
{
	if (rc == -ESTALE)
		return fail(
			args, STATUS_USER,
			"what comes behind '%s' was compacted away in '%s'; send all of it to a "
			"new directory (without --since)",
			args->since, args->store);
	if (rc == -EILSEQ)
		return fail(args, STATUS_USER,
			    "the replica has other records than '%s': it is of another history, or "
			    "was written to; send to a new directory (without --since)",
			    args->store);
	if (rc == -EINVAL)
		return fail(
			args, STATUS_USER,
			"--since '%s': give TXID@SEGMENT:OFFSET:CRC, as 'datawal receive' tells "
			"it, or - and what 'datawal receive --have DIR' prints",
			args->since);
	return explain_open(args, rc);
}

static int open_send(struct args *args, struct dw_send **ret)
{
	struct dw_send_options options = {.on_finding = print_finding, .context = args};
	struct dw_position since;
	char *have = NULL;
	int status = 0, rc = 0;

	if (args->since && !strcmp(args->since, "-")) {
		status = read_have(args, &have);
		options.have = have;
	} else if (args->since) {
		rc = dw_position_parse(args->since, &since);
		options.since = &since;
	}
	if (!status && !rc)
		rc = dw_send_open(args->store, &options, ret);
	if (!status && rc < 0)
		status = explain_start(args, rc);
	free(have);
	return status;
}

int run_send(struct args *args)
{
	struct dw_send *send = NULL;
	struct dw_send_progress ahead;
	struct progress progress;

	if (!args->dry_run && isatty(STDOUT_FILENO))
		return fail(args, STATUS_USER,
			    "a terminal cannot take the stream; write it to a file or a pipe: "
			    "datawal send '%s' | datawal receive DIR",
			    args->store);
	int status = open_send(args, &send);
	if (status)
		return status;
	catch_signals(args);
	(void)fcntl(STDOUT_FILENO, F_SETPIPE_SZ, STREAM_PIPE_SIZE); /* it may be no pipe */
	dw_send_progress(send, &ahead);
	progress_begin(&progress, args, ahead.left);
	status = stream_out(args, send, &progress);
	progress_end(&progress);
	if (!status)
		tell_sent(args, send);
	dw_send_close(send);
	return status;
}
