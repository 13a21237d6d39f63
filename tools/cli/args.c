/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * args.c - the options of a command, and its help.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tools/cli/tool.h"
#include "tools/common/base64.h"

enum { GLOBAL = 0 };

/* The values of getopt_long() for each option. */
enum id {
	ID_LIMIT = 256,
	ID_FROM_SEGMENT,
	ID_FROM_OFFSET,
	ID_KEY,
	ID_KEY_BASE64,
	ID_KEY_HEX,
	ID_BYTES,
	ID_NO_TRUNCATE,
	ID_REMOVE,
	ID_NAME_PREFIX,
	ID_KEEP,
	ID_VALUE_BASE64,
	ID_FILE,
	ID_YES,
	ID_FORCE,
	ID_DEAD,
	ID_RATE,
	ID_SINCE,
	ID_FOLLOW,
	ID_DRY_RUN,
	ID_HAVE,
	ID_STATE,
	ID_VALUES,
	ID_ONCE,
	ID_SYNCED,
	ID_JSON,
	ID_QUIET = 'q',
	ID_HELP = 'h',
};

static const struct known {
	const char *name, *argument; /* argument NULL: takes none */
	enum id id;
	unsigned taken_by; /* GLOBAL: by every command */
	const char *help;  /* as it stands in --help */
} known[] = {
	{"limit", "N", ID_LIMIT, TAKES_LIMIT, "    --limit N            no more than N records"},
	{"from-segment", "S", ID_FROM_SEGMENT, TAKES_FROM,
	 "    --from-segment S     begin with segment S"},
	{"from-offset", "O", ID_FROM_OFFSET, TAKES_FROM,
	 "    --from-offset O      begin with the first record at byte O of it or behind"},
	{"key", "TEXT", ID_KEY, TAKES_KEY, "    --key TEXT           the key, as text"},
	{"key-base64", "B", ID_KEY_BASE64, TAKES_KEY,
	 "    --key-base64 B       the key, in base64"},
	{"key-hex", "H", ID_KEY_HEX, TAKES_KEY, "    --key-hex H          the key, in hexadecimal"},
	{"value-base64", "B", ID_VALUE_BASE64, TAKES_VALUE,
	 "    --value-base64 B     the value, in base64"},
	{"file", "F", ID_FILE, TAKES_VALUE,
	 "    --file F             the value is what file F holds"},
	{"bytes", "MODE", ID_BYTES, TAKES_BYTES,
	 "    --bytes MODE         show bytes as auto, raw, base64 or hex"},
	{"no-truncate", NULL, ID_NO_TRUNCATE, TAKES_BYTES,
	 "    --no-truncate        do not cut long fields"},
	{"dead", "PERCENT", ID_DEAD, TAKES_COMPACT,
	 "    --dead PERCENT       only the oldest segments, if so much of them is dead"},
	{"since", "POSITION", ID_SINCE, TAKES_SEND,
	 "    --since POSITION     only what comes behind it; -: behind what stdin says there is"},
	{"since", "POSITION", ID_SINCE, TAKES_WATCH,
	 "    --since POSITION     what comes behind it; 0: from the beginning of the log"},
	{"state", NULL, ID_STATE, TAKES_WATCH,
	 "    --state              first all keys that there are"},
	{"values", NULL, ID_VALUES, TAKES_WATCH,
	 "    --values             with --json: values, too"},
	{"once", NULL, ID_ONCE, TAKES_WATCH,
	 "    --once               end when there is nothing new"},
	{"synced", NULL, ID_SYNCED, TAKES_WATCH,
	 "    --synced             bring each change to disk before it is told"},
	{"follow", NULL, ID_FOLLOW, TAKES_SEND,
	 "    --follow             go on with what is appended, until a signal comes"},
	{"dry-run", NULL, ID_DRY_RUN, TAKES_SEND,
	 "    --dry-run            send nothing, say how much it would be"},
	{"have", NULL, ID_HAVE, TAKES_HAVE,
	 "    --have               print what DIR has, for 'send --since -'"},
	{"rate", "BYTES", ID_RATE, TAKES_COMPACT | TAKES_SEND,
	 "    --rate BYTES         read and write no more than so many bytes a second"},
	{"force", NULL, ID_FORCE, TAKES_FORCE,
	 "    --force              also where a file, or a directory with files, is there"},
	{"prefix", "P", ID_NAME_PREFIX, TAKES_SNAPSHOT,
	 "    --prefix P           without NAME: call it P and the time; the names that --keep "
	 "counts"},
	{"keep", "N", ID_KEEP, TAKES_SNAPSHOT,
	 "    --keep N             then remove all but the newest N whose names begin with P"},
	{"remove", NULL, ID_REMOVE, TAKES_SNAPSHOT, "    --remove             remove it"},
	{"yes", NULL, ID_YES, TAKES_YES, "    --yes                do it, do not only tell"},
	{"json", NULL, ID_JSON, GLOBAL, "    --json               JSON, an object a line"},
	{"quiet", NULL, ID_QUIET, GLOBAL,
	 "    -q, --quiet          no progress on the terminal, no summary"},
	{"help", NULL, ID_HELP, GLOBAL, "    -h, --help           print this"},
};
enum { KNOWN = sizeof known / sizeof *known };

