/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * oracle.c - see oracle.h.
 */
#include "tools/soak/say.h"

#define uthash_fatal(message) soak_out_of_memory()
#include "tools/soak/oracle.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

/* The weights of the streams, of a hundred operations. */
enum { WEIGHT_SMALL = 70, WEIGHT_MEDIUM = 25, WEIGHTS = 100 };

/* The purposes of random numbers. */
enum { SALT_RECORD = 1, SALT_DELETE };

/* --- keys --- */

struct slot *oracle_find(const struct oracle *oracle, struct dw_bytes key)
{
	struct slot *slot;

	HASH_FIND(hh, oracle->table, key.data, key.size, slot);
	return slot;
}

static void add_record(struct oracle *oracle, const struct stream *stream, struct record *record)
{
	struct slot *slot = oracle_find(oracle, record->key);

	if (!slot) {
		slot = &oracle->slots[oracle->count++];
		slot->key = record->key;
		slot->stream = stream->name;
		slot->index = (size_t)(record - stream->records) + 1;
		HASH_ADD_KEYPTR(hh, oracle->table, slot->key.data, slot->key.size, slot);
	}
	record->slot = slot;
}

void oracle_init(struct oracle *oracle, const struct config *config, struct stream *streams)
{
	size_t records = 0;

	for (int i = 0; i < STREAMS; i++)
		records += streams[i].count;
	*oracle = (struct oracle){
		.config = config,
		.streams = streams,
		.slots = soak_alloc(records, sizeof *oracle->slots),
		.live = soak_alloc(records, sizeof(void *)),
	};
	for (int i = 0; i < STREAMS; i++)
		for (size_t j = 0; j < streams[i].count; j++)
			add_record(oracle, &streams[i], &streams[i].records[j]);
}

void oracle_release(struct oracle *oracle)
{
	HASH_CLEAR(hh, oracle->table);
	for (size_t i = 0; i < oracle->count; i++)
		free(oracle->slots[i].name);
	free(oracle->slots);
	free(oracle->live);
	*oracle = (struct oracle){.slots = NULL};
}

/* --- operations --- */

uint64_t oracle_random(const struct oracle *oracle, uint64_t operation, uint64_t salt)
{
	const uint64_t input[] = {oracle->config->seed, operation, salt};

	return XXH3_64bits(input, sizeof input);
}

static const struct record *pick_record(const struct oracle *oracle, uint64_t operation)
{
	uint64_t weight = operation * UINT64_C(2654435761) % WEIGHTS;
	const struct stream *stream = &oracle->streams[STREAM_LARGE];

	if (weight < WEIGHT_SMALL)
		stream = &oracle->streams[STREAM_SMALL];
	else if (weight < WEIGHT_SMALL + WEIGHT_MEDIUM)
		stream = &oracle->streams[STREAM_MEDIUM];
	return &stream->records[oracle_random(oracle, operation, SALT_RECORD) % stream->count];
}

void oracle_next(const struct oracle *oracle, struct step *ret)
{
	const struct config *config = oracle->config;
	uint64_t n = oracle->operations, rotations = (n + 1) / config->rotate_every;

	*ret = (struct step){.operation = n};
	if (n % DELETE_EVERY == DELETE_EVERY - 1 && oracle->live_count) {
		ret->slot =
			oracle->live[oracle_random(oracle, n, SALT_DELETE) % oracle->live_count];
	} else {
		ret->record = pick_record(oracle, n);
		ret->slot = ret->record->slot;
	}
	ret->syncs = n % SYNC_EVERY == SYNC_EVERY - 1;
	ret->rotates = n % config->rotate_every == config->rotate_every - 1;
	ret->compacts = ret->rotates && rotations % config->compact_every_rotations == 0;
}

static void set_live(struct oracle *oracle, struct slot *slot, bool live)
{
	if (slot->live == live)
		return;
	slot->live = live;
	if (live) {
		slot->live_at = oracle->live_count;
		oracle->live[oracle->live_count++] = slot;
		return;
	}
	/* the last one takes the place */
	struct slot *last = oracle->live[--oracle->live_count];
	oracle->live[slot->live_at] = last;
	last->live_at = slot->live_at;
}

void oracle_apply(struct oracle *oracle, const struct step *step)
{
	struct counters *counters = &oracle->counters;
	struct slot *slot = step->slot;

	assert(step->operation == oracle->operations);
	set_live(oracle, slot, step->record != NULL);
	slot->stamp = step->operation + 1;
	if (step->record) {
		slot->record = step->record;
		counters->puts++;
		counters->bytes_written += step->record->payload.size;
	} else {
		counters->deletes++;
	}
	counters->bytes_written += slot->key.size;
	counters->rotates += step->rotates;
	counters->compacts += step->compacts;
	oracle->operations++;
}

void oracle_advance(struct oracle *oracle, uint64_t operations)
{
	struct step step;

	while (oracle->operations < operations) {
		oracle_next(oracle, &step);
		oracle_apply(oracle, &step);
	}
}

/* --- values --- */

static size_t stamp_size(size_t value_size)
{
	return value_size < STAMP_SIZE ? value_size : STAMP_SIZE;
}

void value_build(const struct record *record, uint64_t stamp, void *ret)
{
	uint8_t *bytes = ret;
	size_t stamped = stamp_size(record->payload.size);

	for (size_t i = 0; i < stamped; i++)
		bytes[i] = (uint8_t)(stamp >> 8 * i);
	if (record->payload.size > stamped)
		memcpy(bytes + stamped, (const uint8_t *)record->payload.data + stamped,
		       record->payload.size - stamped);
}

bool value_matches(const struct record *record, uint64_t stamp, struct dw_bytes value)
{
	uint8_t expected[STAMP_SIZE];
	size_t stamped = stamp_size(value.size);
	const uint8_t *bytes = value.data, *payload = record->payload.data;

	if (value.size != record->payload.size)
		return false;
	for (size_t i = 0; i < stamped; i++)
		expected[i] = (uint8_t)(stamp >> 8 * i);
	if (stamped && memcmp(bytes, expected, stamped))
		return false;
	return value.size == stamped ||
	       !memcmp(bytes + stamped, payload + stamped, value.size - stamped);
}

uint64_t value_stamp(struct dw_bytes value)
{
	uint64_t stamp = 0;

	for (size_t i = 0; i < stamp_size(value.size); i++)
		stamp |= (uint64_t)((const uint8_t *)value.data)[i] << 8 * i;
	return stamp;
}

uint64_t oracle_digest(const struct oracle *oracle)
{
	uint64_t digest = 0;

	for (size_t i = 0; i < oracle->live_count; i++) {
		const struct slot *slot = oracle->live[i];
		XXH3_state_t *state = XXH3_createState();
		if (!state)
			soak_out_of_memory();
		(void)XXH3_64bits_reset(state); /* these fail only without a state */
		(void)XXH3_64bits_update(state, slot->key.data, slot->key.size);
		(void)XXH3_64bits_update(state, &slot->stamp, sizeof slot->stamp);
		(void)XXH3_64bits_update(state, slot->record->payload.data,
					 slot->record->payload.size);
		digest += XXH3_64bits_digest(state);
		(void)XXH3_freeState(state);
	}
	return digest;
}
