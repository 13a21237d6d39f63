/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * config.c - see config.h.
 */
#include "tools/soak/config.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "tools/soak/say.h"

void config_print_help(void)
{
	puts("usage: datawal-soak [options]\n"
	     "       datawal-soak --write-fixtures DIR\n"
	     "       datawal-soak --plot FILE.svg\n"
	     "\n"
	     "Work on a store for a long time and check it against what it must hold.\n"
	     "\n"
	     "      --mode synthetic|real  records of its own, or those of the three inputs\n"
	     "                             below (synthetic)\n"
	     "      --via library|mount    call the library, or work with the files of a\n"
	     "                             mounted datawalfs (library)\n"
	     "      --compact online|swap  compact in place during the work, or write a copy\n"
	     "                             and swap it in (swap; through a mount online)\n"
	     "      --kill-every N         kill the working process or the daemon about every\n"
	     "                             N operations, and check after each restart\n"
	     "      --seed N               make the choices of an earlier run again\n"
	     "      --operations N         end after N operations, if not earlier by the clock\n"
	     "      --daemon PROGRAM       the datawalfs to mount with\n"
	     "      --write-fixtures DIR   write the synthetic records to DIR, and end\n"
	     "      --plot FILE.svg        draw the figures of the last run, and end\n"
	     "  -h, --help                 print this\n"
	     "  -V, --version              print the version\n"
	     "\n"
	     "Environment, with defaults:\n"
	     "  DATAWAL_SOAK_DURATION=1800             seconds\n"
	     "  DATAWAL_SOAK_ROTATE_EVERY=5000         operations between rotations\n"
	     "  DATAWAL_SOAK_COMPACT_EVERY_ROTATIONS=4 rotations between compactions\n"
	     "  DATAWAL_SOAK_PROGRESS_SECS=60          seconds between lines and CSV rows\n"
	     "  DATAWAL_SOAK_LOG_DIR=/tmp              where soak.csv goes\n"
	     "  DATAWAL_SOAK_WORK_DIR=TMP/datawal-soak the store; beside it, by names that begin\n"
	     "                                         with its own, what a run needs meanwhile\n"
	     "  DATAWAL_SOAK_INPUT_SMALL, DATAWAL_SOAK_INPUT_MEDIUM, DATAWAL_SOAK_INPUT_LARGE\n"
	     "                                         the inputs of --mode real\n"
	     "\n"
	     "Exit status: 0 clean, 1 the store broke its word, 2 the run could not begin.");
}

/* --- numbers --- */

static int parse_number(const char *what, const char *text, uint64_t least, uint64_t *ret)
{
	char *end = NULL;

	errno = 0;
	unsigned long long n = strtoull(text, &end, 10);
	/* digits only: strtoull takes blanks and signs as well */
	if (!*text || strspn(text, "0123456789") != strlen(text) || errno || n < least)
		return soak_setup_error("%s: '%s' is no number from %llu to %llu", what, text,
					(unsigned long long)least, ULLONG_MAX);
	*ret = n;
	return 0;
}

static int number_from_env(const char *name, uint64_t least, uint64_t *ret)
{
	const char *text = getenv(name);

	return text ? parse_number(name, text, least, ret) : 0;
}

static int parse_choice(const char *option, const char *text, const char *no, const char *yes,
			bool *ret)
{
	if (strcmp(text, no) && strcmp(text, yes))
		return soak_setup_error("%s: '%s' is neither '%s' nor '%s'", option, text, no, yes);
	*ret = !strcmp(text, yes);
	return 0;
}

/* --- environment --- */

static int path_from_env(const char *name, const char **ret)
{
	const char *text = getenv(name);

	if (text && !*text)
		return soak_setup_error("%s is empty; give a path, or unset it", name);
	if (text)
		*ret = text;
	return 0;
}

static int inputs_from_env(struct config *config)
{
	static const char *const names[STREAMS] = {"DATAWAL_SOAK_INPUT_SMALL",
						   "DATAWAL_SOAK_INPUT_MEDIUM",
						   "DATAWAL_SOAK_INPUT_LARGE"};

	for (int i = 0; i < STREAMS; i++) {
		int rc = path_from_env(names[i], &config->inputs[i]);
		if (rc)
			return rc;
		if (!config->inputs[i])
			return soak_setup_error("%s is not set; --mode real needs all three inputs",
						names[i]);
	}
	return 0;
}

static int from_env(struct config *config)
{
	const char *work_dir = NULL, *temporary = getenv("TMPDIR");
	int rc = number_from_env("DATAWAL_SOAK_DURATION", 0, &config->duration_s);

	if (!rc)
		rc = number_from_env("DATAWAL_SOAK_ROTATE_EVERY", 1, &config->rotate_every);
	if (!rc)
		rc = number_from_env("DATAWAL_SOAK_COMPACT_EVERY_ROTATIONS", 0,
				     &config->compact_every_rotations);
	if (!config->compact_every_rotations)
		config->compact_every_rotations = 1; /* no rotation is too early for one */
	if (!rc)
		rc = number_from_env("DATAWAL_SOAK_PROGRESS_SECS", 1, &config->progress_s);
	if (!rc)
		rc = path_from_env("DATAWAL_SOAK_LOG_DIR", &config->log_dir);
	if (!rc)
		rc = path_from_env("DATAWAL_SOAK_WORK_DIR", &work_dir);
	if (!rc && config->real)
		rc = inputs_from_env(config);
	if (rc)
		return rc;
	if (work_dir)
		config->work_dir = soak_text("%s", work_dir);
	else
		config->work_dir =
			soak_text("%s/datawal-soak", temporary && *temporary ? temporary : "/tmp");
	return 0;
}

