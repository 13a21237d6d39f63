/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * control.c - see control.h.
 */
#include "fs/control.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum { TEXT_SIZE = 512, COMMAND_SIZE = PATH_MAX + 64, BLOCK_SIZE = 4096 };

struct control {
	struct volume *volume;
	char *name, *mountpoint; /* owned */
	int64_t started_ns;
	pthread_mutex_t lock;      /* of what follows */
	char last[TEXT_SIZE];      /* what the last command did */
	struct control_file *open; /* all that are */
	unsigned running;          /* commands in threads */
	pthread_cond_t idle;       /* `running` is 0 */
};

struct control_file {
	struct control_file *prev, *next; /* of control.open */
	uint64_t id;
	char *text; /* owned; what reading gives */
	size_t text_size;
	struct dw_export *export;
	uint64_t exported; /* bytes given out */
};

int control_new(struct volume *volume, const char *name, const char *mountpoint,
		struct control **ret)
{
	struct control *control = calloc(1, sizeof *control);

	if (!control)
		return -ENOMEM;
	control->volume = volume;
	control->name = strdup(name);
	control->mountpoint = strdup(mountpoint);
	control->started_ns = attr_now_ns();
	strcpy(control->last, "no command yet\n");
	int rc = control->name && control->mountpoint ? 0 : -ENOMEM;
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

void control_free(struct control *control)
{
	if (!control)
		return;
	(void)pthread_mutex_lock(&control->lock);
	while (control->running)
		(void)pthread_cond_wait(&control->idle, &control->lock);
	(void)pthread_mutex_unlock(&control->lock);
	/* the kernel does not release what a signal cut off */
	while (control->open)
		control_close(control, control->open);
	free(control->name);
	free(control->mountpoint);
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
} entries[] = {
	{"control", CONTROL_COMMANDS},
	{"export.jsonl", CONTROL_EXPORT},
	{"stats.json", CONTROL_STATS},
};

enum { ENTRIES = sizeof entries / sizeof *entries };

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
	const struct volume_options *options = volume_get_options(control->volume);
	mode_t mode = S_IFREG | 0400;

	if (id == CONTROL_DIR)
		mode = S_IFDIR | 0500;
	else if (id == CONTROL_COMMANDS)
		mode = S_IFREG | 0600;
	*ret = (struct stat){
		.st_ino = id,
		.st_mode = mode,
		.st_nlink = 1,
		.st_uid = options->uid,
		.st_gid = options->gid,
		.st_blksize = BLOCK_SIZE,
		.st_mtim = attr_timespec(control->started_ns),
		.st_ctim = attr_timespec(control->started_ns),
		.st_atim = attr_timespec(control->started_ns),
	};
	return 0;
}

/* --- commands --- */

static void set_last(struct control *control, const char *command, int rc, const char *detail)
{
	(void)pthread_mutex_lock(&control->lock);
	if (rc)
		(void)snprintf(control->last, sizeof control->last, "%s: failed: %s%s%s\n", command,
			       strerror(-rc), *detail ? ": " : "", detail);
	else
		(void)snprintf(control->last, sizeof control->last, "%s: done%s%s\n", command,
			       *detail ? ": " : "", detail);
	(void)pthread_mutex_unlock(&control->lock);
}

static int run_compact(struct control *control, char *argument, char *detail)
{
	struct dw_compact_report report;
	int rc = dw_compact(volume_store(control->volume), &report);

	(void)argument;
	if (!rc)
		(void)snprintf(detail, TEXT_SIZE,
			       "%" PRIu32 " segments with %" PRIu64 " bytes became %" PRIu32
			       " with %" PRIu64,
			       report.segments_before, report.bytes_before, report.segments_after,
			       report.bytes_after);
	else if (rc == -EBUSY)
		(void)snprintf(detail, TEXT_SIZE, "a compaction is under way");
	return rc;
}

