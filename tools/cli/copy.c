/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * copy.c - export and compact.
 */
#include <errno.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tools/cli/interrupt.h"
#include "tools/cli/progress.h"
#include "tools/cli/tool.h"
#include "tools/common/path.h"

/* The size of an export or of a fresh store of the live view. */
struct extent {
	uint64_t export_bytes, record_bytes;
};

static int add_extent(void *context, struct dw_bytes key, const struct dw_stat *stat)
{
	struct extent *extent = context;

	extent->export_bytes += sizeof "{\"key_b64\":\"\",\"value_b64\":\"\"}\n" - 1 +
				(key.size + 2) / 3 * 4 + ((uint64_t)stat->size + 2) / 3 * 4;
	extent->record_bytes += 28 + key.size + stat->size;
	return 0;
}

static struct extent extent_of(struct dw_store *store)
{
	struct extent extent = {0};

	(void)dw_for_each(store, add_extent, &extent); /* add_extent() never fails */
	return extent;
}

/* The size of the file that was written, not what it should be. */
static uint64_t size_of(const char *path)
{
	struct stat st;

	return stat(path, &st) < 0 ? 0 : (uint64_t)st.st_size;
}

static int explain_copy(const struct args *args, const char *to, int rc)
{
	if (rc == -EBADMSG)
		return fail(args, STATUS_HARD, "'%s' has a damaged value; nothing was written",
			    args->store);
	if (rc == -EEXIST)
		return fail(args, STATUS_USER, "'%s' has segments already; give a fresh directory",
			    to);
	if (rc == -EINVAL)
		return fail(args, STATUS_USER,
			    "'%s' belongs to the store, or is no file; choose another name, or - "
			    "for standard output",
			    to);
	return fail(args, status_of(rc), "'%s': %s", to, read_error(rc));
}

/* The directory part and, for the temporary file, the name of a path. */
static int watched_export(struct args *args, struct dw_store *store, const char *path)
{
	char *copy = strdup(path), *name_copy = strdup(path), *temporary = NULL;
	struct progress_watch watch;
	struct interrupt interrupt;
	int rc = -ENOMEM;

	interrupt_begin(&interrupt, store);
	if (copy && name_copy && asprintf(&temporary, ".%s.tmp", basename(name_copy)) >= 0) {
		progress_watch_begin(&watch, args, dirname(copy), temporary,
				     extent_of(store).export_bytes);
		rc = dw_export_file(store, path);
		progress_watch_end(&watch);
	}
	interrupt_end(&interrupt);
	interrupt_die(&interrupt); /* nothing else is to be put in order */
	free(copy);
	free(name_copy);
	free(temporary);
	return rc;
}

static int export_to_stdout(struct args *args, struct dw_store *store)
{
	enum { CHUNK = 1 << 20 };
	struct dw_export *export = NULL;
	char *chunk = malloc(CHUNK);
	ssize_t n = chunk ? dw_export_open(store, &export) : -ENOMEM;

	while (!n && (n = dw_export_read(export, chunk, CHUNK)) > 0)
		n = fwrite(chunk, 1, (size_t)n, stdout) == (size_t)n && !fflush(stdout) ? 0
											: -errno;
	int status = n < 0 ? status_of((int)n) : 0;
	if (ferror(stdout)) /* no fault of the store, whatever the error is */
		status =
			fail(args, STATUS_USER, "writing to stdout: %s; what came out is not whole",
			     strerror((int)-n));
	else if (n < 0)
		(void)fail(args, 0, "exporting: %s; what came out is not whole",
			   read_error((int)n));
	dw_export_close(export);
	free(chunk);
	return status;
}

/* Print the reference's report of a finished copy; "live_keys" only for a store. */
static void show_copied(const struct args *args, const char *kind, const char *to_name,
			const char *to, uint64_t keys, uint64_t bytes)
{
	bool store = !strcmp(kind, "compact");

	if (args->json) {
		json_begin(kind);
		json_text(to_name, to);
		if (store)
			json_u64("live_keys", keys);
		json_u64("records_written", keys);
		json_u64("bytes_written", bytes);
		json_end();
		return;
	}
	printf("schema:          datawal.cli.v1\nkind:            %s\n%s:%*s%s\n", kind, to_name,
	       16 - (int)strlen(to_name), "", to);
	if (store)
		printf("live_keys:       %" PRIu64 "\n", keys);
	printf("records_written: %" PRIu64 "\nbytes_written:   %" PRIu64 "\n", keys, bytes);
}

/* 0 if nothing is there that an export would replace; else the exit status after a message. */
static int check_outfile(const struct args *args, const char *path)
{
	struct stat st;

	if (args->force || !strcmp(path, "-") || lstat(path, &st) < 0)
		return 0;
	return fail(args, STATUS_USER, "refuses to overwrite existing file: %s", path);
}

static int export_to_file(struct args *args, struct dw_store *store, const char *path)
{
	int rc = path_make_parents(path);

	if (!rc)
		rc = watched_export(args, store, path);
	if (rc < 0)
		return explain_copy(args, path, rc);
	show_copied(args, "export", "outfile", path, dw_count(store), size_of(path));
	return 0;
}

