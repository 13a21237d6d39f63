/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * caller.c - see caller.h.
 *
 * The system calls are made directly: the C library's functions change all threads.
 */
#include "fs/caller.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* 32-bit machines have older calls of these names, for 16-bit ids. */
#ifdef SYS_setgroups32
enum { CALL_SETGROUPS = SYS_setgroups32, CALL_SETFSUID = SYS_setfsuid32 };
enum { CALL_SETFSGID = SYS_setfsgid32 };
#else
enum { CALL_SETGROUPS = SYS_setgroups, CALL_SETFSUID = SYS_setfsuid };
enum { CALL_SETFSGID = SYS_setfsgid };
#endif

enum { STATUS_SIZE = 1 << 20 }; /* 65,536 groups of ten digits are less */

/* --- who it is --- */

/* What follows `name` at the start of a line; NULL. */
static const char *field(const char *status, const char *name)
{
	size_t size = strlen(name);

	for (const char *line = status; line; line = strchr(line, '\n')) {
		line += line != status;
		if (!strncmp(line, name, size))
			return line + size;
	}
	return NULL;
}

/* The last of the four ids: real, effective, saved, and that for files. */
static int parse_id(const char *text, unsigned *ret)
{
	return text && sscanf(text, "%*u %*u %*u %u", ret) == 1 ? 0 : -EPERM;
}

static int parse_groups(const char *text, struct caller *ret)
{
	char *end;

	if (!text)
		return -EPERM;
	for (;; text = end) {
		text += strspn(text, " \t");
		if (*text < '0' || *text > '9')
			return 0;
		unsigned long group = strtoul(text, &end, 10);
		gid_t *grown = reallocarray(ret->groups, ret->group_count + 1, sizeof *grown);
		if (!grown)
			return -ENOMEM;
		ret->groups = grown;
		grown[ret->group_count++] = (gid_t)group;
	}
}

int caller_parse(const char *status, uid_t uid, gid_t gid, struct caller *ret)
{
	struct caller caller = {.uid = uid, .gid = gid};
	const char *capabilities = field(status, "CapEff:");
	unsigned file_uid, file_gid;
	int rc = parse_id(field(status, "Uid:"), &file_uid);

	if (!rc)
		rc = parse_id(field(status, "Gid:"), &file_gid);
	if (!rc && (file_uid != uid || file_gid != gid))
		rc = -EPERM;
	if (!rc && (!capabilities || sscanf(capabilities, "%" SCNx64, &caller.capabilities) != 1))
		rc = -EPERM;
	if (!rc)
		rc = parse_groups(field(status, "Groups:"), &caller);
	if (rc < 0)
		caller_release(&caller);
	else
		*ret = caller;
	return rc;
}

int caller_load(pid_t pid, uid_t uid, gid_t gid, struct caller *ret)
{
	char path[64], *text = malloc(STATUS_SIZE);
	size_t used = 0;
	ssize_t n;

	if (!text)
		return -ENOMEM;
	/* 0: it lives where we see no processes */
	(void)snprintf(path, sizeof path, "/proc/%ld/status", (long)pid);
	int fd = pid > 0 ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	while (fd >= 0 && used < STATUS_SIZE - 1 &&
	       (n = read(fd, text + used, STATUS_SIZE - 1 - used)) > 0)
		used += (size_t)n;
	if (fd >= 0)
		(void)close(fd); /* was only read */
	text[used] = '\0';
	int rc = fd >= 0 ? caller_parse(text, uid, gid, ret) : -EPERM;
	free(text);
	return rc;
}

void caller_release(struct caller *caller)
{
	free(caller->groups);
	*caller = (struct caller){0};
}

/* --- what this process is --- */

static int load_self(struct caller *ret)
{
	*ret = (struct caller){.uid = geteuid(), .gid = getegid()};
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
	if (syscall(SYS_capget, &header, data) < 0)
		return -errno;
	ret->capabilities = (uint64_t)data[1].effective << 32 | data[0].effective;
	int count = getgroups(0, NULL);
	if (count < 0)
		return -errno;
	ret->groups = calloc((size_t)count + 1, sizeof *ret->groups);
	if (!ret->groups)
		return -ENOMEM;
	count = getgroups(count, ret->groups);
	if (count < 0)
		return -errno;
	ret->group_count = (size_t)count;
	return 0;
}

