/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * check.h - what test programs share: CUnit with one line a test, temporary
 * directories, seeded random numbers.
 *
 * A program lists its tests and calls check_main().  Output, for tests/run.sh:
 * "ok NAME", "not ok NAME", "skip NAME: why".
 */
#ifndef SUPPORT_CHECK_H
#define SUPPORT_CHECK_H

#include <CUnit/CUnit.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct check_test {
	const char *name;
	void (*run)(void);
};

/* Run the tests (or the one that argv[1] names); the exit status. */
int check_main(int argc, char **argv, const struct check_test *tests);

/* Say that the running test cannot be run here; it returns right after. */
void check_skip(const char *why);

/* An assertion that says what was and what should be, and ends the test. */
#define CHECK_EQ(actual, expected)                                                                 \
	check_eq((long long)(actual), (long long)(expected), #actual " == " #expected, __FILE__,   \
		 __LINE__)
#define CHECK(condition)                                                                           \
	CU_assertImplementation((condition), __LINE__, #condition, __FILE__, "", CU_TRUE)

void check_eq(long long actual, long long expected, const char *text, const char *file, int line);

/* A fresh directory, removed with all it holds when the program ends. */
const char *check_dir(void);

/* splitmix64; the seed comes from CHECK_SEED or the clock and is printed. */
struct rng {
	uint64_t state;
};

struct rng check_rng(void);
uint64_t rng_next(struct rng *rng);
/* 0..bound-1 */
uint64_t rng_below(struct rng *rng, uint64_t bound);

#endif
