/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * page.h - docs/FORMAT.md, read: its tables, by their headings, and its blocks of bytes.
 *
 * Any error ends the test.  Run from the top of the sources.
 */
#ifndef SUPPORT_PAGE_H
#define SUPPORT_PAGE_H

#include "base/buf.h"
#include "tests/support/check.h"

enum { PAGE_CELLS_MAX = 8, PAGE_ROWS_MAX = 64, PAGE_TEXT_MAX = 1024 };

struct page_row {
	char *cells[PAGE_CELLS_MAX]; /* without blanks around */
	size_t count;
};

struct page_table {
	char *page; /* owned; the cells point into it */
	struct page_row rows[PAGE_ROWS_MAX];
	size_t count;
};

/* All of it, ended by a NUL; the caller frees. */
char *page_read(void);

/* The rows below the heading line that reads `heading`. */
struct page_table page_find(const char *heading);
void page_release(struct page_table *table);

/* A number in decimal and nothing else. */
long long page_number(const char *cell);

/* The text between the backquotes of a cell (nothing, if it is empty), with \0 and
 * {N} put out; ended by a NUL that does not count. */
size_t page_literal(const char *cell, char ret[PAGE_TEXT_MAX]);

/* The bytes of the worked example behind a fence; the caller releases. */
struct buf page_fenced(const char *fence);

#endif
