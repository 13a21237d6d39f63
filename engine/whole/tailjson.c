/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * tailjson.c - a change of the log as a line of JSON.
 *
 * One text for `datawal watch --json` and the mount's file `changes`, so that a program reads
 * either.  Fields may be added; none is renamed.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "codec/jsonl.h"
#include "whole/tail.h"

enum { PIECE = 768 << 10 };
_Static_assert(PIECE % JSONL_PIECE == 0, "base64 pads only the last piece");

__attribute__((format(printf, 2, 3))) static int add(struct buf *buf, const char *format, ...)
{
	char text[256];
	va_list values;

	va_start(values, format);
	int n = vsnprintf(text, sizeof text, format, values);
	va_end(values);
	return buf_add(buf, text, (size_t)n);
}

/* For people and for `jq`: the key as it is if it is printable ASCII, else null. */
static int add_key_text(struct buf *buf, struct dw_bytes key)
{
	const uint8_t *bytes = key.data;
	bool printable = true;

	for (size_t i = 0; i < key.size; i++)
		printable = printable && bytes[i] >= ' ' && bytes[i] <= '~';
	if (!printable)
		return add(buf, ",\"key\":null");
	int rc = add(buf, ",\"key\":\"");
	for (size_t i = 0; !rc && i < key.size; i++) {
		if (bytes[i] == '"' || bytes[i] == '\\')
			rc = buf_add(buf, "\\", 1);
		if (!rc)
			rc = buf_add(buf, bytes + i, 1);
	}
	return rc ? rc : add(buf, "\"");
}

static int add_value(struct buf *buf, struct dw_tail *tail, uint32_t value_size)
{
	int rc = add(buf, ",\"value_base64\":\"");
	uint8_t *piece = rc ? NULL : malloc(PIECE);

	if (!rc && !piece)
		rc = -ENOMEM;
	for (uint64_t at = 0; !rc && at < value_size;) {
		size_t want = value_size - at < PIECE ? (size_t)(value_size - at) : PIECE;
		size_t got = 0;
		while (!rc && got < want) {
			ssize_t n = dw_tail_read(tail, piece + got, want - got, at + got);
			rc = n < 0 ? (int)n : n ? 0 : -ESTALE;
			got += n > 0 ? (size_t)n : 0;
		}
		if (!rc)
			rc = jsonl_add_value(buf, piece, got);
		at += got;
	}
	free(piece);
	return rc ? rc : add(buf, "\"");
}

/* The fields of a key and its value. */
static int add_item(struct buf *buf, struct dw_tail *tail, const struct dw_change *change,
		    bool values)
{
	int rc = add(buf, ",\"mtime_ns\":%" PRId64, change->mtime_ns);

	if (!rc)
		rc = add_key_text(buf, change->key);
	if (!rc)
		rc = add(buf, ",\"key_base64\":\"");
	if (!rc)
		rc = jsonl_add_value(buf, change->key.data, change->key.size);
	if (!rc)
		rc = add(buf, "\",\"value_len\":%" PRIu32, change->value_size);
	if (!rc && values && change->type != DW_DELETE)
		rc = add_value(buf, tail, change->value_size);
	return rc;
}

static int add_fields(struct buf *buf, struct dw_tail *tail, const struct dw_change *change,
		      bool values)
{
	static const char *const ops[] = {"raw", "put", "delete"};
	static const char *const reasons[] = {"none", "asked", "compacted", "taken_back"};
	char position[DW_POSITION_TEXT_SIZE];
	int rc = 0;

	dw_position_text(&change->position, position);
	switch (change->kind) {
	case DW_CHANGE_RECORD:
		rc = add(buf, "\"change\",\"op\":\"%s\",\"txid\":%" PRIu64, ops[change->type],
			 change->position.txid);
		if (!rc)
			rc = add_item(buf, tail, change, values);
		return rc ? rc : add(buf, ",\"position\":\"%s\"}\n", position);
	case DW_CHANGE_RESET:
		rc = add(buf, "\"reset\",\"reason\":\"%s\"", reasons[change->reset]);
		if (!rc && change->reset == DW_RESET_COMPACTED)
			rc = add(buf, ",\"missing_from\":%" PRIu64 ",\"missing_to\":%" PRIu64,
				 change->missing_from, change->missing_to);
		return rc ? rc : add(buf, "}\n");
	case DW_CHANGE_STATE:
		rc = add(buf, "\"state\"");
		if (!rc)
			rc = add_item(buf, tail, change, values);
		return rc ? rc : add(buf, "}\n");
	case DW_CHANGE_READY: return add(buf, "\"ready\",\"position\":\"%s\"}\n", position);
	}
	return -EINVAL;
}

int dw_tail_json(struct dw_tail *tail, const struct dw_change *change, bool values, char **ret,
		 size_t *size_ret)
{
	struct buf buf = {0};
	int rc = add(&buf, "{\"schema\":\"datawal.cli.v1\",\"kind\":");

	if (!rc)
		rc = add_fields(&buf, tail, change, values);
	if (rc < 0) {
		buf_release(&buf);
		return rc;
	}
	*ret = (char *)buf.data;
	*size_ret = buf.size;
	return 0;
}
