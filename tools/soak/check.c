/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * check.c - see check.h.
 *
 * A key must be as its last acknowledged operation left it: a process that is killed
 * loses nothing that was appended, synced or not.  Only the one operation that was
 * under way may be done or not.
 */
#include "tools/soak/check.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/soak/say.h"

enum { SHOWN_SIZE = 40, TEXT_SIZE = 200 };

static void show_key(struct dw_bytes key, char ret[2 * SHOWN_SIZE + 4])
{
	const uint8_t *bytes = key.data;
	char *at = ret;

	for (size_t i = 0; i < key.size && i < SHOWN_SIZE; i++)
		at += sprintf(at, "%02x", bytes[i]);
	strcpy(at, key.size > SHOWN_SIZE ? "..." : "");
}

/* --- one key --- */

static bool in_flight(const struct check *check, const struct slot *slot)
{
	return check->in_flight && check->in_flight->slot == slot;
}

static void describe_found(const struct dw_value *value, char ret[TEXT_SIZE])
{
	if (!value)
		(void)snprintf(ret, TEXT_SIZE, "it is absent");
	else
		(void)snprintf(
			ret, TEXT_SIZE, "it has %zu bytes that bear the mark of operation %" PRIu64,
			value->size, value_stamp((struct dw_bytes){value->data, value->size}) - 1);
}

static void describe_expected(const struct check *check, const struct slot *slot,
			      char ret[TEXT_SIZE])
{
	const char *safe =
		slot->stamp <= atomic_load(&check->progress->synced) ? "synced" : "acknowledged";

	if (slot->live)
		(void)snprintf(ret, TEXT_SIZE,
			       "operation %" PRIu64 " put %zu bytes there, which is %s",
			       slot->stamp - 1, slot->record->payload.size, safe);
	else if (slot->stamp)
		(void)snprintf(ret, TEXT_SIZE, "operation %" PRIu64 " deleted it, which is %s",
			       slot->stamp - 1, safe);
	else
		(void)snprintf(ret, TEXT_SIZE, "it was never written");
}

/* `value` NULL: the key is absent. */
static int mismatch(const struct check *check, const struct slot *slot,
		    const struct dw_value *value)
{
	char key[2 * SHOWN_SIZE + 4], found[TEXT_SIZE], expected[TEXT_SIZE];

	show_key(slot->key, key);
	describe_found(value, found);
	describe_expected(check, slot, expected);
	return soak_failed("%s: key %s (%s record %zu): %s, but %s%s", check->when, key,
			   slot->stream, slot->index, found, expected,
			   in_flight(check, slot) ? "; another operation on it was under way" : "");
}

/* `value` NULL: the key is absent. */
static bool is_expected(const struct check *check, const struct slot *slot,
			const struct dw_value *value)
{
	struct dw_bytes bytes = {NULL, 0};
	const struct step *step = in_flight(check, slot) ? check->in_flight : NULL;

	if (!value)
		return !slot->live || (step && !step->record);
	bytes = (struct dw_bytes){value->data, value->size};
	if (slot->live && value_matches(slot->record, slot->stamp, bytes))
		return true;
	return step && step->record && value_matches(step->record, step->operation + 1, bytes);
}

int check_slot(const struct check *check, const struct slot *slot)
{
	struct dw_value value = {.data = NULL};
	int rc = check->backend->ops->get(check->backend, slot, &value);
	const struct dw_value *found = rc ? NULL : &value;

	if (rc && rc != -ENOENT) {
		char key[2 * SHOWN_SIZE + 4];
		progress_await_kill(check->progress);
		show_key(slot->key, key);
		return soak_failed("%s: key %s (%s record %zu) cannot be read: %s", check->when,
				   key, slot->stream, slot->index, strerror(-rc));
	}
	rc = is_expected(check, slot, found) ? 0 : mismatch(check, slot, found);
	free(value.data);
	return rc;
}

/* --- the listing --- */

static int on_key(void *context, struct slot *slot, struct dw_bytes key)
{
	const struct check *check = context;
	char text[2 * SHOWN_SIZE + 4];

	if (slot) {
		slot->seen++;
		return 0;
	}
	/* a kill between writing and renaming leaves the file that was to be renamed */
	if (check->in_flight && backend_renames(check->in_flight) &&
	    key.size == strlen(backend_temporary) && !memcmp(key.data, backend_temporary, key.size))
		return 0;
	show_key(key, text);
	return soak_failed("%s: the store lists a key that was never written: %s", check->when,
			   text);
}

static int check_listing(const struct check *check)
{
	const struct oracle *oracle = check->oracle;
	char key[2 * SHOWN_SIZE + 4];

	for (size_t i = 0; i < oracle->count; i++)
		oracle->slots[i].seen = 0;
	int rc = check->backend->ops->list(check->backend, on_key, (void *)check);
	if (rc < 0)
		return soak_failed("%s: the keys cannot be listed: %s", check->when, strerror(-rc));
	for (size_t i = 0; !rc && i < oracle->count; i++) {
		const struct slot *slot = &oracle->slots[i];
		if (slot->seen == slot->live || (in_flight(check, slot) && slot->seen <= 1))
			continue;
		show_key(slot->key, key);
		rc = soak_failed("%s: the store lists key %s (%s record %zu) %u times instead of "
				 "%u",
				 check->when, key, slot->stream, slot->index, slot->seen,
				 slot->live);
	}
	return rc;
}

int check_store(const struct check *check)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < check->oracle->count; i++)
		rc = check_slot(check, &check->oracle->slots[i]);
	return rc ? rc : check_listing(check);
}
