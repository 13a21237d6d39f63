/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * tasks.h - what the threads of this process are doing, as the system tells it.
 */
#ifndef SUPPORT_TASKS_H
#define SUPPORT_TASKS_H

#include <stdbool.h>

enum { TASKS_MAX = 64 };

struct tasks {
	int ids[TASKS_MAX], count;
};

/* Those that there are now. */
struct tasks tasks_list(void);

/* Until no thread but `others` came to run for 0.1 s.  Whether that happened within 10 s. */
bool tasks_wait_idle(const struct tasks *others);

/* How many threads but `others` sleep in read(2) or poll(2). */
int tasks_waiting_for_input(const struct tasks *others);

#endif
