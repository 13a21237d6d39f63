/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * follower.c - see follower.h.
 */
#include "tests/support/follower.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

struct dw_tail *tails_open(const char *dir, const struct dw_position *since)
{
	struct dw_tail *tail = NULL;

	CHECK_EQ(dw_tail_open(dir, since, NULL, &tail), 0);
	return tail;
}

void tails_expect_end(struct dw_tail *tail)
{
	struct dw_change change;

	CHECK_EQ(dw_tail_next(tail, &change), 0);
}

/* The next one is a record of that txid, type, key and value (NULL: a Delete). */
struct dw_position tails_expect(struct dw_tail *tail, uint64_t txid, const char *key,
				const char *value)
{
	struct dw_change change = {0};
	char bytes[100];

	CHECK_EQ(dw_tail_next(tail, &change), 1);
	CHECK_EQ(change.kind, DW_CHANGE_RECORD);
	CHECK_EQ(change.position.txid, txid);
	CHECK_EQ(change.type, value ? DW_PUT : DW_DELETE);
	CHECK(change.key.size == strlen(key) && !memcmp(change.key.data, key, strlen(key)));
	CHECK_EQ(change.value_size, value ? strlen(value) : 0);
	CHECK_EQ(dw_tail_read(tail, bytes, sizeof bytes, 0), change.value_size);
	CHECK(!value || !memcmp(bytes, value, strlen(value)));
	CHECK(clock_now_ns() - change.mtime_ns < 100 * CLOCK_SECOND_NS);
	return change.position;
}

/* The next ones are a RESET for that reason, `keys` keys, READY. */
struct dw_change tails_expect_reset(struct dw_tail *tail, enum dw_reset reset, int keys)
{
	struct dw_change first, change;
	int rc, count = 0;

	CHECK_EQ(dw_tail_next(tail, &first), 1);
	CHECK_EQ(first.kind, DW_CHANGE_RESET);
	CHECK_EQ(first.reset, reset);
	while ((rc = dw_tail_next(tail, &change)) == 1 && change.kind == DW_CHANGE_STATE)
		count++;
	CHECK_EQ(rc, 1);
	CHECK_EQ(change.kind, DW_CHANGE_READY);
	CHECK_EQ(count, keys);
	return first;
}

void follower_init(struct follower *follower, const char *dir)
{
	*follower = (struct follower){.dir = dir};
	CHECK_EQ(dw_tail_open(dir, NULL, NULL, &follower->tail), 0);
}

static void set(struct follower *follower, const struct dw_change *change)
{
	uint8_t *value = malloc(change->value_size + 1u);

	CHECK(value != NULL);
	for (size_t at = 0; at < change->value_size;) {
		ssize_t n = dw_tail_read(follower->tail, value + at, change->value_size - at, at);
		CHECK(n > 0);
		at += (size_t)n;
	}
	model_put(&follower->model, change->key, (struct dw_bytes){value, change->value_size});
	free(value);
}

static void take(struct follower *follower, const struct dw_change *change)
{
	switch (change->kind) {
	case DW_CHANGE_RECORD:
		CHECK(!follower->in_state);
		CHECK_EQ(change->position.txid, follower->position.txid + 1);
		if (change->type == DW_PUT)
			set(follower, change);
		else if (change->type == DW_DELETE)
			model_delete(&follower->model, change->key);
		break;
	case DW_CHANGE_RESET:
		model_release(&follower->model);
		follower->in_state = true;
		follower->resets++;
		return;
	case DW_CHANGE_STATE:
		CHECK(follower->in_state);
		set(follower, change);
		return;
	case DW_CHANGE_READY: follower->in_state = false; break;
	}
	follower->position = change->position;
}

void follower_follow(struct follower *follower, uint64_t limit)
{
	struct dw_change change;
	int rc = 1;

	for (uint64_t i = 0; rc == 1 && i < limit; i++) {
		rc = dw_tail_next(follower->tail, &change);
		CHECK(rc >= 0);
		if (rc == 1)
			take(follower, &change);
	}
	follower->at_end = !rc;
}

void follower_restart(struct follower *follower, bool txid_only)
{
	struct dw_position since = follower->position;

	if (txid_only)
		since = (struct dw_position){.txid = since.txid};
	dw_tail_free(follower->tail);
	/* in the middle of the state the position is that before it, so there is a RESET again, or
	 * all that follows is still there */
	if (follower->in_state) {
		model_release(&follower->model);
		since = (struct dw_position){0};
		follower->position = since;
		follower->in_state = false;
	}
	CHECK_EQ(dw_tail_open(follower->dir, &since, NULL, &follower->tail), 0);
}

void follower_release(struct follower *follower)
{
	dw_tail_free(follower->tail);
	model_release(&follower->model);
	*follower = (struct follower){0};
}