int run_export(struct args *args)
{
	const char *path = args->operands[0];
	struct dw_store *store = NULL;
	int status = check_outfile(args, path);

	/* a torn tail is told, and no failure: everything that the store holds is written */
	if (!status)
		status = open_reader(args, index_is_damaged(args), &store, NULL);
	if (!status)
		status = strcmp(path, "-") ? export_to_file(args, store, path)
					   : export_to_stdout(args, store);
	(void)dw_close(store); /* a reader has nothing to bring to the disk */
	return status;
}

/* Likewise of a copy of the store. */
static int check_target(const struct args *args, const char *target)
{
	int empty = args->force ? 1 : path_is_empty(target);

	if (empty < 0 && empty != -ENOENT)
		return fail(args, STATUS_USER, "read target dir %s: %s", target, strerror(-empty));
	return empty ? 0 : fail(args, STATUS_USER, "target directory is not empty: %s", target);
}

static int compact_to(struct args *args, const char *target)
{
	struct progress_watch watch;
	struct dw_store *store = NULL;
	int status = check_target(args, target);

	if (!status)
		status = open_reader(args, index_is_damaged(args), &store, NULL);
	if (status)
		return status;
	struct extent extent = extent_of(store);
	struct interrupt interrupt;
	interrupt_begin(&interrupt, store);
	progress_watch_begin(&watch, args, target, ".dwal", extent.record_bytes);
	int rc = args->force ? dw_compact_to_among(store, target) : dw_compact_to(store, target);
	progress_watch_end(&watch);
	interrupt_end(&interrupt);
	interrupt_die(&interrupt); /* a reader needs no closing */
	status = rc < 0 ? explain_copy(args, target, rc) : 0;
	if (!status)
		show_copied(args, "compact", "target", target, dw_count(store),
			    extent.record_bytes);
	(void)dw_close(store); /* a reader has nothing to bring to the disk */
	return status;
}

static void show_compacted(const struct args *args, const struct dw_compact_report *report,
			   uint64_t keys)
{
	char before[FORMAT_SIZE], after[FORMAT_SIZE], room[FORMAT_SIZE];

	if (args->json) {
		json_begin("compact");
		json_text("target", NULL);
		json_u64("live_keys", keys);
		json_u64("segments_before", report->segments_before);
		json_u64("segments_after", report->segments_after);
		json_u64("bytes_before", report->bytes_before);
		json_u64("bytes_after", report->bytes_after);
		if (report->room_needed)
			json_u64("room_needed", report->room_needed);
		json_end();
		return;
	}
	format_size(report->bytes_before, before);
	format_size(report->bytes_after, after);
	format_size(report->room_needed, room);
	printf("%" PRIu32 " segments of %s became %" PRIu32 " of %s\n", report->segments_before,
	       before, report->segments_after, after);
	if (report->room_needed)
		printf("the disk is full: with %s of room another compaction frees more\n", room);
}

static int explain_full(const struct args *args, int rc, uint64_t room_needed)
{
	char room[FORMAT_SIZE];

	format_size(room_needed, room);
	return fail(args, status_of(rc),
		    "'%s': %s; nothing is lost, and nothing freed: make %s of room, or copy what "
		    "lives to another disk with 'datawal compact %s TARGET'",
		    args->store, strerror(-rc), room, args->store);
}

static int compact_in_place(struct args *args)
{
	struct dw_compact_report report = {0};
	struct progress_watch watch;
	struct dw_store *store = NULL;
	int status = open_writer(args, false, &store);

	if (status)
		return status;
	uint64_t keys = dw_count(store);
	struct interrupt interrupt;
	interrupt_begin(&interrupt, store);
	progress_watch_begin(&watch, args, args->store, ".dwal.compact",
			     extent_of(store).record_bytes);
	int rc = dw_compact_with(store, &args->compact, &report);
	progress_watch_end(&watch);
	interrupt_end(&interrupt);
	if (rc == -EBADMSG)
		status = fail(args, STATUS_HARD,
			      "a record is damaged; nothing is lost; see 'datawal repair'");
	else if (rc < 0 && report.room_needed)
		status = explain_full(args, rc, report.room_needed);
	else if (rc < 0 && !interrupt.signal)
		status = fail(args, status_of(rc), "'%s': %s; nothing is lost", args->store,
			      strerror(-rc));
	status = close_writer(args, store, status);
	interrupt_die(&interrupt);
	if (!status)
		show_compacted(args, &report, keys);
	return status;
}

int run_compact(struct args *args)
{
	const char *target = args->operands[0];

	if (target && (args->compact.dead_percent || args->compact.rate))
		return fail(args, STATUS_USER, "--dead and --rate are for a compaction in place");
	if (!target && args->force)
		return fail(args, STATUS_USER, "--force is for a compaction into a TARGET");
	return target ? compact_to(args, target) : compact_in_place(args);
}
