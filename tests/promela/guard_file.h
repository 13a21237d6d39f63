/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * guard_file.h - the file of guard.pml: cells in sectors, and what a crash may leave of them.
 *
 * Scaled down so that every case of the real sizes is there: a sector has 6 cells
 * (for 512 bytes), a header 4 (for 24), a record a header, 0 or 7 cells of
 * payload and one of checksum.  The header's cells are
 *
 *   0 MAGIC1   0..3 bytes of a magic        1 MAGIC2   "DWAL" and the version's low byte are whole
 *   2 type and txid: 0 in the guard, the record's number in a record
 *   3 payload size: GUARD_SIZE, 0, or LONG_SIZE
 *
 * A header of which one cell is in its first sector stands for 1..4 bytes there,
 * one with two or three for 5..23.  Checksums never lie: a record is valid if and
 * only if each of its cells is what was written.
 *
 * Since the last sync each sector has had versions; a power cut picks one of each,
 * and one of the sizes.  The reader is the strict one: zeros are a bad magic.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SECTOR = 6, HEADER = 4, SECTORS = 9, CELLS = SECTOR * SECTORS, BLOCK = 2 * SECTOR };
enum { AHEAD = 13, VERSIONS = 8, RECORDS = 6, LONG_PAYLOAD = 7 };
enum { MAGIC1 = 1, MAGIC2 = 2, GUARD_SIZE = 3, FIRST_NUMBER = 4, LONG_SIZE = 15 };
enum { KIND_LONG = 1, KIND_ZEROS = 2 }; /* bits: a payload; payload and checksum all zero */
enum { AT_END, TORN, HARD };

struct record {
	uint8_t number, kind, start;
};

struct file {
	uint8_t cell[CELLS]; /* the contents as a process sees them */
	uint8_t size;
	uint8_t version[SECTORS][VERSIONS][SECTOR];
	uint8_t versions[SECTORS];
	uint8_t sizes[VERSIONS], size_count;
	/* the writer's knowledge, and ours */
	uint8_t base;  /* before it there are records that are none of our business */
	uint8_t end;   /* of what was acknowledged */
	uint8_t known; /* records that are acknowledged or being appended */
	uint8_t count, synced;
	uint8_t next_number;
	uint8_t reach; /* how far the append under way may have written */
	struct record record[RECORDS];
	uint8_t verdict, found, found_end; /* of the last reading */
	uint8_t live_hard;                 /* a reader met a hard error while we wrote */
};

/* A model that outgrows its arrays has shown nothing. */
static void room(int ok)
{
	if (!ok) {
		fputs("guard_file.h: an array is too small\n", stderr);
		exit(3);
	}
}

static int record_size(const struct record *record)
{
	return HEADER + (record->kind & KIND_LONG ? LONG_PAYLOAD : 0) + 1;
}

static uint8_t record_cell(const struct record *record, int i)
{
	switch (i) {
	case 0: return MAGIC1;
	case 1: return MAGIC2;
	case 2: return record->number;
	case 3: return record->kind & KIND_LONG ? LONG_SIZE : 0;
	}
	return record->kind & KIND_ZEROS ? 0 : record->number;
}

static uint8_t guard_cell(int i)
{
	static const uint8_t guard[HEADER] = {MAGIC1, MAGIC2, 0, GUARD_SIZE};

	return guard[i];
}

/* --- the reader --- */

static int is_valid(const struct file *f, const struct record *record, int at)
{
	if (record->start != at || at + record_size(record) > f->size)
		return 0;
	for (int i = 0; i < record_size(record); i++)
		if (f->cell[at + i] != record_cell(record, i))
			return 0;
	return 1;
}

