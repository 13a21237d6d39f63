/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * indexworld.c - see indexworld.h.
 */
#include "tests/support/indexworld.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/limits.h"
#include "tests/support/stores.h"

struct dw_bytes world_key(char ret[32], size_t i)
{
	int n = i ? snprintf(ret, 32, "%c/%02zu%s", (int)('a' + i / 60), i % 60 / 2,
			     i % 2 ? "/x" : "")
		  : 0;

	return (struct dw_bytes){ret, (size_t)n};
}

uint64_t world_record_size(size_t i, uint32_t value_size)
{
	char key[32];

	return RECORD_OVERHEAD + world_key(key, i).size + value_size;
}

/* --- segments --- */

static struct dw_segment *active(const struct indexworld *w)
{
	return segset_last(&w->segments);
}

static void add_segment(struct indexworld *w, uint32_t id)
{
	struct dw_segment *segment;

	CHECK_EQ(segset_reserve(&w->segments, 1), 0);
	CHECK_EQ(segment_create(&w->pool, id, &segment), 0);
	segset_add(&w->segments, segment);
}

/* The file is as long as its records; its end tells how long. */
static void grow_file(const struct dw_segment *segment)
{
	char path[SEGNAME_SIZE];
	uint32_t crc = (uint32_t)segment->size * 2654435761u;

	segname_format(segment->id, path);
	int fd = openat(segment->pool->dirfd, path, O_WRONLY);
	CHECK(fd >= 0);
	CHECK_EQ(ftruncate(fd, (off_t)segment->size), 0);
	if (segment->size)
		CHECK_EQ(pwrite(fd, &crc, sizeof crc, (off_t)(segment->size - sizeof crc)), 4);
	CHECK_EQ(close(fd), 0);
}

void world_rotate(struct indexworld *w)
{
	grow_file(active(w));
	add_segment(w, active(w)->id + 3);
}

struct index_position world_position(struct indexworld *w)
{
	grow_file(active(w));
	return (struct index_position){active(w)->id, active(w)->size, 7};
}

static void index_begin(struct index *index, struct io *io, int dirfd,
			const struct segset *segments, struct index_position *position_ret)
{
	uint32_t stray;

	CHECK_EQ(index_init(index, io, dirfd), 0);
	CHECK_EQ(index_open(index, segments, true, position_ret), 0);
	CHECK_EQ(index_clean(index, &stray), 0);
}

void world_init(struct indexworld *w, struct io *io, int dirfd)
{
	struct index_position position;

	memset(w, 0, sizeof *w);
	w->io = io;
	w->dirfd = dirfd;
	w->segment_dir = strdup(stores_dir());
	CHECK(w->segment_dir != NULL);
	w->segment_dirfd = open(w->segment_dir, O_RDONLY | O_DIRECTORY);
	CHECK_EQ(fdpool_init(&w->pool, &io_posix, w->segment_dirfd, 0), 0);
	add_segment(w, 3);
	index_begin(&w->index, io, dirfd, &w->segments, &position);
	CHECK_EQ(position.segment, 0);
}

static void close_moments(struct indexworld *w)
{
	for (int i = 0; i < WORLD_MOMENTS; i++) {
		index_moment_close(w->moments[i]);
		w->moments[i] = NULL;
	}
}

void world_set(struct indexworld *w, size_t key, bool there)
{
	struct dw_segment *segment = segset_last(&w->segments);
	struct keydir_place place = {.segment = segment, .offset = segment->size};
	struct index_prepared prepared;
	struct keydir_place old;
	char name[32];

	CHECK_EQ(index_prepare(&w->index, world_key(name, key), &prepared), 0);
	if (there)
		index_set(&w->index, &prepared, &place, &old);
	else
		index_remove(&w->index, &prepared, 1, &old);
	segment->size += 100;
}

void world_release(struct indexworld *w)
{
	close_moments(w);
	index_release(&w->index);
	segset_release(&w->segments);
	fdpool_release(&w->pool);
	CHECK_EQ(close(w->segment_dirfd), 0);
	free(w->segment_dir);
	free(w->ops);
}

/* --- changing --- */

static struct truth_place append(struct indexworld *w, size_t key, uint32_t value_size)
{
	if (active(w)->size > WORLD_SEGMENT_SIZE)
		world_rotate(w);
	struct dw_segment *segment = active(w);
	const struct truth_place place = {segment->id, value_size, segment->size, w->clock_ns += 3};

	segment->size += world_record_size(key, value_size);
	return place;
}

static struct keydir_place place_of(const struct indexworld *w, const struct truth_place *place)
{
	struct keydir_place ret = {.offset = place->offset,
				   .mtime_ns = place->mtime_ns,
				   .value_size = place->value_size};

	for (size_t i = 0; i < w->segments.count; i++)
		if (w->segments.items[i]->id == place->segment)
			ret.segment = w->segments.items[i];
	return ret;
}

