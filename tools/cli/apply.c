/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * apply.c - apply and import: many operations from a file of JSON lines.
 *
 * They are gathered and appended in batches.  At the first line that is wrong all before
 * it is appended, and the message names the line: it is always clear which lines were applied.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tools/cli/jsonl.h"
#include "tools/cli/progress.h"
#include "tools/common/base64.h"

enum { BATCH_OPS = 1024, BATCH_BYTES = 256 << 10 };

struct apply {
	struct args *args;
	struct dw_store *store;
	struct jsonl lines;
	struct dw_op ops[BATCH_OPS]; /* keys and values are owned */
	size_t count, bytes;
	uint64_t first_line; /* of ops[0] */
	uint64_t puts, deletes, raws, rotates, syncs;
};

static void drop_ops(struct apply *apply)
{
	for (size_t i = 0; i < apply->count; i++) {
		free((void *)apply->ops[i].key.data);
		free((void *)apply->ops[i].value.data);
	}
	apply->count = 0;
	apply->bytes = 0;
}

/* Append what was gathered.  0, or the exit status after saying what failed. */
static int flush(struct apply *apply)
{
	int rc = dw_batch(apply->store, apply->ops, apply->count);

	for (size_t i = 0; !rc && i < apply->count; i++) {
		apply->puts += apply->ops[i].type == DW_PUT;
		apply->deletes += apply->ops[i].type == DW_DELETE;
		apply->raws += apply->ops[i].type == DW_RAW;
	}
	drop_ops(apply);
	if (!rc)
		return 0;
	return fail(apply->args, status_of(rc),
		    "writing '%s': %s; lines from %llu on of %s were not applied",
		    apply->args->store, strerror(-rc), (unsigned long long)apply->first_line,
		    apply->lines.name);
}

/* `op` is taken over. */
static int add_op(struct apply *apply, const struct dw_op *op)
{
	if (!apply->count)
		apply->first_line = apply->lines.line;
	apply->ops[apply->count++] = *op;
	apply->bytes += op->key.size + op->value.size;
	if (apply->count < BATCH_OPS && apply->bytes < BATCH_BYTES)
		return 0;
	return flush(apply);
}

/* A key or value over the format's limits is a bad line, not a failed append. */
static int check_sizes(const struct jsonl *lines, const struct dw_op *op)
{
	if (op->key.size > DW_KEY_SIZE_MAX)
		return jsonl_bad(lines, "the key has %zu bytes, more than %u", op->key.size,
				 DW_KEY_SIZE_MAX);
	if (op->value.size > DW_VALUE_SIZE_MAX)
		return jsonl_bad(lines, "the value has %zu bytes, more than %u", op->value.size,
				 DW_VALUE_SIZE_MAX);
	return 0;
}

/* Whether all members are known ones: a name that is mistyped must not pass for a key
 * that is left out. */
static int check_members(const struct jsonl *lines, json_t *object, const char *const *known)
{
	const char *name;
	json_t *value;

	json_object_foreach(object, name, value)
	{
		size_t i = 0;
		while (known[i] && strcmp(known[i], name))
			i++;
		if (!known[i])
			return jsonl_bad(lines, "unknown member '%s'", name);
	}
	return 0;
}

/* A record's operation from its members: 0, -1 (a bad line, said) or the exit status. */
static int add_record(struct apply *apply, const json_t *object, enum dw_type type,
		      bool key_optional)
{
	const struct jsonl *lines = &apply->lines;
	struct dw_op op = {.type = type};
	int rc = jsonl_base64(lines, object, "key_b64", key_optional, &op.key);

	if (!rc && type != DW_DELETE)
		rc = jsonl_base64(lines, object, "value_b64", false, &op.value);
	if (!rc && type == DW_DELETE && json_object_get(object, "value_b64"))
		rc = jsonl_bad(lines, "a delete has no value");
	if (!rc)
		rc = check_sizes(lines, &op);
	if (!rc)
		return add_op(apply, &op);
	free((void *)op.key.data);
	free((void *)op.value.data);
	return rc;
}

static int do_rotate(struct apply *apply)
{
	int status = flush(apply), rc = status ? 0 : dw_rotate(apply->store);

	apply->rotates += !status && !rc;
	return rc ? fail(apply->args, status_of(rc), "%s, line %llu: rotate: %s", apply->lines.name,
			 (unsigned long long)apply->lines.line, strerror(-rc))
		  : status;
}

static int do_sync(struct apply *apply)
{
	int status = flush(apply), rc = status ? 0 : dw_sync(apply->store);

	apply->syncs += !status && !rc;
	return rc ? fail(apply->args, status_of(rc), "%s, line %llu: sync: %s", apply->lines.name,
			 (unsigned long long)apply->lines.line, strerror(-rc))
		  : status;
}

/* Do the operation of one line: 0, -1 (a bad line, reported), or the exit status. */
typedef int line_fn(struct apply *apply);

