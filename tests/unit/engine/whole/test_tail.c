/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_tail.c - following a log: what is given, and when it starts over.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "store/store.h"
#include "tests/support/follower.h"

static void test_follows(void)
{
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, 0);
	struct dw_tail *tail = tails_open(dir, NULL);

	tails_expect_end(tail);
	stores_put(store, "a", "1");
	stores_put(store, "b", "two");
	tails_expect(tail, 1, "a", "1");
	tails_expect(tail, 2, "b", "two");
	tails_expect_end(tail);
	stores_delete(store, "a");
	tails_expect(tail, 3, "a", NULL);
	CHECK_EQ(dw_rotate(store), 0);
	tails_expect_end(tail);
	stores_put(store, "c", "");
	CHECK_EQ(dw_rotate(store), 0);
	CHECK_EQ(dw_rotate(store), 0);
	stores_put(store, "d", "4");
	tails_expect(tail, 4, "c", "");
	tails_expect(tail, 5, "d", "4");
	tails_expect_end(tail);
	stores_close(store);
	tails_expect_end(tail);
	store = stores_open(dir, 0);
	stores_put(store, "e", "5");
	tails_expect(tail, 6, "e", "5");
	dw_tail_free(tail);
	stores_close(store);
}

/* From each position on, however much of it is known, come just the records behind it. */
static void test_positions(void)
{
	enum { RECORDS = 30 };
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, 0);
	struct dw_position positions[RECORDS + 1] = {{0}};
	char key[20], text[DW_POSITION_TEXT_SIZE];

	for (int i = 1; i <= RECORDS; i++) {
		(void)snprintf(key, sizeof key, "%d", i);
		stores_put(store, key, key);
		if (i % 7 == 0)
			CHECK_EQ(dw_rotate(store), 0);
	}
	struct dw_tail *tail = tails_open(dir, NULL);
	for (unsigned i = 1; i <= RECORDS; i++) {
		(void)snprintf(key, sizeof key, "%u", i);
		positions[i] = tails_expect(tail, i, key, key);
	}
	dw_tail_free(tail);
	for (unsigned from = 0; from <= RECORDS; from++)
		for (int known = 0; known < 3; known++) {
			struct dw_position since = positions[from];
			since.crc = known < 2 ? 0 : since.crc;
			if (!known)
				since = (struct dw_position){.txid = since.txid};
			dw_position_text(&since, text);
			CHECK_EQ(dw_position_parse(text, &since), 0);
			tail = tails_open(dir, &since);
			for (unsigned i = from + 1; i <= RECORDS; i++) {
				(void)snprintf(key, sizeof key, "%u", i);
				tails_expect(tail, i, key, key);
			}
			tails_expect_end(tail);
			dw_tail_free(tail);
		}
	stores_close(store);
}

static void test_from_now_and_state(void)
{
	static const struct dw_tail_options now = {.from_now = true}, state = {.from_state = true};
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, 0);
	struct dw_tail *a, *b, *c;

	CHECK_EQ(dw_tail_open(dir, NULL, &now, &c), 0);
	stores_put(store, "a", "1");
	stores_put(store, "b", "1");
	stores_delete(store, "a");
	CHECK_EQ(dw_rotate(store), 0);
	CHECK_EQ(dw_tail_open(dir, NULL, &now, &a), 0);
	CHECK_EQ(dw_tail_open(dir, NULL, &state, &b), 0);
	tails_expect_end(a);
	tails_expect_reset(b, DW_RESET_ASKED, 1);
	tails_expect_end(b);
	stores_put(store, "c", "1");
	tails_expect(a, 4, "c", "1");
	tails_expect(b, 4, "c", "1");
	tails_expect(c, 1, "a", "1");
	dw_tail_free(a);
	dw_tail_free(b);
	dw_tail_free(c);
	stores_close(store);
}

