/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * snapshot.c - snapshot, snapshots: make, remove and show the snapshots of a store.
 *
 * Never removes one that the command line does not name, but for those of the prefix beyond --keep,
 * and these only when the new one is on disk.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tools/cli/tool.h"

static int open_directory(const struct args *args, int *ret)
{
	int fd = open(args->store, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return fail(args, STATUS_USER, "cannot open '%s': %s", args->store,
			    strerror(errno));
	*ret = fd;
	return 0;
}

static int list_all(const struct args *args, int dirfd, struct dw_snapshot_info **ret,
		    size_t *count_ret)
{
	int rc = dw_snapshot_list(dirfd, ret, count_ret);

	if (rc < 0)
		return fail(args, status_of(rc), "listing the snapshots of '%s': %s", args->store,
			    strerror(-rc));
	return 0;
}

/* --- one that is made --- */

void show_snapshot_json(const struct dw_snapshot_info *info)
{
	json_begin("snapshot");
	json_text("name", info->name);
	json_i64("time_ns", info->time_ns);
	json_u64("txid", info->txid);
	json_text("made", dw_snapshot_method_name(info->method));
	json_flag("brief", info->brief);
	json_u64("segments", info->segments);
	json_u64("bytes", info->bytes);
	json_u64("alone_bytes", info->alone_bytes);
	json_end();
}

static void say_made(const struct args *args, const struct dw_snapshot_info *info)
{
	if (args->json)
		show_snapshot_json(info);
	else if (!args->quiet)
		printf("%s/" DW_SNAPSHOT_DIRECTORY "/%s\n", args->store, info->name);
	if (info->method == DW_SNAPSHOT_COPY)
		(void)fail(args, 0,
			   "the disk has no hard links: '%s' is a copy, which takes as much room",
			   info->name);
}

static int explain_create(struct args *args, const char *name, int rc)
{
	if (rc == -EEXIST)
		return fail(args, STATUS_USER, "there is a snapshot '%s' already", name);
	if (rc == -EINVAL)
		return fail(args, STATUS_USER,
			    "'%s' is no name of a snapshot: 1 to %d bytes, no '/', no '.' first",
			    name, DW_SNAPSHOT_NAME_MAX);
	if (rc == -EBADMSG)
		return fail(args, STATUS_HARD,
			    "'%s/" DW_ATTR_DIRECTORY "' is damaged; see what 'datawal repair' "
			    "would do there",
			    args->store);
	return fail(args, status_of(rc), "making a snapshot of '%s': %s", args->store,
		    strerror(-rc));
}

static int make(struct args *args, const char *name)
{
	struct dw_snapshot_info info;
	struct dw_store *store = NULL;
	int status = open_writer(args, false, &store);

	if (status)
		return status;
	int rc = dw_snapshot_create(store, name, &info);
	if (rc < 0)
		status = explain_create(args, name, rc);
	else
		say_made(args, &info);
	return close_writer(args, store, status);
}

/* --- those that go --- */

static int remove_one(struct args *args, int dirfd, const char *name)
{
	int rc = dw_snapshot_remove(dirfd, name);

	if (rc == -ENOENT)
		return fail(args, STATUS_SOFT, "'%s' has no snapshot '%s'", args->store, name);
	if (rc < 0)
		return fail(args, status_of(rc), "removing the snapshot '%s': %s", name,
			    strerror(-rc));
	return 0;
}

static int remove_named(struct args *args)
{
	int dirfd = -1, status = open_directory(args, &dirfd);

	if (status)
		return status;
	status = remove_one(args, dirfd, args->operands[0]);
	(void)close(dirfd); /* nothing was written through it */
	return status;
}

/* Of those with the prefix the newest `keep` stay. */
static int thin(struct args *args)
{
	struct dw_snapshot_info *list = NULL;
	size_t count = 0;
	uint64_t kept = 0;
	int dirfd = -1, status = open_directory(args, &dirfd);

	if (status)
		return status;
	status = list_all(args, dirfd, &list, &count);
	while (!status && count--) {
		const struct dw_snapshot_info *info = &list[count];
		if (info->brief || strncmp(info->name, args->prefix, strlen(args->prefix)) != 0)
			continue;
		if (++kept > args->keep)
			status = remove_one(args, dirfd, info->name);
	}
	free(list);
	(void)close(dirfd); /* nothing was written through it */
	return status;
}

/* --- the commands --- */

/* The prefix and the time: names sort as they were made. */
static int name_by_time(const struct args *args, char *ret, size_t size)
{
	char when[32];
	time_t now = time(NULL);
	struct tm tm;

	(void)strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm)); /* it fits */
	if ((size_t)snprintf(ret, size, "%s%s", args->prefix, when) >= size)
		return fail(args, STATUS_USER, "the prefix is too long");
	return 0;
}

static int check_args(const struct args *args)
{
	bool named = args->operands[0];

	if (args->remove && (!named || args->prefix || args->keep))
		return fail(args, STATUS_USER, "--remove takes a name, and nothing else");
	if (!named && !args->prefix)
		return fail(args, STATUS_USER, "give a name, or --prefix");
	if (args->keep && !args->prefix)
		return fail(args, STATUS_USER, "--keep needs --prefix: of which ones?");
	return 0;
}

int run_snapshot(struct args *args)
{
	char name[DW_SNAPSHOT_NAME_MAX + 1];
	int status = check_args(args);

	if (status)
		return status;
	if (args->remove)
		return remove_named(args);
	if (!args->operands[0])
		status = name_by_time(args, name, sizeof name);
	if (!status)
		status = make(args, args->operands[0] ? args->operands[0] : name);
	return status || !args->keep ? status : thin(args);
}

void show_snapshots(const struct dw_snapshot_info *list, size_t count)
{
	char when[32], alone[FORMAT_SIZE], bytes[FORMAT_SIZE];

	for (size_t i = 0; i < count; i++) {
		const struct dw_snapshot_info *info = &list[i];
		char *name = format_bytes((struct dw_bytes){info->name, strlen(info->name)},
					  FORMAT_AUTO, 0);
		time_t seconds = (time_t)(info->time_ns / 1000000000);
		struct tm tm;
		if (!i)
			printf("%-20s %10s %10s %12s  %s\n", "snapshot of", "log", "alone", "txid",
			       "name");
		(void)strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&seconds, &tm));
		format_size(info->bytes, bytes);
		format_size(info->alone_bytes, alone);
		printf("%-20s %10s %10s %12" PRIu64 "  %s%s%s\n", when, bytes, alone, info->txid,
		       name ? name : "", info->method == DW_SNAPSHOT_COPY ? " (a copy)" : "",
		       info->brief ? " (until the store is opened again)" : "");
		free(name);
	}
}

int run_snapshots(struct args *args)
{
	struct dw_snapshot_info *list = NULL;
	size_t count = 0;
	int dirfd = -1, status = open_directory(args, &dirfd);

	if (status)
		return status;
	status = list_all(args, dirfd, &list, &count);
	for (size_t i = 0; !status && args->json && i < count; i++)
		show_snapshot_json(&list[i]);
	if (!status && !args->json)
		show_snapshots(list, count);
	free(list);
	(void)close(dirfd); /* nothing was written through it */
	return status;
}
