/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * processors.h - how many processors there are for us.
 */
#ifndef BASE_PROCESSORS_H
#define BASE_PROCESSORS_H

#include <sched.h>

/* Those that the thread may run on; 1 where the system does not tell. */
static inline int processors(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof set, &set) < 0 ? 1 : CPU_COUNT(&set);
}

#endif
