/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * fuzz.h - what fuzzers share.
 *
 * A fuzzer is a file fuzz_NAME.c with the entry point that libFuzzer calls, and with its
 * seeds.  Whatever the input, it must neither crash nor find a check that fails; each
 * run starts from nothing, so an input always does the same.  With driver.c it is a
 * test program that any compiler builds; `make fuzz` links libFuzzer instead.
 */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* How many inputs a test makes from the seeds: some seconds' worth under sanitizers. */
extern const unsigned fuzz_runs;

/* Append the input with which to start, number `n` from 0, to `ret`, which is empty.
 * False: there are no more. */
bool fuzz_seed(size_t n, struct buf *ret);

/* Ends the program, with the input kept, unless the condition holds. */
#define FUZZ_CHECK(condition) ((condition) ? (void)0 : fuzz_fail(#condition, __FILE__, __LINE__))
_Noreturn void fuzz_fail(const char *condition, const char *file, int line);

/* buf_add() that cannot fail. */
void fuzz_add(struct buf *buf, const void *data, size_t size);
void fuzz_add_byte(struct buf *buf, uint8_t byte);

/* An input that is eaten from the front; zeros behind its end. */
struct fuzz_input {
	const uint8_t *data;
	size_t size;
};

uint8_t fuzz_byte(struct fuzz_input *input);
uint32_t fuzz_u16(struct fuzz_input *input);
/* Up to `size` bytes; their number is set. */
const uint8_t *fuzz_bytes(struct fuzz_input *input, size_t *size);

#endif
