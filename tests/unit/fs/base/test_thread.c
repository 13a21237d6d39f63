/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_thread.c - threads of the file system get no signals; times as text.
 */
#include <semaphore.h>
#include <signal.h>
#include <string.h>

#include "fs/base/clock.h"
#include "fs/base/thread.h"
#include "tests/support/check.h"

static sem_t ran;

static void *take_mask(void *ret)
{
	(void)pthread_sigmask(SIG_BLOCK, NULL, ret);
	(void)sem_post(&ran);
	return NULL;
}

static void expect_blocked(const sigset_t *mask)
{
	CHECK_EQ(sigismember(mask, SIGTERM), 1);
	CHECK_EQ(sigismember(mask, SIGHUP), 1);
	CHECK_EQ(sigismember(mask, SIGUSR1), 1);
	/* a page that cannot be read is a signal to the thread that reads it */
	CHECK_EQ(sigismember(mask, SIGBUS), 0);
}

static void test_blocks_signals(void)
{
	sigset_t before, mask;
	pthread_t thread;

	CHECK_EQ(sem_init(&ran, 0, 0), 0);
	(void)sigemptyset(&before);
	(void)sigaddset(&before, SIGBUS); /* the caller's own mask does not count */
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	CHECK_EQ(thread_start(&thread, take_mask, &mask), 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	expect_blocked(&mask);
	CHECK_EQ(sem_wait(&ran), 0);
	CHECK_EQ(thread_start_detached(take_mask, &mask), 0);
	CHECK_EQ(sem_wait(&ran), 0);
	expect_blocked(&mask);
	/* and has it again */
	(void)take_mask(&mask);
	CHECK_EQ(sigismember(&mask, SIGBUS), 1);
	CHECK_EQ(sigismember(&mask, SIGTERM), 0);
	CHECK_EQ(sem_destroy(&ran), 0);
}

static void test_clock_text(void)
{
	char text[CLOCK_TEXT_SIZE];

	CHECK(!strcmp(clock_text(0, text), "1970-01-01T00:00:00Z"));
	CHECK(!strcmp(clock_text(INT64_C(1769860799999999999), text), "2026-01-31T11:59:59Z"));
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"thread_blocks_signals", test_blocks_signals},
		{"clock_text", test_clock_text},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
