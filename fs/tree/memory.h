/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * memory.h - how much memory this process may use.
 */
#ifndef FS_TREE_MEMORY_H
#define FS_TREE_MEMORY_H

#include <stddef.h>
#include <stdint.h>

/* Bytes: the machine's, or the least limit of the control groups that the process is in. */
uint64_t memory_limit(void);

/* The same as the files below `proc` and `cgroup` say: "/proc" and "/sys/fs/cgroup". */
uint64_t memory_limit_at(const char *proc, const char *cgroup);

#endif
