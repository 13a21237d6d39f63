/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * tool.h - what the files of the command line share.
 *
 * A command is a function that gets its parsed arguments and returns the exit status.
 * It prints results to stdout, everything else to stderr.
 */
#ifndef TOOLS_CLI_TOOL_H
#define TOOLS_CLI_TOOL_H

#include <stdio.h>

#include "datawal.h"
#include "tools/common/format.h"

enum {
	STATUS_OK = 0,
	STATUS_USER = 1, /* the command line, the environment, a store that is locked */
	STATUS_SOFT = 2, /* a torn tail; a key that is not there */
	STATUS_HARD = 3, /* damage that refuses the store, an I/O error */
};

/* Options of the commands, as bits: which ones a command takes. */
enum {
	TAKES_LIMIT = 1 << 0,
	TAKES_FROM = 1 << 1,
	TAKES_KEY = 1 << 2,
	TAKES_BYTES = 1 << 3,
	TAKES_VALUE = 1 << 4,
	TAKES_SNAPSHOT = 1 << 16,
	TAKES_YES = 1 << 5,
	TAKES_COMPACT = 1 << 6,
	TAKES_FORCE = 1 << 7,
	TAKES_SEND = 1 << 8,
	TAKES_HAVE = 1 << 9,
	TAKES_WATCH = 1 << 10,
};

struct command;

struct args {
	const struct command *command;
	const char *store;       /* the first operand */
	const char *operands[2]; /* arguments after the command; NULL: not given */
	bool json, quiet, no_truncate, yes, force;
	bool follow, dry_run, have;       /* of send and receive */
	const char *since;                /* of send and watch: a position; of send also "-" */
	bool state, values, once, synced; /* of watch */
	bool tells_damage; /* with --json what is damaged and lost is told as objects, too */
	const char *key_text, *key_base64, *key_hex, *value_base64, *file;
	uint64_t limit; /* UINT64_MAX: none */
	uint64_t from_offset;
	struct dw_compact_options compact;
	bool remove;        /* snapshot */
	const char *prefix; /* of names of snapshots */
	uint64_t keep;      /* so many of those; 0: all */
	uint32_t from_segment;
	bool from_segment_given, from_offset_given;
	enum format_mode bytes;
	/* process with the lock, once an open was refused; 0: unknown */
	pid_t locked_by;
	char locked_host[65];
};

typedef int command_fn(struct args *args);

struct command {
	const char *name;
	command_fn *run;
	unsigned takes;
	int operands_min, operands_max; /* the store included */
	const char *usage;              /* operands and options, without the name */
	const char *summary;            /* one line */
	const char *text;               /* of --help: a description */
	const char *example;
	const char *through_mount; /* a writer's: how to do it in a mount, `%s` is where; or NULL */
};

extern const struct command commands[]; /* ended by a NULL name */

command_fn run_init, run_scan, run_dump, run_report, run_verify, run_get, run_ls, run_check,
	run_stats, run_export, run_compact, run_put, run_delete, run_rotate, run_apply, run_import,
	run_repair, run_watch, run_send, run_receive;

/* --- cli/args.c --- */

void args_print_help(const struct command *command);

/* Parse what follows the name of args->command, which is argv[0].  -1: go on; else the
 * exit status (help was asked for, or the arguments are wrong, which it said). */
int args_parse(struct args *args, int argc, char **argv);

/* The key that the options name; its bytes are the caller's: free(3).  0, or the exit status
 * after saying what is wrong. */
int args_key(const struct args *args, struct dw_bytes *ret);

/* The value of `text`, the argument of `option`; likewise. */
int args_base64(const struct args *args, const char *option, const char *text,
		struct dw_bytes *ret);

/* --- cli/fail.c --- */

/* Say "datawal: COMMAND: ..." and return `status`. */
__attribute__((format(printf, 3, 4))) int fail(const struct args *args, int status,
					       const char *format, ...);
/* Why reading a store failed. */
const char *read_error(int rc);
/* STATUS_HARD for damage and I/O errors, else STATUS_USER. */
int status_of(int rc);

/* --- cli/open.c --- */

/* A snapshot; `*torn_ret` (may be NULL) is STATUS_SOFT if the log ends in a torn tail.  0,
 * or the exit status after saying what is wrong. */
int open_reader(struct args *args, bool without_index, struct dw_store **ret, int *torn_ret);
/* Whether the index must be done without, which is told: before all of it is read.  It is read. */
bool index_is_damaged(struct args *args);
int open_writer(struct args *args, bool create, struct dw_store **ret);

/* Sync and close: the exit status, `status` unless that fails. */
int close_writer(struct args *args, struct dw_store *store, int status);

/* Explain a failed open to the user; the exit status. */
int explain_open(struct args *args, int rc);

/* --- cli/finding.c --- */

/* Prints findings to stderr; the context is the args. */
void print_finding(void *context, const struct dw_finding *finding);

/* The field key_base64, which is null if `key` is unknown (data is NULL). */
void json_key(struct dw_bytes key);

/* --- cli/snapshot.c --- */

command_fn run_snapshot, run_snapshots;

void show_snapshot_json(const struct dw_snapshot_info *info);
/* A table; nothing if there are none. */
void show_snapshots(const struct dw_snapshot_info *list, size_t count);

/* --- cli/json.c: one object, one line of stdout --- */

void json_begin(const char *kind);
void json_u64(const char *name, uint64_t value);
void json_i64(const char *name, int64_t value);
void json_flag(const char *name, bool value);
void json_text(const char *name, const char *text); /* NULL: null */
void json_base64(const char *name, struct dw_bytes bytes);
/* The same in pieces of a multiple of three bytes, but for the last. */
void json_base64_begin(const char *name);
void json_base64_piece(const void *data, size_t size);
void json_base64_end(void);
void json_end(void);

#endif
