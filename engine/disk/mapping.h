/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * mapping.h - a file mapped for reading, and reading from it without SIGBUS.
 *
 * A page that cannot be read, or that was cut off the file, shows as a SIGBUS in
 * the thread that touches it.  Whatever touches a mapping does so in mapping_try(): the
 * signal then ends that one call.  The first mapping of a process installs a handler
 * for SIGBUS, which hands every other fault to the handler that was there before.
 * (sd-journal catches the same fault by putting zeros under the faulting address;
 * leaving by a jump keeps the mapping as it is.)
 */
#ifndef DISK_MAPPING_H
#define DISK_MAPPING_H

#include <stddef.h>
#include <stdint.h>

struct mapping {
	const uint8_t *data;
	size_t size; /* bytes of address space; the file may be shorter, or grow into it */
};

/* Map `size` bytes of the file, from its start.  0 or -errno; -ENOSYS where this would
 * not pay (32 bits of address space). */
int mapping_init(struct mapping *mapping, int fd, size_t size);
void mapping_release(struct mapping *mapping);

/* Tell the kernel that what lies around a page that is touched is mostly not needed soon. */
void mapping_at_random(const struct mapping *mapping);

/* Have the kernel begin to read these bytes, as far as they are mapped. */
void mapping_prefetch(const struct mapping *mapping, uint64_t offset, uint64_t size);

/* Unmap the pages that lie in these bytes until they are read again, so that the cache may let
 * go of them.  Beside readers. */
void mapping_uncache(const struct mapping *mapping, uint64_t offset, uint64_t size);

/* Run `body`, which may read what is mapped but must not lock, allocate or call what
 * does.  0, or -EIO: it was left in the middle, at a page that cannot be read. */
int mapping_try(const struct mapping *mapping, void (*body)(void *context), void *context);

#endif