/* --- options --- */

enum {
	OPTION_MODE = 256,
	OPTION_VIA,
	OPTION_COMPACT,
	OPTION_KILL_EVERY,
	OPTION_SEED,
	OPTION_OPERATIONS,
	OPTION_DAEMON,
	OPTION_FIXTURES,
	OPTION_PLOT,
};

static const struct option options[] = {
	{"mode", required_argument, NULL, OPTION_MODE},
	{"via", required_argument, NULL, OPTION_VIA},
	{"compact", required_argument, NULL, OPTION_COMPACT},
	{"kill-every", required_argument, NULL, OPTION_KILL_EVERY},
	{"seed", required_argument, NULL, OPTION_SEED},
	{"operations", required_argument, NULL, OPTION_OPERATIONS},
	{"daemon", required_argument, NULL, OPTION_DAEMON},
	{"write-fixtures", required_argument, NULL, OPTION_FIXTURES},
	{"plot", required_argument, NULL, OPTION_PLOT},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},
	{NULL, 0, NULL, 0},
};

struct given {
	bool compact, seed;
};

static int take_option(struct config *config, int option, struct given *given)
{
	switch (option) {
	case OPTION_MODE: return parse_choice("--mode", optarg, "synthetic", "real", &config->real);
	case OPTION_VIA:
		return parse_choice("--via", optarg, "library", "mount", &config->via_mount);
	case OPTION_COMPACT:
		given->compact = true;
		return parse_choice("--compact", optarg, "swap", "online", &config->online);
	case OPTION_KILL_EVERY: return parse_number("--kill-every", optarg, 1, &config->kill_every);
	case OPTION_SEED:
		given->seed = true;
		return parse_number("--seed", optarg, 0, &config->seed);
	case OPTION_OPERATIONS: return parse_number("--operations", optarg, 0, &config->operations);
	case OPTION_DAEMON:
		free(config->daemon);
		config->daemon = soak_text("%s", optarg);
		return 0;
	case OPTION_FIXTURES:
	case OPTION_PLOT:
		config->task = option == OPTION_PLOT ? TASK_PLOT : TASK_FIXTURES;
		config->file = optarg;
		return 0;
	case 'h': config->task = TASK_HELP; return 0;
	case 'V': config->task = TASK_VERSION; return 0;
	default: return soak_setup_error("see 'datawal-soak --help'"); /* getopt said what */
	}
}

/* The datawalfs beside this program, else the one in PATH. */
static char *find_daemon(void)
{
	char path[PATH_MAX];
	ssize_t size = readlink("/proc/self/exe", path, sizeof path - 1);
	char *slash = NULL, *found = NULL;

	if (size > 0) {
		path[size] = '\0';
		slash = strrchr(path, '/');
	}
	if (slash) {
		*slash = '\0';
		found = soak_text("%s/datawalfs", path);
	}
	if (found && !access(found, X_OK))
		return found;
	free(found);
	return soak_text("datawalfs");
}

static int complete(struct config *config, const struct given *given)
{
	if (config->via_mount && given->compact && !config->online)
		return soak_setup_error("--compact swap takes the store away from under its mount; "
					"use --compact online with --via mount");
	config->online = config->online || config->via_mount;
	if (!given->seed && getrandom(&config->seed, sizeof config->seed, 0) != sizeof config->seed)
		return soak_setup_error("no random seed to be had: %s; give one by --seed",
					strerror(errno));
	if (!config->daemon)
		config->daemon = find_daemon();
	return 0;
}

int config_init(struct config *config, int argc, char **argv)
{
	struct given given = {false, false};
	int option, rc = 0;

	*config = (struct config){
		.operations = UINT64_MAX,
		.duration_s = 1800,
		.rotate_every = 5000,
		.compact_every_rotations = 4,
		.progress_s = 60,
		.log_dir = "/tmp",
		.bare = argc == 1,
	};
	while (!rc && (option = getopt_long(argc, argv, "hV", options, NULL)) != -1)
		rc = take_option(config, option, &given);
	if (!rc && optind < argc)
		rc = soak_setup_error("'%s' is no option; see 'datawal-soak --help'", argv[optind]);
	if (rc || config->task == TASK_HELP || config->task == TASK_VERSION)
		return rc;
	rc = from_env(config);
	return rc ? rc : complete(config, &given);
}

void config_release(struct config *config)
{
	free(config->work_dir);
	free(config->daemon);
}