/* The kinds of bytes where no valid record stands. */
static int judge(const struct file *f, int at)
{
	const uint8_t *h = f->cell + at;

	if (at == f->size)
		return AT_END;
	if (at + HEADER > f->size)
		return TORN;
	if (h[0] != MAGIC1 || h[1] != MAGIC2)
		return HARD;
	if (h[2] && (h[2] < FIRST_NUMBER || h[2] == LONG_SIZE))
		return HARD;
	return !h[3] || h[3] == GUARD_SIZE || h[3] == LONG_SIZE ? TORN : HARD;
}

static void file_read(struct file *f)
{
	int at = f->base, i = 0;

	while (i < f->known && is_valid(f, &f->record[i], at))
		at += record_size(&f->record[i++]);
	f->found = i;
	f->found_end = at;
	f->verdict = judge(f, at);
}

/* --- the disk --- */

static void add_size(struct file *f)
{
	for (int i = 0; i < f->size_count; i++)
		if (f->sizes[i] == f->size)
			return;
	room(f->size_count < VERSIONS);
	f->sizes[f->size_count++] = f->size;
}

static void add_version(struct file *f, int sector)
{
	const uint8_t *cells = f->cell + sector * SECTOR;

	for (int i = 0; i < f->versions[sector]; i++)
		if (!memcmp(f->version[sector][i], cells, SECTOR))
			return;
	room(f->versions[sector] < VERSIONS);
	memcpy(f->version[sector][f->versions[sector]++], cells, SECTOR);
}

static void file_sync(struct file *f)
{
	memset(f->version, 0, sizeof f->version);
	memset(f->versions, 0, sizeof f->versions);
	memset(f->sizes, 0, sizeof f->sizes);
	memset(f->cell + f->size, 0, CELLS - f->size);
	f->size_count = 0;
	add_size(f);
	for (int i = 0; i < SECTORS; i++)
		add_version(f, i);
	f->synced = f->count;
}

static void file_init(struct file *f, int base)
{
	memset(f, 0, sizeof *f);
	f->base = f->end = f->size = base;
	memset(f->cell, LONG_SIZE, base);
	f->next_number = FIRST_NUMBER;
	file_sync(f);
}

/* A power cut leaves this version of that sector. */
static void file_pick(struct file *f, int sector, int version)
{
	memcpy(f->cell + sector * SECTOR, f->version[sector][version], SECTOR);
}

static int is_changed(const struct file *f, int sector, const uint8_t *before)
{
	return memcmp(f->cell + sector * SECTOR, before + sector * SECTOR, SECTOR) != 0;
}

/* pwrite(2): the cells arrive one by one for who reads meanwhile, sector by sector for
 * the disk. */
static void file_write(struct file *f, const uint8_t *image, int from, int to)
{
	uint8_t before[CELLS];

	room(to <= CELLS);
	memcpy(before, f->cell, CELLS);
	for (int i = from; i < to; i++) {
		f->cell[i] = image[i];
		if (f->size <= i)
			f->size = i + 1;
		file_read(f);
#ifndef NO_LIVE_READER
		f->live_hard |= f->verdict == HARD;
#endif
	}
	add_size(f);
	for (int i = 0; i < SECTORS; i++)
		if (is_changed(f, i, before))
			add_version(f, i);
}

/* ftruncate(2) to less: the rest of the last block becomes zeros, in any order with the size. */
static void file_cut(struct file *f, int size)
{
	int block_end = (size + BLOCK - 1) / BLOCK * BLOCK;
	uint8_t before[CELLS];

	memcpy(before, f->cell, CELLS);
	for (int i = size; i < block_end && i < CELLS; i++)
		f->cell[i] = 0;
	for (int i = 0; i < SECTORS; i++)
		if (is_changed(f, i, before))
			add_version(f, i);
	memset(f->cell + size, 0, CELLS - size);
	f->size = size;
	add_size(f);
	file_read(f);
#ifndef NO_LIVE_READER
	f->live_hard |= f->verdict == HARD;
#endif
}

/* --- the writer's append --- */

static int new_end(const struct file *f)
{
	int at = f->end;

	for (int i = f->count; i < f->known; i++)
		at += record_size(&f->record[i]);
	return at;
}

