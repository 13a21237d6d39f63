/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_serve_adapt.c - when the leader polls and when it asks for help, for given arrivals
 * and looks.
 */
#include "fs/fuse/serve_adapt.h"
#include "tests/support/check.h"

/* Two processors, no thread but the leader. */
static const struct sight QUIET = {.processors = 2, .runnable = 1};
static const struct sight BUSY = {.processors = 2, .runnable = 2};
static const struct sight EIGHT = {.processors = 8, .runnable = 3};

/* Requests from one look to the next, then the look; how many of them the leader polled for.
 * They come as `polled` to a leader that polls, as `asked` to one that only asks. */
static int span(struct adapt *adapt, enum arrival polled, enum arrival asked, struct sight sight)
{
	int polls = 0;
	bool due = false;

	while (!due) {
		bool now = adapt_polls(adapt);
		polls += now;
		CHECK(!now || adapt_asks(adapt));
		due = adapt_note(adapt,
				 now                 ? polled
				 : adapt_asks(adapt) ? asked
						     : ARRIVAL_UNTOLD,
				 1);
	}
	adapt_look(adapt, &sight);
	return polls;
}

/* Each request comes within the time that a leader polls. */
static int quick_span(struct adapt *adapt, struct sight sight)
{
	return span(adapt, ARRIVAL_POLLED, ARRIVAL_SLEPT, sight);
}

static struct adapt start(struct sight sight)
{
	struct adapt adapt;

	adapt_init(&adapt);
	CHECK_EQ(quick_span(&adapt, sight), 0); /* nothing is known */
	CHECK_EQ(quick_span(&adapt, sight), 0);
	CHECK(adapt_polls(&adapt));
	return adapt;
}

static void test_polls_while_quiet(void)
{
	struct adapt adapt = start(QUIET);

	for (int i = 0; i < 100; i++)
		CHECK_EQ(quick_span(&adapt, QUIET), ADAPT_LOOK_POLLING);
}

static void test_one_processor_never_polls(void)
{
	struct adapt adapt;
	const struct sight one = {.processors = 1, .runnable = 1};

	adapt_init(&adapt);
	for (int i = 0; i < 100; i++)
		CHECK_EQ(quick_span(&adapt, one), 0);
	/* bound to one while it polls */
	adapt = start(QUIET);
	CHECK_EQ(quick_span(&adapt, one), ADAPT_LOOK_POLLING);
	CHECK_EQ(quick_span(&adapt, one), 0);
}

static void test_gives_up_at_once_in_a_crowd(void)
{
	struct adapt adapt = start(QUIET);

	CHECK(quick_span(&adapt, BUSY) > 0);
	CHECK(quick_span(&adapt, BUSY) > 0);
	for (int i = 0; i < 100; i++)
		CHECK_EQ(quick_span(&adapt, BUSY), 0);
	/* it takes longer to trust the quiet again */
	for (int i = 0; i < 6; i++)
		CHECK_EQ(quick_span(&adapt, QUIET), 0);
	CHECK(quick_span(&adapt, QUIET) > 0);
}

/* Requests of so many clients, `run` of each in a row; no client twice if `ends`. */
static bool polls_for(unsigned clients, unsigned run, bool ends, struct sight sight)
{
	struct adapt adapt = start(QUIET);

	for (unsigned i = 0; i < 20 * ADAPT_LOOK_SLEEPING; i++) {
		uint32_t client = 1 + (ends ? i / run : i / run % clients);
		if (adapt_note(&adapt, adapt_polls(&adapt) ? ARRIVAL_POLLED : ARRIVAL_UNTOLD,
			       client))
			adapt_look(&adapt, &sight);
	}
	return adapt_polls(&adapt);
}

static void test_clients_are_no_crowd(void)
{
	struct sight all = QUIET;

	for (unsigned clients = 1; clients <= 8; clients++) {
		all.runnable = clients; /* all but the one that waits, and the leader */
		all.preempted = clients > 1 ? ADAPT_LOOK_POLLING : 0;
		CHECK(polls_for(clients, 1, false, all) == true);
		CHECK(polls_for(clients, 3, false, all) == true);
		all.runnable++; /* a neighbour */
		CHECK(polls_for(clients, 1, false, all) == false);
	}
	/* programs that run one after the other */
	CHECK(polls_for(8, 4, true, BUSY) == false);
}

