/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * open.c - opening a store for a command, and saying why it cannot be.
 */
#include <errno.h>
#include <inttypes.h>
#include <mntent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/cli/tool.h"

/* Whether the mount says of itself that it only reads; the kernel's table does not. */
static bool only_reads(const char *dir)
{
	char *path = NULL, line[256];
	bool found = false;
	FILE *status = asprintf(&path, "%s/.datawal/status", dir) < 0 ? NULL : fopen(path, "re");

	while (status && !found && fgets(line, sizeof line, status))
		found = !strcmp(line, "mode ro\n");
	if (status)
		(void)fclose(status); /* was only read */
	free(path);
	return found;
}

/* Where the store is mounted for writing, if the kernel knows; owned by the caller. */
static char *mounted_at(const char *store)
{
	char *path = realpath(store, NULL), *found = NULL;
	FILE *mounts = path ? setmntent("/proc/self/mounts", "r") : NULL;
	struct mntent *entry;

	while (mounts && !found && (entry = getmntent(mounts)))
		if (!strcmp(entry->mnt_type, "fuse.datawalfs") &&
		    !strcmp(entry->mnt_fsname, path) && !hasmntopt(entry, "ro") &&
		    !only_reads(entry->mnt_dir))
			found = strdup(entry->mnt_dir);
	if (mounts)
		(void)endmntent(mounts);
	free(path);
	return found;
}

/* The text about the mount, with each %s replaced by where that is. */
static void say_through_mount(const struct args *args, const char *where)
{
	const char *text = args->command->through_mount, *mark;

	(void)fprintf(stderr, "datawal: %s: '%s' is mounted at '%s'; ", args->command->name,
		      args->store, where);
	for (; (mark = strstr(text, "%s")); text = mark + 2)
		(void)fprintf(stderr, "%.*s%s", (int)(mark - text), text, where);
	(void)fprintf(stderr, "%s\n", text);
}

static int explain_locked(struct args *args)
{
	char *where = args->command->through_mount ? mounted_at(args->store) : NULL;

	if (where)
		say_through_mount(args, where);
	else if (args->locked_by)
		(void)fail(args, 0,
			   "'%s' is open for writing in process %ld on '%s'; try again when that "
			   "is done",
			   args->store, (long)args->locked_by, args->locked_host);
	else
		(void)fail(args, 0,
			   "'%s' is open for writing in a process that cannot be seen from here",
			   args->store);
	free(where);
	return STATUS_USER;
}

int explain_open(struct args *args, int rc)
{
	if (rc == -EBUSY)
		return explain_locked(args);
	if (rc == -ENOMEDIUM)
		return fail(args, STATUS_USER, "no store here: '%s' has other files and no segment",
			    args->store);
	if (rc == -ENOENT)
		return fail(args, STATUS_USER, "no store here: '%s'%s; 'datawal init' makes one",
			    args->store,
			    access(args->store, F_OK) ? ": No such file or directory"
						      : " is empty");
	if (rc == -EBADMSG)
		return fail(args, STATUS_HARD,
			    "'%s' is damaged; see what 'datawal repair' would do", args->store);
	if (rc == -ELOOP || rc == -EINVAL)
		return fail(args, STATUS_HARD, "'%s': a segment is no regular file", args->store);
	if (rc == -EEXIST)
		return fail(args, STATUS_HARD, "'%s/.lock' is no regular file; move it away",
			    args->store);
	return fail(args, status_of(rc), "cannot open '%s': %s", args->store, strerror(-rc));
}

/* What else there is to tell is told when the store is opened. */
static void print_index_damage(void *context, const struct dw_finding *finding)
{
	if (finding->kind == DW_FINDING_DAMAGE)
		print_finding(context, finding);
}

bool index_is_damaged(struct args *args)
{
	const struct dw_options options = {.on_finding = print_index_damage, .context = args};
	struct dw_log *log = NULL;
	uint64_t damaged = 0;

	if (!dw_log_open(args->store, 0, 0, &options, &log))
		(void)dw_log_check_index(log, &damaged); /* if it fails, what reads it does so */
	dw_log_close(log);
	return damaged;
}

int open_reader(struct args *args, bool without_index, struct dw_store **ret, int *torn_ret)
{
	const struct dw_options options = {.read_only = true,
					   .without_index = without_index,
					   .on_finding = print_finding,
					   .context = args};
	struct dw_report report = {0};
	int rc = dw_open(args->store, &options, &report, ret);

	if (rc < 0)
		return explain_open(args, rc);
	if (torn_ret)
		*torn_ret = report.torn_bytes ? STATUS_SOFT : STATUS_OK;
	return 0;
}

int open_writer(struct args *args, bool create, struct dw_store **ret)
{
	const struct dw_options options = {
		.create = create,
		.must_exist = !create,
		.on_finding = print_finding,
		.context = args,
	};
	int rc = dw_open(args->store, &options, NULL, ret);

	return rc < 0 ? explain_open(args, rc) : 0;
}

int close_writer(struct args *args, struct dw_store *store, int status)
{
	int rc = dw_close(store);

	if (rc < 0 && !status)
		return fail(args, status_of(rc), "bringing '%s' to the disk: %s", args->store,
			    strerror(-rc));
	return status;
}
