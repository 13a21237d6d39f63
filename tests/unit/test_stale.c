/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_stale.c - large values that were replaced or removed leave the page cache, and nothing
 * else does.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/stale.h"
#include "store/store.h"
#include "tests/support/stores.h"

enum { SIZE = 4 * STALE_SIZE_MIN };

static size_t page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

/* How many pages of a segment are cached. */
static size_t cached(const char *dir, unsigned id)
{
	char path[512];
	struct stat st;

	(void)snprintf(path, sizeof path, "%s/%08u.dwal", dir, id);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	CHECK(fd >= 0 && !fstat(fd, &st));
	size_t pages = ((size_t)st.st_size + page_size() - 1) / page_size(), count = 0;
	void *data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	unsigned char *flags = malloc(pages);
	CHECK(data != MAP_FAILED && flags && !mincore(data, (size_t)st.st_size, flags));
	for (size_t i = 0; i < pages; i++)
		count += flags[i] & 1;
	free(flags);
	(void)munmap(data, (size_t)st.st_size);
	(void)close(fd);
	return count;
}

static struct dw_bytes noise(uint64_t seed, size_t size)
{
	return (struct dw_bytes){stores_noise(seed, size), size};
}

static void put(struct dw_store *store, const char *key, uint64_t seed, size_t size)
{
	struct dw_bytes value = noise(seed, size);

	CHECK_EQ(dw_put(store, stores_bytes(key), value), 0);
	free((void *)value.data);
}

static void expect(struct dw_store *store, const char *key, uint64_t seed, size_t size)
{
	struct dw_bytes value = noise(seed, size);

	CHECK(stores_holds(store, stores_bytes(key), value));
	free((void *)value.data);
}