bool truth_is_at(const struct truth_place *truth, const struct keydir_place *place)
{
	if (!place->segment || !truth->segment)
		return !place->segment && !truth->segment;
	return place->segment->id == truth->segment && place->offset == truth->offset &&
	       place->mtime_ns == truth->mtime_ns && place->value_size == truth->value_size;
}

static void truth_set(struct truth *truth, size_t key, const struct truth_place *place)
{
	truth->count += (place->segment != 0) - (truth->places[key].segment != 0);
	truth->places[key] = *place;
}

/* Into the index, as an append or a replay does. */
static void apply(struct indexworld *w, struct index_prepared *prepared, const struct world_op *op)
{
	struct keydir_place old;

	if (op->place.segment) {
		struct keydir_place place = place_of(w, &op->place);
		index_set(&w->index, prepared, &place, &old);
	} else {
		index_remove(&w->index, prepared, w->clock_ns, &old);
	}
	CHECK(truth_is_at(&w->now.places[op->key], &old));
	truth_set(&w->now, op->key, &op->place);
}

static void note(struct indexworld *w, const struct world_op *op)
{
	w->ops = reallocarray(w->ops, w->op_count + 1, sizeof *w->ops);
	CHECK(w->ops != NULL);
	w->ops[w->op_count++] = *op;
}

/* Some at once, or one by one: that makes no difference. */
static void prepare(struct indexworld *w, const size_t *keys, size_t count, bool many,
		    struct index_prepared *ret)
{
	struct index_wanted wanted[INDEX_PREPARE_MAX];
	char names[INDEX_PREPARE_MAX][32];

	for (size_t i = 0; i < count; i++) {
		wanted[i] = (struct index_wanted){world_key(names[i], keys[i]), &ret[i]};
		if (!many)
			CHECK_EQ(index_prepare(&w->index, wanted[i].key, &ret[i]), 0);
	}
	if (many)
		CHECK_EQ(index_prepare_many(&w->index, wanted, count), 0);
}

void world_change(struct indexworld *w, struct rng *rng)
{
	struct index_prepared prepared[INDEX_PREPARE_MAX];
	size_t keys[INDEX_PREPARE_MAX];
	size_t count = 1 + rng_below(rng, rng_below(rng, 8) ? 4 : INDEX_PREPARE_MAX);

	for (size_t i = 0; i < count; i++)
		keys[i] = i && !rng_below(rng, 3) ? keys[0] : rng_below(rng, WORLD_KEYS);
	prepare(w, keys, count, rng_below(rng, 2), prepared);
	for (size_t i = 0; i < count; i++) {
		struct world_op op = {.key = keys[i]};
		unsigned what = (unsigned)rng_below(rng, 10);
		if (what == 0) {
			index_drop(&w->index, &prepared[i]);
			continue;
		}
		if (what < 6)
			op.place = append(w, op.key, (uint32_t)rng_below(rng, 1000));
		apply(w, &prepared[i], &op);
		note(w, &op);
	}
}

static int move_key(struct indexworld *w, size_t key, bool right)
{
	struct truth_place *known = &w->now.places[key];
	const struct keydir_place from = place_of(w, known);
	world_rotate(w); /* copies are in a later segment */
	struct truth_place to = append(w, key, known->value_size);
	const struct keydir_place there = place_of(w, &to);
	char name[32];

	int rc = index_move(&w->index, world_key(name, key), from.segment->id - !right,
			    there.segment, to.offset);
	CHECK_EQ(rc, right);
	if (right) {
		to.mtime_ns = known->mtime_ns;
		*known = to;
	}
	return rc;
}

void world_move(struct indexworld *w, struct rng *rng)
{
	size_t key = rng_below(rng, WORLD_KEYS);

	if (w->now.places[key].segment)
		(void)move_key(w, key, rng_below(rng, 2)); /* it checks itself */
}

void world_take_or_close(struct indexworld *w, struct rng *rng)
{
	size_t i = rng_below(rng, WORLD_MOMENTS);

	if (w->moments[i]) {
		index_moment_close(w->moments[i]);
		w->moments[i] = NULL;
		index_tidy(&w->index);
		return;
	}
	CHECK_EQ(index_seal(&w->index, &w->segments, &w->moments[i]), 0);
	w->then[i] = w->now;
}

int world_checkpoint(struct indexworld *w)
{
	const struct index_position position = world_position(w);
	int rc = index_checkpoint_begin(&w->index, &w->segments, &position);

	if (!rc)
		rc = index_checkpoint_write(&w->index, NULL);
	if (!rc) {
		w->saved = w->now;
		w->op_count = 0;
		w->is_saved = true;
	}
	return rc;
}

