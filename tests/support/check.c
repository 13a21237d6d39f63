/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * check.c - see check.h.
 */
#include "tests/support/check.h"

#include <CUnit/TestRun.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static char top[64];
static char skip_reason[256];

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void remove_top(void)
{
	if (*top)
		(void)nftw(top, remove_entry, 16, FTW_DEPTH | FTW_PHYS); /* best effort at exit */
}

const char *check_dir(void)
{
	static char path[96];
	static int count;

	if (!*top) {
		strcpy(top, "/tmp/datawal-test-XXXXXX");
		if (!mkdtemp(top)) {
			perror("mkdtemp");
			exit(99);
		}
		(void)atexit(remove_top);
	}
	(void)snprintf(path, sizeof path, "%s/%d", top, count++);
	if (mkdir(path, 0700)) {
		perror(path);
		exit(99);
	}
	return path;
}

void check_skip(const char *why)
{
	(void)snprintf(skip_reason, sizeof skip_reason, "%s", why);
}

void check_eq(long long actual, long long expected, const char *text, const char *file, int line)
{
	char message[512];

	if (actual != expected)
		(void)snprintf(message, sizeof message, "%s: %lld, not %lld", text, actual,
			       expected);
	CU_assertImplementation(actual == expected, (unsigned)line,
				actual == expected ? text : message, file, "", CU_TRUE);
}

static void print_failures(void)
{
	for (CU_pFailureRecord f = CU_get_failure_list(); f; f = f->pNext)
		printf("  %s:%u: %s\n", f->strFileName, f->uiLineNumber, f->strCondition);
}

static bool run_one(CU_pSuite suite, CU_pTest test)
{
	*skip_reason = '\0';
	CU_ErrorCode rc = CU_run_test(suite, test);
	bool failed = rc != CUE_SUCCESS || CU_get_number_of_failures();
	if (failed)
		printf("not ok %s\n", test->pName);
	else if (*skip_reason)
		printf("skip %s: %s\n", test->pName, skip_reason);
	else
		printf("ok %s\n", test->pName);
	print_failures();
	(void)fflush(stdout);
	return !failed;
}

int check_main(int argc, char **argv, const struct check_test *tests)
{
	bool good = true;

	if (CU_initialize_registry() != CUE_SUCCESS)
		return 99;
	CU_pSuite suite = CU_add_suite("suite", NULL, NULL);
	for (; tests->name; tests++) {
		CU_pTest test = CU_add_test(suite, tests->name, tests->run);
		if (argc < 2 || !strcmp(argv[1], tests->name))
			good = run_one(suite, test) && good;
	}
	CU_cleanup_registry();
	return good ? 0 : 1;
}

struct rng check_rng(void)
{
	const char *given = getenv("CHECK_SEED");
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now); /* cannot fail */
	struct rng rng = {given ? strtoull(given, NULL, 0)
				: (uint64_t)now.tv_sec * 1000000007u + (uint64_t)now.tv_nsec};
	printf("  seed: CHECK_SEED=%llu\n", (unsigned long long)rng.state);
	return rng;
}

uint64_t rng_next(struct rng *rng)
{
	uint64_t x = rng->state += 0x9e3779b97f4a7c15;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

uint64_t rng_below(struct rng *rng, uint64_t bound)
{
	return rng_next(rng) % bound;
}
