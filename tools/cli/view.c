/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * view.c - get, ls, check: the present keys and values of the store.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tools/cli/progress.h"
#include "tools/cli/tool.h"

/* --- get --- */

static void json_value(struct dw_bytes key, const struct dw_value *value)
{
	json_begin("value");
	json_base64("key_base64", key);
	json_base64("value_base64", (struct dw_bytes){value->data, value->size});
	json_u64("value_len", value->size);
	json_end();
}

static void print_value(const struct args *args, const struct dw_value *value)
{
	struct dw_bytes bytes = {value->data, value->size};
	bool terminal = isatty(STDOUT_FILENO);
	bool encoded = args->bytes == FORMAT_BASE64 || args->bytes == FORMAT_HEX;

	if (!terminal && !encoded) {
		(void)fwrite(value->data, 1, value->size, stdout); /* main() looks at ferror() */
		return;
	}
	if (!encoded && !format_is_printable(bytes)) {
		(void)fprintf(stderr,
			      "<binary value, %zu bytes; use --bytes base64 or --bytes hex, or "
			      "send it to a file>\n",
			      value->size);
		return;
	}
	/* only a terminal gets less than all */
	char *text =
		format_value(bytes, args->bytes, terminal && !args->no_truncate ? FORMAT_CUT : 0);
	puts(text ? text : "");
	free(text);
}

static int show_miss(const struct args *args, struct dw_bytes key)
{
	if (args->json) {
		json_begin("miss");
		json_base64("key_base64", key);
		json_end();
		return STATUS_SOFT;
	}
	return fail(args, STATUS_SOFT, "key not found");
}

int run_get(struct args *args)
{
	struct dw_store *store = NULL;
	struct dw_bytes key = {0};
	struct dw_value value;
	int status = args_key(args, &key);

	if (!status)
		status = open_reader(args, false, &store, NULL);
	int rc = status ? 0 : dw_get(store, key, &value);
	if (rc == -EIO) { /* the log may be sound where the index is not */
		(void)dw_close(store);
		store = NULL;
		status = open_reader(args, true, &store, NULL);
		rc = status ? 0 : dw_get(store, key, &value);
	}
	if (!status) {
		if (rc == -ENOENT)
			status = show_miss(args, key);
		else if (rc < 0)
			status = fail(args, status_of(rc), "reading the value: %s", read_error(rc));
		else if (args->json)
			json_value(key, &value);
		else
			print_value(args, &value);
		if (!rc)
			free(value.data);
	}
	(void)dw_close(store); /* a reader has nothing to bring to the disk */
	free((void *)key.data);
	return status;
}

/* --- ls --- */

static int print_item(const struct args *args, const struct dw_item *item)
{
	time_t seconds = (time_t)(item->stat.mtime_ns / 1000000000);
	struct tm tm;
	char when[32] = "-";

	if (args->json) {
		json_begin("key");
		json_base64("key_base64", item->key);
		json_u64("value_len", item->stat.size);
		json_i64("mtime_ns", item->stat.mtime_ns);
		json_end();
		return 0;
	}
	char *key = format_bytes(item->key, args->bytes, args->no_truncate ? 0 : FORMAT_CUT);
	if (!key)
		return -ENOMEM;
	if (localtime_r(&seconds, &tm))
		(void)strftime(when, sizeof when, "%Y-%m-%d %H:%M", &tm); /* fits */
	printf("%10" PRIu32 "  %s  %s\n", item->stat.size, when, key);
	free(key);
	return 0;
}

int run_ls(struct args *args)
{
	const char *prefix = args->operands[0] ? args->operands[0] : "";
	struct dw_store *store = NULL;
	struct dw_cursor *cursor = NULL;
	struct dw_item item;
	int torn = 0, status = open_reader(args, index_is_damaged(args), &store, &torn);

	if (status)
		return status;
	int rc = dw_cursor_open(store, (struct dw_bytes){prefix, strlen(prefix)}, &cursor);
	while (!rc && (rc = dw_cursor_next(cursor, &item)) == 1)
		rc = print_item(args, &item);
	dw_cursor_close(cursor);
	(void)dw_close(store); /* a reader has nothing to bring to the disk */
	return rc < 0 ? fail(args, status_of(rc), "%s", strerror(-rc)) : torn;
}

/* --- check --- */

struct checked {
	uint64_t keys; /* keys with a value that was read and is sound */
	struct dw_report report;
	bool damaged; /* the store was refused */
	uint64_t unsound;
};

static void show_checked(const struct args *args, const struct checked *checked)
{
	const struct {
		const char *name;
		uint64_t value;
	} fields[] = {
		{"keys_checked", checked->keys},
		{"tail_truncated", checked->report.torn_bytes > 0},
		{"tail_bytes_discarded", checked->report.torn_bytes},
		{"mid_stream_errors", checked->damaged},
		{"unsupported_versions",
		 checked->damaged && checked->report.damage == DW_DAMAGE_VERSION},
		{"keys_damaged", checked->unsound},
	};

	if (args->json)
		json_begin("check");
	else
		printf("%-22s%s\n%-22s%s\n", "schema:", "datawal.cli.v1", "kind:", "check");
	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
		if (args->json)
			json_u64(fields[i].name, fields[i].value);
		else
			printf("%s:%*s%" PRIu64 "\n", fields[i].name,
			       21 - (int)strlen(fields[i].name), "", fields[i].value);
	}
	if (args->json)
		json_end();
}

static int check_keys(struct args *args, struct dw_store *store, struct checked *checked)
{
	struct progress progress;
	struct dw_stats stats;
	struct dw_iter *iter = NULL;
	struct dw_item item;
	uint64_t done = 0;
	char byte;
	int rc = dw_iter_open(store, &iter);

	dw_get_stats(store, &stats);
	progress_begin(&progress, args, stats.live_bytes);
	while (!rc && (rc = dw_iter_next(iter, &item)) == 1) {
		/* one byte: all of the record is checked before it is given out */
		ssize_t n = dw_iter_read(iter, &byte, 1, 0);
		checked->keys += n >= 0;
		checked->unsound += n == -EBADMSG;
		rc = n < 0 && n != -EBADMSG ? (int)n : 0;
		done += item.key.size + item.stat.size;
		progress_at(&progress, done);
	}
	progress_end(&progress);
	dw_iter_close(iter);
	return rc;
}

int run_check(struct args *args)
{
	struct dw_options options = {
		.read_only = true, .on_finding = print_finding, .context = args};
	struct checked checked = {0};

	args->tells_damage = true;
	options.without_index = index_is_damaged(args);
	struct dw_store *store = NULL;
	int rc = dw_open(args->store, &options, &checked.report, &store);

	checked.damaged = rc == -EBADMSG;
	if (rc < 0 && !checked.damaged)
		return explain_open(args, rc);
	if (!rc)
		rc = check_keys(args, store, &checked);
	(void)dw_close(store); /* a reader has nothing to bring to the disk */
	if (rc < 0 && !checked.damaged)
		return fail(args, status_of(rc), "reading '%s': %s", args->store, read_error(rc));
	show_checked(args, &checked);
	if (checked.damaged || checked.unsound)
		return STATUS_HARD;
	return checked.report.torn_bytes ? STATUS_SOFT : STATUS_OK;
}
