/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * fuzz_control.c - whatever is written to the control file: known commands are run,
 * others refused, and the keys stay what they are.
 *
 * The input is what is written.  Inputs with an export are left out: it writes real
 * files (tests/mount/test_control.sh has those).
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "fs/mounted/control.h"
#include "store/store.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/memio.h"
#include "tests/fuzz/naive.h"

enum { LINES = 12 };

enum verdict { GOOD, BAD };

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* The result of a line, from its text alone. */
static enum verdict judge(const char *line, size_t size)
{
	static const char *const plain[] = {"compact", "sync", "rotate", "verify", "cancel"};
	size_t word = 0, argument;

	while (word < size && !is_blank(line[word]))
		word++;
	for (argument = word; argument < size && is_blank(line[argument]);)
		argument++;
	if (word == 7 && !memcmp(line, "compact", 7) && argument < size)
		return (size - argument == 4 && !memcmp(line + argument, "auto", 4)) ||
				       (size - argument == 3 && !memcmp(line + argument, "off", 3))
			       ? GOOD
			       : BAD;
	for (size_t i = 0; argument == size && i < sizeof plain / sizeof *plain; i++)
		if (word == strlen(plain[i]) && !memcmp(line, plain[i], word))
			return GOOD;
	return BAD;
}

/* Of all lines; their number. */
static enum verdict judge_all(const uint8_t *data, size_t size, size_t *count_ret)
{
	const char *at = (const char *)data, *end = at + size;
	enum verdict all = GOOD;

	for (*count_ret = 0; at < end; at++) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));
		stop = stop ? stop : end;
		while (at < stop && is_blank(*at))
			at++;
		if (at < stop) {
			enum verdict one = judge(at, (size_t)(stop - at));
			++*count_ret;
			/* lines after a doubtful one may never be read */
			all = all == GOOD ? one : all;
		}
		at = stop;
	}
	return all;
}

static void check_answer(struct control *control, struct volume *volume, size_t lines)
{
	const struct volume_cred root = {0, 0};
	struct control_file *file = NULL;
	char text[4096];

	FUZZ_CHECK(!control_open(control, CONTROL_COMMANDS, O_RDONLY, &root, &file));
	ssize_t n = control_read(file, text, sizeof text, 0);
	FUZZ_CHECK(n > 0 && text[n - 1] == '\n' && !memchr(text, 0, (size_t)n));
	FUZZ_CHECK((lines == 0) == !strncmp(text, "no command yet", 14));
	control_close(file);
	FUZZ_CHECK(!control_open(control, CONTROL_STATS, O_RDONLY, &root, &file));
	n = control_read(file, text, sizeof text, 0);
	json_t *stats = n > 0 ? json_loadb(text, (size_t)n, 0, NULL) : NULL;
	FUZZ_CHECK(json_integer_value(json_object_get(stats, "keys")) ==
		   (json_int_t)dw_count(volume_store(volume)));
	json_decref(stats);
	control_close(file);
}

const unsigned fuzz_runs = 2000;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct dw_options options = {.segment_size = 100};
	static const struct volume_options as = {.reserved = ".datawal"};
	static const struct naive_pair pairs[] = {{.key = {"a", 1}, .value = {"1", 1}},
						  {.key = {"b/c", 3}, .value = {"22", 2}},
						  {.key = {"a", 1}, .value = {"333", 3}}};
	const struct volume_cred root = {0, 0};
	struct memio *mem = memio_fresh();
	struct naive_view view = {0};
	struct dw_store *store = NULL;
	struct volume *volume = NULL;
	struct generations *generations = NULL;
	const struct generations_config none = {0};
	struct control *control = NULL;
	struct control_file *file = NULL;
	size_t lines;
	enum verdict verdict = judge_all(data, size, &lines);

	if (lines > LINES || (size && memmem(data, size, "export", 6)))
		return 0;
	FUZZ_CHECK(!store_open(&mem->io, "/store", &options, NULL, &store));
	for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
		FUZZ_CHECK(!dw_put(store, pairs[i].key, pairs[i].value));
		naive_put(&view, &pairs[i]);
	}
	FUZZ_CHECK(!volume_open(store, &as, &volume));
	FUZZ_CHECK(!generations_new(volume, &none, &generations));
	const struct control_config config = {.generations = generations,
					      .name = ".datawal",
					      .export_fd = -1,
					      .export_path = "/.export"};
	FUZZ_CHECK(!control_new(&config, &control));
	FUZZ_CHECK(!control_open(control, CONTROL_COMMANDS, O_WRONLY, &root, &file));
	ssize_t n = control_write(file, &root, (struct dw_bytes){data, size});
	bool refused = size && memchr(data, 0, size);
	FUZZ_CHECK(n < 0 || (size_t)n == size);
	FUZZ_CHECK(!refused || n == -EINVAL);
	if (!refused && size < 4000)
		FUZZ_CHECK(verdict == GOOD ? n >= 0 : n == -EINVAL);
	control_close(file);
	if (!refused && size < 4000)
		check_answer(control, volume, lines);
	naive_check(&view, store);
	control_free(control);
	FUZZ_CHECK(!generations_free(generations));
	naive_release(&view);
	return 0;
}

bool fuzz_seed(size_t n, struct buf *ret)
{
	static const char *const seeds[] = {
		"compact\n",
		"sync\nrotate\nverify",
		"  compact \t\n\n sync\n",
		"compact now\nnonsense\n",
		"compact auto\ncancel\ncompact off\n",
	};

	if (n >= sizeof seeds / sizeof *seeds)
		return false;
	fuzz_add(ret, seeds[n], strlen(seeds[n]));
	return true;
}
