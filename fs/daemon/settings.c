/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * settings.c - see settings.h.
 */
#include "fs/daemon/settings.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

void settings_init(struct settings *settings)
{
	*settings = (struct settings){.export_fd = -1, .umask = umask(0)};
	(void)umask(settings->umask); /* it can only be asked by setting it */
	for (int i = 0; i < NUMBERS; i++)
		settings->numbers[i] = NUMBER_UNSET;
}

uint64_t number_or(const struct settings *settings, enum number which, uint64_t fallback)
{
	uint64_t n = settings->numbers[which];

	return n == NUMBER_UNSET ? fallback : n;
}

void settings_close_export(struct settings *settings)
{
	if (settings->export_fd >= 0)
		(void)close(settings->export_fd); /* a directory: nothing to lose */
	settings->export_fd = -1;
}

void settings_release(struct settings *settings)
{
	free(settings->store);
	free(settings->store_path);
	free(settings->mountpoint);
	free(settings->compact);
	free(settings->control);
	free(settings->log);
	free(settings->fsname);
	free(settings->export_dir);
	free(settings->export_path);
	settings_close_export(settings);
}
