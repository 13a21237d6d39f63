/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * volumes.h - what tests of the file system share: volumes over stores in temporary
 * directories, used by paths as a program uses a mount.
 *
 * Paths are relative to the root, "" being the root; each part between slashes is a file name.
 * Where a result code is returned it is the volume's; any other error ends the test.  Nodes are
 * borrowed, as a kernel knows them: they last until volumes_forget(), or while they are open by
 * volumes_open().
 */
#ifndef SUPPORT_VOLUMES_H
#define SUPPORT_VOLUMES_H

#include <fcntl.h>

#include "fs/volume/volume.h"
#include "tests/support/check.h"
#include "tests/support/stores.h"

/* Owner of all files, umask 022, ".datawal" reserved. */
extern const struct volume_options volumes_defaults;
extern const struct volume_cred volumes_cred;

/* `options` NULL: the defaults; `segment_size` 0: the default. */
struct volume *volumes_mount_with(const char *dir, const struct volume_options *options,
				  uint64_t segment_size);
struct volume *volumes_mount(const char *dir);
void volumes_unmount(struct volume *volume);
/* Open a snapshot, by the store's directory. */
struct volume *volumes_open_snapshot(int dirfd, const char *name);
/* Make one that lasts, and open it. */
struct volume *volumes_snapshot(struct volume *volume, const char *name);
/* volume_close(), where that may fail. */
int volumes_close(struct volume *volume);

/* Count no more on the nodes that were looked up so far, as a kernel without memory for them. */
void volumes_forget(struct volume *volume);
/* A node that a test got from the volume by itself is from now on one of them. */
struct node *volumes_borrow(struct volume *volume, struct node *node);

/* All of a directory at once, as volume_readdir(). */
int volumes_readdir(struct volume *volume, struct node *dir, volume_dirent_fn *visit,
		    void *context);

/* NULL: there is no such name. */
struct node *volumes_find(struct volume *volume, const char *path);
/* The directory that a path is in, which must exist; and the last name. */
struct node *volumes_parent(struct volume *volume, const char *path, const char **name_ret);

/* With O_CREAT of `flags` also created.  NULL and *rc_ret (may be NULL) if it fails. */
struct node *volumes_open(struct volume *volume, const char *path, int flags, int *rc_ret);
/* Flush and release what was opened. */
void volumes_done(struct volume *volume, struct node *node);

/* open(O_CREAT), and the result code. */
int volumes_create(struct volume *volume, const char *path);
int volumes_mkdir(struct volume *volume, const char *path);
int volumes_unlink(struct volume *volume, const char *path);
int volumes_rmdir(struct volume *volume, const char *path);
int volumes_rename(struct volume *volume, const char *from, const char *to, unsigned flags);
/* Of a file that is not open. */
int volumes_truncate(struct volume *volume, const char *path, uint64_t size);

/* Replace the value, as `echo -n text > path` does. */
void volumes_write(struct volume *volume, const char *path, const char *text);
/* pwrite(2), all of it. */
void volumes_write_at(struct volume *volume, struct node *node, const void *data, size_t size,
		      uint64_t offset);
/* The file's value is `text`; NULL: there is no such file. */
void volumes_expect(struct volume *volume, const char *path, const char *text);
void volumes_expect_node(struct volume *volume, struct node *node, const void *data, size_t size);
struct stat volumes_stat(struct volume *volume, const char *path);
/* Puts that the store has had so far. */
uint64_t volumes_puts(struct volume *volume);

/* What a directory lists, in byte order, each name ended by '|'; the caller frees. */
char *volumes_list(struct volume *volume, const char *path);
void volumes_expect_list(struct volume *volume, const char *path, const char *names);

#endif