/* Something short that runs just when the leader looks. */
static void test_one_busy_look_in_four_is_no_crowd(void)
{
	struct adapt adapt = start(QUIET);

	for (int i = 0; i < 100; i++)
		CHECK_EQ(quick_span(&adapt, i % 4 ? QUIET : BUSY), ADAPT_LOOK_POLLING);
}

static void test_crowds_that_are_not_counted(void)
{
	struct sight unknown = QUIET, preempted = QUIET;
	struct adapt adapt = start(QUIET);

	unknown.runnable = 0;
	for (int i = 0; i < 3; i++)
		(void)quick_span(&adapt, unknown);
	CHECK(!adapt_polls(&adapt));
	/* many processors, and the leader has to share one all the same */
	adapt = start(QUIET);
	preempted.processors = 64;
	preempted.preempted = ADAPT_LOOK_POLLING / 2;
	for (int i = 0; i < 3; i++)
		(void)quick_span(&adapt, preempted);
	CHECK(!adapt_polls(&adapt));
}

/* Requests that come too late: less and less is spent on trying. */
static void test_pauses_when_polling_does_not_pay(void)
{
	struct adapt adapt = start(QUIET);
	int polls = 0;

	for (int i = 0; i < 1000; i++)
		polls += span(&adapt, ARRIVAL_SLEPT, ARRIVAL_SLEPT, QUIET);
	CHECK(polls > 0);
	CHECK(polls <= 50); /* of 32,000 */
}

static void test_polls_again_when_it_pays_again(void)
{
	struct adapt adapt = start(QUIET);
	int spans = 0;

	for (int i = 0; i < 1000; i++)
		(void)span(&adapt, ARRIVAL_SLEPT, ARRIVAL_SLEPT, QUIET);
	while (quick_span(&adapt, QUIET) < ADAPT_LOOK_POLLING)
		CHECK(++spans < 2 + 2 * ADAPT_PAUSE_MAX / ADAPT_LOOK_POLLING);
	/* and no pause is long that comes after that */
	for (int i = 0; i < 8; i++)
		(void)adapt_note(&adapt, ARRIVAL_SLEPT, 1);
	CHECK(!adapt_polls(&adapt));
	for (int i = 0; i < ADAPT_PAUSE_MIN; i++)
		(void)adapt_note(&adapt, ARRIVAL_UNTOLD, 1);
	CHECK(adapt_polls(&adapt));
}

/* A client that thinks for longer after each fourth request. */
static void test_some_sleeps_are_no_reason_to_pause(void)
{
	struct adapt adapt = start(QUIET);

	for (int i = 0; i < 1000; i++) {
		CHECK(adapt_polls(&adapt));
		if (adapt_note(&adapt, i % 4 ? ARRIVAL_POLLED : ARRIVAL_SLEPT, 1))
			adapt_look(&adapt, &QUIET);
	}
}

/* --- help --- */

/* The next request is there, again and again. */
static bool saturated_span(struct adapt *adapt, struct sight sight, unsigned leaders)
{
	(void)span(adapt, ARRIVAL_READY, ARRIVAL_READY, sight);
	return adapt_wants_helper(adapt, leaders);
}

static int spans_until_help(struct adapt *adapt, struct sight sight, unsigned leaders)
{
	int spans = 1;

	while (!saturated_span(adapt, sight, leaders) && spans < 10000)
		spans++;
	return spans;
}

static void test_saturated_leader_gets_help(void)
{
	struct sight helped = EIGHT;
	struct adapt adapt = start(EIGHT);

	helped.helped = ADAPT_LOOK_POLLING;
	for (unsigned leaders = 1; leaders < 8; leaders++)
		CHECK_EQ(spans_until_help(&adapt, helped, leaders), ADAPT_PATIENCE_MIN);
	CHECK_EQ(spans_until_help(&adapt, helped, 8), 10000); /* the processors are used up */
}

