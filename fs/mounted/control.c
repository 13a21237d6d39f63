/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * control.c - the control directory: its life, its names, opening and reading.
 */
#include "fs/mounted/control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "fs/base/clock.h"
#include "fs/mounted/control_internal.h"
#include "fs/name/name.h"

enum { BLOCK_SIZE = 4096 };

bool control_name_is_valid(const char *name)
{
	return *name && strlen(name) <= NAME_SIZE_MAX && strcmp(name, ".") && strcmp(name, "..") &&
	       !strpbrk(name, "/%");
}

int control_new(const struct control_config *config, struct control **ret)
{
	struct control *control = calloc(1, sizeof *control);

	if (!control)
		return -ENOMEM;
	struct generation *generation = generations_hold(config->generations, NULL);
	const struct volume_options *options = volume_get_options(generation->volume);
	control->uid = options->uid;
	control->gid = options->gid;
	control->read_only = options->read_only;
	generations_drop(config->generations, generation);
	control->generations = config->generations;
	control->metrics = config->metrics;
	control->maintain = config->maintain;
	atomic_init(&control->auto_compact, config->maintained);
	control->name = strdup(config->name);
	control->export_fd = config->export_fd;
	control->export_path = config->export_path;
	control->export_given = config->export_given;
	control->started_ns = clock_realtime_ns();
	int rc = control->name ? 0 : -ENOMEM;
	if (!rc)
		rc = -pthread_mutex_init(&control->lock, NULL);
	if (!rc)
		rc = -pthread_cond_init(&control->idle, NULL);
	if (rc < 0) {
		control_free(control);
		return rc;
	}
	*ret = control;
	return 0;
}

enum { CANCEL_AGAIN_NS = 20000000 };

/* Unmounting waits for no long work.  Again and again: work that has not quite begun is not
 * cancelled yet. */
static void end_commands(struct control *control)
{
	(void)pthread_mutex_lock(&control->lock);
	control->ending = true;
	while (control->running) {
		control_cancel_jobs(control);
		const struct timespec at = attr_timespec(clock_realtime_ns() + CANCEL_AGAIN_NS);
		(void)pthread_cond_timedwait(&control->idle, &control->lock, &at); /* or later */
	}
	(void)pthread_mutex_unlock(&control->lock);
}

void control_free(struct control *control)
{
	if (!control)
		return;
	end_commands(control);
	/* the kernel does not release what a signal cut off */
	while (control->open)
		control_close(control, control->open);
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
	char *(*text)(struct control *control); /* what reading gives; NULL: something else */
} entries[] = {
	{"control", CONTROL_COMMANDS, control_last_text},
	{"export.jsonl", CONTROL_EXPORT, NULL},
	{"metrics", CONTROL_METRICS, control_metrics_text},
	{"snapshots", CONTROL_SNAPSHOTS, NULL},
	{"stats.json", CONTROL_STATS, control_stats_text},
	{"status", CONTROL_STATUS, control_status_text},
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
		mode = S_IFDIR | 0511; /* who may read a snapshot gets there by its name */
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
		.st_mtim = attr_timespec(control->started_ns),
		.st_ctim = attr_timespec(control->started_ns),
		.st_atim = attr_timespec(control->started_ns),
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
	file->generation = generations_hold(control->generations, NULL);
	/* what readers of the mount see is what the export holds */
	int rc = volume_commit_all(file->generation->volume);
	return rc ? rc : dw_export_open(volume_store(file->generation->volume), &file->export);
}

static int prepare(struct control *control, struct control_file *file)
{
	if (file->id == CONTROL_EXPORT)
		return prepare_export(control, file);
	file->text = entries[file->id - CONTROL_COMMANDS].text(control);
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
	file->id = id;
	file->opener = *caller;
	(void)pthread_mutex_lock(&control->lock);
	DL_APPEND(control->open, file);
	(void)pthread_mutex_unlock(&control->lock);
	int rc = reads ? prepare(control, file) : 0;
	if (rc < 0) {
		control_close(control, file);
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

ssize_t control_read(struct control *control, struct control_file *file, void *ret, size_t size,
		     uint64_t offset)
{
	(void)control;
	if (file->export)
		return read_export(file, ret, size, offset);
	if (!file->text || offset >= file->text_size)
		return 0;
	if (size > file->text_size - offset)
		size = (size_t)(file->text_size - offset);
	memcpy(ret, file->text + offset, size);
	return (ssize_t)size;
}

void control_close(struct control *control, struct control_file *file)
{
	if (!file)
		return;
	(void)pthread_mutex_lock(&control->lock);
	DL_DELETE(control->open, file);
	(void)pthread_mutex_unlock(&control->lock);
	dw_export_close(file->export);
	if (file->generation)
		generations_drop(control->generations, file->generation);
	free(file->text);
	free(file);
}
