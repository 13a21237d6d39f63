/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * serve_adapt.c - see serve_adapt.h.
 */
#include "fs/fuse/serve_adapt.h"

#include <assert.h>

enum {
	CREDIT_TRIAL = 4, /* with which polling begins again */
	CREDIT_MAX = 16,
	CREDIT_SLEPT = 2, /* what a sleep costs */

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

bool adapt_note(struct adapt *adapt, enum arrival arrival)
{
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
	return !sight->runnable || sight->runnable >= sight->processors ||
	       sight->preempted * 4 > adapt->requests;
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
