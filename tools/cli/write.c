/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * write.c - init, put, delete, rotate.
 *
 * Each is on the disk when the command ends with status 0.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tools/cli/tool.h"

/* All of a file, or one byte more than a value may have. */
static int read_all(FILE *file, struct dw_bytes *ret)
{
	size_t size = 0, capacity = 64 << 10;
	uint8_t *data = malloc(capacity);

	while (data && size <= DW_VALUE_SIZE_MAX) {
		size_t n = fread(data + size, 1, capacity - size, file);
		size += n;
		if (!n || size < capacity)
			break;
		capacity *= 2;
		uint8_t *more = realloc(data, capacity);
		if (!more)
			free(data);
		data = more;
	}
	if (!data)
		return -ENOMEM;
	if (ferror(file)) {
		free(data);
		return -EIO;
	}
	*ret = (struct dw_bytes){data, size};
	return 0;
}

static int read_file(const struct args *args, const char *path, struct dw_bytes *ret)
{
	bool standard = !path || !strcmp(path, "-");
	FILE *file = standard ? stdin : fopen(path, "re");

	if (!file)
		return fail(args, STATUS_USER, "'%s': %s", path, strerror(errno));
	int rc = read_all(file, ret);
	if (!standard)
		(void)fclose(file); /* only read */
	return rc ? fail(args, STATUS_USER, "reading '%s': %s", standard ? "stdin" : path,
			 strerror(-rc))
		  : 0;
}

/* The value that the arguments name; its bytes are the caller's. */
static int value_of(const struct args *args, struct dw_bytes *ret)
{
	const char *text = args->operands[0];

	if (!!text + !!args->value_base64 + !!args->file > 1)
		return fail(args, STATUS_USER,
			    "give the value once: as an argument, with --value-base64 or --file");
	if (args->value_base64)
		return args_base64(args, "--value-base64", args->value_base64, ret);
	if (!text)
		return read_file(args, args->file, ret);
	char *copy = strdup(text);
	if (!copy)
		return fail(args, STATUS_USER, "%s", strerror(ENOMEM));
	ret->data = copy;
	ret->size = strlen(copy);
	return 0;
}

static int explain_append(const struct args *args, int rc)
{
	if (rc == -E2BIG)
		return fail(args, STATUS_USER, "the key has more than %u bytes", DW_KEY_SIZE_MAX);
	if (rc == -EFBIG)
		return fail(args, STATUS_USER,
			    "the value has more than %u bytes, or a segment would be larger "
			    "than files may be (ulimit -f)",
			    DW_VALUE_SIZE_MAX);
	if (rc == -EOVERFLOW)
		return fail(args, STATUS_USER,
			    "the store's ids are used up; copy it with 'datawal "
			    "compact STORE TARGET'");
	return fail(args, status_of(rc), "writing '%s': %s", args->store, strerror(-rc));
}

int run_init(struct args *args)
{
	const struct dw_options reading = {.read_only = true};
	struct dw_store *store = NULL;
	int rc = dw_open(args->store, &reading, NULL, &store);

	/* damage and the like are for the other commands to tell; a store it is */
	if (rc != -ENOENT && rc != -ENOMEDIUM && rc != -ENOTDIR && rc != -EACCES) {
		(void)dw_close(store); /* was only looked at */
		return fail(args, STATUS_USER, "'%s' is a store already", args->store);
	}
	int status = open_writer(args, true, &store);
	status = close_writer(args, store, status);
	if (!status && args->json) {
		json_begin("init");
		json_text("store", args->store);
		json_end();
	} else if (!status) {
		printf("'%s' is an empty store now\n", args->store);
	}
	return status;
}

int run_put(struct args *args)
{
	struct dw_store *store = NULL;
	struct dw_bytes key = {0}, value = {0};
	int status = args_key(args, &key);

	if (!status)
		status = value_of(args, &value);
	if (!status)
		status = open_writer(args, true, &store);
	if (!status) {
		int rc = dw_put(store, key, value);
		status = rc < 0 ? explain_append(args, rc) : 0;
	}
	status = close_writer(args, store, status);
	if (!status && args->json) {
		json_begin("put");
		json_base64("key_base64", key);
		json_u64("value_len", value.size);
		json_end();
	}
	free((void *)key.data);
	free((void *)value.data);
	return status;
}

int run_delete(struct args *args)
{
	struct dw_store *store = NULL;
	struct dw_bytes key = {0};
	bool existed = false;
	int status = args_key(args, &key);

	if (!status)
		status = open_writer(args, false, &store);
	if (!status) {
		struct dw_stat stat;
		int rc = dw_stat(store, key, &stat);
		existed = !rc;
		rc = existed ? dw_delete(store, key) : rc == -ENOENT ? 0 : rc;
		status = rc < 0 ? explain_append(args, rc) : 0;
	}
	status = close_writer(args, store, status);
	if (!status && args->json) {
		json_begin("delete");
		json_base64("key_base64", key);
		json_flag("existed", existed);
		json_end();
	}
	if (!status && !existed)
		status = args->json ? STATUS_SOFT : fail(args, STATUS_SOFT, "key not found");
	free((void *)key.data);
	return status;
}

int run_rotate(struct args *args)
{
	struct dw_store *store = NULL;
	struct dw_stats stats = {0};
	int status = open_writer(args, false, &store);

	if (status)
		return status;
	int rc = dw_rotate(store);
	if (rc < 0)
		status = explain_append(args, rc);
	dw_get_stats(store, &stats);
	status = close_writer(args, store, status);
	if (!status && args->json) {
		json_begin("rotate");
		json_u64("active_segment", stats.active_segment);
		json_end();
	} else if (!status) {
		printf("segment %08u begins\n", stats.active_segment);
	}
	return status;
}
