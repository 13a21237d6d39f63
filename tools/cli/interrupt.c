/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * interrupt.c - see interrupt.h.
 *
 * A thread takes the signals, for a handler may not call into the library.
 */
#include "tools/cli/interrupt.h"

#include <signal.h>
#include <time.h>

#include "tools/common/thread.h"

enum { WAIT_NS = 20000000 };

static const int signals[] = {SIGINT, SIGTERM, SIGHUP};

/* One that was ignored when the program started (nohup) stays so. */
static sigset_t wanted(void)
{
	struct sigaction action;
	sigset_t set;

	(void)sigemptyset(&set); /* these fail only for signals that are none */
	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
		if (!sigaction(signals[i], NULL, &action) && action.sa_handler != SIG_IGN)
			(void)sigaddset(&set, signals[i]);
	return set;
}

static void *wait_for_signals(void *context)
{
	const struct timespec wait = {.tv_nsec = WAIT_NS};
	struct interrupt *interrupt = context;
	sigset_t set = wanted();

	while (!atomic_load(&interrupt->stop)) {
		int signal = sigtimedwait(&set, NULL, &wait);
		if (signal > 0 && interrupt->signal)
			(void)raise(SIGKILL); /* it was asked for twice */
		if (signal > 0)
			interrupt->signal = signal;
		if (!interrupt->signal)
			continue;
		/* again and again: an operation that is just starting misses a cancellation */
		dw_compact_cancel(interrupt->store);
		dw_copy_cancel(interrupt->store);
	}
	return NULL;
}

void interrupt_begin(struct interrupt *interrupt, struct dw_store *store)
{
	sigset_t set = wanted();

	*interrupt = (struct interrupt){.store = store};
	(void)pthread_sigmask(SIG_BLOCK, &set, NULL); /* fails for bad arguments only */
	interrupt->running = !thread_start(&interrupt->thread, wait_for_signals, interrupt);
	if (!interrupt->running) /* then a signal kills, as ever */
		(void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

void interrupt_end(struct interrupt *interrupt)
{
	if (!interrupt->running)
		return;
	atomic_store(&interrupt->stop, true);
	(void)pthread_join(interrupt->thread, NULL); /* it runs: cannot fail */
	interrupt->running = false;
}

void interrupt_die(const struct interrupt *interrupt)
{
	sigset_t set = wanted();

	(void)pthread_sigmask(SIG_UNBLOCK, &set, NULL); /* one that came at the end kills here */
	if (interrupt->signal)
		(void)raise(interrupt->signal);
}
