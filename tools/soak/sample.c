/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * sample.c - see sample.h.
 */
#include "tools/soak/sample.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tools/common/path.h"
#include "tools/soak/say.h"

const char sample_columns[] = "elapsed_s,rss_kb,fds,segments,live_keys,puts,deletes,rotates,"
			      "compacts,bytes_written";

int directory_make(const char *path)
{
	int rc = path_make_directory(path);

	return rc ? soak_setup_error("directory '%s': %s", path, strerror(-rc)) : 0;
}

char *sample_path(const struct config *config)
{
	return soak_text("%s/soak.csv", config->log_dir);
}

int sample_open(const struct config *config, FILE **ret)
{
	int rc = directory_make(config->log_dir);

	if (rc)
		return rc;
	char *path = sample_path(config);
	FILE *csv = path_create(path);
	if (csv && fprintf(csv, "%s\n", sample_columns) > 0 && !fflush(csv)) {
		*ret = csv;
	} else {
		rc = soak_setup_error("'%s': %s", path, strerror(errno));
		if (csv)
			(void)fclose(csv); /* it failed already */
	}
	free(path);
	return rc;
}

/* --- figures --- */

typedef bool counts_fn(const char *name);

static unsigned count_entries(const char *path, counts_fn *counts)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	unsigned count = 0;

	if (!dir)
		return 0;
	while ((entry = readdir(dir)))
		count += counts(entry->d_name);
	(void)closedir(dir); /* fails only for a bad one */
	return count;
}

static bool is_descriptor(const char *name)
{
	return name[0] != '.';
}

static bool is_segment(const char *name)
{
	size_t digits = strspn(name, "0123456789");

	return digits == 8 && !strcmp(name + digits, ".dwal");
}

unsigned sample_segments(const char *store)
{
	return count_entries(store, is_segment);
}

static unsigned count_descriptors(pid_t pid)
{
	char path[64];

	(void)snprintf(path, sizeof path, "/proc/%ld/fd", (long)pid);
	return count_entries(path, is_descriptor);
}

/* Resident memory in KiB; 0: unknown. */
static uint64_t resident_kb(pid_t pid)
{
	static const char field[] = "VmRSS:";
	char path[64], line[256];
	uint64_t kb = 0;

	(void)snprintf(path, sizeof path, "/proc/%ld/status", (long)pid);
	FILE *file = fopen(path, "re");
	if (!file)
		return 0;
	while (!kb && fgets(line, sizeof line, file))
		if (!strncmp(line, field, sizeof field - 1))
			kb = strtoull(line + sizeof field - 1, NULL, 10);
	(void)fclose(file); /* only read from */
	return kb;
}

int sample_write(FILE *csv, uint64_t elapsed_s, pid_t pid, const char *store,
		 const struct oracle *oracle)
{
	const struct counters *c = &oracle->counters;
	uint64_t rss_kb = resident_kb(pid);
	unsigned fds = count_descriptors(pid), segments = sample_segments(store);

	int size = fprintf(csv,
			   "%" PRIu64 ",%" PRIu64 ",%u,%u,%zu,%" PRIu64 ",%" PRIu64 ",%" PRIu64
			   ",%" PRIu64 ",%" PRIu64 "\n",
			   elapsed_s, rss_kb, fds, segments, oracle->live_count, c->puts,
			   c->deletes, c->rotates, c->compacts, c->bytes_written);
	printf("soak: t=%5" PRIu64 "s rss=%" PRIu64 "kb fds=%u segs=%u live=%zu puts=%" PRIu64
	       " dels=%" PRIu64 " rot=%" PRIu64 " cmp=%" PRIu64 "\n",
	       elapsed_s, rss_kb, fds, segments, oracle->live_count, c->puts, c->deletes,
	       c->rotates, c->compacts);
	if (size < 0 || fflush(csv))
		return soak_failed("soak.csv cannot be written: %s", strerror(errno));
	return 0;
}
