/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * hints.c - see hints.h.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "disk/hintreader.h"
#include "disk/sidecar.h"
#include "tests/support/files.h"
#include "tests/support/hints.h"

static struct hint_entry random_entry(struct rng *rng, char *key, uint64_t txid)
{
	struct hint_entry entry = {
		.header = {.type = (enum dw_type)rng_below(rng, 3),
			   .txid = rng_below(rng, 10) ? txid : rng_next(rng),
			   .key_size = (uint32_t)rng_below(rng, HINTS_KEY_MAX)},
		.mtime_ns = (int64_t)rng_next(rng) >> rng_below(rng, 64),
	};

	if (entry.header.type != DW_DELETE)
		entry.header.payload_size = (uint32_t)rng_below(rng, 100);
	for (uint32_t i = 0; i < entry.header.key_size; i++)
		key[i] = (char)rng_next(rng);
	entry.key = (struct dw_bytes){key, entry.header.key_size};
	return entry;
}

struct hint_binding hints_binding(const struct hints_sample *s)
{
	struct stat st;

	CHECK_EQ(fstat(s->segment_fd, &st), 0);
	return (struct hint_binding){(int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec,
				     st.st_ino};
}

void hints_seal(const struct hints_sample *s, struct hintwriter *writer)
{
	const struct hint_binding binding = hints_binding(s);

	hintwriter_seal(writer, &binding);
}

struct hints_sample *hints_make(bool sealed)
{
	static const uint8_t payload[100] = {1, 2, 3};
	struct hints_sample *s = calloc(1, sizeof *s);
	struct rng rng = check_rng();
	struct hintwriter writer;

	CHECK(s != NULL);
	(void)snprintf(s->dir, sizeof s->dir, "%s", check_dir());
	s->dirfd = open(s->dir, O_RDONLY | O_DIRECTORY);
	hintwriter_init(&writer, &io_posix, s->dirfd, 7, NULL);
	for (int i = 0; i < HINTS_RECORDS; i++) {
		struct hint_entry *entry = &s->entries[i];
		*entry = random_entry(&rng, s->keys[i], (uint64_t)i + 1);
		s->offsets[i] = s->segment.size;
		size_t size = (size_t)record_size(&entry->header);
		CHECK_EQ(buf_reserve(&s->segment, size), 0);
		record_encode(&entry->header, entry->key.data, payload,
			      s->segment.data + s->segment.size);
		s->segment.size += size;
		entry->crc = bytes_get32(s->segment.data + s->segment.size - 4);
		hintwriter_add(&writer, entry);
	}
	files_write(s->dirfd, "00000007.dwal", s->segment.data, s->segment.size);
	s->segment_fd = openat(s->dirfd, "00000007.dwal", O_RDONLY);
	CHECK(s->segment_fd >= 0);
	if (sealed)
		hints_seal(s, &writer);
	hintwriter_release(&writer);
	return s;
}

void hints_free(struct hints_sample *s)
{
	buf_release(&s->segment);
	(void)close(s->dirfd);
	(void)close(s->segment_fd);
	free(s);
}

int hints_read_all(struct hints_sample *s)
{
	struct hintreader reader;
	struct hint_entry entry;
	uint64_t offset;
	int count = 0, rc;

	hintreader_init(&reader, &io_posix, s->dirfd, 7);
	while ((rc = hintreader_next(&reader, &entry, &offset)) == 1) {
		CHECK(count < HINTS_RECORDS);
		const struct hint_entry *want = &s->entries[count];
		CHECK_EQ(offset, s->offsets[count]);
		CHECK_EQ(entry.header.type, want->header.type);
		CHECK(entry.header.txid == want->header.txid);
		CHECK_EQ(entry.header.payload_size, want->header.payload_size);
		CHECK_EQ(entry.crc, want->crc);
		CHECK_EQ(entry.mtime_ns, want->mtime_ns);
		CHECK_EQ(entry.key.size, want->key.size);
		CHECK(!memcmp(entry.key.data, want->key.data, want->key.size));
		count++;
	}
	CHECK_EQ(rc, 0);
	hintreader_release(&reader);
	return count;
}

struct hint_claims hints_survey(struct hints_sample *s)
{
	struct hintreader reader;
	struct hint_claims claims;

	hintreader_init(&reader, &io_posix, s->dirfd, 7);
	CHECK_EQ(hintreader_survey(&reader, s->segment_fd, &claims), 0);
	hintreader_release(&reader);
	return claims;
}

bool hints_is_bound(struct hints_sample *s)
{
	const struct hint_binding binding = hints_binding(s);
	struct sidecar sidecar;
	struct stat st;

	CHECK_EQ(fstat(s->segment_fd, &st), 0);
	CHECK_EQ(sidecar_init(&sidecar, &io_posix, s->dirfd, 7, s->segment_fd, (uint64_t)st.st_size,
			      &binding),
		 0);
	bool bound = sidecar.bound;
	sidecar_release(&sidecar);
	return bound;
}
