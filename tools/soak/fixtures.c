/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * fixtures.c - the generator of the synthetic records.
 *
 * tests/fixtures/soak holds what it writes, and a test compares the two: the output of this file
 * must never change.  Keys are any bytes, '/' and NUL among them.
 */
#include "tools/soak/fixtures.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/common/base64.h"
#include "tools/common/path.h"
#include "tools/soak/sample.h"
#include "tools/soak/say.h"

static const struct fixture {
	const char *name;
	size_t count, key_size, payload_size;
	uint64_t seed;
} fixtures[STREAMS] = {
	{"small_records.jsonl", 100, 32, 512, UINT64_C(0x64617461536d616c)},
	{"medium_records.jsonl", 100, 32, 3072, UINT64_C(0x646174614d656469)},
	{"large_payloads.jsonl", 20, 32, 65536, UINT64_C(0x646174614c617267)},
};

/* The next number of a series, and its state (SplitMix64). */
static uint64_t next_random(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

const char *fixture_name(int stream)
{
	return fixtures[stream].name;
}

/* Eight bytes a number, the lowest first. */
static struct dw_bytes random_bytes(uint64_t *state, size_t size)
{
	uint8_t *bytes = soak_alloc(size, 1);
	uint64_t number = 0;

	for (size_t i = 0; i < size; i++, number >>= 8) {
		if (i % 8 == 0)
			number = next_random(state);
		bytes[i] = (uint8_t)number;
	}
	return (struct dw_bytes){bytes, size};
}

void fixture_generate(int stream, struct stream *ret)
{
	const struct fixture *fixture = &fixtures[stream];
	uint64_t state = fixture->seed;

	for (size_t i = 0; i < fixture->count; i++) {
		struct dw_bytes key = random_bytes(&state, fixture->key_size);
		stream_add(ret, key, random_bytes(&state, fixture->payload_size));
	}
}

/* 0 or -errno. */
static int write_record(FILE *file, const struct record *record)
{
	char *key = base64_encode(record->key.data, record->key.size);
	char *payload = base64_encode(record->payload.data, record->payload.size);

	if (!key || !payload)
		soak_out_of_memory();
	int size = fprintf(file, "{\"key\":\"%s\",\"payload\":\"%s\"}\n", key, payload);
	free(key);
	free(payload);
	return size < 0 ? -errno : 0;
}

static int write_fixture(const char *path, const struct stream *stream)
{
	FILE *file = path_create(path);
	int rc = file ? 0 : -errno;

	for (size_t i = 0; !rc && i < stream->count; i++)
		rc = write_record(file, &stream->records[i]);
	if (file && fclose(file) && !rc)
		rc = -errno;
	return rc ? soak_setup_error("'%s': %s", path, strerror(-rc)) : 0;
}

int fixtures_write(const char *directory)
{
	struct stream streams[STREAMS] = {{NULL, NULL, 0}};
	int rc = directory_make(directory);

	for (int i = 0; !rc && i < STREAMS; i++) {
		char *path = soak_text("%s/%s", directory, fixtures[i].name);
		fixture_generate(i, &streams[i]);
		rc = write_fixture(path, &streams[i]);
		if (!rc)
			printf("%s: %zu records\n", path, streams[i].count);
		free(path);
	}
	streams_release(streams);
	return rc;
}
