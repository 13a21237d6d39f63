/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * history.c - see history.h.
 */
#include "tests/support/history.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "codec/record.h"
#include "codec/segname.h"
#include "store/store.h"
#include "tests/support/faultio.h"

enum { RANDOM_TRIES = 3 };

static size_t refused;  /* states with a hole, see open_rebuilt() */
static size_t believed; /* of the states, those whose index was */
static size_t wasted;   /* those that have one which was not, though nothing is wrong with it */

/* --- inodes by name --- */

static void set_inode(const char *name, struct stat *st)
{
	char final[SEGNAME_SIZE]; /* a copy has the inode before it has the name */
	uint32_t id;

	(void)snprintf(final, sizeof final, "%.13s", name);
	if (!segname_parse(name, &id) &&
	    (!strstr(name, ".dwal.compact") || !segname_parse(final, &id)))
		return;
	st->st_ino = 1000000 + id;
	st->st_mtim = (struct timespec){.tv_sec = 1000000000};
}

static int fstat_by_name(struct io *io, int fd, struct stat *ret)
{
	char link[64], path[300];
	int rc = io_posix.fstat(io, fd, ret);

	(void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, path, sizeof path - 1);
	if (rc < 0 || n < 0)
		return rc;
	path[n] = '\0';
	const char *slash = strrchr(path, '/');
	set_inode(slash ? slash + 1 : path, ret);
	return 0;
}

static int lookup_by_name(struct io *io, int dirfd, const char *name, struct stat *ret)
{
	int rc = io_posix.lookup(io, dirfd, name, ret);

	if (!rc)
		set_inode(name, ret);
	return rc;
}

void history_name_inodes(struct io *io)
{
	io->fstat = fstat_by_name;
	io->lookup = lookup_by_name;
}

/* --- recording --- */

void history_open(struct history *h)
{
	const struct dw_options options = {.segment_size = HISTORY_SEGMENT_SIZE,
					   .index_keys = h->index_keys};

	if (h->index_keys)
		history_name_inodes(&h->crash.io);
	CHECK_EQ(store_open(&h->crash.io, h->dir, &options, NULL, &h->store), 0);
}

void history_start(struct history *h)
{
	h->rng = check_rng();
	h->dir = stores_dir();
}

void history_batch(struct history *h, const struct dw_op *ops, size_t count)
{
	size_t begun = h->crash.count;

	CHECK(h->count + count < OPS_MAX);
	for (size_t i = 0; i < count; i++) {
		struct model *view = &h->views[h->count + i + 1];
		model_copy(view - 1, view);
		if (ops[i].type == DW_PUT)
			model_put(view, ops[i].key, ops[i].value);
		else if (ops[i].type == DW_DELETE)
			model_delete(view, ops[i].key);
		h->begun[h->count + i] = begun;
		h->acked[h->count + i] = SIZE_MAX;
	}
	size_t first = h->count;
	h->count += count;
	CHECK_EQ(dw_batch(h->store, ops, count), 0);
	for (size_t i = 0; i < count; i++)
		h->acked[first + i] = h->crash.count;
}

void history_sync(struct history *h)
{
	size_t records = h->count;

	CHECK_EQ(dw_sync(h->store), 0);
	h->syncs[h->sync_count].event = h->crash.count;
	h->syncs[h->sync_count++].records = records;
}

void history_close(struct history *h)
{
	CHECK_EQ(dw_close(h->store), 0);
	h->store = NULL;
	h->syncs[h->sync_count].event = h->crash.count;
	h->syncs[h->sync_count++].records = h->count;
}

void history_random(struct history *h, int keys)
{
	char texts[5][16];
	struct dw_op ops[5];
	size_t count = rng_below(&h->rng, 4) ? 1 : (size_t)rng_below(&h->rng, 5) + 1;
	uint8_t *data = stores_noise(rng_next(&h->rng), 1600);

	for (size_t i = 0; i < count; i++) {
		bool gone = !rng_below(&h->rng, 4);
		size_t size = (size_t)rng_below(&h->rng, rng_below(&h->rng, 3) ? 100 : 1500);
		(void)snprintf(texts[i], 16, "key %d", (int)rng_below(&h->rng, (uint64_t)keys));
		ops[i] = (struct dw_op){.type = gone ? DW_DELETE : DW_PUT,
					.key = stores_bytes(texts[i]),
					.value = {data, gone ? 0 : size}};
	}
	history_batch(h, ops, count);
	free(data);
}

