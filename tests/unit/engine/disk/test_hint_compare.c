/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_hint_compare.c - a hint compared with the records of its segment: those that agree, those
 * that are missing, and a hint of another log.
 */
#include <string.h>

#include "disk/sidecar.h"
#include "tests/support/check.h"
#include "tests/support/hints.h"

struct missed {
	int count, damaged;
	uint64_t first;
};

static int see_missed(void *context, const struct hint_entry *entry, uint64_t offset, bool damaged)
{
	struct missed *missed = context;

	(void)entry;
	if (!missed->count++)
		missed->first = offset;
	missed->damaged += damaged;
	return 0;
}

static struct scan_record record_of(const struct hints_sample *s, int i)
{
	const struct hint_entry *entry = &s->entries[i];

	return (struct scan_record){.header = entry->header,
				    .offset = s->offsets[i],
				    .key = entry->key,
				    .crc = entry->crc};
}

static struct sidecar begin(struct hints_sample *s, struct missed *missed)
{
	const struct hint_binding other = {0};
	struct sidecar sidecar;

	*missed = (struct missed){0};
	CHECK_EQ(sidecar_init(&sidecar, &io_posix, s->dirfd, 7, s->segment_fd, s->segment.size,
			      &other),
		 0);
	CHECK(!sidecar.bound);
	sidecar.missed = see_missed;
	sidecar.context = missed;
	return sidecar;
}

/* Records `from`..`to` agree; the time comes from the hint. */
static void compare(struct hints_sample *s, struct sidecar *sidecar, int from, int to)
{
	for (int i = from; i < to; i++) {
		struct scan_record record = record_of(s, i);
		int64_t mtime_ns = s->entries[i].mtime_ns ^ 1;
		CHECK_EQ(sidecar_compare(sidecar, &record, &mtime_ns), 0);
		CHECK_EQ(mtime_ns, s->entries[i].mtime_ns);
	}
}

static void test_compared(void)
{
	struct hints_sample *s = hints_make(true);
	struct missed missed;

	/* all agree */
	struct sidecar sidecar = begin(s, &missed);
	compare(s, &sidecar, 0, HINTS_RECORDS);
	CHECK(!sidecar_is_short(&sidecar, s->segment.size));
	CHECK(!sidecar_is_foreign(&sidecar));
	CHECK_EQ(sidecar_finish(&sidecar, s->segment.size), 0);
	CHECK_EQ(missed.count, 0);
	sidecar_release(&sidecar);
	/* the end is gone */
	sidecar = begin(s, &missed);
	compare(s, &sidecar, 0, 100);
	CHECK(sidecar_is_short(&sidecar, s->offsets[100]));
	CHECK_EQ(sidecar_finish(&sidecar, s->segment.size), 0);
	CHECK_EQ(missed.count, HINTS_RECORDS - 100);
	CHECK_EQ(missed.first, s->offsets[100]);
	sidecar_release(&sidecar);
	/* everything is gone */
	sidecar = begin(s, &missed);
	CHECK(sidecar_is_short(&sidecar, 0));
	sidecar_release(&sidecar);
	/* damage in the middle is no loss of what is behind, and its keys are known */
	sidecar = begin(s, &missed);
	compare(s, &sidecar, 0, 100);
	struct dw_bytes key;
	CHECK(sidecar_key_at(&sidecar, s->offsets[100], &key));
	CHECK_EQ(key.size, s->entries[100].key.size);
	CHECK_EQ(sidecar_skip_damage(&sidecar, s->offsets[100], s->offsets[103]), 0);
	CHECK_EQ(missed.count, 3);
	CHECK_EQ(missed.damaged, 3);
	compare(s, &sidecar, 103, HINTS_RECORDS);
	CHECK(!sidecar_is_short(&sidecar, s->segment.size) && !sidecar_is_foreign(&sidecar));
	sidecar_release(&sidecar);
	hints_free(s);
}

/* Another record at the place of one that is told: each field counts. */
static void test_disagrees(void)
{
	struct hints_sample *s = hints_make(true);
	struct missed missed;

	for (int field = 0; field < 5; field++) {
		struct sidecar sidecar = begin(s, &missed);
		compare(s, &sidecar, 0, 50);
		struct scan_record record = record_of(s, 50);
		char key[HINTS_KEY_MAX + 1] = "";
		int64_t mtime_ns = 77;
		memcpy(key, s->keys[50], record.key.size);
		key[0] ^= 1;
		switch (field) {
		case 0: record.header.txid++; break;
		case 1: record.crc ^= 1; break;
		case 2: record.header.type = (enum dw_type)((record.header.type + 1) % 3); break;
		case 3: record.header.payload_size++; break;
		default:
			record.key.data = key;
			record.key.size += !record.key.size;
			record.header.key_size = (uint32_t)record.key.size;
		}
		CHECK_EQ(sidecar_compare(&sidecar, &record, &mtime_ns), 0);
		CHECK_EQ(mtime_ns, 77);
		CHECK_EQ(missed.count, 1);
		/* however many agree before it: another log */
		CHECK(sidecar_is_foreign(&sidecar));
		CHECK(!sidecar_is_short(&sidecar, s->offsets[51]));
		sidecar_release(&sidecar);
	}
	hints_free(s);
}

/* Behind what was synced a hint may be ahead of its segment, and wrong, without being of
 * another log; but not if nothing at all agrees. */
static void test_unsynced_differs(void)
{
	struct hints_sample *s = hints_make(false);
	struct missed missed;
	struct sidecar sidecar = begin(s, &missed);
	struct scan_record record = record_of(s, 1);
	int64_t mtime_ns = 77;

	compare(s, &sidecar, 0, 1);
	record.crc ^= 1;
	CHECK_EQ(sidecar_compare(&sidecar, &record, &mtime_ns), 0);
	CHECK_EQ(mtime_ns, 77);
	CHECK(!sidecar_is_foreign(&sidecar) && !sidecar_is_short(&sidecar, s->offsets[2]));
	sidecar_release(&sidecar);
	sidecar = begin(s, &missed);
	record = record_of(s, 0);
	record.crc ^= 1;
	CHECK_EQ(sidecar_compare(&sidecar, &record, &mtime_ns), 0);
	CHECK(sidecar_is_foreign(&sidecar));
	sidecar_release(&sidecar);
	hints_free(s);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"hint_compared", test_compared},
		{"hint_disagrees", test_disagrees},
		{"hint_unsynced_differs", test_unsynced_differs},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
