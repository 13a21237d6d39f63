/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * serve_adapt.c - see serve_adapt.h.
 */
#include "fs/fuse/serve_adapt.h"

#include <assert.h>

enum {
	CREDIT_TRIAL = 4, /* with which polling begins again */
	CREDIT_MAX = 16,
	CREDIT_SLEPT = 2, /* the cost of a sleep */

	CROWD_MORE = 2, /* a look that shows a crowd; another takes 1 off */
	CROWD_ENOUGH = 4,
	CROWD_MAX = 6,
};

void adapt_init(struct adapt *adapt)
{
	*adapt = (struct adapt){
		.processors = 1,
		/* until two looks showed room */
		.crowd = 2,
		.crowded = true,
		.credit = CREDIT_TRIAL,
		.pause = ADAPT_PAUSE_MIN,
		.patience = ADAPT_PATIENCE_MIN,
	};
}

bool adapt_polls(const struct adapt *adapt)
{
	return adapt->processors > 1 && !adapt->crowded && adapt->credit > 0;
}

bool adapt_asks(const struct adapt *adapt)
{
	return adapt_polls(adapt) || (!adapt->crowd && adapt->requests < ADAPT_SAMPLE);
}

static void earn(struct adapt *adapt)
{
	if (adapt->credit < CREDIT_MAX)
		adapt->credit++;
	if (adapt->credit == CREDIT_MAX)
		adapt->pause = ADAPT_PAUSE_MIN;
}

static void pay(struct adapt *adapt)
{
	adapt->credit -= CREDIT_SLEPT;
	if (adapt->credit > 0)
		return;
	adapt->credit = 0;
	adapt->left = adapt->pause;
	if (adapt->pause < ADAPT_PAUSE_MAX)
		adapt->pause *= 2;
}

/* Programs that run one after the other are one client: none of them comes back. */
static void note_client(struct adapt *adapt, uint32_t client)
{
	unsigned i = 0;

	if (!client || client == adapt->last_client)
		return;
	adapt->last_client = client;
	while (i < adapt->clients_count && adapt->clients[i] != client)
		i++;
	if (i < adapt->clients_count) {
		adapt->returned[i] = true;
	} else if (i < ADAPT_CLIENTS) {
		adapt->clients[i] = client;
		adapt->returned[i] = false;
		adapt->clients_count++;
	}
}

static unsigned count_clients(const struct adapt *adapt)
{
	unsigned count = 0;

	for (unsigned i = 0; i < adapt->clients_count; i++)
		count += adapt->returned[i];
	return count ? count : 1;
}

bool adapt_note(struct adapt *adapt, enum arrival arrival, uint32_t client)
{
	note_client(adapt, client);
	adapt->told += arrival != ARRIVAL_UNTOLD;
	adapt->awaited += arrival == ARRIVAL_POLLED || arrival == ARRIVAL_SLEPT;
	if (!adapt->credit) {
		assert(adapt->left);
		if (--adapt->left == 0)
			adapt->credit = CREDIT_TRIAL;
	} else if (arrival == ARRIVAL_POLLED) {
		earn(adapt);
	} else if (arrival == ARRIVAL_SLEPT && adapt_polls(adapt)) {
		pay(adapt);
	}
	adapt->requests++;
	return adapt->requests >= (adapt_polls(adapt) ? ADAPT_LOOK_POLLING : ADAPT_LOOK_SLEEPING);
}

static bool is_crowd(const struct adapt *adapt, const struct sight *sight)
{
	const unsigned others = count_clients(adapt) - 1;

	if (!sight->runnable || sight->runnable >= sight->processors + others)
		return true;
	/* clients take turns with the leader */
	return !others && sight->preempted * 4 > adapt->requests;
}

void adapt_look(struct adapt *adapt, const struct sight *sight)
{
	assert(sight->processors);
	adapt->processors = sight->processors;
	if (is_crowd(adapt, sight))
		adapt->crowd = adapt->crowd + CROWD_MORE < CROWD_MAX ? adapt->crowd + CROWD_MORE
								     : CROWD_MAX;
	else if (adapt->crowd)
		adapt->crowd--;
	if (adapt->crowd >= CROWD_ENOUGH)
		adapt->crowded = true;
	else if (!adapt->crowd)
		adapt->crowded = false;
	bool saturated = adapt->told >= ADAPT_SAMPLE && adapt->awaited * 16 <= adapt->told;
	adapt->saturated = saturated ? adapt->saturated + 1 : 0;
	/* it pays while helpers take at least a quarter of what the leader does */
	if (sight->helped * 4 >= adapt->requests)
		adapt->patience = ADAPT_PATIENCE_MIN;
	adapt->requests = 0;
	adapt->told = 0;
	adapt->awaited = 0;
	adapt->clients_count = 0;
}

bool adapt_wants_helper(struct adapt *adapt, unsigned leaders)
{
	if (adapt->crowd || leaders >= adapt->processors || adapt->saturated < adapt->patience)
		return false;
	adapt->saturated = 0;
	if (adapt->patience < ADAPT_PATIENCE_MAX)
		adapt->patience *= 2;
	return true;
}
