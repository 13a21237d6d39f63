/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * holds.c - see holds.h.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "tests/support/holds.h"
#include "tests/support/stores.h"

struct dw_finding holds_found;
char holds_found_host[128];

static void note(void *context, const struct dw_finding *finding)
{
	(void)context;
	holds_found = *finding;
	(void)snprintf(holds_found_host, sizeof holds_found_host, "%s",
		       finding->host ? finding->host : "");
}

const struct dw_options holds_options = {
	.create = true, .on_finding = note, .segment_size = UINT64_C(16) << 30};

struct dw_store *holds_open(const char *dir)
{
	struct dw_store *store = NULL;

	CHECK_EQ(dw_open(dir, &holds_options, NULL, &store), 0);
	return store;
}

int holds_try(const char *dir)
{
	struct dw_store *store = NULL;
	int rc = dw_open(dir, &holds_options, NULL, &store);

	CHECK_EQ(dw_close(store), 0);
	return rc;
}

void holds_remove_files(const char *dir, const char *part)
{
	DIR *d = opendir(dir);
	struct dirent *entry;

	CHECK(d != NULL);
	while ((entry = readdir(d)))
		if (entry->d_type == DT_REG && strstr(entry->d_name, part))
			CHECK_EQ(unlinkat(dirfd(d), entry->d_name, 0), 0);
	(void)closedir(d);
}

bool holds_is_locked(const char *dir, const char *name)
{
	int fd = open(stores_path(dir, name), O_RDONLY | O_CLOEXEC);

	CHECK(fd >= 0);
	bool locked = flock(fd, LOCK_EX | LOCK_NB) < 0;
	CHECK(!locked || errno == EWOULDBLOCK);
	(void)close(fd);
	return locked;
}
