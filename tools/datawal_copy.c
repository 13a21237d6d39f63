/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * datawal_copy.c - export and compact.
 */
#include <errno.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tools/datawal_progress.h"
#include "tools/datawal_tool.h"

/* What an export or a fresh store of the live view will take. */
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
	return fail(args, status_of(rc), "'%s': %s", to, strerror(-rc));
}

/* The directory part and, for the temporary file, the name of a path. */
static int watched_export(struct args *args, struct dw_store *store, const char *path)
{
	char *copy = strdup(path), *name_copy = strdup(path), *temporary = NULL;
	struct progress_watch watch;
	int rc = -ENOMEM;

	if (copy && name_copy && asprintf(&temporary, ".%s.tmp", basename(name_copy)) >= 0) {
		progress_watch_begin(&watch, args, dirname(copy), temporary,
				     extent_of(store).export_bytes);
		rc = dw_export_file(store, path);
		progress_watch_end(&watch);
	}
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
		n = fwrite(chunk, 1, (size_t)n, stdout) == (size_t)n ? 0 : -EIO;
	if (n < 0)
		(void)fail(args, 0, "exporting: %s; what came out is not whole", strerror((int)-n));
	dw_export_close(export);
	free(chunk);
	return n < 0 ? status_of((int)n) : 0;
}

int run_export(struct args *args)
{
	const char *path = args->operands[0];
	struct dw_store *store = NULL;
	int torn = 0, status = open_reader(args, &store, &torn);

	if (status)
		return status;
	if (!strcmp(path, "-")) {
		status = export_to_stdout(args, store);
	} else {
		int rc = watched_export(args, store, path);
		status = rc < 0 ? explain_copy(args, path, rc) : 0;
		if (!status && args->json) {
			json_begin("export");
			json_text("outfile", path);
			json_u64("records_written", dw_count(store));
			json_u64("bytes_written", size_of(path));
			json_end();
		} else if (!status) {
			printf("wrote %" PRIu64 " keys, %" PRIu64 " bytes to %s\n", dw_count(store),
			       size_of(path), path);
		}
	}
	(void)dw_close(store); /* a reader has nothing to bring to the disk */
	return status ? status : torn;
}

static int compact_to(struct args *args, const char *target)
{
	struct progress_watch watch;
	struct dw_store *store = NULL;
	int torn = 0, status = open_reader(args, &store, &torn);

	if (status)
		return status;
	struct extent extent = extent_of(store);
	progress_watch_begin(&watch, args, target, ".dwal", extent.record_bytes);
	int rc = dw_compact_to(store, target);
	progress_watch_end(&watch);
	status = rc < 0 ? explain_copy(args, target, rc) : 0;
	if (!status && args->json) {
		json_begin("compact");
		json_text("target", target);
		json_u64("live_keys", dw_count(store));
		json_u64("records_written", dw_count(store));
		json_u64("bytes_written", extent.record_bytes);
		json_end();
	} else if (!status) {
		printf("wrote %" PRIu64 " keys, %" PRIu64 " bytes to %s\n", dw_count(store),
		       extent.record_bytes, target);
	}
	(void)dw_close(store); /* a reader has nothing to bring to the disk */
	return status ? status : torn;
}

static void show_compacted(const struct args *args, const struct dw_compact_report *report,
			   uint64_t keys)
{
	char before[FORMAT_SIZE], after[FORMAT_SIZE];

	if (args->json) {
		json_begin("compact");
		json_text("target", NULL);
		json_u64("live_keys", keys);
		json_u64("segments_before", report->segments_before);
		json_u64("segments_after", report->segments_after);
		json_u64("bytes_before", report->bytes_before);
		json_u64("bytes_after", report->bytes_after);
		json_end();
		return;
	}
	format_size(report->bytes_before, before);
	format_size(report->bytes_after, after);
	printf("%" PRIu32 " segments of %s became %" PRIu32 " of %s\n", report->segments_before,
	       before, report->segments_after, after);
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
	progress_watch_begin(&watch, args, args->store, ".dwal.compact",
			     extent_of(store).record_bytes);
	int rc = dw_compact_with(store, &args->compact, &report);
	progress_watch_end(&watch);
	if (rc == -EBADMSG)
		status = fail(args, STATUS_HARD,
			      "a record is damaged; nothing is lost; see 'datawal repair'");
	else if (rc < 0)
		status = fail(args, status_of(rc), "'%s': %s; nothing is lost", args->store,
			      strerror(-rc));
	status = close_writer(args, store, status);
	if (!status)
		show_compacted(args, &report, keys);
	return status;
}

int run_compact(struct args *args)
{
	const char *target = args->operands[0];

	if (target && (args->compact.dead_percent || args->compact.rate))
		return fail(args, STATUS_USER, "--dead and --rate are for a compaction in place");
	return target ? compact_to(args, target) : compact_in_place(args);
}