static bool is_taken(const struct command *command, const struct known *option)
{
	return option->taken_by == GLOBAL || command->takes & option->taken_by;
}

void args_print_help(const struct command *command)
{
	printf("usage: datawal %s %s\n\n%s\n\n", command->name, command->usage, command->text);
	for (size_t i = 0; i < KNOWN; i++)
		if (is_taken(command, &known[i]))
			puts(known[i].help);
	printf("\nExample:\n    %s\n", command->example);
}

static void long_options(const struct command *command, struct option ret[KNOWN + 1])
{
	size_t count = 0;

	for (size_t i = 0; i < KNOWN; i++)
		if (is_taken(command, &known[i]))
			ret[count++] = (struct option){known[i].name, known[i].argument != NULL,
						       NULL, (int)known[i].id};
	ret[count] = (struct option){0};
}

static int parse_number(const struct args *args, const char *name, uint64_t max, uint64_t *ret)
{
	char *end;

	errno = 0;
	unsigned long long n = strtoull(optarg, &end, 10);
	/* no blanks and no minus: strtoull() takes those as well */
	if (errno || !strspn(optarg + (*optarg == '+'), "0123456789") || *end || n > max)
		return fail(args, STATUS_USER, "--%s '%s' is no number from 0 to %" PRIu64, name,
			    optarg, max);
	*ret = n;
	return -1;
}

static int parse_from_segment(struct args *args)
{
	uint64_t n = 0;
	int rc = parse_number(args, "from-segment", UINT32_MAX, &n);

	args->from_segment = (uint32_t)n;
	args->from_segment_given = true;
	return rc;
}

static int parse_from_offset(struct args *args)
{
	args->from_offset_given = true;
	return parse_number(args, "from-offset", UINT64_MAX, &args->from_offset);
}

static int parse_dead(struct args *args)
{
	uint64_t n = 0;
	int rc = parse_number(args, "dead", 100, &n);

	args->compact.dead_percent = (unsigned)n;
	return rc;
}

static int parse_keep(struct args *args)
{
	int rc = parse_number(args, "keep", UINT64_MAX, &args->keep);

	return rc < 0 && !args->keep ? fail(args, STATUS_USER, "--keep 0 would remove the new one")
				     : rc;
}

static int parse_bytes(struct args *args)
{
	if (format_mode_parse(optarg, &args->bytes))
		return -1;
	return fail(args, STATUS_USER, "--bytes '%s' is none of auto, raw, base64, hex", optarg);
}

/* -1: go on; else the exit status. */
static int apply_option(struct args *args, int id)
{
	switch (id) {
	case ID_LIMIT: return parse_number(args, "limit", UINT64_MAX, &args->limit);
	case ID_FROM_SEGMENT: return parse_from_segment(args);
	case ID_FROM_OFFSET: return parse_from_offset(args);
	case ID_KEY: args->key_text = optarg; return -1;
	case ID_KEY_BASE64: args->key_base64 = optarg; return -1;
	case ID_KEY_HEX: args->key_hex = optarg; return -1;
	case ID_BYTES: return parse_bytes(args);
	case ID_NO_TRUNCATE: args->no_truncate = true; return -1;
	case ID_REMOVE: args->remove = true; return -1;
	case ID_NAME_PREFIX: args->prefix = optarg; return -1;
	case ID_KEEP: return parse_keep(args);
	case ID_VALUE_BASE64: args->value_base64 = optarg; return -1;
	case ID_FILE: args->file = optarg; return -1;
	case ID_DEAD: return parse_dead(args);
	case ID_RATE: return parse_number(args, "rate", UINT64_MAX, &args->compact.rate);
	case ID_SINCE: args->since = optarg; return -1;
	case ID_FOLLOW: args->follow = true; return -1;
	case ID_DRY_RUN: args->dry_run = true; return -1;
	case ID_HAVE: args->have = true; return -1;
	case ID_STATE: args->state = true; return -1;
	case ID_VALUES: args->values = true; return -1;
	case ID_ONCE: args->once = true; return -1;
	case ID_SYNCED: args->synced = true; return -1;
	case ID_FORCE: args->force = true; return -1;
	case ID_YES: args->yes = true; return -1;
	case ID_JSON: args->json = true; return -1;
	case ID_QUIET: args->quiet = true; return -1;
	case ID_HELP: args_print_help(args->command); return STATUS_OK;
	default: /* getopt_long() said what is wrong */
		(void)fprintf(stderr, "Try 'datawal %s --help'.\n", args->command->name);
		return STATUS_USER;
	}
}