/* Whether it polls or sleeps at once, the leader waits for most requests. */
static void test_no_help_for_one_client(void)
{
	struct adapt adapt = start(EIGHT);

	for (int i = 0; i < 1000; i++) {
		(void)quick_span(&adapt, EIGHT);
		CHECK(!adapt_wants_helper(&adapt, 1));
	}
	for (int i = 0; i < 1000; i++) {
		(void)span(&adapt, ARRIVAL_SLEPT, ARRIVAL_SLEPT, EIGHT);
		CHECK(!adapt_wants_helper(&adapt, 1));
	}
}

/* A leader for which polling does not pay asks for some requests, to see whether it is
 * saturated; one in a crowd, or with one processor, for none. */
static void test_asks_for_some_requests(void)
{
	const struct sight one = {.processors = 1};
	struct adapt adapt = start(EIGHT);
	int asked = 0;

	for (int i = 0; i < 100; i++)
		(void)span(&adapt, ARRIVAL_SLEPT, ARRIVAL_SLEPT, EIGHT);
	for (int i = 0; i < ADAPT_LOOK_SLEEPING; i++) {
		asked += adapt_asks(&adapt);
		(void)adapt_note(&adapt, ARRIVAL_UNTOLD, 1);
	}
	CHECK_EQ(asked, ADAPT_SAMPLE);
	for (int i = 0; i < 3; i++)
		adapt_look(&adapt, &one);
	CHECK(!adapt_asks(&adapt));
	adapt = start(QUIET);
	for (int i = 0; i < 3; i++)
		adapt_look(&adapt, &BUSY);
	CHECK(!adapt_asks(&adapt));
	/* and nothing that is not told is saturation */
	adapt = start(EIGHT);
	for (int i = 0; i < 1000; i++) {
		if (adapt_note(&adapt, ARRIVAL_UNTOLD, 1))
			adapt_look(&adapt, &EIGHT);
		CHECK(!adapt_wants_helper(&adapt, 1));
	}
}

static void test_no_help_without_a_processor_for_it(void)
{
	struct sight busy = BUSY;
	struct adapt adapt = start(QUIET);

	CHECK_EQ(spans_until_help(&adapt, busy, 1), 10000);
	busy.processors = 1;
	CHECK_EQ(spans_until_help(&adapt, busy, 1), 10000);
}

/* One that finds little to do is asked for less and less. */
static void test_useless_help_is_asked_for_less(void)
{
	struct sight helped = EIGHT;
	struct adapt adapt = start(EIGHT);
	int spans = 0;

	for (int i = 0; i < 12; i++)
		spans = spans_until_help(&adapt, EIGHT, 1);
	CHECK_EQ(spans, ADAPT_PATIENCE_MAX);
	helped.helped = ADAPT_LOOK_POLLING / 4;
	CHECK_EQ(spans_until_help(&adapt, helped, 1), ADAPT_PATIENCE_MIN);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"serve_polls_while_quiet", test_polls_while_quiet},
		{"serve_one_processor_never_polls", test_one_processor_never_polls},
		{"serve_gives_up_at_once_in_a_crowd", test_gives_up_at_once_in_a_crowd},
		{"serve_clients_are_no_crowd", test_clients_are_no_crowd},
		{"serve_one_busy_look_in_four_is_no_crowd", test_one_busy_look_in_four_is_no_crowd},
		{"serve_crowds_that_are_not_counted", test_crowds_that_are_not_counted},
		{"serve_pauses_when_polling_does_not_pay", test_pauses_when_polling_does_not_pay},
		{"serve_polls_again_when_it_pays_again", test_polls_again_when_it_pays_again},
		{"serve_some_sleeps_are_no_reason_to_pause",
		 test_some_sleeps_are_no_reason_to_pause},
		{"serve_saturated_leader_gets_help", test_saturated_leader_gets_help},
		{"serve_no_help_for_one_client", test_no_help_for_one_client},
		{"serve_asks_for_some_requests", test_asks_for_some_requests},
		{"serve_no_help_without_a_processor_for_it",
		 test_no_help_without_a_processor_for_it},
		{"serve_useless_help_is_asked_for_less", test_useless_help_is_asked_for_less},
		{NULL, NULL},
	};

	return check_main(argc, argv, tests);
}
