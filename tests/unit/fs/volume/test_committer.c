/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_committer.c - what is open and written reaches the log by itself, in time.
 */
#include <poll.h>
#include <stdio.h>

#include "tests/support/volumes.h"

/* Wait, for a minute at most, until the background thread put a value. */
static bool wait_for(struct volume *volume, const char *key, const char *value)
{
	for (int i = 0; i < 60000; i++) {
		if (stores_holds(volume_store(volume), stores_bytes(key), stores_bytes(value)))
			return true;
		(void)poll(NULL, 0, 1); /* the store has no event to wait on */
	}
	return false;
}

static void test_committer(void)
{
	struct volume_options options = volumes_defaults;

	options.commit_ms = 5;
	struct volume *v = volumes_mount_with(stores_dir(), &options, 0);
	CHECK_EQ(volume_start(v), 0);
	struct node *f = volumes_open(v, "f", O_CREAT | O_RDWR, NULL);
	volumes_write_at(v, f, "one", 3, 0);
	CHECK(wait_for(v, "f", "one"));
	struct node *g = volumes_open(v, "g", O_CREAT | O_RDWR, NULL);
	CHECK(wait_for(v, "g", ""));
	volumes_write_at(v, f, "two", 3, 0);
	CHECK(wait_for(v, "f", "two"));
	struct dw_stats before, after;
	dw_get_stats(volume_store(v), &before);
	volumes_done(v, f);
	volumes_done(v, g);
	dw_get_stats(volume_store(v), &after);
	CHECK_EQ(after.puts, before.puts); /* nothing was left to do */
	volumes_unmount(v);
}

/* The committer is woken once in a while only: a file that becomes dirty while it sleeps for
 * another one, or for one committed meanwhile, is in time too. */
static void test_asleep(void)
{
	enum { ROUNDS = 60 };
	struct volume_options options = volumes_defaults;
	struct node *open[ROUNDS];
	char name[32];

	options.commit_ms = 20;
	struct volume *v = volumes_mount_with(stores_dir(), &options, 0);
	CHECK_EQ(volume_start(v), 0);
	for (int i = 0; i < ROUNDS; i++) {
		(void)snprintf(name, sizeof name, "closed%d", i);
		volumes_write(v, name, "at once");
		(void)poll(NULL, 0, i % 30);
		(void)snprintf(name, sizeof name, "open%d", i);
		open[i] = volumes_open(v, name, O_CREAT | O_RDWR, NULL);
		volumes_write_at(v, open[i], name, 3, 0);
		if (i % 3 == 0)
			CHECK(wait_for(v, name, "ope"));
	}
	for (int i = 0; i < ROUNDS; i++) {
		(void)snprintf(name, sizeof name, "open%d", i);
		CHECK(wait_for(v, name, "ope"));
		volumes_done(v, open[i]);
	}
	volumes_unmount(v);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"committer_commits", test_committer},
		{"committer_asleep", test_asleep},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
