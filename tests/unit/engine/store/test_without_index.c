/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_without_index.c - a view that is made of the log alone, for the index on disk is damaged.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/spoil.h"
#include "tests/support/stores.h"

enum { KEYS = 1000 };

static struct dw_store *open_with(const char *dir, struct dw_options options,
				  struct dw_report *report)
{
	struct dw_store *store = NULL;

	options.create = !options.read_only;
	options.index_keys = 200;
	CHECK_EQ(dw_open(dir, &options, report, &store), 0);
	return store;
}

static const char *key_of(int i)
{
	static char key[20];

	(void)snprintf(key, sizeof key, "key %04d", i);
	return key;
}

/* A store whose index is on disk, but for less than 200 keys. */
static const char *make(void)
{
	const char *dir = stores_dir();
	struct dw_store *store = open_with(dir, (struct dw_options){0}, NULL);

	for (int i = 0; i < KEYS; i++)
		stores_put(store, key_of(i), key_of(i));
	stores_close(store);
	return dir;
}

static void expect_all(struct dw_store *store)
{
	CHECK_EQ(dw_count(store), KEYS);
	for (int i = 0; i < KEYS; i++)
		stores_expect(store, key_of(i), key_of(i));
	stores_expect(store, "never there", NULL);
}

/* Damage that is met when runs are read into memory. */
static void test_at_opening(void)
{
	const struct dw_options reader = {.read_only = true}, writer = {0};
	const char *dir = make();
	struct dw_report report;

	spoil_runs(dir);
	for (int i = 0; i < 2; i++) { /* a reader changes nothing */
		struct dw_store *store = open_with(dir, reader, &report);
		CHECK_EQ(report.records, KEYS);
		expect_all(store);
		stores_close(store);
	}
	struct dw_store *store = open_with(dir, writer, &report);
	CHECK_EQ(report.records, KEYS);
	expect_all(store);
	stores_close(store);
	store = open_with(dir, reader, &report);
	CHECK(report.records < 200); /* the index is a new one */
	expect_all(store);
	stores_close(store);
}

/* Met later by a reader: it can do without. */
static void test_by_option(void)
{
	struct dw_options options = {.read_only = true, .index_budget = 1};
	const char *dir = make();
	struct dw_report report;
	struct dw_value value;

	options.without_index = true;
	stores_close(open_with(dir, options, &report));
	CHECK_EQ(report.records, KEYS);
	spoil_runs(dir);
	options.without_index = false;
	struct dw_store *store = open_with(dir, options, &report);
	CHECK(report.records < 200);
	CHECK_EQ(dw_get(store, stores_bytes(key_of(0)), &value), -EIO);
	stores_close(store);
	options.without_index = true;
	store = open_with(dir, options, &report);
	CHECK_EQ(report.records, KEYS);
	expect_all(store);
	stores_close(store);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {{"without_index_at_opening", test_at_opening},
						  {"without_index_by_option", test_by_option},
						  {NULL, NULL}};

	return check_main(argc, argv, tests);
}