/* A tail that has all there is meets no gap, whatever is compacted. */
static void test_compaction(void)
{
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, 0);
	struct dw_tail *tail = tails_open(dir, NULL), *late = tails_open(dir, NULL);
	struct dw_position at;

	stores_put(store, "a", "1");
	stores_put(store, "a", "2");
	stores_put(store, "b", "1");
	tails_expect(tail, 1, "a", "1");
	tails_expect(tail, 2, "a", "2");
	at = tails_expect(tail, 3, "b", "1");
	CHECK_EQ(dw_compact(store, NULL), 0);
	tails_expect_end(tail);
	stores_put(store, "c", "1");
	tails_expect(tail, 4, "c", "1");
	tails_expect_end(tail);
	/* one that was not open and comes back, its place gone */
	struct dw_tail *back = tails_open(dir, &at);
	tails_expect(back, 4, "c", "1");
	tails_expect_end(back);
	dw_tail_free(back);
	/* one that has not come so far is told that history is gone, and what there is */
	struct dw_change gap = tails_expect_reset(late, DW_RESET_COMPACTED, 3);
	CHECK_EQ(gap.missing_from, 1);
	CHECK_EQ(gap.missing_to, 1);
	tails_expect_end(late);
	stores_put(store, "d", "1");
	tails_expect(late, 5, "d", "1");
	tails_expect(tail, 5, "d", "1");
	dw_tail_free(late);
	dw_tail_free(tail);
	stores_close(store);
}

/* A compaction of the oldest segment alone puts its copies behind a younger one. */
static void test_out_of_order(void)
{
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, 0);
	const struct dw_compact_options options = {.dead_percent = 30};
	struct dw_compact_report report;
	struct dw_position at;

	stores_put(store, "dead", "0123456789012345678901234567890123456789");
	stores_put(store, "a", "1");
	stores_put(store, "b", "1");
	CHECK_EQ(dw_rotate(store), 0);
	stores_put(store, "dead", "2");
	stores_put(store, "c", "1");
	CHECK_EQ(dw_rotate(store), 0);
	stores_put(store, "d", "1");
	struct dw_tail *tail = tails_open(dir, NULL);
	at = tails_expect(tail, 1, "dead", "0123456789012345678901234567890123456789");
	dw_tail_free(tail);
	CHECK_EQ(dw_compact_with(store, &options, &report), 0);
	CHECK_EQ(report.segments_before, 1);
	tail = tails_open(dir, &at);
	for (int i = 0; i < 2; i++) { /* the second time from the middle of the copies */
		if (!i)
			at = tails_expect(tail, 2, "a", "1");
		tails_expect(tail, 3, "b", "1");
		tails_expect(tail, 4, "dead", "2");
		tails_expect(tail, 5, "c", "1");
		tails_expect(tail, 6, "d", "1");
		tails_expect_end(tail);
		dw_tail_free(tail);
		tail = tails_open(dir, &at);
	}
	dw_tail_free(tail);
	stores_close(store);
}

/* --- ends that are no records --- */

static void append_bytes(const char *dir, const void *bytes, size_t size)
{
	int fd = open(stores_path(dir, "00000001.dwal"), O_WRONLY | O_APPEND | O_CLOEXEC);

	CHECK(fd >= 0);
	CHECK_EQ(write(fd, bytes, size), size);
	(void)close(fd);
}

/* A guard, zeros ahead, a part of a record: nothing of them is given, and records over them are. */
static void test_unfinished(void)
{
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, 0);
	static const uint8_t zeros[5000];
	struct dw_tail *tail = tails_open(dir, NULL);

	for (unsigned i = 1; i <= 40; i++) { /* the writer puts up a guard */
		stores_put(store, "a", "1");
		CHECK_EQ(dw_sync(store), 0);
		tails_expect(tail, i, "a", "1");
		tails_expect_end(tail);
	}
	CHECK(store->core->log.prealloc.on);
	stores_kill(store);
	tails_expect_end(tail);
	store = stores_open(dir, 0); /* takes the guard down */
	stores_put(store, "b", "1");
	tails_expect(tail, 41, "b", "1");
	stores_kill(store);
	append_bytes(dir, "DWAL\1\0\1\0\52\0\0\0\0\0\0\0\1\0\0\0\1\0\0\0k", 25);
	tails_expect_end(tail);
	store = stores_open(dir, 0); /* cuts the torn record off */
	stores_put(store, "c", "1");
	tails_expect(tail, 42, "c", "1");
	stores_kill(store);
	append_bytes(dir, zeros, sizeof zeros);
	tails_expect_end(tail);
	store = stores_open(dir, 0);
	stores_put(store, "d", "1");
	tails_expect(tail, 43, "d", "1");
	dw_tail_free(tail);
	stores_close(store);
}

static void note_damage(void *context, const struct dw_finding *finding)
{
	*(struct dw_finding *)context = *finding;
}

