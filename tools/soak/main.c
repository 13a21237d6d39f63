/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * main.c - the long-running validator: works on a store for as long as it is
 * told, through the library or a mount, kills what it likes, and compares.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tools/soak/config.h"
#include "tools/soak/fixtures.h"
#include "tools/soak/plot.h"
#include "tools/soak/run.h"
#include "tools/soak/say.h"

/* Whether what was asked for arrived. */
static int printed(void)
{
	return fflush(stdout) || ferror(stdout)
		       ? soak_setup_error("writing to stdout: %s", strerror(errno))
		       : 0;
}

static int do_task(const struct config *config)
{
	switch (config->task) {
	case TASK_HELP: config_print_help(); return printed();
	case TASK_VERSION: puts("datawal-soak " DATAWALFS_VERSION); return printed();
	case TASK_FIXTURES: return fixtures_write(config->file);
	case TASK_PLOT: return plot_draw(config, config->file);
	case TASK_RUN: break;
	}
	return soak_run(config);
}

int main(int argc, char **argv)
{
	struct config config;
	int rc = config_init(&config, argc, argv);

	if (!rc)
		rc = do_task(&config);
	config_release(&config);
	return rc;
}