int args_parse(struct args *args, int argc, char **argv)
{
	const struct command *command = args->command;
	struct option options[KNOWN + 1];
	char name[64];
	int id, rc = -1;

	(void)snprintf(name, sizeof name, "datawal %s", command->name); /* in getopt's messages */
	argv[0] = name;
	long_options(command, options);
	optind = 0; /* start over */
	while (rc < 0 && (id = getopt_long(argc, argv, "qh", options, NULL)) != -1)
		rc = apply_option(args, id);
	if (rc >= 0)
		return rc;
	if (args->from_offset_given && !args->from_segment_given)
		return fail(args, STATUS_USER,
			    "the following required arguments were not provided: --from-segment");
	int count = argc - optind;
	if (count < command->operands_min || count > command->operands_max)
		return fail(args, STATUS_USER, "usage: datawal %s %s", command->name,
			    command->usage);
	args->store = argv[optind];
	for (int i = 1; i < count; i++)
		args->operands[i - 1] = argv[optind + i];
	return -1;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int decode_hex(const struct args *args, const char *text, struct dw_bytes *ret)
{
	size_t size = strlen(text);

	if (size % 2)
		return fail(args, STATUS_USER, "invalid --key-hex: odd length");
	uint8_t *data = malloc(size / 2 + 1);
	if (!data)
		return fail(args, STATUS_USER, "%s", strerror(ENOMEM));
	for (size_t i = 0; i < size; i++) {
		int digit = hex_digit(text[i]);
		if (digit < 0) {
			free(data);
			return fail(args, STATUS_USER, "invalid --key-hex: non-hex byte '%c'",
				    text[i]);
		}
		data[i / 2] = (uint8_t)(i % 2 ? data[i / 2] << 4 | digit : digit);
	}
	*ret = (struct dw_bytes){data, size / 2};
	return 0;
}

int args_base64(const struct args *args, const char *option, const char *text, struct dw_bytes *ret)
{
	struct base64_bytes bytes;
	int rc = base64_decode(text, strlen(text), &bytes);

	if (rc == -EINVAL)
		return fail(args, STATUS_USER, "invalid %s: '%s' is no standard base64", option,
			    text);
	if (rc)
		return fail(args, STATUS_USER, "%s", strerror(-rc));
	*ret = (struct dw_bytes){bytes.data, bytes.size};
	return 0;
}

/* Exactly one way to name the key: 0, or the exit status after a message. */
static int check_key_given(const struct args *args)
{
	const struct {
		const char *name, *text;
	} ways[] = {
		{"--key <TEXT>", args->key_text},
		{"--key-base64 <B64>", args->key_base64},
		{"--key-hex <HEX>", args->key_hex},
	};
	const char *given = NULL;

	for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
		if (ways[i].text && given)
			return fail(args, STATUS_USER, "the argument '%s' cannot be used with '%s'",
				    given, ways[i].name);
		if (ways[i].text)
			given = ways[i].name;
	}
	return given ? 0
		     : fail(args, STATUS_USER,
			    "pass exactly one of --key, --key-base64, or --key-hex");
}

int args_key(const struct args *args, struct dw_bytes *ret)
{
	int status = check_key_given(args);

	if (status)
		return status;
	if (args->key_base64)
		return args_base64(args, "--key-base64", args->key_base64, ret);
	if (args->key_hex)
		return decode_hex(args, args->key_hex, ret);
	char *copy = strdup(args->key_text);
	if (!copy)
		return fail(args, STATUS_USER, "%s", strerror(ENOMEM));
	ret->data = copy;
	ret->size = strlen(copy);
	return 0;
}