/* What comes next in a path, and its size: slashes and "." mean nothing. */
static const char *next_component(const char *path, size_t *size_ret)
{
	for (;; path++) {
		path += strspn(path, "/");
		*size_ret = strcspn(path, "/");
		if (*size_ret != 1 || *path != '.')
			return path;
	}
}

/* Inside the mount an export would become a part of what it exports. */
static bool is_inside(const char *path, const char *directory)
{
	for (size_t size, want;; path += size, directory += want) {
		directory = next_component(directory, &want);
		if (!want)
			return true;
		path = next_component(path, &size);
		if (size != want || memcmp(path, directory, size))
			return false;
	}
}

static int run_export(struct control *control, char *argument, char *detail)
{
	if (*argument != '/' || strstr(argument, "/../")) {
		(void)snprintf(detail, TEXT_SIZE, "give an absolute path without '..'");
		return -EINVAL;
	}
	if (is_inside(argument, control->mountpoint)) {
		(void)snprintf(detail, TEXT_SIZE,
			       "the path is inside the mount; choose one outside");
		return -EINVAL;
	}
	int rc = volume_commit_all(control->volume);
	if (!rc)
		rc = dw_export_file(volume_store(control->volume), argument);
	if (!rc)
		(void)snprintf(detail, TEXT_SIZE, "wrote '%.400s'", argument);
	return rc;
}

static int run_sync(struct control *control, char *argument, char *detail)
{
	int rc = volume_commit_all(control->volume);

	(void)argument;
	(void)detail;
	return rc ? rc : dw_sync(volume_store(control->volume));
}

static int run_rotate(struct control *control, char *argument, char *detail)
{
	(void)argument;
	(void)detail;
	return dw_rotate(volume_store(control->volume));
}

static int run_verify(struct control *control, char *argument, char *detail)
{
	struct dw_verify_report report = {0};
	int rc = dw_verify(volume_store(control->volume), &report);

	(void)argument;
	if (!rc || rc == -EBADMSG)
		(void)snprintf(detail, TEXT_SIZE,
			       "%" PRIu64 " sound records of %" PRIu64 " bytes, %" PRIu64
			       " damaged places",
			       report.records, report.bytes, report.damaged);
	return rc;
}

static const struct command {
	const char *name;
	bool takes_argument;
	int (*run)(struct control *control, char *argument, char *detail);
} commands[] = {
	{"compact", false, run_compact}, {"export", true, run_export},  {"sync", false, run_sync},
	{"rotate", false, run_rotate},   {"verify", false, run_verify},
};

static int run_line(struct control *control, char *line)
{
	char detail[TEXT_SIZE] = "";
	char *argument = line + strcspn(line, " \t");

	if (*argument)
		*argument++ = '\0';
	argument += strspn(argument, " \t");
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
		const struct command *command = &commands[i];
		if (strcmp(command->name, line) || command->takes_argument != (*argument != '\0'))
			continue;
		int rc = command->run(control, argument, detail);
		set_last(control, line, rc, detail);
		return rc;
	}
	(void)snprintf(detail, sizeof detail,
		       "commands are compact, export PATH, sync, rotate, verify");
	set_last(control, line, -EINVAL, detail);
	return -EINVAL;
}

ssize_t control_write(struct control *control, struct control_file *file, const char *data,
		      size_t size)
{
	char text[COMMAND_SIZE], *rest = text, *line;
	int rc = 0;

	if (file->id != CONTROL_COMMANDS)
		return -EACCES;
	if (size >= sizeof text || memchr(data, '\0', size))
		return -EINVAL;
	memcpy(text, data, size);
	text[size] = '\0';
	while (!rc && (line = strsep(&rest, "\n"))) {
		line += strspn(line, " \t");
		if (*line)
			rc = run_line(control, line);
	}
	return rc ? rc : (ssize_t)size;
}

/* --- in a thread of its own --- */

struct command_run {
	struct control *control;
	struct control_file *file;
	control_done_fn *done;
	void *context;
	size_t size;
	char data[];
};

