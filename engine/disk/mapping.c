/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * mapping.c - see mapping.h.
 */
#include "disk/mapping.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <ucontext.h>

/* The mapping that the thread reads from right now. */
struct attempt {
	sigjmp_buf back;
	const uint8_t *start, *end;
};

static _Thread_local struct attempt *volatile attempt;
static struct sigaction before;
static bool installed;

/* A fault that is not ours: as if we had never been here. */
static void pass_on(int number, siginfo_t *info, void *context)
{
	if (before.sa_flags & SA_SIGINFO)
		before.sa_sigaction(number, info, context);
	else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN)
		before.sa_handler(number);
	else
		(void)sigaction(number, &before, NULL); /* the instruction faults again */
}

static void on_sigbus(int number, siginfo_t *info, void *context)
{
	struct attempt *current = attempt;
	const uint8_t *at = info->si_addr;

	if (!current || at < current->start || at >= current->end) {
		pass_on(number, info, context);
		return;
	}
	attempt = NULL;
	/* we leave by a jump: unblock the signals that the handler's mask blocked */
	(void)pthread_sigmask(SIG_SETMASK, &((ucontext_t *)context)->uc_sigmask, NULL);
	siglongjmp(current->back, 1);
}

static void install(void)
{
	struct sigaction action = {.sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO | SA_ONSTACK};

	(void)sigemptyset(&action.sa_mask); /* cannot fail */
	installed = !sigaction(SIGBUS, &action, &before);
}

int mapping_init(struct mapping *mapping, int fd, size_t size)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	if (sizeof(void *) < 8 || !size)
		return -ENOSYS;
	(void)pthread_once(&once, install); /* cannot fail */
	if (!installed)
		return -ENOSYS;
	void *data = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	if (data == MAP_FAILED)
		return -errno;
	*mapping = (struct mapping){data, size};
	return 0;
}

void mapping_release(struct mapping *mapping)
{
	if (mapping->data)
		(void)munmap((void *)mapping->data, mapping->size); /* ours, whole: cannot fail */
	*mapping = (struct mapping){0};
}

void mapping_at_random(const struct mapping *mapping)
{
	(void)madvise((void *)mapping->data, mapping->size, MADV_RANDOM); /* advice only */
}

void mapping_prefetch(const struct mapping *mapping, uint64_t offset, uint64_t size)
{
	if (offset >= mapping->size)
		return;
	if (size > mapping->size - offset)
		size = mapping->size - offset;
	(void)madvise((void *)(mapping->data + offset), size, MADV_WILLNEED); /* advice only */
}

void mapping_uncache(const struct mapping *mapping, uint64_t offset, uint64_t size)
{
	if (offset < mapping->size && size <= mapping->size - offset)
		(void)madvise((void *)(mapping->data + offset), size, MADV_DONTNEED);
}

int mapping_try(const struct mapping *mapping, void (*body)(void *context), void *context)
{
	struct attempt current = {.start = mapping->data, .end = mapping->data + mapping->size};

	if (sigsetjmp(current.back, 0))
		return -EIO;
	attempt = &current;
	atomic_signal_fence(memory_order_seq_cst); /* the handler sees it before any fault */
	body(context);
	atomic_signal_fence(memory_order_seq_cst);
	attempt = NULL;
	return 0;
}
