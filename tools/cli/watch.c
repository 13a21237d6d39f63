/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * watch.c - watch: changes of a store as they happen.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "tools/cli/tool.h"
#include "tools/common/when.h"

static struct dw_tail *watched; /* for the handler; set before it is */
static volatile sig_atomic_t ended;

static void on_signal(int number)
{
	(void)number;
	ended = 1;
	dw_tail_cancel(watched);
}

/* A signal ends the watch behind a whole line. */
static void catch_signals(void)
{
	const struct sigaction end = {.sa_handler = on_signal};

	/* these fail for bad arguments only */
	(void)sigaction(SIGINT, &end, NULL);
	(void)sigaction(SIGTERM, &end, NULL);
	(void)sigaction(SIGHUP, &end, NULL);
}

static int print_json(struct args *args, struct dw_tail *tail, const struct dw_change *change)
{
	size_t size = 0;
	char *line = NULL;
	int rc = dw_tail_json(tail, change, args->values, &line, &size);

	if (!rc)
		(void)fwrite(line, 1, size, stdout); /* main() looks at ferror() */
	free(line);
	return rc;
}

static int print_item(const struct args *args, const char *op, const struct dw_change *change)
{
	char *key = format_bytes(change->key, args->bytes, args->no_truncate ? 0 : FORMAT_CUT);
	char when[WHEN_TEXT];

	if (!key)
		return -ENOMEM;
	when_utc(change->mtime_ns, when);
	printf("%s %10" PRIu64 " %-6s %10" PRIu32 " %s\n", when, change->position.txid, op,
	       change->value_size, key);
	free(key);
	return 0;
}

static int print_change(const struct args *args, const struct dw_change *change)
{
	static const char *const ops[] = {"raw", "put", "delete"};
	char position[DW_POSITION_TEXT_SIZE];

	switch (change->kind) {
	case DW_CHANGE_RECORD: return print_item(args, ops[change->type], change);
	case DW_CHANGE_STATE: return print_item(args, "state", change);
	case DW_CHANGE_READY:
		dw_position_text(&change->position, position);
		printf("# this is the store at %s\n", position);
		return 0;
	case DW_CHANGE_RESET: break;
	}
	if (change->reset == DW_RESET_COMPACTED)
		printf("# a compaction dropped changes of %" PRIu64 " to %" PRIu64
		       "; forget what was told before: the store is\n",
		       change->missing_from, change->missing_to);
	else if (change->reset == DW_RESET_TAKEN_BACK)
		puts("# changes that were told are not in the log any more; forget what was told "
		     "before: the store is");
	else
		puts("# the store is");
	return 0;
}

static bool is_wanted(const struct args *args, const struct dw_change *change)
{
	const char *prefix = args->operands[0];

	if (!prefix || change->kind == DW_CHANGE_RESET || change->kind == DW_CHANGE_READY)
		return true;
	size_t size = strlen(prefix);
	return change->key.size >= size && !memcmp(change->key.data, prefix, size);
}

/* Until a signal comes, or with --once until there is nothing new.  0 or -errno. */
static int watch(struct args *args, struct dw_tail *tail)
{
	struct dw_change change;
	int rc;

	do {
		while ((rc = dw_tail_next(tail, &change)) == 1) {
			int printed = !is_wanted(args, &change) ? 0
				      : args->json              ? print_json(args, tail, &change)
								: print_change(args, &change);
			if (printed < 0)
				return printed;
			if (ended)
				return 0;
		}
		/* what was told must be seen before the next change comes */
		if (fflush(stdout))
			return 0; /* main() says it */
		if (!rc && !args->once)
			rc = dw_tail_wait(tail, -1);
	} while (rc == 1);
	return rc == -ECANCELED ? 0 : rc;
}

int run_watch(struct args *args)
{
	const struct dw_tail_options options = {
		.from_now = !args->since && !args->state,
		.from_state = args->state,
		.durable = args->synced,
		.on_finding = print_finding,
		.context = args,
	};
	struct dw_position since;

	if (args->since && args->state)
		return fail(args, STATUS_USER, "give one of --since and --state");
	if (args->values && !args->json)
		return fail(args, STATUS_USER, "--values needs --json");
	if (args->since && dw_position_parse(args->since, &since) < 0)
		return fail(args, STATUS_USER,
			    "'%s' is no position: TXID, TXID@SEGMENT:OFFSET or "
			    "TXID@SEGMENT:OFFSET:CRC",
			    args->since);
	int rc = dw_tail_open(args->store, args->since ? &since : NULL, &options, &watched);
	if (rc < 0)
		return explain_open(args, rc);
	catch_signals();
	rc = watch(args, watched);
	int status = STATUS_OK;
	if (rc < 0)
		status = fail(args, status_of(rc), "reading '%s': %s", args->store, read_error(rc));
	struct dw_tail *tail = watched;
	(void)signal(SIGINT, SIG_DFL); /* cannot fail; the handler may not see what is freed */
	(void)signal(SIGTERM, SIG_DFL);
	(void)signal(SIGHUP, SIG_DFL);
	dw_tail_free(tail);
	return status;
}