/* One more record, however long, and zeros behind it. */
static int append_has_room(const struct file *f)
{
	return f->known < RECORDS && new_end(f) + HEADER + LONG_PAYLOAD + 1 + AHEAD <= CELLS;
}

static void append_add(struct file *f, int kind)
{
	room(append_has_room(f));
	struct record record = {f->next_number++, kind, new_end(f)};
	f->record[f->known++] = record;
}

/* The records of the append, the guard behind them, zeros. */
static void append_image(const struct file *f, uint8_t *image)
{
	int at = f->end;

	memcpy(image, f->cell, CELLS);
	memset(image + at, 0, CELLS - at);
	for (int i = f->count; i < f->known; i++)
		for (int j = 0; j < record_size(&f->record[i]); j++)
			image[at++] = record_cell(&f->record[i], j);
	for (int j = 0; j < HEADER; j++)
		image[at + j] = guard_cell(j);
}

/* Is there a boundary whose header may be missing though the record before it is whole? */
static int append_is_awkward(const struct file *f)
{
	uint8_t image[CELLS];
	int end = f->end;

	append_image(f, image);
	for (int i = f->count; i < f->known; i++) {
		int start = end, looks_old = 1;
		end += record_size(&f->record[i]);
		int sector = (end - 1) / SECTOR * SECTOR;
#ifndef M_EDGE
		if (end % SECTOR == 0)
			return 1;
#endif
#ifndef M_SPLIT
		if (end % SECTOR == SECTOR - 1)
			return 1;
#endif
#ifndef M_LOOKS_OLD
		for (int j = start > sector ? start : sector; j < end; j++)
			looks_old &= !image[j];
		if (looks_old)
			return 1;
#endif
		(void)start, (void)sector, (void)looks_old;
	}
	return 0;
}

static int append_grows(const struct file *f)
{
	return new_end(f) + HEADER > f->size;
}

/* The first cell that differs from the guard is that of the txid: its sector comes last. */
static int key_sector(const struct file *f)
{
	return (f->end + 2) / SECTOR * SECTOR;
}

static int larger(int a, int b)
{
	return a > b ? a : b;
}

static int smaller(int a, int b)
{
	return a < b ? a : b;
}

/* Write a part of the append, at most `sectors` sectors of it. */
static void append_part(struct file *f, int from, int to, int sectors)
{
	uint8_t image[CELLS];

	append_image(f, image);
	to = smaller(to, (from / SECTOR + sectors) * SECTOR);
	if (from < to)
		file_write(f, image, from, to);
	f->reach = larger(f->reach, to);
}

/* How far the append writes: its guard, new zeros if it grows the file. */
static int append_reach(const struct file *f)
{
	return append_grows(f) ? new_end(f) + AHEAD : new_end(f) + HEADER;
}

static void append_done(struct file *f)
{
	f->end = new_end(f);
	f->count = f->known;
	f->reach = 0;
}

/* Guard and zeros where the log ends, from cell `from` to cell `to`, both counted from there. */
static void guard_write(struct file *f, int from, int to)
{
	uint8_t image[CELLS];

	f->known = f->count;
	append_image(f, image);
	file_write(f, image, f->end + from, f->end + to);
}

/* --- for people: a replayed error tells its story --- */

extern int readtrail;

static void file_tell(const struct file *f, const char *what)
{
	if (!readtrail)
		return;
	printf("%-12s", what);
	for (int i = 0; i < CELLS && i < f->size; i++)
		printf("%s%c", i % SECTOR ? "" : " ", "0MmG456789abcdeL"[f->cell[i]]);
	printf("|  end %d, records %d of them synced %d", f->end, f->count, f->synced);
	printf("; found %d, %s\n", f->found,
	       f->verdict == HARD   ? "HARD"
	       : f->verdict == TORN ? "torn"
				    : "end");
}
