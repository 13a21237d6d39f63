/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * main.c - the command line: look into a store, change it, mend it.
 *
 * Finds the command, parses its arguments, runs it, and sees that what went to stdout
 * arrived there.  Commands that read take no lock and change nothing.
 */
#include <errno.h>
#include <getopt.h>
#include <string.h>
#include <sys/resource.h>

#include "tools/cli/tool.h"

static void print_help(void)
{
	puts("usage: datawal COMMAND STORE ... [options]\n"
	     "\n"
	     "Look into the DataWal store in directory STORE, change it, mend it.\n"
	     "\n"
	     "Commands:");
	for (const struct command *command = commands; command->name; command++)
		printf("    %-9s %s\n", command->name, command->summary);
	puts("\n"
	     "'datawal help COMMAND' tells more of one.\n"
	     "\n"
	     "Options, before or behind the command:\n"
	     "    --json               JSON, an object a line\n"
	     "    -q, --quiet          no progress on the terminal, no summary\n"
	     "    -h, --help           print this, or what a command does and takes\n"
	     "    -V, --version        print the version\n"
	     "\n"
	     "Example:\n"
	     "    datawal get store --key users/42\n"
	     "\n"
	     "Exit status: 0 done; 1 the command line is wrong or the store is locked;\n"
	     "2 a torn tail, or no such key; 3 damage.");
}

static const struct command *find_command(const char *name)
{
	for (const struct command *command = commands; command->name; command++)
		if (!strcmp(command->name, name))
			return command;
	return NULL;
}

/* The options before the command.  -1: go on with argv[optind]. */
static int parse_global(struct args *args, int argc, char **argv)
{
	static const struct option options[] = {
		{"json", no_argument, NULL, 'j'},
		{"quiet", no_argument, NULL, 'q'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{0},
	};
	int id;

	while ((id = getopt_long(argc, argv, "+qhV", options, NULL)) != -1) {
		switch (id) {
		case 'j': args->json = true; break;
		case 'q': args->quiet = true; break;
		case 'h': print_help(); return STATUS_OK;
		case 'V': puts("datawal " DATAWALFS_VERSION); return STATUS_OK;
		default: (void)fputs("Try 'datawal --help'.\n", stderr); return STATUS_USER;
		}
	}
	if (optind == argc)
		return fail(args, STATUS_USER, "give a command; see 'datawal --help'");
	bool help = !strcmp(argv[optind], "help");
	if (help && optind + 1 == argc) {
		print_help();
		return STATUS_OK;
	}
	optind += help;
	args->command = find_command(argv[optind]);
	if (!args->command)
		return fail(args, STATUS_USER, "'%s' is no command; see 'datawal --help'",
			    argv[optind]);
	if (help)
		args_print_help(args->command);
	return help ? STATUS_OK : -1;
}

static void raise_limits(void)
{
	struct rlimit limit;

	/* a large store has many segments, and a reader keeps each open */
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit); /* else with what there is */
}

int main(int argc, char **argv)
{
	struct args args = {.limit = UINT64_MAX};
	int status = parse_global(&args, argc, argv);

	if (status < 0)
		status = args_parse(&args, argc - optind, argv + optind);
	if (status < 0) {
		raise_limits();
		status = args.command->run(&args);
	}
	/* a failure was told already, perhaps this one */
	if ((fflush(stdout) || ferror(stdout)) && (!status || status == STATUS_SOFT))
		return fail(&args, STATUS_USER, "writing to stdout: %s", strerror(errno));
	return status;
}