void world_compact(struct indexworld *w)
{
	struct dw_segment *oldest = w->segments.items[0];
	char name[SEGNAME_SIZE];

	if (w->segments.count < 3)
		return;
	for (size_t i = 0; i < WORLD_KEYS; i++)
		if (w->now.places[i].segment == oldest->id)
			(void)move_key(w, i, true); /* it checks itself */
	CHECK_EQ(oldest->live_bytes, 0);
	CHECK_EQ(world_checkpoint(w), 0);
	segname_format(oldest->id, name);
	CHECK_EQ(fdpool_keep(&w->pool, &oldest->file), 0);
	CHECK_EQ(unlinkat(w->segment_dirfd, name, 0), 0);
	segset_remove(&w->segments, oldest);
	CHECK_EQ(index_set_segments(&w->index, &w->segments), 0);
}

/* --- opening --- */

/* The same segments, as a process that starts sees them. */
static void reopen_segments(struct indexworld *w)
{
	struct segset old = w->segments;

	w->segments = (struct segset){0};
	CHECK_EQ(segset_reserve(&w->segments, old.count), 0);
	for (size_t i = 0; i < old.count; i++) {
		struct dw_segment *segment;
		uint64_t size;
		CHECK_EQ(segment_open(&w->pool, old.items[i]->id, false, &size, &segment), 0);
		segment->hinted = size; /* no other code uses it here */
		segset_add(&w->segments, segment);
	}
	segset_release(&old);
}

bool world_reopen(struct indexworld *w)
{
	struct index_position position;
	struct truth before = w->now;
	struct world_op *ops = w->ops;
	size_t count = w->op_count;
	char name[32];

	close_moments(w);
	index_release(&w->index);
	grow_file(active(w));
	reopen_segments(w);
	index_begin(&w->index, w->io, w->dirfd, &w->segments, &position);
	bool believed = position.segment;
	w->now = believed ? w->saved : (struct truth){.count = 0};
	w->ops = NULL;
	w->op_count = 0;
	for (size_t i = 0; i < w->segments.count; i++) /* replay the log after the position */
		w->segments.items[i]->size = w->segments.items[i]->hinted;
	if (!believed) {
		ops = reallocarray(ops, WORLD_KEYS, sizeof *ops);
		CHECK(ops != NULL);
		for (count = 0; count < WORLD_KEYS; count++)
			ops[count] = (struct world_op){count, before.places[count]};
	}
	for (size_t i = 0; i < count; i++) {
		struct index_prepared prepared;
		CHECK_EQ(index_prepare(&w->index, world_key(name, ops[i].key), &prepared), 0);
		apply(w, &prepared, &ops[i]);
		note(w, &ops[i]);
	}
	free(ops);
	w->is_saved = w->is_saved && believed;
	return believed;
}

void world_segment_path(const struct indexworld *w, size_t i, char ret[256])
{
	char name[SEGNAME_SIZE];

	segname_format(w->segments.items[i]->id, name);
	(void)snprintf(ret, 256, "%s/%s", w->segment_dir, name);
}

static int compare_saved(struct index *index, const struct truth *truth)
{
	char name[32];

	if (index_count(index) != truth->count)
		return 0;
	for (size_t i = 0; i < WORLD_KEYS; i++) {
		struct keydir_place place = {.segment = NULL};
		int rc = index_get(index, world_key(name, i), false, &place);
		/* or opening met it */
		CHECK(rc != -EBADMSG || index_is_damaged(index));
		if (rc == -EBADMSG)
			return rc;
		CHECK(!rc || rc == -ENOENT);
		if (!truth_is_at(&truth->places[i], &place))
			return 0;
	}
	return 1;
}

int world_is_saved(const struct indexworld *w, const char *dir, const struct truth *truth)
{
	struct segset segments = {0};
	struct segset_ids ids;
	struct index_position position;
	struct fdpool pool;
	struct index index;
	int dirfd = open(dir, O_RDONLY | O_DIRECTORY);

	CHECK(dirfd >= 0);
	CHECK_EQ(fdpool_init(&pool, &io_posix, w->segment_dirfd, 0), 0);
	CHECK_EQ(segset_list(&io_posix, w->segment_dirfd, &ids), 0);
	CHECK_EQ(segset_reserve(&segments, ids.count), 0);
	for (size_t i = 0; i < ids.count; i++) {
		struct dw_segment *segment;
		uint64_t size;
		CHECK_EQ(segment_open(&pool, ids.items[i], false, &size, &segment), 0);
		segset_add(&segments, segment);
	}
	index_begin(&index, &io_posix, dirfd, &segments, &position);
	int ret = position.segment ? compare_saved(&index, truth) : -1;
	index_release(&index);
	segset_release(&segments);
	segset_ids_release(&ids);
	fdpool_release(&pool);
	CHECK_EQ(close(dirfd), 0);
	return ret;
}
