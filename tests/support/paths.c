/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * paths.c - see paths.h.
 */
#include "tests/support/paths.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/stores.h"

const struct path_name paths_alphabet[PATHS_NAMES] = {
	{"a", {"a", 1}},     {"b", {"b", 1}},      {"c", {"c", 1}},       {"ab", {"ab", 2}},
	{"a%=", {"a%=", 3}}, {"%~", {"", 0}},      {"%~.", {".", 1}},     {"%~..", {"..", 2}},
	{"%~%~", {"%~", 2}}, {"x%00", {"x\0", 2}}, {"%2500", {"%00", 3}}, {"%2F", {"%2F", 3}},
	{"...", {"...", 3}},
};

struct path_item *paths_find(struct paths *p, const char *path)
{
	for (size_t i = 0; i < p->count; i++)
		if (!strcmp(p->items[i].path, path))
			return &p->items[i];
	return NULL;
}

bool paths_is_below(const char *path, const char *dir)
{
	size_t size = strlen(dir);

	return !size || (!strncmp(path, dir, size) && path[size] == '/');
}

bool paths_is_child(const char *path, const char *dir)
{
	return paths_is_below(path, dir) && !strchr(path + strlen(dir) + (*dir != '\0'), '/');
}

bool paths_has_children(struct paths *p, const char *dir)
{
	for (size_t i = 0; i < p->count; i++)
		if (paths_is_below(p->items[i].path, dir))
			return true;
	return false;
}

struct path_file *path_file_new(void)
{
	struct path_file *file = calloc(1, sizeof *file);

	CHECK(file != NULL);
	file->data = calloc(1, PATH_FILE_MAX);
	CHECK(file->data != NULL);
	file->refs = 1;
	file->attrs = (struct path_attrs){.mode = 0644, .uid = 1000};
	return file;
}

void path_file_unref(struct path_file *file)
{
	if (!file || --file->refs)
		return;
	free(file->data);
	free(file);
}

void path_file_resize(struct path_file *file, size_t size)
{
	if (size < file->size)
		memset(file->data + size, 0, file->size - size);
	file->size = size;
	path_file_changed(file);
}

void path_file_changed(struct path_file *file)
{
	file->attrs.dated = false;
	file->attrs.mode &= ~04000u;
}

struct path_attrs *path_attrs_of(struct path_item *item)
{
	return item->file ? &item->file->attrs : &item->own;
}

void paths_names_changed(struct paths *p, const char *path)
{
	const char *slash = strrchr(path, '/');
	char dir[PATH_SIZE];

	if (!slash)
		return;
	(void)snprintf(dir, sizeof dir, "%.*s", (int)(slash - path), path);
	paths_find(p, dir)->own.dated = false;
}

void paths_add(struct paths *p, const char *path, struct path_file *file)
{
	struct path_item *item = &p->items[p->count++];

	CHECK(p->count <= PATHS_MAX);
	(void)snprintf(item->path, sizeof item->path, "%s", path);
	item->file = file;
	item->own = (struct path_attrs){.mode = 0755, .uid = 1000};
}

void paths_remove(struct paths *p, struct path_item *item)
{
	path_file_unref(item->file);
	*item = p->items[--p->count];
}

/* Below the root an empty component is no file's: the key is the directory's. */
bool paths_is_refused(const char *path)
{
	size_t size = strlen(path);

	return size > 2 && !strcmp(path + size - 3, "/%~");
}

/* Whether all names below would still have room in the model. */
bool paths_fit(struct paths *p, const char *from, const char *to)
{
	for (size_t i = 0; i < p->count; i++)
		if (paths_is_below(p->items[i].path, from) &&
		    strlen(p->items[i].path) + strlen(to) >= PATH_SIZE)
			return false;
	return true;
}

void paths_rename(struct paths *p, const char *from, const char *to)
{
	struct path_item *target = paths_find(p, to);
	size_t size = strlen(from);
	char moved[2 * PATH_SIZE];

	if (target)
		paths_remove(p, target);
	for (size_t i = 0; i < p->count; i++) {
		char *path = p->items[i].path;
		if (strcmp(path, from) && !paths_is_below(path, from))
			continue;
		(void)snprintf(moved, sizeof moved, "%s%s", to, path + size);
		(void)snprintf(path, PATH_SIZE, "%.*s", PATH_SIZE - 1, moved);
	}
}

bool paths_have(const struct paths *p, const struct path_file *file)
{
	for (size_t i = 0; i < p->count; i++)
		if (p->items[i].file == file)
			return true;
	return false;
}

/* The key of a path, after the table. */
static struct dw_bytes key_of(const char *path, bool is_dir, char key[PATH_SIZE])
{
	size_t size = 0;

	while (*path) {
		size_t n = strcspn(path, "/"), i = 0;
		while (i < PATHS_NAMES && (strlen(paths_alphabet[i].name) != n ||
					   strncmp(paths_alphabet[i].name, path, n)))
			i++;
		CHECK(i < PATHS_NAMES);
		memcpy(key + size, paths_alphabet[i].component.data,
		       paths_alphabet[i].component.size);
		size += paths_alphabet[i].component.size;
		path += n;
		if (*path || is_dir)
			key[size++] = '/';
		path += *path == '/';
	}
	return (struct dw_bytes){key, size};
}

/* The live keys are the files, and markers of directories. */
void paths_check_store(struct paths *p, const char *dir)
{
	struct dw_store *store = stores_open_reader(dir);
	uint64_t want = 0;
	char key[PATH_SIZE];

	for (size_t i = 0; i < p->count; i++) {
		const struct path_file *file = p->items[i].file;
		struct dw_bytes bytes = key_of(p->items[i].path, !file, key);
		struct dw_bytes value = {file ? file->data : NULL, file ? file->size : 0};
		if (!file && !dw_contains(store, bytes))
			continue; /* entries below keep it: opening showed it */
		CHECK(stores_holds(store, bytes, value));
		want++;
	}
	CHECK_EQ(dw_count(store), want);
	stores_close(store);
}