static bool has_group(const struct caller *caller, gid_t gid)
{
	bool found = caller->gid == gid;

	for (size_t i = 0; !found && i < caller->group_count; i++)
		found = caller->groups[i] == gid;
	return found;
}

static bool has_groups_of(const struct caller *caller, const struct caller *other)
{
	bool all = has_group(caller, other->gid);

	for (size_t i = 0; all && i < other->group_count; i++)
		all = has_group(caller, other->groups[i]);
	return all;
}

/* Whether what `self` does is done with the caller's rights already. */
static bool is_same(const struct caller *caller, const struct caller *self)
{
	return caller->uid == self->uid && caller->gid == self->gid &&
	       has_groups_of(caller, self) && has_groups_of(self, caller) &&
	       !(self->capabilities & ~caller->capabilities);
}

/* Whether the caller could do whatever `self` can, if it were to do it itself. */
static bool could_as_well(const struct caller *caller, const struct caller *self)
{
	const uint64_t all_files = 1ull << CAP_DAC_OVERRIDE;

	if (self->capabilities & ~caller->capabilities)
		return false;
	if (caller->capabilities & all_files)
		return true;
	return caller->uid == self->uid && has_groups_of(caller, self);
}

/* --- in its place --- */

struct errand {
	const struct caller *caller;
	caller_work_fn *work;
	void *context;
	int rc;
};

/* The two calls return what was before; so a second one, with an id that is none,
 * tells what the first one did. */
static bool set_file_ids(uid_t uid, gid_t gid)
{
	(void)syscall(CALL_SETFSGID, gid);
	(void)syscall(CALL_SETFSUID, uid);
	return (gid_t)syscall(CALL_SETFSGID, -1) == gid && (uid_t)syscall(CALL_SETFSUID, -1) == uid;
}

/* Keep of this thread's effective capabilities those that the caller has. */
static int limit_capabilities(uint64_t capabilities)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &header, data) < 0)
		return -errno;
	data[0].effective &= (uint32_t)capabilities;
	data[1].effective &= (uint32_t)(capabilities >> 32);
	return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}

static void *run_errand(void *arg)
{
	struct errand *errand = arg;
	const struct caller *caller = errand->caller;

	errand->rc = -EPERM;
	/* the user last: with it goes the right to set the others */
	if (syscall(CALL_SETGROUPS, caller->group_count, caller->groups) < 0 ||
	    !set_file_ids(caller->uid, caller->gid))
		return NULL;
	errand->rc = limit_capabilities(caller->capabilities);
	if (!errand->rc)
		errand->rc = errand->work(errand->context);
	return NULL;
}

int caller_run(const struct caller *caller, caller_work_fn *work, void *context)
{
	struct errand errand = {.caller = caller, .work = work, .context = context};
	const uint64_t needed = 1ull << CAP_SETUID | 1ull << CAP_SETGID;
	struct caller self = {0};
	pthread_t thread;
	int rc = load_self(&self);

	bool here = !rc && is_same(caller, &self);
	if (!rc && !here && (self.capabilities & needed) != needed) {
		here = could_as_well(caller, &self);
		rc = here ? 0 : -EPERM;
	}
	caller_release(&self);
	if (rc < 0)
		return rc;
	if (here)
		return work(context);
	/* a change of rights by any thread makes the kernel hide the process */
	int dumpable = prctl(PR_GET_DUMPABLE);
	rc = -pthread_create(&thread, NULL, run_errand, &errand);
	if (rc < 0)
		return rc;
	(void)pthread_join(thread, NULL); /* fails only if there is none */
	if (dumpable == 1)
		(void)prctl(PR_SET_DUMPABLE, 1); /* else without core dumps */
	return errand.rc;
}
