/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * serve_adapt.h - how the leader of serve.h waits for requests, and whether it needs help.
 *
 * Decides only: it must never ask the system for anything, nor the clock.  The leader tells it
 * how each request came, and now and then what a look at the system showed.
 *
 * The idea: a thread that sleeps until the next request is woken on a processor that sleeps as
 * well, which takes a virtual machine 0.1 ms and more.  If the leader asks again for a moment
 * first (it polls), the next request of the same client mostly comes within that moment.  That
 * pays only while a processor would be idle otherwise: beside busy neighbours the leader would
 * take their time, and the scheduler would take it back just when a request comes.
 *
 * - Crowded: as many threads want a processor as there are processors while the leader has just
 *   received a request, so the client that waits for the answer has none to run on.  Other
 *   clients are not counted: they soon wait for an answer, too.
 *   Two such looks in a row are enough; it takes six others to forget them.
 * - Polling has credit.  A request that came meanwhile earns some, a sleep costs some.  Without
 *   credit the leader sleeps at once for so many requests, each time twice as many, then tries
 * again.
 * - The leader is saturated if nearly all requests are there before it asks.  It asks for
 *   a helper if that lasts, and less readily if the last helper found little to do.
 */
#ifndef FS_FUSE_SERVE_ADAPT_H
#define FS_FUSE_SERVE_ADAPT_H

#include <stdbool.h>
#include <stdint.h>

enum {
	ADAPT_LOOK_POLLING = 32, /* requests from one look at the system to the next */
	ADAPT_LOOK_SLEEPING = 64,
	ADAPT_CLIENTS = 16,   /* more are taken for so many */
	ADAPT_SAMPLE = 8,     /* of these so many tell whether they had to wait for us */
	ADAPT_PAUSE_MIN = 16, /* requests without polling when it did not pay */
	ADAPT_PAUSE_MAX = 4096,
	ADAPT_PATIENCE_MIN = 2, /* saturated looks in a row before a helper is asked for */
	ADAPT_PATIENCE_MAX = 256,
};

/* How a request came. */
enum arrival {
	ARRIVAL_UNTOLD, /* the leader slept, or found it there */
	ARRIVAL_READY,  /* it was there */
	ARRIVAL_POLLED, /* it came while the leader polled */
	ARRIVAL_SLEPT,  /* it woke the leader */
};

/* One sample of the system's load. */
struct sight {
	unsigned processors; /* those that the leader may run on */
	unsigned runnable;   /* threads that run or want to, the leader too; 0: unknown */
	uint64_t preempted;  /* how often it lost its processor to others since */
	uint64_t helped;     /* requests that helpers answered since */
};

/* The leader's only. */
struct adapt {
	unsigned requests; /* since the last look */
	unsigned told;     /* of them, how many told how they came */
	unsigned awaited;  /* of those, how many were not there */
	unsigned processors;
	uint32_t clients[ADAPT_CLIENTS]; /* since the last look */
	bool returned[ADAPT_CLIENTS];    /* it sent a request, then another did, then it again */
	unsigned clients_count;
	uint32_t last_client;
	int crowd; /* high: others want the processors */
	bool crowded;
	int credit;           /* of polling; none: it pauses */
	unsigned pause, left; /* requests: the length of this pause, the rest of it */
	unsigned saturated;   /* looks in a row */
	unsigned patience;
};

void adapt_init(struct adapt *adapt);

/* Whether the leader polls before it sleeps. */
bool adapt_polls(const struct adapt *adapt);

/* Whether the leader asks for the next request in a way that tells how it comes, which costs
 * more if it has to sleep.  Always true while it polls. */
bool adapt_asks(const struct adapt *adapt);

/* A request came, from a client by that number; 0: from none.  Whether it is time for a look. */
bool adapt_note(struct adapt *adapt, enum arrival arrival, uint32_t client);

void adapt_look(struct adapt *adapt, const struct sight *sight);

/* Whether to bring in one more thread, when `leaders` of them receive requests already.  Behind
 * a look; says yes once. */
bool adapt_wants_helper(struct adapt *adapt, unsigned leaders);

#endif