/* --- checking --- */

size_t history_durable_at(const struct history *h, size_t point)
{
	size_t records = 0;

	for (size_t i = 0; i < h->sync_count; i++)
		if (h->syncs[i].event <= point && h->syncs[i].records > records)
			records = h->syncs[i].records;
	return records;
}

size_t history_acked_at(const struct history *h, size_t point)
{
	size_t n = 0;

	while (n < h->count && h->acked[n] <= point)
		n++;
	return n;
}

size_t history_begun_at(const struct history *h, size_t point)
{
	size_t n = 0;

	while (n < h->count && h->begun[n] < point)
		n++;
	return n;
}

static bool all_zero(const uint8_t *data, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (data[i])
			return false;
	return true;
}

/* Judge a segment as a reader that knows only the table of docs/FORMAT.md.  `lossy`: a sector may
 * be missing below others that came through. */
static void check_strict(const struct buf *data, bool last, bool lossy)
{
	struct record_header header;
	enum dw_damage damage;

	for (size_t at = 0; at < data->size; at += (size_t)record_size(&header)) {
		damage = record_decode(data->data + at, data->size - at, &header);
		if (!damage)
			continue;
		CHECK(last);
		CHECK(damage == DW_DAMAGE_TRUNCATED || damage == DW_DAMAGE_CRC || lossy ||
		      all_zero(data->data + at, data->size - at));
		return;
	}
}

static void check_segments(const struct files *files, bool lossy)
{
	const struct file_image *last = NULL;

	for (int pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < files->count; i++) {
			const struct file_image *file = &files->items[i];
			uint32_t id;
			if (!segname_parse(file->name, &id))
				continue;
			if (pass)
				check_strict(&file->data, file == last, lossy);
			else if (!last || strcmp(file->name, last->name) > 0)
				last = file;
		}
	}
}

