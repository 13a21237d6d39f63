/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * jsonl.c - see jsonl.h.  A line may hold the largest value there is: some
 * 90 MB.
 */
#include "tools/cli/jsonl.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tools/common/base64.h"

int jsonl_open(struct jsonl *jsonl, const struct args *args, const char *path)
{
	bool standard = !path || !strcmp(path, "-");
	struct stat st;

	*jsonl = (struct jsonl){.args = args, .name = standard ? "stdin" : path};
	jsonl->file = standard ? stdin : fopen(path, "re");
	if (!jsonl->file)
		return fail(args, STATUS_USER, "'%s': %s", path, strerror(errno));
	if (!fstat(fileno(jsonl->file), &st) && S_ISREG(st.st_mode))
		jsonl->total = (uint64_t)st.st_size;
	return 0;
}

void jsonl_release(struct jsonl *jsonl)
{
	if (jsonl->file && jsonl->file != stdin)
		(void)fclose(jsonl->file); /* only read */
	free(jsonl->text);
	*jsonl = (struct jsonl){0};
}

int jsonl_bad(const struct jsonl *jsonl, const char *format, ...)
{
	char text[256];
	va_list list;

	va_start(list, format);
	(void)vsnprintf(text, sizeof text, format, list); /* cut is good enough */
	va_end(list);
	(void)fail(jsonl->args, 0, "%s, line %llu: %s", jsonl->name,
		   (unsigned long long)jsonl->line, text);
	return -1;
}

int jsonl_next(struct jsonl *jsonl)
{
	for (;;) {
		errno = 0;
		ssize_t n = getline(&jsonl->text, &jsonl->capacity, jsonl->file);
		jsonl->line += n >= 0;
		if (n < 0 && (errno || ferror(jsonl->file))) {
			jsonl->line++; /* the one that could not be read */
			return jsonl_bad(jsonl, "%s", strerror(errno ? errno : EIO));
		}
		if (n < 0)
			return 0;
		jsonl->size = (size_t)n;
		jsonl->bytes += (uint64_t)n;
		if (jsonl->size > strspn(jsonl->text, " \t\r\n"))
			return 1;
	}
}

int jsonl_parse(struct jsonl *jsonl, json_t **ret)
{
	json_error_t error;
	json_t *object = json_loadb(jsonl->text, jsonl->size, JSON_REJECT_DUPLICATES, &error);

	if (!object)
		return jsonl_bad(jsonl, "no JSON: %s (column %d)", error.text, error.column);
	if (!json_is_object(object)) {
		json_decref(object);
		return jsonl_bad(jsonl, "no JSON object");
	}
	*ret = object;
	return 0;
}

int jsonl_base64(const struct jsonl *jsonl, const json_t *object, const char *name, bool optional,
		 struct dw_bytes *ret)
{
	const json_t *member = json_object_get(object, name);
	struct base64_bytes bytes;

	if (!member && optional) {
		*ret = (struct dw_bytes){NULL, 0};
		return 0;
	}
	if (!json_is_string(member))
		return jsonl_bad(jsonl, "'%s' is %s", name, member ? "no string" : "missing");
	int rc = base64_decode(json_string_value(member), json_string_length(member), &bytes);
	if (rc)
		return jsonl_bad(jsonl, "'%s': %s", name,
				 rc == -EINVAL ? "no standard base64" : strerror(-rc));
	*ret = (struct dw_bytes){bytes.data, bytes.size};
	return 0;
}
