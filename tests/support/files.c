/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * files.c - see files.h.
 */
#include "tests/support/files.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct buf files_read(int dirfd, const char *path)
{
	struct buf buf = {0};
	ssize_t n = 1;
	int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);

	CHECK(fd >= 0);
	while (n > 0) {
		CHECK_EQ(buf_reserve(&buf, 1 << 16), 0);
		n = read(fd, buf.data + buf.size, buf.capacity - buf.size);
		CHECK(n >= 0);
		buf.size += (size_t)n;
	}
	(void)close(fd);
	return buf;
}

void files_write(int dirfd, const char *path, const void *data, size_t size)
{
	const char *p = data;
	int fd = openat(dirfd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	CHECK(fd >= 0);
	while (size) {
		ssize_t n = write(fd, p, size);
		CHECK(n > 0);
		p += n;
		size -= (size_t)n;
	}
	CHECK_EQ(close(fd), 0);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(((const struct file_image *)a)->name, ((const struct file_image *)b)->name);
}

struct files files_snapshot(const char *dir)
{
	struct files files = {0};
	struct dirent *entry;
	struct stat st;
	DIR *d = opendir(dir);

	CHECK(d != NULL);
	while ((entry = readdir(d))) {
		if (fstatat(dirfd(d), entry->d_name, &st, 0) || !S_ISREG(st.st_mode))
			continue;
		files.items = reallocarray(files.items, files.count + 1, sizeof *files.items);
		CHECK(files.items != NULL);
		struct file_image *item = &files.items[files.count++];
		(void)snprintf(item->name, sizeof item->name, "%s", entry->d_name);
		item->data = files_read(dirfd(d), entry->d_name);
	}
	(void)closedir(d);
	if (files.count)
		qsort(files.items, files.count, sizeof *files.items, compare_names);
	return files;
}

void files_restore(const struct files *files, const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	CHECK(fd >= 0);
	for (size_t i = 0; i < files->count; i++)
		files_write(fd, files->items[i].name, files->items[i].data.data,
			    files->items[i].data.size);
	(void)close(fd);
}

bool files_equal(const struct files *a, const struct files *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++) {
		const struct file_image *x = &a->items[i], *y = &b->items[i];
		if (strcmp(x->name, y->name) || x->data.size != y->data.size)
			return false;
		if (x->data.size && memcmp(x->data.data, y->data.data, x->data.size))
			return false;
	}
	return true;
}

void files_drop(struct files *files, const char *name)
{
	for (size_t i = 0; i < files->count; i++) {
		if (strcmp(files->items[i].name, name))
			continue;
		buf_release(&files->items[i].data);
		files->count--;
		memmove(&files->items[i], &files->items[i + 1],
			(files->count - i) * sizeof *files->items);
		return;
	}
}

static bool ends_in(const char *name, const char *suffix)
{
	size_t size = strlen(name), end = strlen(suffix);

	return size >= end && !strcmp(name + size - end, suffix);
}

void files_remove_suffixed(const char *dir, const char *suffix)
{
	struct files files = files_snapshot(dir);
	char path[512];

	for (size_t i = 0; i < files.count; i++) {
		if (!ends_in(files.items[i].name, suffix))
			continue;
		(void)snprintf(path, sizeof path, "%s/%s", dir, files.items[i].name);
		CHECK_EQ(unlink(path), 0);
	}
	files_release(&files);
}

void files_drop_suffixed(struct files *files, const char *suffix)
{
	for (size_t i = files->count; i--;) {
		if (ends_in(files->items[i].name, suffix))
			files_drop(files, files->items[i].name);
	}
}

void files_release(struct files *files)
{
	for (size_t i = 0; i < files->count; i++)
		buf_release(&files->items[i].data);
	free(files->items);
	*files = (struct files){0};
}

void files_copy(const char *from, const char *to)
{
	struct files files = files_snapshot(from);

	files_restore(&files, to);
	files_release(&files);
}

int files_count_suffixed(const char *dir, const char *part)
{
	struct files files = files_snapshot(dir);
	int count = 0;

	for (size_t i = 0; i < files.count; i++)
		count += strstr(files.items[i].name, part) != NULL;
	files_release(&files);
	return count;
}

struct files files_clone(const struct files *files)
{
	struct files copy = {.items = calloc(files->count + 1, sizeof *copy.items),
			     .count = files->count};

	CHECK(copy.items != NULL);
	for (size_t i = 0; i < files->count; i++) {
		const struct file_image *from = &files->items[i];
		struct file_image *to = &copy.items[i];
		memcpy(to->name, from->name, sizeof to->name);
		if (from->data.size)
			CHECK_EQ(buf_add(&to->data, from->data.data, from->data.size), 0);
	}
	return copy;
}