void history_empty_dir(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;

	CHECK(dir != NULL);
	while ((entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			CHECK_EQ(unlinkat(dirfd(dir), entry->d_name, 0), 0);
	(void)closedir(dir);
}

bool history_same_view(const struct model *model, struct dw_store *store)
{
	if (dw_count(store) != model->count)
		return false;
	for (size_t i = 0; i < model->count; i++)
		if (!stores_holds(store, model->items[i].key, model->items[i].value))
			return false;
	return true;
}

static bool any_view(const struct history *h, struct dw_store *store, size_t least, size_t most)
{
	for (size_t n = most + 1; n-- > least;)
		if (history_same_view(&h->views[n], store))
			return true;
	printf("  none of the views after %zu to %zu records\n", least, most);
	return false;
}

/* Open as a writer.  Where calls were lost below others that came through, zeros can
 * stand before bytes that are none, in place of a header: that is a bad magic, which
 * refuses the store, changing nothing.  Cut there, as a repair does, it must open. */
static struct dw_store *open_rebuilt(const struct history *h, struct faultio *quick,
				     const char *dir, bool lossy, struct dw_report *report)
{
	const struct dw_options options = {.segment_size = HISTORY_SEGMENT_SIZE,
					   .index_keys = h->index_keys};
	struct dw_store *store = NULL;
	char path[160];

	int rc = store_open(&quick->io, dir, &options, report, &store);
	if (rc == -EBADMSG && lossy) {
		(void)snprintf(path, sizeof path, "%s/%08u.dwal", dir, report->segment);
		struct buf bytes = files_read(AT_FDCWD, path);
		CHECK(memchr(bytes.data + report->offset, 0, 4) != NULL);
		buf_release(&bytes);
		CHECK_EQ(truncate(path, (off_t)report->offset), 0);
		refused++;
		rc = store_open(&quick->io, dir, &options, report, &store);
	}
	if (rc)
		printf("  open: %s, segment %u offset %llu %s\n", strerror(-rc), report->segment,
		       (unsigned long long)report->offset, dw_damage_name(report->damage));
	CHECK_EQ(rc, 0);
	return store;
}

/* Whether it is gone by, as whoever only reads sees it: a writer makes another one. */
static void look_at_index(struct faultio *quick, const char *dir)
{
	const struct dw_options options = {.read_only = true};
	struct dw_store *store;
	char path[160];

	(void)snprintf(path, sizeof path, "%s/index", dir);
	if (access(path, F_OK) || store_open(&quick->io, dir, &options, NULL, &store) < 0)
		return;
	if (index_is_on_disk(&store->core->index))
		believed++;
	else
		wasted++;
	CHECK_EQ(dw_close(store), 0);
}

static void check_state(const struct history *h, const char *dir, size_t point,
			const struct files *files, enum crash_policy policy)
{
	struct dw_report report = {0};
	struct faultio quick; /* for its syncs, which do nothing */
	size_t least = history_durable_at(h, point), most = history_begun_at(h, point);
	bool lossy = policy == CRASH_SUBSET;

	if (policy == CRASH_KEEP_ALL)
		least = history_acked_at(h, point);
	faultio_init(&quick);
	if (h->index_keys)
		history_name_inodes(&quick.io);
	history_empty_dir(dir);
	files_restore(files, dir);
	check_segments(files, lossy);
	if (h->index_keys)
		look_at_index(&quick, dir);
	struct dw_store *store = open_rebuilt(h, &quick, dir, lossy, &report);
	CHECK(any_view(h, store, least, most));
	CHECK_EQ(files_count_suffixed(dir, ".compact"), 0);
	stores_put(store, "after the crash", "all is well");
	uint64_t count = dw_count(store);
	stores_close(store);
	store = open_rebuilt(h, &quick, dir, false, &report);
	CHECK_EQ(report.torn_bytes, 0);
	CHECK_EQ(dw_count(store), count);
	stores_expect(store, "after the crash", "all is well");
	stores_close(store);
}

static void check_policy(struct history *h, const char *dir, size_t point, enum crash_policy policy,
			 size_t cut)
{
	struct files files;

	crashio_rebuild(&h->crash, point, policy, cut, &h->rng, &files);
	check_state(h, dir, point, &files, policy);
	files_release(&files);
}

static void check_torn(struct history *h, const char *dir, size_t point)
{
	static const size_t places[] = {1, 3, 10, 23, 24, 25, 27, 28};
	const struct crash_event *write = crashio_last_write(&h->crash, point);

	if (!write)
		return;
	for (size_t i = 0; i < sizeof places / sizeof *places; i++)
		if (places[i] < write->data.size)
			check_policy(h, dir, point, CRASH_TORN, places[i]);
	for (size_t cut = 512 - (size_t)(write->offset % 512); cut < write->data.size; cut += 512)
		check_policy(h, dir, point, CRASH_TORN, cut);
	check_policy(h, dir, point, CRASH_TORN, write->data.size - 1);
}

static void check_all(struct history *h)
{
	const char *dir = stores_dir();

	refused = believed = wasted = 0;
	printf("  %zu calls, %zu records\n", h->crash.count, h->count);
	for (size_t point = 0; point <= h->crash.count; point++) {
		check_policy(h, dir, point, CRASH_KEEP_ALL, 0);
		check_policy(h, dir, point, CRASH_DROP, 0);
		check_torn(h, dir, point);
		for (int i = 0; i < RANDOM_TRIES; i++) {
			check_policy(h, dir, point, CRASH_PREFIX, 0);
			check_policy(h, dir, point, CRASH_SUBSET, 0);
		}
	}
	printf("  %zu states with a hole were refused until cut\n", refused);
	if (h->index_keys)
		printf("  %zu states had an index that was believed, %zu one that was not\n",
		       believed, wasted);
	CHECK_EQ(wasted, 0);
	CHECK(!h->index_keys || believed > h->crash.count);
}

void history_free(struct history *h)
{
	for (size_t i = 0; i <= h->count; i++)
		model_release(&h->views[i]);
	crashio_release(&h->crash);
	free(h);
}

void history_finish(struct history *h)
{
	check_all(h);
	history_free(h);
}

struct history *history_new(void)
{
	struct history *h = calloc(1, sizeof *h);

	CHECK(h != NULL);
	return h;
}
