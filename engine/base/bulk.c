/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * bulk.c - see bulk.h.
 */
#include "base/bulk.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

/* The kernel maps whole pages anyway, and what it maps beyond `size` is not touched. */
static size_t mapped_size(size_t size)
{
	return (size + BULK_MIN - 1) / BULK_MIN * BULK_MIN;
}

void *bulk_alloc(size_t size)
{
	size_t wanted = mapped_size(size);

	if (size < BULK_MIN)
		return calloc(1, size);
	if (wanted < size || wanted + BULK_MIN < wanted)
		return NULL;
	/* more than wanted, so that an aligned part can be cut out of it */
	uint8_t *data = mmap(NULL, wanted + BULK_MIN, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (data == MAP_FAILED)
		return NULL;
	size_t before = (BULK_MIN - (uintptr_t)data % BULK_MIN) % BULK_MIN;
	/* if this fails, only address space is lost: these pages were never touched */
	if (before)
		(void)munmap(data, before);
	(void)munmap(data + before + wanted, BULK_MIN - before);
	(void)madvise(data + before, wanted, MADV_HUGEPAGE); /* or with small pages */
	return data + before;
}

void bulk_free(void *data, size_t size)
{
	if (size < BULK_MIN)
		free(data);
	else if (data)
		(void)munmap(data, mapped_size(size)); /* ours, whole: cannot fail */
}
