/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * snapshots.c - see snapshots.h.
 */
#include "fs/mounted/snapshots.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utlist.h>

#include "fs/base/clock.h"

/* The others in the directory are the engine's, and begin with a dot. */
static int check_name(const char *name)
{
	if (strlen(name) > NAME_SIZE_MAX)
		return -ENAMETOOLONG;
	return *name && *name != '.' ? 0 : -EINVAL;
}

/* --- on disk --- */

/* Of the store; the descriptor is the newest volume's. */
static struct generation *hold_store(struct generations *generations, int *dirfd_ret)
{
	struct generation *newest = generations_hold(generations, NULL);

	*dirfd_ret = dw_directory_fd(volume_store(newest->volume));
	return newest;
}

/* -ENOENT: there is no such snapshot. */
static int identify(int dirfd, const char *name, struct snapshot_identity *ret)
{
	char path[sizeof DW_SNAPSHOT_DIRECTORY + NAME_SIZE_MAX + 1];
	struct stat st;

	if (check_name(name) < 0)
		return -ENOENT;
	(void)snprintf(path, sizeof path, DW_SNAPSHOT_DIRECTORY "/%s", name); /* it fits */
	if (fstatat(dirfd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOTDIR ? -ENOENT : -errno;
	if (!S_ISDIR(st.st_mode))
		return -ENOENT;
	*ret = (struct snapshot_identity){st.st_dev, st.st_ino, st.st_ctim};
	return 0;
}

static bool is_same(const struct snapshot_identity *a, const struct snapshot_identity *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->ctim.tv_sec == b->ctim.tv_sec &&
	       a->ctim.tv_nsec == b->ctim.tv_nsec;
}

/* --- in the list of generations --- */

/* The open one of this name; `lock` is held. */
static struct generation *find_locked(struct generations *generations, const char *name)
{
	struct generation *generation = generations->newest->next;

	while (generation && !(generation->name && !strcmp(generation->name, name)))
		generation = generation->next;
	return generation;
}

/* Nobody finds it by this name any more.  Whether it was open. */
static bool take_name(struct generations *generations, const char *name)
{
	char *taken = NULL;

	(void)pthread_mutex_lock(&generations->lock);
	struct generation *generation = find_locked(generations, name);
	if (generation) {
		taken = generation->name;
		generation->name = NULL;
	}
	(void)pthread_mutex_unlock(&generations->lock);
	if (taken)
		generations_say_left(generations);
	free(taken);
	return taken != NULL;
}

/* Hold it, if it is open.  NULL: it is not, or what is open is another one that had its name. */
static struct generation *hold_open(struct generations *generations, const char *name,
				    const struct snapshot_identity *identity)
{
	(void)pthread_mutex_lock(&generations->lock);
	struct generation *generation = find_locked(generations, name);
	bool same = generation && is_same(&generation->identity, identity);
	if (same) {
		generation->holds++;
		generation->leaving = false;
	}
	(void)pthread_mutex_unlock(&generations->lock);
	if (generation && !same)
		(void)take_name(generations, name);
	return same ? generation : NULL;
}

/* Open it, held; `opening` is held. */
static int open_one(struct generations *generations, int dirfd, const char *name,
		    const struct snapshot_identity *identity, struct generation **ret)
{
	const struct generations_config *config = &generations->config;
	struct generation *generation = generation_new(NULL, NULL);
	int rc = -ENOMEM;

	if (generation)
		generation->name = strdup(name);
	if (generation && generation->name)
		rc = config->open_snapshot(config->open_context, dirfd, name, &generation->volume);
	if (rc < 0) {
		if (generation)
			free(generation->name);
		free(generation);
		return rc;
	}
	generation->identity = *identity;
	generation->used_ms = clock_monotonic_ms();
	generation->holds = 1;
	generations_watch(generations, generation->volume);
	(void)pthread_mutex_lock(&generations->lock);
	generation->next = generations->newest->next;
	generations->newest->next = generation;
	(void)pthread_mutex_unlock(&generations->lock);
	generations_say_left(generations); /* that one is to be looked after from now on */
	*ret = generation;
	return 0;
}

static int hold_snapshot(struct generations *generations, int dirfd, const char *name,
			 struct generation **ret)
{
	struct snapshot_identity identity = {0};
	/* before it is opened: if another one takes its place meanwhile, that is seen later */
	int rc = identify(dirfd, name, &identity);

	if (rc < 0)
		return rc;
	*ret = hold_open(generations, name, &identity);
	if (*ret)
		return 0;
	if (!generations->config.open_snapshot)
		return -ENOTSUP;
	(void)pthread_mutex_lock(&generations->opening);
	*ret = hold_open(generations, name, &identity);
	if (!*ret)
		rc = open_one(generations, dirfd, name, &identity, ret);
	(void)pthread_mutex_unlock(&generations->opening);
	return rc;
}

int snapshots_find(struct generations *generations, const char *name, struct volume_entry *ret)
{
	struct generation *snapshot = NULL;
	int dirfd;
	struct generation *newest = hold_store(generations, &dirfd);
	int rc = hold_snapshot(generations, dirfd, name, &snapshot);

	generations_drop(generations, newest);
	/* one that had the name, and is gone */
	if (rc == -ENOENT)
		(void)take_name(generations, name);
	if (rc < 0)
		return rc;
	volume_enter(snapshot->volume, ret);
	generations_drop(generations, snapshot);
	return 0;
}

/* --- making and removing --- */

static int remember_brief(struct generations *generations, const char *name)
{
	struct brief_snapshot *brief = malloc(sizeof *brief);

	if (!brief)
		return -ENOMEM;
	(void)snprintf(brief->name, sizeof brief->name, "%s", name); /* it fits */
	LL_PREPEND(generations->briefs, brief);
	return 0;
}

static void forget_brief(struct generations *generations, const char *name)
{
	struct brief_snapshot **at = &generations->briefs;

	while (*at) {
		struct brief_snapshot *brief = *at;
		if (strcmp(brief->name, name) != 0) {
			at = &brief->next;
			continue;
		}
		*at = brief->next;
		free(brief);
	}
}

/* `reloading` is held, but for requests of this mount nothing makes snapshots: the writer's lock is
 * the mount's. */
static int make(struct generations *generations, const char *name, bool brief)
{
	int rc = brief ? remember_brief(generations, name) : 0;

	if (!rc)
		rc = volume_snapshot(generations->newest->volume, name, brief);
	if (rc < 0 && rc != -EEXIST && brief)
		forget_brief(generations, name);
	return rc;
}

int snapshots_add(struct generations *generations, const char *name, bool brief,
		  struct volume_entry *ret)
{
	struct snapshot_identity identity;
	int rc = check_name(name);

	if (generations_may_change(generations))
		return -EROFS;
	if (rc < 0)
		return rc;
	(void)pthread_mutex_lock(&generations->reloading);
	rc = identify(dw_directory_fd(volume_store(generations->newest->volume)), name, &identity);
	rc = !rc ? -EEXIST : rc == -ENOENT ? make(generations, name, brief) : rc;
	(void)pthread_mutex_unlock(&generations->reloading);
	return rc ? rc : snapshots_find(generations, name, ret);
}

int snapshots_remove(struct generations *generations, const char *name)
{
	if (generations_may_change(generations))
		return -EROFS;
	if (check_name(name) < 0)
		return -ENOENT;
	(void)pthread_mutex_lock(&generations->reloading);
	int rc = dw_snapshot_remove(dw_directory_fd(volume_store(generations->newest->volume)),
				    name);
	if (!rc || rc == -ENOENT) {
		forget_brief(generations, name);
		(void)take_name(generations, name);
	}
	(void)pthread_mutex_unlock(&generations->reloading);
	return rc;
}

void snapshots_end(struct generations *generations)
{
	while (generations->briefs) {
		char name[NAME_SIZE_MAX + 1];
		(void)strcpy(name, generations->briefs->name); /* of the same size */
		/* if that fails, the next mount does it */
		(void)snapshots_remove(generations, name);
		forget_brief(generations, name);
	}
}

/* --- names --- */

static int compare_names(const void *a, const void *b)
{
	return strcmp(((const struct snapshot_name *)a)->name,
		      ((const struct snapshot_name *)b)->name);
}

/* An open directory of those; NULL and errno. */
static DIR *open_directory(int dirfd)
{
	int fd = openat(dirfd, DW_SNAPSHOT_DIRECTORY,
			O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (fd >= 0 && !dir)
		(void)close(fd); /* was not read yet */
	return dir;
}

static int add_name(struct volume *volume, const char *name, struct snapshot_name **names,
		    size_t *count)
{
	struct snapshot_name *grown = *names;

	if ((*count & (*count - 1)) == 0) /* a power of two is full */
		grown = reallocarray(grown, *count ? 2 * *count : 1, sizeof *grown);
	if (!grown)
		return -ENOMEM;
	*names = grown;
	grown += (*count)++;
	grown->ino = volume_snapshot_ino(volume, name);
	(void)snprintf(grown->name, sizeof grown->name, "%s", name); /* it fits */
	return 0;
}

static int list_names(struct volume *volume, struct snapshot_name **ret, size_t *count_ret)
{
	struct snapshot_name *names = NULL;
	struct snapshot_identity identity;
	const int dirfd = dw_directory_fd(volume_store(volume));
	const struct dirent *entry;
	size_t count = 0;
	int rc = 0;
	DIR *dir = open_directory(dirfd);

	if (!dir && errno != ENOENT && errno != ENOTDIR && errno != ELOOP)
		return -errno;
	while (!rc && dir && (entry = readdir(dir)))
		if (!identify(dirfd, entry->d_name, &identity))
			rc = add_name(volume, entry->d_name, &names, &count);
	if (dir)
		(void)closedir(dir); /* was only read */
	if (rc < 0) {
		free(names);
		return rc;
	}
	if (count)
		qsort(names, count, sizeof *names, compare_names);
	*ret = names;
	*count_ret = count;
	return 0;
}

int snapshots_list(struct generations *generations, struct snapshot_name **ret, size_t *count_ret)
{
	struct generation *newest = generations_hold(generations, NULL);
	int rc = list_names(newest->volume, ret, count_ret);

	generations_drop(generations, newest);
	return rc;
}
