/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_ending.c - the last message of a daemon reaches the process that waits for it.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fs/mounted/ending.h"
#include "tests/support/check.h"

/* A process with an ending; it waits for a byte from `*go_ret` and then says `verdict`
 * (0, 1; else nothing) and exits. */
static pid_t start_daemon(int verdict, struct ending *ret, int *go_ret)
{
	int told[2], go[2];
	char byte;

	CHECK_EQ(pipe(told), 0);
	CHECK_EQ(pipe(go), 0);
	pid_t pid = fork();
	if (!pid) {
		struct ending ending;
		(void)close(go[1]);
		if (ending_init(&ending) < 0 ||
		    write(told[1], &ending, sizeof ending) != sizeof ending ||
		    read(go[0], &byte, 1) < 0)
			_exit(1);
		if (verdict == 0 || verdict == 1)
			ending_tell(&ending, verdict);
		_exit(0);
	}
	CHECK_EQ(read(told[0], ret, sizeof *ret), sizeof *ret);
	(void)close(told[0]);
	(void)close(told[1]);
	(void)close(go[0]);
	*go_ret = go[1];
	return pid;
}

static void check_verdict(int verdict, int want)
{
	struct ending_wait wait;
	struct ending ending;
	int go;
	pid_t pid = start_daemon(verdict, &ending, &go);

	CHECK_EQ(ending_open(pid, &ending, &wait), 0);
	CHECK_EQ(ending_wait(&wait, 0), -EINTR);
	CHECK_EQ(ending_wait(&wait, 10), -EINTR);
	(void)close(go);
	CHECK_EQ(ending_wait(&wait, 60000), want);
	CHECK_EQ(waitpid(pid, NULL, 0), pid);
	CHECK_EQ(ending_wait(&wait, 0), want); /* the bytes outlive the process */
	ending_close(&wait);
}

static void test_verdicts(void)
{
	check_verdict(0, 0);
	check_verdict(1, 1);
	check_verdict(2, -EPIPE);
}

/* Another process of that number, another file, none. */
static void test_others(void)
{
	struct ending ending, wrong;
	struct ending_wait wait;
	int go;
	pid_t pid = start_daemon(0, &ending, &go);

	wrong = ending;
	wrong.token++;
	CHECK_EQ(ending_open(pid, &wrong, &wait), -ESRCH);
	wrong = (struct ending){0, ending.token};
	CHECK_EQ(ending_open(pid, &wrong, &wait), -ESRCH);
	wrong.fd = -1;
	CHECK_EQ(ending_open(pid, &wrong, &wait), -ENOENT);
	(void)close(go);
	CHECK_EQ(waitpid(pid, NULL, 0), pid);
	CHECK(ending_open(pid, &ending, &wait) < 0);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"ending_verdicts", test_verdicts},
		{"ending_others", test_others},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
