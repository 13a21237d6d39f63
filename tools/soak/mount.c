/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * mount.c - a store by the file calls of a mounted datawalfs.
 *
 * The mount is flat, so that each key is one file of the root, and made of the names
 * that docs/FORMAT.md gives for keys.  Values are put in two ways, as programs do: one
 * write to the file, or to another one in pieces, which is then renamed.
 */
#include "tools/soak/say.h"

#define uthash_fatal(message) soak_out_of_memory()
#include "tools/soak/backend.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char backend_temporary[] = ".datawal-soak-new";

/* --- names --- */

/* Length of `%(25)*00` or `%(25)*2F` at the front of `p`; 0: it reads otherwise. */
static size_t escape_size(const char *p, size_t size)
{
	size_t at = 1;

	if (!size || p[0] != '%')
		return 0;
	while (at + 2 <= size && !memcmp(p + at, "25", 2))
		at += 2;
	if (at + 2 > size || (memcmp(p + at, "00", 2) && memcmp(p + at, "2F", 2)))
		return 0;
	return at + 2;
}

/* Whether a component, after any number of `%~`, is no legal name in the root. */
static bool needs_prefix(const char *p, size_t size)
{
	static const char control[] = ".datawal";

	while (size >= 2 && !memcmp(p, "%~", 2)) {
		p += 2;
		size -= 2;
	}
	return !size || (size <= 2 && !memcmp(p, "..", size)) ||
	       (size == sizeof control - 1 && !memcmp(p, control, size));
}

static char *name_of_key(struct dw_bytes key)
{
	const char *bytes = key.data;
	char *name = soak_alloc(3 * key.size + 3, 1), *at = name;

	if (needs_prefix(bytes, key.size))
		at = stpcpy(at, "%~");
	for (size_t i = 0; i < key.size; i++) {
		if (!bytes[i])
			at = stpcpy(at, "%00");
		else if (bytes[i] == '/')
			at = stpcpy(at, "%2F");
		else if (escape_size(bytes + i, key.size - i))
			at = stpcpy(at, "%25");
		else
			*at++ = bytes[i];
	}
	return name;
}

int backend_name_slots(struct oracle *oracle)
{
	for (size_t i = 0; i < oracle->count; i++) {
		struct slot *slot = &oracle->slots[i];
		slot->name = name_of_key(slot->key);
		if (strlen(slot->name) > NAME_MAX)
			return soak_setup_error("the key of %s record %zu is too long for a file "
						"name; use --via library",
						slot->stream, slot->index);
		if (!strcmp(slot->name, backend_temporary))
			return soak_setup_error("%s record %zu has a key that the run itself uses",
						slot->stream, slot->index);
	}
	return 0;
}

/* --- the mount --- */

static int mount_close(struct backend *backend)
{
	int rc = backend->root_fd >= 0 && close(backend->root_fd) < 0 ? -errno : 0;

	backend->root_fd = -1;
	HASH_CLEAR(by_name, backend->names);
	return rc;
}

static int mount_open(struct backend *backend)
{
	const struct oracle *oracle = backend->oracle;

	backend->root_fd = open(backend->paths->mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (backend->root_fd < 0)
		return -errno;
	for (size_t i = 0; i < oracle->count; i++) {
		struct slot *slot = &oracle->slots[i];
		HASH_ADD_KEYPTR(by_name, backend->names, slot->name, strlen(slot->name), slot);
	}
	return 0;
}

/* Write the whole file, at most `piece` bytes a call. */
static int write_file(const struct backend *backend, const char *name, struct dw_bytes value,
		      size_t piece)
{
	int fd = openat(backend->root_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	int rc = fd < 0 ? -errno : 0;

	for (size_t at = 0; !rc && at < value.size;) {
		size_t size = value.size - at < piece ? value.size - at : piece;
		ssize_t n = write(fd, (const char *)value.data + at, size);
		if (n < 0)
			rc = -errno;
		else
			at += (size_t)n;
	}
	if (fd >= 0 && close(fd) < 0 && !rc)
		rc = -errno;
	return rc;
}

bool backend_renames(const struct step *step)
{
	return step->record && step->operation % 4 == 3;
}

static int mount_put(struct backend *backend, const struct step *step, struct dw_bytes value)
{
	enum { PIECE = 1500 };

	if (!backend_renames(step))
		return write_file(backend, step->slot->name, value, SIZE_MAX);
	int rc = write_file(backend, backend_temporary, value, PIECE);
	if (!rc &&
	    renameat(backend->root_fd, backend_temporary, backend->root_fd, step->slot->name) < 0)
		rc = -errno;
	return rc;
}

static int mount_remove(struct backend *backend, const struct slot *slot)
{
	return unlinkat(backend->root_fd, slot->name, 0) < 0 ? -errno : 0;
}

static int read_all(int fd, struct dw_value *ret)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	/* one byte more, so that a file that goes on is found out */
	size_t room = (size_t)st.st_size + 1, size = 0;
	char *data = soak_alloc(room, 1);
	ssize_t n = 1;
	while (size < room && (n = read(fd, data + size, room - size)) > 0)
		size += (size_t)n;
	if (n < 0) {
		int rc = -errno;
		free(data);
		return rc;
	}
	*ret = (struct dw_value){.data = data, .size = size};
	return 0;
}

static int mount_get(struct backend *backend, const struct slot *slot, struct dw_value *ret)
{
	int fd = openat(backend->root_fd, slot->name, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	int rc = read_all(fd, ret);
	(void)close(fd); /* only read from */
	return rc;
}

static int visit_name(struct backend *backend, const char *name, backend_seen_fn *seen,
		      void *context)
{
	struct slot *slot;

	if (!strcmp(name, ".") || !strcmp(name, ".."))
		return 0;
	HASH_FIND(by_name, backend->names, name, strlen(name), slot);
	return seen(context, slot, (struct dw_bytes){name, strlen(name)});
}

static int mount_list(struct backend *backend, backend_seen_fn *seen, void *context)
{
	DIR *dir = opendir(backend->paths->mount);
	struct dirent *entry;
	int rc = dir ? 0 : -errno;

	if (!dir)
		return rc;
	do {
		errno = 0;
		entry = readdir(dir);
		rc = entry ? visit_name(backend, entry->d_name, seen, context) : -errno;
	} while (entry && !rc);
	(void)closedir(dir); /* fails only for a bad one */
	return rc;
}

/* Each command is one write, which returns when it is done. */
static int command(const struct backend *backend, const char *text)
{
	int fd = openat(backend->root_fd, ".datawal/control", O_WRONLY | O_CLOEXEC);
	int rc = fd < 0 || write(fd, text, strlen(text)) < 0 ? -errno : 0;

	if (fd >= 0)
		(void)close(fd); /* the write said it all */
	return rc;
}

static int mount_sync(struct backend *backend, const struct step *step)
{
	if (step->operation / SYNC_EVERY % 2)
		return fsync(backend->root_fd) < 0 ? -errno : 0;
	return command(backend, "sync\n");
}

static int mount_rotate(struct backend *backend)
{
	return command(backend, "rotate\n");
}

static int mount_compact(struct backend *backend)
{
	return command(backend, "compact\n");
}

static int mount_verify(struct backend *backend)
{
	return command(backend, "verify\n");
}

const struct backend_ops backend_mount = {
	.open = mount_open,
	.close = mount_close,
	.put = mount_put,
	.remove = mount_remove,
	.get = mount_get,
	.list = mount_list,
	.sync = mount_sync,
	.rotate = mount_rotate,
	.compact = mount_compact,
	.verify = mount_verify,
};
