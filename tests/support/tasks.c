/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * tasks.c - see tasks.h.
 */
#include "tests/support/tasks.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>

struct tasks tasks_list(void)
{
	struct tasks tasks = {.count = 0};
	DIR *dir = opendir("/proc/self/task");
	struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		if (entry->d_name[0] != '.' && tasks.count < TASKS_MAX)
			tasks.ids[tasks.count++] = atoi(entry->d_name);
	if (dir)
		(void)closedir(dir);
	return tasks;
}

static bool is_among(int id, const struct tasks *tasks)
{
	for (int i = 0; i < tasks->count; i++)
		if (tasks->ids[i] == id)
			return true;
	return false;
}

static FILE *open_file(int id, const char *name)
{
	char path[64];

	(void)snprintf(path, sizeof path, "/proc/self/task/%d/%s", id, name);
	return fopen(path, "r");
}

/* How often a thread came to run; it sleeps, or -1. */
static long count_runs_of(int id)
{
	FILE *file = open_file(id, "status");
	char line[128], state = 'S';
	long runs = 0, n;

	while (file && fgets(line, sizeof line, file)) {
		(void)sscanf(line, "State: %c", &state);
		if (sscanf(line, "voluntary_ctxt_switches: %ld", &n) == 1 ||
		    sscanf(line, "nonvoluntary_ctxt_switches: %ld", &n) == 1)
			runs += n;
	}
	if (file)
		(void)fclose(file);
	return state == 'S' ? runs : -1;
}

/* The same of all but `others`. */
static long count_runs(const struct tasks *others)
{
	const struct tasks tasks = tasks_list();
	long all = 0;

	for (int i = 0; i < tasks.count; i++) {
		long runs = is_among(tasks.ids[i], others) ? 0 : count_runs_of(tasks.ids[i]);
		if (runs < 0)
			return -1;
		all += runs;
	}
	return all;
}

bool tasks_wait_idle(const struct tasks *others)
{
	/* nothing happens, which is no event to wait for */
	const struct timespec pause = {.tv_nsec = 100 * 1000 * 1000};

	for (int i = 0; i < 100; i++) {
		long before = count_runs(others);
		(void)nanosleep(&pause, NULL);
		if (before > 0 && count_runs(others) == before)
			return true;
	}
	return false;
}

static bool is_input(int call)
{
#ifdef SYS_poll
	if (call == SYS_poll)
		return true;
#endif
	return call == SYS_read || call == SYS_ppoll;
}

int tasks_waiting_for_input(const struct tasks *others)
{
	const struct tasks tasks = tasks_list();
	int found = 0;

	for (int i = 0; i < tasks.count; i++) {
		FILE *file =
			is_among(tasks.ids[i], others) ? NULL : open_file(tasks.ids[i], "syscall");
		int call = -1;
		if (!file)
			continue;
		if (fscanf(file, "%d", &call) == 1 && is_input(call))
			found++;
		(void)fclose(file);
	}
	return found;
}