static void *run_command(void *arg)
{
	struct command_run *run = arg;
	struct control *control = run->control;
	ssize_t n = control_write(control, run->file, run->data, run->size);

	run->done(run->context, n);
	free(run);
	(void)pthread_mutex_lock(&control->lock);
	if (!--control->running)
		(void)pthread_cond_signal(&control->idle);
	(void)pthread_mutex_unlock(&control->lock);
	return NULL;
}

void control_start(struct control *control, struct control_file *file, const char *data,
		   size_t size, control_done_fn *done, void *context)
{
	struct command_run *run = malloc(sizeof *run + size);
	pthread_attr_t detached;
	pthread_t thread;

	if (!run) {
		done(context, -ENOMEM);
		return;
	}
	*run = (struct command_run){control, file, done, context, size};
	memcpy(run->data, data, size);
	(void)pthread_mutex_lock(&control->lock);
	control->running++;
	(void)pthread_mutex_unlock(&control->lock);
	(void)pthread_attr_init(&detached); /* these cannot fail */
	(void)pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
	if (pthread_create(&thread, &detached, run_command, run))
		(void)run_command(run); /* no thread to be had: here, then */
	(void)pthread_attr_destroy(&detached);
}

/* --- reading --- */

static json_t *stats_json(struct control *control)
{
	struct dw_stats s;

	dw_get_stats(volume_store(control->volume), &s);
	return json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:i}",
			 "keys", (json_int_t)s.keys, "segments", (json_int_t)s.segments,
			 "active_segment", (json_int_t)s.active_segment, "bytes",
			 (json_int_t)s.bytes, "live_bytes", (json_int_t)s.live_bytes, "next_txid",
			 (json_int_t)s.next_txid, "puts", (json_int_t)s.puts, "deletes",
			 (json_int_t)s.deletes, "raws", (json_int_t)s.raws, "bytes_appended",
			 (json_int_t)s.bytes_appended, "syncs_asked", (json_int_t)s.syncs_asked,
			 "syncs_done", (json_int_t)s.syncs_done, "rotations",
			 (json_int_t)s.rotations, "compactions", (json_int_t)s.compactions,
			 "damage", (json_int_t)s.damage, "poisoned", s.poisoned);
}

static char *stats_text(struct control *control)
{
	json_t *json = stats_json(control);
	char *dump = json ? json_dumps(json, JSON_INDENT(2)) : NULL, *text = NULL;

	json_decref(json);
	if (dump && asprintf(&text, "%s\n", dump) < 0)
		text = NULL;
	free(dump);
	return text;
}

static char *last_text(struct control *control)
{
	(void)pthread_mutex_lock(&control->lock);
	char *text = strdup(control->last);
	(void)pthread_mutex_unlock(&control->lock);
	return text;
}

static int prepare(struct control *control, struct control_file *file)
{
	if (file->id == CONTROL_EXPORT) {
		/* what readers of the mount see is what the export holds */
		int rc = volume_commit_all(control->volume);
		return rc ? rc : dw_export_open(volume_store(control->volume), &file->export);
	}
	file->text = file->id == CONTROL_STATS ? stats_text(control) : last_text(control);
	if (!file->text)
		return -ENOMEM;
	file->text_size = strlen(file->text);
	return 0;
}

int control_open(struct control *control, uint64_t id, int flags, const struct volume_cred *cred,
		 struct control_file **ret)
{
	bool reads = (flags & O_ACCMODE) != O_WRONLY, writes = (flags & O_ACCMODE) != O_RDONLY;

	if (cred->uid && cred->uid != volume_get_options(control->volume)->uid)
		return -EACCES;
	if (id == CONTROL_DIR)
		return -EISDIR;
	if (writes && id != CONTROL_COMMANDS)
		return -EACCES;
	struct control_file *file = calloc(1, sizeof *file);
	if (!file)
		return -ENOMEM;
	file->id = id;
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
	free(file->text);
	free(file);
}
