/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * memory.c - see memory.h.
 *
 * A control group's limit is in a file of its directory; so are those of the groups above it,
 * which count as well.  A file that cannot be read sets no limit: a guess that is too large costs
 * memory, and nothing else.
 */
#include "fs/tree/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>

enum { PATH_SIZE = 8192 };

/* The smaller of `limit` and the number in a file; "max" is no number. */
static uint64_t least(uint64_t limit, const char *path)
{
	FILE *file = fopen(path, "re");
	unsigned long long there;

	if (file) {
		if (fscanf(file, "%llu", &there) == 1 && there < limit)
			limit = there;
		(void)fclose(file); /* only read */
	}
	return limit;
}

/* Of the group `group` ("/a/b") and all above it. */
static uint64_t least_of_groups(uint64_t limit, const char *top, char *group, const char *name)
{
	char path[PATH_SIZE];
	size_t size = strlen(group);

	for (;;) {
		while (size && group[size - 1] == '/')
			group[--size] = '\0';
		(void)snprintf(path, sizeof path, "%s%s/%s", top, group, name); /* or not there */
		limit = least(limit, path);
		if (!size)
			return limit;
		while (size && group[size - 1] != '/')
			group[--size] = '\0';
	}
}

/* A line of /proc/self/cgroup: "0::/group" (version 2), or "4:memory:/group". */
static uint64_t least_of_line(uint64_t limit, const char *cgroup, char *line)
{
	char top[PATH_SIZE], *kinds = strchr(line, ':'), *group;

	line[strcspn(line, "\n")] = '\0';
	group = kinds ? strchr(++kinds, ':') : NULL;
	if (!group)
		return limit;
	*group++ = '\0';
	if (!*kinds)
		return least_of_groups(limit, cgroup, group, "memory.max");
	if (strcmp(kinds, "memory") != 0)
		return limit;
	(void)snprintf(top, sizeof top, "%s/memory", cgroup);
	return least_of_groups(limit, top, group, "memory.limit_in_bytes");
}

uint64_t memory_limit_at(const char *proc, const char *cgroup)
{
	char line[PATH_SIZE];
	struct sysinfo machine;
	uint64_t limit = UINT64_MAX;

	if (!sysinfo(&machine))
		limit = (uint64_t)machine.totalram * machine.mem_unit;
	(void)snprintf(line, sizeof line, "%s/self/cgroup", proc);
	FILE *file = fopen(line, "re");
	if (!file)
		return limit;
	while (fgets(line, sizeof line, file))
		limit = least_of_line(limit, cgroup, line);
	(void)fclose(file); /* only read */
	return limit;
}

uint64_t memory_limit(void)
{
	return memory_limit_at("/proc", "/sys/fs/cgroup");
}
