/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * fuzz.c - see fuzz.h.
 */
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>

/* Of the address sanitizer.  Each scan allocates a window of a million bytes: kept aside
 * after it was freed, as usual, they take most of the time. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "quarantine_size_mb=4";
}

void fuzz_fail(const char *condition, const char *file, int line)
{
	(void)fprintf(stderr, "%s:%d: %s\n", file, line, condition);
	abort();
}

void fuzz_add(struct buf *buf, const void *data, size_t size)
{
	FUZZ_CHECK(!size || !buf_add(buf, data, size));
}

void fuzz_add_byte(struct buf *buf, uint8_t byte)
{
	fuzz_add(buf, &byte, 1);
}

uint8_t fuzz_byte(struct fuzz_input *input)
{
	if (!input->size)
		return 0;
	input->size--;
	return *input->data++;
}

uint32_t fuzz_u16(struct fuzz_input *input)
{
	uint32_t low = fuzz_byte(input);

	return low | (uint32_t)fuzz_byte(input) << 8;
}

const uint8_t *fuzz_bytes(struct fuzz_input *input, size_t *size)
{
	const uint8_t *bytes = input->data;

	if (*size > input->size)
		*size = input->size;
	input->data += *size;
	input->size -= *size;
	return bytes;
}
