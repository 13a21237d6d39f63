/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * control.c - see control.h.
 */
#include "fs/mounted/control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "fs/base/clock.h"
#include "fs/name/name.h"

enum { BLOCK_SIZE = 4096 };

struct control {
	struct status status;
	struct commands commands;
	char *name; /* owned */
	uid_t uid;  /* the mount's owner */
	gid_t gid;
	pthread_mutex_t lock;      /* of what follows */
	struct control_file *open; /* all that are */
};

struct control_file {
	struct control *control;
	struct control_file *prev, *next; /* of control.open */
	uint64_t id;
	struct volume_cred opener;
	char *text; /* owned; the contents for read(2) */
	size_t text_size;
	struct dw_export *export;
	struct generation *generation; /* held for `export`; NULL */
	uint64_t exported;             /* bytes given out */
};

bool control_name_is_valid(const char *name)
{
	return *name && strlen(name) <= NAME_SIZE_MAX && strcmp(name, ".") && strcmp(name, "..") &&
	       !strpbrk(name, "/%");
}

/* Of the mount. */
static void take_owner(struct control *control)
{
	struct generation *generation = generations_hold(control->status.generations, NULL);
	const struct volume_options *options = volume_get_options(generation->volume);

	control->uid = options->uid;
	control->gid = options->gid;
	control->status.read_only = options->read_only;
	generations_drop(control->status.generations, generation);
}

int control_new(const struct control_config *config, struct control **ret)
{
	struct control *control = calloc(1, sizeof *control);

	if (!control)
		return -ENOMEM;
	control->name = strdup(config->name);
	control->commands = (struct commands){
		.generations = config->generations,
		.target = {config->export_fd, config->export_path, config->export_given,
			   control->name},
		.maintain = config->maintain,
		.auto_compact = config->maintained,
	};
	control->status = (struct status){
		.generations = config->generations,
		.commands = &control->commands,
		.metrics = config->metrics,
		.started_ns = clock_realtime_ns(),
	};
	take_owner(control);
	int rc = control->name ? -pthread_mutex_init(&control->lock, NULL) : -ENOMEM;
	if (!rc) {
		rc = commands_init(&control->commands);
		if (rc < 0)
			(void)pthread_mutex_destroy(&control->lock);
	}
	if (rc < 0) {
		free(control->name);
		free(control);
		return rc;
	}
	*ret = control;
	return 0;
}

void control_end(struct control *control)
{
	if (control)
		commands_end(&control->commands);
}

void control_free(struct control *control)
{
	if (!control)
		return;
	/* unmounting waits for no long work */
	control_end(control);
	/* the kernel does not release what a signal cut off */
	for (struct control_file *file = control->open, *next; file; file = next) {
		next = file->next;
		control_close(file);
	}
	commands_release(&control->commands);
	(void)pthread_mutex_destroy(&control->lock); /* fails only while it is held */
	free(control->name);
	free(control);
}

const char *control_name(const struct control *control)
{
	return control->name;
}

/* --- names and attributes --- */

static const struct entry {
	const char *name;
	uint64_t id;
	char *(*text)(const struct status *status); /* contents for read(2); NULL: no text */
} entries[] = {
	{"control", CONTROL_COMMANDS, status_last_command}, {"export.jsonl", CONTROL_EXPORT, NULL},
	{"metrics", CONTROL_METRICS, status_metrics},       {"snapshots", CONTROL_SNAPSHOTS, NULL},
	{"stats.json", CONTROL_STATS, status_stats},        {"status", CONTROL_STATUS, status_text},
};

enum { ENTRIES = sizeof entries / sizeof *entries };
_Static_assert(ENTRIES == CONTROL_IDS_END - CONTROL_COMMANDS, "in the order of their ids");

uint64_t control_find(const char *name)
{
	for (size_t i = 0; i < ENTRIES; i++)
		if (!strcmp(entries[i].name, name))
			return entries[i].id;
	return 0;
}

const char *control_entry(size_t index, uint64_t *id_ret)
{
	if (index >= ENTRIES)
		return NULL;
	*id_ret = entries[index].id;
	return entries[index].name;
}

