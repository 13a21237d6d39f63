/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_index_threads.c - readers, cursors, moments, a writer, checkpoints and joins at once.
 *
 * Keys are numbers.  Key 0 to FIXED are put once, and from then on they are always there, wherever
 * the writer moves them; the others come and go.  A place tells its key: the size is the key's, and
 * the offset only grows.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/limits.h"
#include "index/delta.h"
#include "index/index.h"
#include "tests/support/check.h"

enum { FIXED = 200, KEYS = 1000, ROUNDS = 30000 };

struct shared {
	struct index index;
	struct fdpool pool;
	struct segset segments;
	pthread_mutex_t log_lock;
	atomic_bool done;
	atomic_uint checkpoints, joins;
};

static struct dw_bytes key_of(char ret[32], uint64_t i)
{
	int n = snprintf(ret, 32, "%c/%04u", (int)('a' + i % 7), (unsigned)i);

	return (struct dw_bytes){ret, (size_t)n};
}

static uint64_t number_of(struct dw_bytes key)
{
	char text[32] = {0};

	CHECK(key.size == 6);
	memcpy(text, key.data, key.size);
	return strtoull(text + 2, NULL, 10);
}

/* log.lock is held. */
static void put(struct shared *s, uint64_t i, bool removed)
{
	struct dw_segment *segment = segset_last(&s->segments);
	struct index_prepared prepared;
	struct keydir_place old;
	char name[32];

	CHECK_EQ(index_prepare(&s->index, key_of(name, i), &prepared), 0);
	struct keydir_place place = {
		.segment = segment, .offset = segment->size, .value_size = (uint32_t)i};
	segment->size += RECORD_OVERHEAD + 6 + i;
	if (removed)
		index_remove(&s->index, &prepared, 1, &old);
	else
		index_set(&s->index, &prepared, &place, &old);
	CHECK(!old.segment || old.value_size == i);
}

static void add_segment(struct shared *s)
{
	struct dw_segment *segment, *last = segset_last(&s->segments);

	if (last)
		CHECK_EQ(truncate(last->file.name, (off_t)last->size), 0);
	CHECK_EQ(segset_reserve(&s->segments, 1), 0);
	CHECK_EQ(segment_create(&s->pool, last ? last->id + 1 : 1, &segment), 0);
	segset_add(&s->segments, segment);
}

static void *write_keys(void *context)
{
	struct shared *s = context;
	struct rng rng = {4711};

	for (int round = 0; round < ROUNDS; round++) {
		(void)pthread_mutex_lock(&s->log_lock);
		uint64_t i = rng_below(&rng, KEYS);
		put(s, i, i >= FIXED && rng_below(&rng, 2));
		if (round % 3000 == 0)
			add_segment(s);
		index_check(&s->index);
		(void)pthread_mutex_unlock(&s->log_lock);
	}
	atomic_store(&s->done, true);
	return NULL;
}

static void *read_keys(void *context)
{
	struct shared *s = context;
	struct rng rng = {(uintptr_t)&s ^ 99};
	struct keydir_place place;
	char name[32];

	while (!atomic_load(&s->done)) {
		uint64_t i = rng_below(&rng, KEYS);
		int rc = index_get(&s->index, key_of(name, i), true, &place);
		CHECK(!rc || (rc == -ENOENT && i >= FIXED));
		if (rc)
			continue;
		CHECK_EQ(place.value_size, i);
		segment_unref(place.segment);
	}
	return NULL;
}

/* All fixed keys, each once and in order. */
static void walk(struct shared *s, struct index_moment *moment)
{
	struct index_cursor *cursor;
	struct keydir_place place;
	uint64_t fixed = 0, count = 0;
	struct dw_bytes key;
	struct buf last = {0};
	int rc;

	if (!moment && !index_is_listed(&s->index)) {
		(void)pthread_mutex_lock(&s->log_lock);
		CHECK_EQ(index_list(&s->index), 0);
		(void)pthread_mutex_unlock(&s->log_lock);
	}
	CHECK_EQ(index_cursor_open(&s->index, NULL, moment, (struct dw_bytes){"", 0}, &cursor), 0);
	while ((rc = index_cursor_next(cursor, &key, &place)) == 1) {
		CHECK_EQ(place.value_size, number_of(key));
		CHECK(place.segment->id >= 1);
		CHECK(!last.size ||
		      keydir_compare((struct dw_bytes){last.data, last.size}, key) < 0);
		last.size = 0;
		CHECK_EQ(buf_add(&last, key.data, key.size), 0);
		fixed += place.value_size < FIXED;
		count++;
	}
	CHECK_EQ(rc, 0);
	CHECK_EQ(fixed, FIXED);
	CHECK(!moment || count == index_moment_count(moment));
	index_cursor_close(cursor);
	buf_release(&last);
}