static int apply_object(struct apply *apply, json_t *object)
{
	static const char *const known[] = {"op", "key_b64", "value_b64", NULL};
	const char *op = json_string_value(json_object_get(object, "op"));

	if (!op)
		return jsonl_bad(&apply->lines, "'op' is missing or no string");
	if (check_members(&apply->lines, object, known))
		return -1;
	if (!strcmp(op, "put"))
		return add_record(apply, object, DW_PUT, true);
	if (!strcmp(op, "delete"))
		return add_record(apply, object, DW_DELETE, true);
	if (!strcmp(op, "raw"))
		return add_record(apply, object, DW_RAW, true);
	if (!strcmp(op, "rotate"))
		return do_rotate(apply);
	if (!strcmp(op, "sync"))
		return do_sync(apply);
	return jsonl_bad(&apply->lines,
			 "unknown operation '%s': none of put, delete, raw, rotate, sync", op);
}

static int apply_line(struct apply *apply)
{
	json_t *object;
	int rc = jsonl_parse(&apply->lines, &object);

	if (rc)
		return rc;
	rc = apply_object(apply, object);
	json_decref(object);
	return rc;
}

/* Past `text` at `*at`, or NULL if something else stands there. */
static const char *skip(const char *at, const char *text)
{
	size_t size = strlen(text);

	return at && !strncmp(at, text, size) ? at + size : NULL;
}

/* The base64 up to the next quote; past that, or NULL. */
static const char *take_base64(const char *at, struct base64_bytes *ret)
{
	const char *end = at ? strchr(at, '"') : NULL;

	if (!end || base64_decode(at, (size_t)(end - at), ret))
		return NULL;
	return end + 1;
}

/* A line exactly as `export` writes it, some ten times as fast as by way of a JSON parser.
 * False: it is another, or wrong, which the parser will say. */
static bool is_exported(const struct jsonl *lines, struct dw_op *ret)
{
	struct base64_bytes key = {0}, value = {0};
	const char *at = take_base64(skip(lines->text, "{\"key_b64\":\""), &key);

	at = take_base64(skip(at, ",\"value_b64\":\""), &value);
	at = skip(at, "}");
	if (!at || (strcmp(at, "\n") && *at)) {
		free(key.data);
		free(value.data);
		return false;
	}
	*ret = (struct dw_op){
		.type = DW_PUT, .key = {key.data, key.size}, .value = {value.data, value.size}};
	return true;
}

static int import_object(struct apply *apply, json_t *object)
{
	static const char *const known[] = {"key_b64", "value_b64", NULL};

	if (check_members(&apply->lines, object, known))
		return -1;
	return add_record(apply, object, DW_PUT, false);
}

static int import_line(struct apply *apply)
{
	json_t *object;
	struct dw_op op;
	int rc;

	if (is_exported(&apply->lines, &op)) {
		rc = check_sizes(&apply->lines, &op);
		if (!rc)
			return add_op(apply, &op);
		free((void *)op.key.data);
		free((void *)op.value.data);
		return rc;
	}
	rc = jsonl_parse(&apply->lines, &object);
	if (rc)
		return rc;
	rc = import_object(apply, object);
	json_decref(object);
	return rc;
}

/* All lines.  0 or the exit status. */
static int run_lines(struct apply *apply, line_fn *line)
{
	struct progress progress;
	int rc = 0, status;

	progress_begin(&progress, apply->args, apply->lines.total);
	while (!rc && (rc = jsonl_next(&apply->lines)) == 1) {
		rc = line(apply);
		progress_at(&progress, apply->lines.bytes);
	}
	progress_end(&progress);
	if (rc > 0)
		return rc;
	status = flush(apply);
	if (rc < 0 && !status)
		(void)fail(apply->args, 0, "what stands before line %llu was applied",
			   (unsigned long long)apply->lines.line);
	return rc < 0 && !status ? STATUS_USER : status;
}

static void show(const struct apply *apply)
{
	json_begin(apply->args->command->name);
	json_u64("lines", apply->lines.line);
	json_u64("puts", apply->puts);
	json_u64("deletes", apply->deletes);
	json_u64("raws", apply->raws);
	json_u64("rotates", apply->rotates);
	json_u64("syncs", apply->syncs);
	json_end();
}

/* For people, and not on stdout, where scripts expect nothing. */
static void summarize(const struct apply *apply)
{
	(void)fail(apply->args, 0,
		   "done: %llu lines: %llu puts, %llu deletes, %llu raws, %llu rotates, %llu syncs",
		   (unsigned long long)apply->lines.line, (unsigned long long)apply->puts,
		   (unsigned long long)apply->deletes, (unsigned long long)apply->raws,
		   (unsigned long long)apply->rotates, (unsigned long long)apply->syncs);
}

static int run(struct args *args, line_fn *line)
{
	struct apply *apply = calloc(1, sizeof *apply);

	if (!apply)
		return fail(args, STATUS_USER, "%s", strerror(ENOMEM));
	apply->args = args;
	int status = jsonl_open(&apply->lines, args, args->operands[0]);
	if (!status)
		status = open_writer(args, true, &apply->store);
	if (!status) {
		status = run_lines(apply, line);
		drop_ops(apply);
	}
	status = close_writer(args, apply->store, status);
	if (!status && args->json)
		show(apply);
	else if (!status && !args->quiet)
		summarize(apply);
	jsonl_release(&apply->lines);
	free(apply);
	return status;
}

int run_apply(struct args *args)
{
	return run(args, apply_line);
}

int run_import(struct args *args)
{
	return run(args, import_line);
}
