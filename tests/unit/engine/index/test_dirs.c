/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_dirs.c - what a delta counts below each directory, however deep a key lies.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "index/dirs.h"
#include "tests/support/check.h"

enum { SIZE = 65000 };

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { NS_A_BYTE = 4000 };
#else
enum { NS_A_BYTE = 400 };
#endif

static int64_t processor_ns(void)
{
	struct timespec used;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	return (int64_t)used.tv_sec * 1000000000 + used.tv_nsec;
}

static void add(struct dirs *dirs, struct dw_bytes key, int64_t newest_ns)
{
	size_t depth = dirs_depth(key);

	CHECK_EQ(dirs_reserve(dirs, depth), 0);
	dirs_add(dirs, key, 1, newest_ns);
	dirs_keep(dirs, depth);
}

static int64_t count_below(struct dirs *dirs, struct dw_bytes prefix)
{
	int64_t change = 0, newest_ns = INT64_MIN;

	dirs_get(dirs, prefix, &change, &newest_ns);
	CHECK_EQ(change > 0, newest_ns > 0);
	return change;
}

/* Each prefix that ends in a slash, and no other, of names short and long. */
static void test_prefixes(void)
{
	static char keys[3][1000];
	struct rng rng = check_rng();
	struct dirs dirs;

	dirs_init(&dirs);
	for (size_t k = 0; k < 3; k++) {
		for (size_t i = 0; i < sizeof keys[k]; i++)
			keys[k][i] = (char)(k && i < 500 ? keys[0][i] : "/ab"[rng_below(&rng, 3)]);
		add(&dirs, (struct dw_bytes){keys[k], sizeof keys[k]}, (int64_t)k + 1);
	}
	for (size_t k = 0; k < 3; k++)
		for (size_t size = 0; size <= sizeof keys[k]; size++) {
			bool is_name = !size || (size < sizeof keys[k] && keys[k][size - 1] == '/');
			int64_t same = 0;
			for (size_t other = 0; other < 3; other++)
				same += !memcmp(keys[other], keys[k], size);
			CHECK_EQ(count_below(&dirs, (struct dw_bytes){keys[k], size}),
				 is_name ? same : 0);
		}
	dirs_release(&dirs);
}

/* A key that consists of slashes, or nearly, costs time in proportion to its size. */
static void test_deep(void)
{
	static char key[SIZE];

	for (int unit = 1; unit < 4; unit++) {
		struct dirs dirs;
		dirs_init(&dirs);
		for (size_t i = 0; i < sizeof key; i++)
			key[i] = i % (size_t)unit ? 'a' : '/';
		int64_t started_ns = processor_ns();
		add(&dirs, (struct dw_bytes){key, sizeof key}, 1);
		int64_t each = (processor_ns() - started_ns) / SIZE;
		printf("  %d bytes each: %lld ns a byte\n", unit, (long long)each);
		CHECK(each < NS_A_BYTE);
		CHECK_EQ(count_below(&dirs, (struct dw_bytes){key, 1}), 1);
		dirs_release(&dirs);
	}
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"dirs_prefixes", test_prefixes}, {"dirs_deep", test_deep}, {NULL, NULL}};

	return check_main(argc, argv, tests);
}
