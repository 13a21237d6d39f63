/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * paths.h - a tree of files as a plain array of paths with their values: too simple
 * to be wrong.  The names of all paths are of one small alphabet.
 */
#ifndef SUPPORT_PATHS_H
#define SUPPORT_PATHS_H

#include "datawal.h"
#include "tests/support/check.h"

enum { PATHS_MAX = 80, PATHS_NAMES = 13, PATH_SIZE = 160, PATH_FILE_MAX = 400000 };

/* A file name, and the component that it stands for. */
struct path_name {
	const char *name;
	struct dw_bytes component;
};

extern const struct path_name paths_alphabet[PATHS_NAMES];

/* Attributes set by hand, as they must show. */
struct path_attrs {
	unsigned mode, uid;
	bool dated; /* mtime_s counts */
	int64_t mtime_s;
	char label; /* the value of user.label; '\0': there is none */
};

struct path_file {
	uint8_t *data; /* PATH_FILE_MAX bytes, zero behind `size`; owned */
	size_t size;
	unsigned refs; /* its name and its handles */
	bool is_link;
	struct path_attrs attrs;
};

struct path_item {
	char path[PATH_SIZE];
	struct path_file *file; /* NULL: a directory */
	struct path_attrs own;  /* of a directory */
};

struct paths {
	struct path_item items[PATHS_MAX];
	size_t count;
};

struct path_file *path_file_new(void);
void path_file_unref(struct path_file *file);
void path_file_resize(struct path_file *file, size_t size);
/* Its value changed: times and privileges set by hand are gone. */
void path_file_changed(struct path_file *file);
struct path_attrs *path_attrs_of(struct path_item *item);
/* A name came or went: the time of its directory, if the path names one, is gone. */
void paths_names_changed(struct paths *p, const char *path);

struct path_item *paths_find(struct paths *p, const char *path);
/* Takes a reference to the file over. */
void paths_add(struct paths *p, const char *path, struct path_file *file);
void paths_remove(struct paths *p, struct path_item *item);
/* With all that is below; a file that has the name already goes. */
void paths_rename(struct paths *p, const char *from, const char *to);

bool paths_is_below(const char *path, const char *dir);
bool paths_is_child(const char *path, const char *dir);
bool paths_has_children(struct paths *p, const char *dir);
/* Whether the file has a name. */
bool paths_have(const struct paths *p, const struct path_file *file);
/* Whether all names below would still have room here. */
bool paths_fit(struct paths *p, const char *from, const char *to);
/* Below the root an empty component is no file's: the key is the directory's. */
bool paths_is_refused(const char *path);

/* The live keys of a store are the files, and markers of directories. */
void paths_check_store(struct paths *p, const char *dir);

#endif
