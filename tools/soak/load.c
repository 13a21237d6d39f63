/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * load.c - see load.h.
 */
#include "tools/soak/load.h"

#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/common/base64.h"
#include "tools/soak/fixtures.h"
#include "tools/soak/say.h"

/* Where the fixtures are, seen from the top of the sources. */
#define FIXTURES "tests/fixtures/soak"

static const char *const stream_names[STREAMS] = {"small", "medium", "large"};

/* --- JSON lines --- */

/* The bytes of a member; NULL, or what is wrong with it. */
static const char *decode_member(const json_t *member, size_t size_max, struct dw_bytes *ret,
				 const char *const wrong[3])
{
	struct base64_bytes bytes;

	if (!json_is_string(member))
		return wrong[0];
	int rc = base64_decode(json_string_value(member), json_string_length(member), &bytes);
	if (rc == -ENOMEM)
		soak_out_of_memory();
	if (rc)
		return wrong[1];
	*ret = (struct dw_bytes){bytes.data, bytes.size};
	return bytes.size > size_max ? wrong[2] : NULL;
}

/* NULL, or what is wrong with the line. */
static const char *parse_line(const char *line, size_t size, struct dw_bytes *key,
			      struct dw_bytes *payload)
{
	static const char *const wrong_key[] = {"there is no string 'key'", "'key' is no base64",
						"the key is over 65,536 bytes"};
	static const char *const wrong_payload[] = {"there is no string 'payload'",
						    "'payload' is no base64",
						    "the payload is over 67,108,864 bytes"};
	json_error_t error;
	json_t *record = json_loadb(line, size, JSON_REJECT_DUPLICATES, &error);
	bool array = json_is_array(record) && json_array_size(record) == 2;

	if (!array && !json_is_object(record)) {
		json_decref(record);
		return "this is no JSON object, and no array of two";
	}
	const json_t *members[2] = {
		array ? json_array_get(record, 0) : json_object_get(record, "key"),
		array ? json_array_get(record, 1) : json_object_get(record, "payload"),
	};
	const char *wrong = decode_member(members[0], DW_KEY_SIZE_MAX, key, wrong_key);
	if (!wrong)
		wrong = decode_member(members[1], DW_VALUE_SIZE_MAX, payload, wrong_payload);
	json_decref(record);
	return wrong;
}

static int add_line(struct stream *stream, const char *path, size_t number, const char *line,
		    size_t size)
{
	struct dw_bytes key = {NULL, 0}, payload = {NULL, 0};

	if (strspn(line, " \t\r\n\v\f") == size)
		return 0;
	const char *wrong = parse_line(line, size, &key, &payload);
	if (!wrong) {
		stream_add(stream, key, payload);
		return 0;
	}
	free((void *)key.data);
	free((void *)payload.data);
	return soak_setup_error("'%s', line %zu: %s; expected "
				"{\"key\":\"<base64>\",\"payload\":\"<base64>\"}",
				path, number, wrong);
}

static int load_file(struct stream *stream, const char *path)
{
	FILE *file = fopen(path, "re");
	char *line = NULL;
	size_t room = 0, number = 0;
	ssize_t size;
	int rc = 0;

	if (!file)
		return soak_setup_error("'%s': %s", path, strerror(errno));
	errno = 0;
	while (!rc && (size = getline(&line, &room, file)) >= 0)
		rc = add_line(stream, path, ++number, line, (size_t)size);
	if (!rc && !feof(file))
		rc = soak_setup_error("'%s': %s", path, strerror(errno));
	if (!rc && !stream->count)
		rc = soak_setup_error("'%s' holds no records", path);
	free(line);
	(void)fclose(file); /* only read from */
	return rc;
}

/* --- loading --- */

static char *fixture_path(int stream)
{
	return soak_text(FIXTURES "/%s", fixture_name(stream));
}

static bool fixtures_found(void)
{
	bool found = true;

	for (int i = 0; i < STREAMS; i++) {
		char *path = fixture_path(i);
		found = found && !access(path, R_OK);
		free(path);
	}
	return found;
}

int streams_load(const struct config *config, struct stream streams[STREAMS])
{
	bool found = !config->real && fixtures_found();
	int rc = 0;

	for (int i = 0; !rc && i < STREAMS; i++) {
		streams[i] = (struct stream){stream_names[i], NULL, 0};
		if (config->real) {
			rc = load_file(&streams[i], config->inputs[i]);
		} else if (found) {
			char *path = fixture_path(i);
			rc = load_file(&streams[i], path);
			free(path);
		} else {
			fixture_generate(i, &streams[i]);
		}
	}
	return rc;
}