/* Not of a file system that lives in memory. */
static bool can_be_dropped(void)
{
	const char *dir = stores_dir();
	char path[512];
	uint8_t *bytes = stores_noise(1, SIZE);

	(void)snprintf(path, sizeof path, "%s/00000001.dwal", dir);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	CHECK(fd >= 0 && write(fd, bytes, SIZE) == SIZE && !fsync(fd));
	CHECK_EQ(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
	(void)close(fd);
	free(bytes);
	if (!cached(dir, 1))
		return true;
	check_skip("the file system of /tmp keeps all its pages in memory");
	return false;
}

/* Pages of a value that it shares with no neighbour. */
static size_t own_pages(size_t size)
{
	return size / page_size() - 2;
}

static void test_sealed(void)
{
	const char *dir = stores_dir();

	if (!can_be_dropped())
		return;
	struct dw_store *store = stores_open(dir, 0);
	put(store, "replaced", 1, SIZE);
	put(store, "kept", 2, SIZE);
	put(store, "removed", 3, SIZE);
	put(store, "small", 4, STALE_SIZE_MIN - 1);
	CHECK_EQ(dw_rotate(store), 0);
	expect(store, "replaced", 1, SIZE); /* by the mapping: its pages are in use */
	size_t before = cached(dir, 1);
	CHECK(before >= 3 * SIZE / page_size());
	put(store, "small", 5, 1);
	CHECK_EQ(cached(dir, 1), before);
	put(store, "replaced", 5, 1);
	size_t after = cached(dir, 1);
	CHECK(after <= before - own_pages(SIZE) && after >= 2 * SIZE / page_size());
	stores_delete(store, "removed");
	CHECK(cached(dir, 1) <= after - own_pages(SIZE));
	expect(store, "kept", 2, SIZE);
	expect(store, "replaced", 5, 1);
	stores_close(store);
}

/* In the active segment pages wait to be written. */
static void test_active(void)
{
	const char *dir = stores_dir();

	if (!can_be_dropped())
		return;
	struct dw_store *store = stores_open(dir, 0);
	for (uint64_t i = 0; i < 200; i++) /* more than there is room for at first */
		put(store, "key", i, STALE_SIZE_MIN);
	put(store, "kept", 1, SIZE);
	size_t before = cached(dir, 1);
	CHECK_EQ(dw_rotate(store), 0);
	size_t after = cached(dir, 1);
	CHECK(after <= before - 199 * own_pages(STALE_SIZE_MIN) && after >= SIZE / page_size());
	expect(store, "key", 199, STALE_SIZE_MIN);
	expect(store, "kept", 1, SIZE);
	stores_delete(store, "key");
	CHECK(cached(dir, 1) < after);
	put(store, "kept", 2, SIZE); /* of the new segment, and closed like that */
	put(store, "kept", 3, SIZE);
	stores_close(store);
}

/* What a snapshot shows is yet to be read. */
static void test_snapshot(void)
{
	struct dw_store *snapshot = NULL;
	const char *dir = stores_dir();

	if (!can_be_dropped())
		return;
	struct dw_store *store = stores_open(dir, 0);
	put(store, "key", 1, SIZE);
	CHECK_EQ(dw_rotate(store), 0);
	size_t before = cached(dir, 1);
	CHECK_EQ(dw_snapshot(store, &snapshot), 0);
	put(store, "key", 2, SIZE);
	CHECK_EQ(cached(dir, 1), before);
	expect(snapshot, "key", 1, SIZE);
	CHECK_EQ(dw_close(snapshot), 0);
	expect(store, "key", 2, SIZE);
	stores_close(store);
}

static bool is_open_and_deleted(void)
{
	char link[64], target[600];
	bool found = false;

	for (int fd = 0; fd < 256; fd++) {
		(void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
		ssize_t n = readlink(link, target, sizeof target - 1);
		if (n > 0) {
			target[n] = '\0';
			found |= strstr(target, ".dwal") && strstr(target, "(deleted)");
		}
	}
	return found;
}

/* What a compaction seals and removes is not held until somebody writes. */
static void test_compaction(void)
{
	struct dw_store *store = stores_open(stores_dir(), 0);

	put(store, "key", 1, SIZE);
	put(store, "key", 2, SIZE);
	CHECK_EQ(dw_compact(store, NULL), 0);
	CHECK(!is_open_and_deleted());
	expect(store, "key", 2, SIZE);
	stores_close(store);
}

/* --- which ranges, on any file system --- */

static struct {
	size_t count;
	uint64_t bytes;
	int syncs_fail; /* -errno */
} seen;

static void note_uncache(struct io *io, int fd, off_t offset, off_t size)
{
	(void)io;
	(void)fd;
	CHECK(offset % (off_t)page_size() == 0 && size > 0);
	seen.count++;
	seen.bytes += (uint64_t)size;
}

static int sync_or_fail(struct io *io, int fd)
{
	return seen.syncs_fail ? seen.syncs_fail : io_posix.fdatasync(io, fd);
}

static void test_ranges(void)
{
	struct io io = io_posix;
	struct dw_store *store = NULL, *snapshot = NULL;

	io.uncache = note_uncache;
	io.fdatasync = sync_or_fail;
	CHECK_EQ(store_open(&io, stores_dir(), &(struct dw_options){0}, NULL, &store), 0);
	put(store, "a", 1, SIZE);
	put(store, "b", 1, SIZE);
	put(store, "a", 2, SIZE);
	stores_delete(store, "a");
	CHECK_EQ(seen.count, 0); /* not on disk */
	CHECK_EQ(dw_rotate(store), 0);
	CHECK_EQ(seen.count, 2);
	CHECK(seen.bytes <= 2 * (uint64_t)SIZE && seen.bytes >= 2 * own_pages(SIZE) * page_size());
	put(store, "b", 2, SIZE);
	CHECK_EQ(seen.count, 3);
	CHECK_EQ(dw_snapshot(store, &snapshot), 0);
	put(store, "b", 3, SIZE);
	CHECK_EQ(dw_rotate(store), 0);
	put(store, "b", 4, SIZE);
	CHECK_EQ(seen.count, 3);
	CHECK_EQ(dw_close(snapshot), 0);
	put(store, "b", 5, SIZE); /* in the same segment as that before */
	seen.syncs_fail = -EIO;
	CHECK(dw_rotate(store) < 0);
	CHECK_EQ(seen.count, 3);
	seen.syncs_fail = 0;
	(void)dw_close(store); /* says what became of the sync */
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"stale_sealed", test_sealed},     {"stale_active", test_active},
		{"stale_snapshot", test_snapshot}, {"stale_compaction", test_compaction},
		{"stale_ranges", test_ranges},     {NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