static void *walk_keys(void *context)
{
	struct shared *s = context;
	struct index_below below;

	for (int turn = 0; !atomic_load(&s->done); turn++) {
		struct index_moment *moment = NULL;
		if (turn % 2) {
			(void)pthread_mutex_lock(&s->log_lock);
			CHECK_EQ(index_seal(&s->index, &s->segments, &moment), 0);
			(void)pthread_mutex_unlock(&s->log_lock);
		}
		walk(s, moment);
		if (!moment) {
			CHECK_EQ(index_below(&s->index, (struct dw_bytes){"a/", 2}, &below), 0);
			CHECK(below.keys >= FIXED / 7 && below.keys <= KEYS / 7 + 1);
		}
		index_moment_close(moment);
		(void)pthread_mutex_lock(&s->log_lock);
		index_tidy(&s->index);
		(void)pthread_mutex_unlock(&s->log_lock);
	}
	return NULL;
}

static void *make_checkpoints(void *context)
{
	struct shared *s = context;

	while (!atomic_load(&s->done)) {
		(void)pthread_mutex_lock(&s->log_lock);
		struct dw_segment *last = segset_last(&s->segments);
		const struct index_position position = {last->id, last->size, 1};
		CHECK_EQ(index_checkpoint_begin(&s->index, &s->segments, &position), 0);
		CHECK_EQ(truncate(last->file.name, (off_t)last->size), 0);
		(void)pthread_mutex_unlock(&s->log_lock);
		CHECK_EQ(index_checkpoint_write(&s->index, NULL), 0);
		atomic_fetch_add(&s->checkpoints, 1);
	}
	return NULL;
}

static void *join_runs(void *context)
{
	struct shared *s = context;

	while (!atomic_load(&s->done)) {
		int rc = index_join(&s->index, NULL);
		CHECK(rc >= 0);
		atomic_fetch_add(&s->joins, (unsigned)rc);
	}
	return NULL;
}

static void test_all_at_once(void)
{
	static void *(*const work[])(void *) = {write_keys, read_keys,        read_keys,
						walk_keys,  make_checkpoints, join_runs};
	enum { THREADS = sizeof work / sizeof *work };
	struct shared *s = calloc(1, sizeof *s);
	struct index_position position;
	pthread_t threads[THREADS];

	CHECK_EQ(chdir(check_dir()), 0);
	int dirfd = open(".", O_RDONLY | O_DIRECTORY);
	CHECK_EQ(pthread_mutex_init(&s->log_lock, NULL), 0);
	CHECK_EQ(fdpool_init(&s->pool, &io_posix, dirfd, 0), 0);
	CHECK_EQ(index_init(&s->index, &io_posix, dirfd), 0);
	add_segment(s);
	CHECK_EQ(index_open(&s->index, &s->segments, true, &position), 0);
	for (uint64_t i = 0; i < FIXED; i++)
		put(s, i, false);
	for (int i = 0; i < THREADS; i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, work[i], s), 0);
	for (int i = 0; i < THREADS; i++)
		CHECK_EQ(pthread_join(threads[i], NULL), 0);
	printf("  %u checkpoints, %u joins\n", atomic_load(&s->checkpoints),
	       atomic_load(&s->joins));
	CHECK(!atomic_load(&s->index.retired_count));
	walk(s, NULL);
	index_release(&s->index);
	segset_release(&s->segments);
	fdpool_release(&s->pool);
	CHECK_EQ(close(dirfd), 0);
	free(s);
}

/* --- seeking where keys come --- */

enum { COMING = 200000 };

struct coming {
	struct delta *delta;
	atomic_bool done;
};

static void add_key(struct delta *delta, const char *key)
{
	const struct keydir_place place = {.hides = true};
	struct delta_prepared prepared;
	struct keydir_place old;

	CHECK_EQ(delta_prepare(delta, (struct dw_bytes){key, strlen(key)}, &prepared), 0);
	CHECK(!delta_set(delta, &prepared, &place, &old));
}

static void *seek_last(void *context)
{
	struct coming *c = context;
	const struct dw_bytes last = {"m", 1};
	struct delta_cursor cursor;
	struct delta_entry entry;

	CHECK_EQ(delta_cursor_init(&cursor, c->delta), 0);
	while (!atomic_load(&c->done)) {
		delta_cursor_seek(&cursor, last);
		CHECK(delta_cursor_next(&cursor, &entry));
		CHECK_EQ(entry.key.size, 1);
	}
	delta_cursor_release(&cursor);
	return NULL;
}

/* A seek never returns a key that is put right before the key it looks for. */
static void test_seek_beside_puts(void)
{
	struct keydir_lock *locks = keydir_locks_new();
	struct coming c = {.delta = locks ? delta_new(locks, true) : NULL};
	pthread_t thread;
	char key[16];

	CHECK(c.delta != NULL);
	add_key(c.delta, "m");
	CHECK_EQ(pthread_create(&thread, NULL, seek_last, &c), 0);
	for (int i = 0; i < COMING; i++) {
		(void)snprintf(key, sizeof key, "a%06d", i);
		add_key(c.delta, key);
	}
	atomic_store(&c.done, true);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	delta_unref(c.delta);
	keydir_locks_free(locks);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"index_threads", test_all_at_once},
		{"index_seek_beside_puts", test_seek_beside_puts},
		{NULL, NULL},
	};

	return check_main(argc, argv, tests);
}