int control_getattr(struct control *control, uint64_t id, struct stat *ret)
{
	mode_t mode = S_IFREG | 0400;

	if (id == CONTROL_DIR)
		mode = S_IFDIR | 0511; /* users who may read a snapshot reach it by its name */
	else if (id == CONTROL_SNAPSHOTS)
		mode = S_IFDIR | 0755;
	else if (id == CONTROL_COMMANDS)
		mode = S_IFREG | 0600;
	*ret = (struct stat){
		.st_ino = id,
		.st_mode = mode,
		.st_nlink = 1,
		.st_uid = control->uid,
		.st_gid = control->gid,
		.st_blksize = BLOCK_SIZE,
		.st_mtim = attr_timespec(control->status.started_ns),
		.st_ctim = attr_timespec(control->status.started_ns),
		.st_atim = attr_timespec(control->status.started_ns),
	};
	return 0;
}

int control_admits(const struct control *control, uid_t uid)
{
	return uid && uid != control->uid ? -EACCES : 0;
}

/* --- opening and reading --- */

static int prepare_export(struct control *control, struct control_file *file)
{
	file->generation = generations_hold(control->status.generations, NULL);
	/* the export must hold the values that readers of the mount see */
	int rc = volume_commit_all(file->generation->volume);
	return rc ? rc : dw_export_open(volume_store(file->generation->volume), &file->export);
}

static int prepare(struct control *control, struct control_file *file)
{
	if (file->id == CONTROL_EXPORT)
		return prepare_export(control, file);
	file->text = entries[file->id - CONTROL_COMMANDS].text(&control->status);
	if (!file->text)
		return -ENOMEM;
	file->text_size = strlen(file->text);
	return 0;
}

int control_open(struct control *control, uint64_t id, int flags, const struct volume_cred *caller,
		 struct control_file **ret)
{
	bool reads = (flags & O_ACCMODE) != O_WRONLY, writes = (flags & O_ACCMODE) != O_RDONLY;

	if (control_admits(control, caller->uid) < 0)
		return -EACCES;
	if (id == CONTROL_DIR || id == CONTROL_SNAPSHOTS)
		return -EISDIR;
	if (writes && id != CONTROL_COMMANDS)
		return -EACCES;
	struct control_file *file = calloc(1, sizeof *file);
	if (!file)
		return -ENOMEM;
	file->control = control;
	file->id = id;
	file->opener = *caller;
	(void)pthread_mutex_lock(&control->lock);
	DL_APPEND(control->open, file);
	(void)pthread_mutex_unlock(&control->lock);
	int rc = reads ? prepare(control, file) : 0;
	if (rc < 0) {
		control_close(file);
		return rc;
	}
	*ret = file;
	return 0;
}

static ssize_t read_export(struct control_file *file, void *ret, size_t size, uint64_t offset)
{
	if (offset != file->exported)
		return -ESPIPE;
	ssize_t n = dw_export_read(file->export, ret, size);
	if (n > 0)
		file->exported += (uint64_t)n;
	return n;
}

ssize_t control_read(struct control_file *file, void *ret, size_t size, uint64_t offset)
{
	if (file->export)
		return read_export(file, ret, size, offset);
	if (!file->text || offset >= file->text_size)
		return 0;
	if (size > file->text_size - offset)
		size = (size_t)(file->text_size - offset);
	memcpy(ret, file->text + offset, size);
	return (ssize_t)size;
}

void control_close(struct control_file *file)
{
	struct control *control = file->control;

	(void)pthread_mutex_lock(&control->lock);
	DL_DELETE(control->open, file);
	(void)pthread_mutex_unlock(&control->lock);
	dw_export_close(file->export);
	if (file->generation)
		generations_drop(control->status.generations, file->generation);
	free(file->text);
	free(file);
}

/* --- writing --- */

static int check_write(const struct control_file *file, const struct volume_cred *caller)
{
	if (file->id != CONTROL_COMMANDS)
		return -EACCES;
	/* a program with more rights that was given the file as its output */
	return caller->uid != file->opener.uid || caller->gid != file->opener.gid ? -EPERM : 0;
}

ssize_t control_write(struct control_file *file, const struct volume_cred *caller,
		      struct dw_bytes commands)
{
	int rc = check_write(file, caller);

	return rc ? rc : commands_run(&file->control->commands, commands);
}

void control_start(struct control_file *file, const struct volume_cred *caller,
		   struct dw_bytes commands, commands_done_fn *done, void *context)
{
	int rc = check_write(file, caller);

	if (rc < 0)
		done(context, rc);
	else
		commands_start(&file->control->commands, commands, done, context);
}