static void test_damage(void)
{
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, 0);
	struct dw_finding finding = {0};
	const struct dw_tail_options options = {.on_finding = note_damage, .context = &finding};
	struct dw_change change;
	struct dw_tail *tail;

	stores_put(store, "a", "1");
	CHECK_EQ(dw_rotate(store), 0);
	stores_put(store, "b", "1");
	stores_close(store);
	CHECK_EQ(truncate(stores_path(dir, "00000001.dwal"), 20), 0);
	CHECK_EQ(dw_tail_open(dir, NULL, &options, &tail), 0);
	CHECK_EQ(dw_tail_next(tail, &change), -EBADMSG);
	CHECK_EQ(finding.kind, DW_FINDING_DAMAGE);
	CHECK_EQ(finding.segment, 1);
	CHECK_EQ(finding.damage, DW_DAMAGE_TRUNCATED);
	CHECK_EQ(dw_tail_next(tail, &change), -EBADMSG);
	dw_tail_free(tail);
}

/* --- what is taken back --- */

/* As a power cut leaves it that took the last record. */
static void take_last_back(struct dw_store *store, const char *dir, const struct dw_position *end)
{
	stores_kill(store);
	CHECK_EQ(truncate(stores_path(dir, "00000001.dwal"), (off_t)end->offset), 0);
}

static void test_taken_back(void)
{
	static const char *const others[] = {NULL, "x", "another length"};

	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		const char *dir = stores_dir();
		struct dw_store *store = stores_open(dir, 0);
		struct dw_tail *tail = tails_open(dir, NULL);
		struct dw_position kept, lost;

		stores_put(store, "a", "1");
		stores_put(store, "b", "1");
		kept = tails_expect(tail, 1, "a", "1");
		lost = tails_expect(tail, 2, "b", "1");
		tails_expect_end(tail);
		take_last_back(store, dir, &kept);
		store = stores_open(dir, 0);
		if (others[i]) /* it gets the txid, and the place, of the one that is lost */
			stores_put(store, "b", others[i]);
		struct dw_tail *back = tails_open(dir, &lost);
		tails_expect_reset(tail, DW_RESET_TAKEN_BACK, others[i] ? 2 : 1);
		tails_expect_reset(back, DW_RESET_TAKEN_BACK, others[i] ? 2 : 1);
		stores_put(store, "c", "1");
		tails_expect(tail, others[i] ? 3 : 2, "c", "1");
		tails_expect(back, others[i] ? 3 : 2, "c", "1");
		tails_expect_end(back);
		dw_tail_free(back);
		back = tails_open(dir, &kept);
		if (others[i])
			tails_expect(back, 2, "b", others[i]);
		tails_expect(back, others[i] ? 3 : 2, "c", "1");
		dw_tail_free(back);
		dw_tail_free(tail);
		stores_close(store);
	}
}

/* A repair writes a segment anew: the record is elsewhere, and still the same. */
static void test_repair(void)
{
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, 0);
	struct dw_repair_report report;
	struct dw_position first, at;
	struct dw_change change;

	stores_put(store, "a", "1");
	stores_put(store, "b", "1");
	stores_put(store, "c", "1");
	struct dw_tail *tail = tails_open(dir, NULL);
	first = tails_expect(tail, 1, "a", "1");
	at = tails_expect(tail, 2, "b", "1");
	dw_tail_free(tail);
	stores_close(store);
	int fd = open(stores_path(dir, "00000001.dwal"), O_WRONLY | O_CLOEXEC);
	CHECK_EQ(pwrite(fd, "X", 1, 0), 1);
	(void)close(fd);
	CHECK_EQ(dw_repair(dir, true, NULL, NULL, NULL, &report), 0);
	tail = tails_open(dir, &at);
	tails_expect(tail, 3, "c", "1");
	tails_expect_end(tail);
	dw_tail_free(tail);
	/* the record of this one is gone, and nothing tells that others are not */
	tail = tails_open(dir, &first);
	CHECK_EQ(dw_tail_next(tail, &change), 1);
	CHECK_EQ(change.kind, DW_CHANGE_RESET);
	dw_tail_free(tail);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"tail_follows", test_follows},
		{"tail_positions", test_positions},
		{"tail_from_now_and_state", test_from_now_and_state},
		{"tail_compaction", test_compaction},
		{"tail_out_of_order", test_out_of_order},
		{"tail_unfinished", test_unfinished},
		{"tail_damage", test_damage},
		{"tail_taken_back", test_taken_back},
		{"tail_repair", test_repair},
		{NULL, NULL},
	};

	return check_main(argc, argv, tests);
}
