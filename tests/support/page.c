/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * page.c - see page.h.
 */
#include "tests/support/page.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/files.h"

enum { LINE_BYTES = 16 };

char *page_read(void)
{
	struct buf page = files_read(AT_FDCWD, "docs/FORMAT.md");

	CHECK_EQ(buf_add(&page, "", 1), 0);
	return (char *)page.data;
}

static char *trim(char *text)
{
	text += strspn(text, " ");
	for (size_t size = strlen(text); size && text[size - 1] == ' ';)
		text[--size] = '\0';
	return text;
}

/* `| a | b |` in place; its cells, without blanks around. */
static void split_row(char *line, struct page_row *ret)
{
	char *cell;

	line++; /* the first bar */
	while ((cell = strsep(&line, "|")) && line) {
		CHECK(ret->count < PAGE_CELLS_MAX);
		ret->cells[ret->count++] = trim(cell);
	}
}

struct page_table page_find(const char *heading)
{
	struct page_table table = {.page = page_read()};
	char *at = strstr(table.page, heading), *line;

	CHECK(at != NULL);
	CHECK(at == table.page || at[-1] == '\n');
	(void)strsep(&at, "\n"); /* the heading */
	(void)strsep(&at, "\n"); /* |---| */
	while ((line = strsep(&at, "\n")) && *line == '|') {
		CHECK(table.count < PAGE_ROWS_MAX);
		split_row(line, &table.rows[table.count++]);
	}
	CHECK(table.count > 0);
	return table;
}

void page_release(struct page_table *table)
{
	free(table->page);
}

long long page_number(const char *cell)
{
	char *end;
	long long value = strtoll(cell, &end, 10);

	CHECK(end != cell && !*end);
	return value;
}

size_t page_literal(const char *cell, char ret[PAGE_TEXT_MAX])
{
	size_t size = strlen(cell), used = 0;

	if (size) {
		CHECK(size >= 2 && cell[0] == '`' && cell[size - 1] == '`');
		size--;
	}
	for (size_t i = 1; i < size; i++) {
		CHECK(used < PAGE_TEXT_MAX - 1);
		if (cell[i] == '\\') {
			CHECK(cell[++i] == '0');
			ret[used++] = '\0';
		} else if (cell[i] == '{') {
			size_t times = strtoul(cell + i + 1, NULL, 10) - 1;
			CHECK(used && used + times < PAGE_TEXT_MAX);
			memset(ret + used, ret[used - 1], times);
			used += times;
			i += strcspn(cell + i, "}");
		} else {
			ret[used++] = cell[i];
		}
	}
	ret[used] = '\0';
	return used;
}

/* The zeros that a line `*` stands for end where the next one begins. */
static void add_zeros(struct buf *ret, size_t size)
{
	CHECK(size > ret->size);
	CHECK_EQ(buf_reserve(ret, size - ret->size), 0);
	memset(ret->data + ret->size, 0, size - ret->size);
	ret->size = size;
}

/* One line of xxd's: its offset, its bytes in pairs, and what they read like. */
static void parse_hex_line(const char *line, bool skipped, struct buf *ret)
{
	uint8_t bytes[LINE_BYTES];
	size_t count = 0;
	char *at;
	size_t offset = strtoul(line, &at, 16);

	if (skipped)
		add_zeros(ret, offset);
	CHECK_EQ(offset, ret->size);
	CHECK(*at == ':');
	for (at++; count < LINE_BYTES && !(at[0] == ' ' && at[1] == ' '); count++) {
		char digits[3] = "";
		at += *at == ' ';
		memcpy(digits, at, 2);
		CHECK_EQ(strspn(digits, "0123456789abcdef"), 2);
		bytes[count] = (uint8_t)strtoul(digits, NULL, 16);
		at += 2;
	}
	at += strspn(at, " ");
	CHECK_EQ(strlen(at), count);
	for (size_t i = 0; i < count; i++)
		CHECK_EQ(at[i], bytes[i] >= ' ' && bytes[i] < 127 ? bytes[i] : '.');
	CHECK_EQ(buf_add(ret, bytes, count), 0);
}

struct buf page_fenced(const char *fence)
{
	struct buf bytes = {0};
	char *page = page_read(), *at = strstr(page, fence), *line;

	CHECK(at != NULL);
	at += strlen(fence);
	for (bool skipped = false; (line = strsep(&at, "\n")) && *line != '`';) {
		if (*line != '*')
			parse_hex_line(line, skipped, &bytes);
		skipped = *line == '*';
	}
	free(page);
	CHECK(bytes.size > 0);
	return bytes;
}
