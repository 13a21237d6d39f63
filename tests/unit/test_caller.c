/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_caller.c - who a caller is, and doing something with no more than its rights.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/caller.h"
#include "tests/support/check.h"

static const char status[] = "Name:\tsh\nUmask:\t0022\nState:\tS (sleeping)\n"
			     "Uid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\n"
			     "FDSize:\t64\nGroups:\t9 10 4294967294 \nNStgid:\t1\n"
			     "CapInh:\t0000000000000000\nCapEff:\t000001ffffffffff\n";

static void test_parse(void)
{
	struct caller caller = {0};

	CHECK_EQ(caller_parse(status, 4, 8, &caller), 0);
	CHECK(caller.uid == 4 && caller.gid == 8);
	CHECK_EQ(caller.group_count, 3);
	CHECK(caller.groups[0] == 9 && caller.groups[2] == 4294967294u);
	CHECK_EQ(caller.capabilities, 0x1ffffffffff);
	caller_release(&caller);
	CHECK_EQ(caller_parse("Uid:\t1\t1\t1\t1\nGid:\t1\t1\t1\t1\nGroups:\t\nCapEff:\t0\n", 1, 1,
			      &caller),
		 0);
	CHECK_EQ(caller.group_count, 0);
	caller_release(&caller);
}

/* Not who the kernel says, or not to be understood. */
static void test_parse_refuses(void)
{
	static const char *const texts[] = {
		"",
		"Uid:\t1\t2\t3\nGid:\t5\t6\t7\t8\nGroups:\t\nCapEff:\t0\n",
		"Gid:\t5\t6\t7\t8\nGroups:\t\nCapEff:\t0\n",
		"Uid:\t1\t2\t3\t4\nGroups:\t\nCapEff:\t0\n",
		"Uid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\nCapEff:\t0\n",
		"Uid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\nGroups:\t\n",
		/* a name is no line of its own */
		"Name:\tUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\nGroups:\t\nCapEff:\t0\n",
	};
	struct caller caller = {0};

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		CHECK_EQ(caller_parse(texts[i], 4, 8, &caller), -EPERM);
	CHECK_EQ(caller_parse(status, 1, 8, &caller), -EPERM);
	CHECK_EQ(caller_parse(status, 4, 5, &caller), -EPERM);
	CHECK_EQ(caller_load(0, 0, 0, &caller), -EPERM);
	CHECK_EQ(caller_load(getpid(), geteuid() + 1, getegid(), &caller), -EPERM);
	CHECK_EQ(caller_load(getpid(), geteuid(), getegid(), &caller), 0);
	caller_release(&caller);
}

struct attempt {
	const char *path;
	uid_t owner; /* of what was made */
};

static int make_file(void *context)
{
	struct attempt *attempt = context;
	struct stat st;
	int fd = open(attempt->path, O_WRONLY | O_CREAT | O_EXCL, 0600);

	if (fd < 0)
		return -errno;
	int rc = fstat(fd, &st);
	attempt->owner = st.st_uid;
	(void)close(fd);
	return rc;
}

static void test_run_as_itself(void)
{
	struct caller self;
	char path[4096];
	struct attempt attempt = {.path = path};

	(void)snprintf(path, sizeof path, "%s/self", check_dir());
	CHECK_EQ(caller_load(getpid(), geteuid(), getegid(), &self), 0);
	CHECK_EQ(caller_run(&self, make_file, &attempt), 0);
	CHECK_EQ(attempt.owner, geteuid());
	CHECK_EQ(caller_run(&self, make_file, &attempt), -EEXIST);
	caller_release(&self);
}

static void test_run_as_another(void)
{
	char open_dir[4096], closed_dir[4096], path[4200];
	gid_t group = 4242;
	struct caller other = {.uid = 65534, .gid = 65534};
	struct attempt attempt = {.path = path};

	if (geteuid()) {
		check_skip("needs root to become another user");
		return;
	}
	const char *dir = check_dir();
	(void)snprintf(path, sizeof path, "%s/..", dir);
	CHECK(!chmod(path, 0755) && !chmod(dir, 0755));
	(void)snprintf(open_dir, sizeof open_dir, "%s/open", dir);
	(void)snprintf(closed_dir, sizeof closed_dir, "%s/closed", dir);
	CHECK(!mkdir(open_dir, 0700) && !chmod(open_dir, 01777));
	CHECK(!mkdir(closed_dir, 0700) && !chown(closed_dir, 0, group) && !chmod(closed_dir, 0770));
	(void)snprintf(path, sizeof path, "%s/1", open_dir);
	CHECK_EQ(caller_run(&other, make_file, &attempt), 0);
	CHECK_EQ(attempt.owner, 65534);
	(void)snprintf(path, sizeof path, "%s/1", closed_dir);
	CHECK_EQ(caller_run(&other, make_file, &attempt), -EACCES);
	other.groups = &group;
	other.group_count = 1;
	CHECK_EQ(caller_run(&other, make_file, &attempt), 0);
	/* root without its powers over files is a user like any other */
	CHECK(!chown(open_dir, 65534, 65534) && !chmod(open_dir, 0700));
	(void)snprintf(path, sizeof path, "%s/2", open_dir);
	CHECK_EQ(caller_run(&(struct caller){.uid = 0, .gid = 0}, make_file, &attempt), -EACCES);
	/* and this thread is what it was */
	CHECK_EQ(make_file(&attempt), 0);
	CHECK_EQ(attempt.owner, 0);
	CHECK_EQ(prctl(PR_GET_DUMPABLE), 1);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"caller_parse", test_parse},
		{"caller_parse_refuses", test_parse_refuses},
		{"caller_run_as_itself", test_run_as_itself},
		{"caller_run_as_another", test_run_as_another},
		{NULL, NULL},
	};

	return check_main(argc, argv, tests);
}
