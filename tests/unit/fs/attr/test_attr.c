/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_attr.c - attribute records, bytes <-> struct, and extended attributes.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include "fs/attr/attrrecord.h"
#include "fs/attr/xattr.h"
#include "tests/support/check.h"

/* --- extended attributes --- */

static int set(struct xattrs **x, const char *name, const char *value, int flags)
{
	struct xattrs *made;
	int rc = xattrs_with(*x, name, value, value ? strlen(value) : 0, flags, &made);

	if (!rc) {
		free(*x);
		*x = made;
	}
	return rc;
}

static void expect(const struct xattrs *x, const char *name, const char *value)
{
	char got[64];
	ssize_t n = xattrs_get(x, name, got, sizeof got);

	CHECK_EQ(n, value ? (ssize_t)strlen(value) : -ENODATA);
	CHECK(n < 0 || !memcmp(got, value, (size_t)n));
}

static void test_xattrs(void)
{
	struct xattrs *x = NULL;
	char list[64];

	CHECK_EQ(xattrs_list(x, NULL, 0), 0);
	expect(x, "user.a", NULL);
	CHECK_EQ(set(&x, "user.a", NULL, 0), -ENODATA);
	CHECK_EQ(set(&x, "user.a", "1", XATTR_REPLACE), -ENODATA);
	CHECK_EQ(set(&x, "user.a", "1", XATTR_CREATE), 0);
	CHECK_EQ(set(&x, "user.a", "2", XATTR_CREATE), -EEXIST);
	CHECK_EQ(set(&x, "user.bb", "", 0), 0);
	CHECK_EQ(set(&x, "user.c", "three", 0), 0);
	expect(x, "user.a", "1");
	expect(x, "user.bb", "");
	expect(x, "user.c", "three");
	expect(x, "user.", NULL);
	expect(x, "user.b", NULL);
	CHECK_EQ(set(&x, "user.a", "longer than before", XATTR_REPLACE), 0);
	expect(x, "user.a", "longer than before");
	expect(x, "user.c", "three");
	CHECK_EQ(xattrs_get(x, "user.c", list, 4), -ERANGE);
	CHECK_EQ(xattrs_get(x, "user.c", NULL, 0), 5);
	CHECK_EQ(xattrs_list(x, NULL, 0), 7 + 8 + 7);
	CHECK_EQ(xattrs_list(x, list, 21), -ERANGE);
	CHECK_EQ(xattrs_list(x, list, 22), 22);
	CHECK(!memcmp(list, "user.a\0user.bb\0user.c\0", 22));
	CHECK(xattrs_valid(xattrs_bytes(x)));
	CHECK_EQ(set(&x, "user.bb", NULL, 0), 0);
	expect(x, "user.bb", NULL);
	CHECK_EQ(set(&x, "user.c", NULL, 0), 0);
	CHECK_EQ(set(&x, "user.a", NULL, 0), 0);
	CHECK(!x);
}

static void test_xattr_limits(void)
{
	struct xattrs *x = NULL, *made;
	char name[300], *value = calloc(1, XATTR_VALUE_MAX + 1);
	int rc = 0, count = 0;

	CHECK(value != NULL);
	memset(name, 'n', sizeof name);
	name[256] = '\0';
	CHECK_EQ(set(&x, name, "1", 0), -ERANGE);
	CHECK_EQ(set(&x, "", "1", 0), -ERANGE);
	name[255] = '\0';
	CHECK_EQ(set(&x, name, "1", 0), 0);
	CHECK_EQ(xattrs_with(x, "v", value, XATTR_VALUE_MAX + 1, 0, &made), -E2BIG);
	while (!rc) { /* up to the limit of all bytes */
		name[0] = (char)('a' + count++);
		rc = xattrs_with(x, name, value, XATTR_VALUE_MAX, 0, &made);
		if (!rc) {
			free(x);
			x = made;
		}
	}
	CHECK_EQ(rc, -ENOSPC);
	CHECK_EQ(count, 16);
	CHECK(xattrs_valid(xattrs_bytes(x)));
	free(x);
	x = NULL;
	for (count = 0; !rc || !count; count++) { /* up to that of all names */
		name[0] = (char)('a' + count % 26);
		name[1] = (char)('a' + count / 26);
		rc = set(&x, name, "", 0);
	}
	CHECK_EQ(rc, -ENOSPC);
	CHECK_EQ(count, 257);
	CHECK(xattrs_valid(xattrs_bytes(x)));
	free(x);
	free(value);
}

static void test_xattrs_valid(void)
{
	static const struct {
		const char *bytes;
		size_t size;
		bool valid;
	} samples[] = {
		{"", 0, true},
		{"\1\1\0\0\0nv", 7, true},
		{"\1\0\0\0\0n", 6, true},
		{"\1\1\0\0\0nv\1\1\0\0\0mv", 14, true},
		{"\1\1\0\0\0nv\1\1\0\0\0nw", 14, false}, /* twice */
		{"\0\1\0\0\0v", 6, false},               /* no name */
		{"\1\1\0\0\0\0v", 7, false},             /* a NUL in it */
		{"\1\1\0\0\0n", 6, false},               /* too short */
		{"\1\1\0\0", 4, false},
		{"\1\0\0\0\0nx", 7, false},         /* too long */
		{"\1\377\377\377\377nv", 7, false}, /* over the limit */
	};

	for (size_t i = 0; i < sizeof samples / sizeof *samples; i++)
		CHECK_EQ(xattrs_valid((struct dw_bytes){samples[i].bytes, samples[i].size}),
			 samples[i].valid);
}

/* --- records --- */

static const struct attr_record everything = {
	.attrs = {.set = ATTR_MODE | ATTR_UID | ATTR_GID | ATTR_TIMES | ATTR_SYMLINK,
		  .mode = 07654,
		  .uid = 0xfffffffe,
		  .gid = 7,
		  .mtime_ns = -5,
		  .atime_ns = INT64_MAX,
		  .ctime_ns = INT64_MIN,
		  .txid = UINT64_MAX},
	.xattrs = {"\1\1\0\0\0nv", 7},
};

static bool same(const struct attr_record *a, const struct attr_record *b)
{
	return a->attrs.set == b->attrs.set && a->attrs.mode == b->attrs.mode &&
	       a->attrs.uid == b->attrs.uid && a->attrs.gid == b->attrs.gid &&
	       a->attrs.mtime_ns == b->attrs.mtime_ns && a->attrs.atime_ns == b->attrs.atime_ns &&
	       a->attrs.ctime_ns == b->attrs.ctime_ns && a->attrs.txid == b->attrs.txid &&
	       a->xattrs.size == b->xattrs.size &&
	       (!a->xattrs.size || !memcmp(a->xattrs.data, b->xattrs.data, a->xattrs.size)) &&
	       a->since == b->since && a->before.size == b->before.size &&
	       (!a->before.size || !memcmp(a->before.data, b->before.data, a->before.size));
}

/* Encoded to memory of just its size, so that a sanitizer sees each byte too many. */
static uint8_t *encoded(const struct attr_record *record, size_t *size_ret)
{
	size_t size = attr_record_size(record);
	uint8_t *bytes = malloc(size);

	CHECK(bytes != NULL);
	attr_record_encode(record, bytes);
	*size_ret = size;
	return bytes;
}

static void round_trip(const struct attr_record *record)
{
	struct attr_record got = {.since = 99};
	size_t size;
	uint8_t *bytes = encoded(record, &size);

	CHECK(attr_record_decode((struct dw_bytes){bytes, size}, &got));
	CHECK(same(record, &got));
	got.since = 99;
	for (size_t cut = 0; cut < size; cut++) {
		uint8_t *some = malloc(cut + 1);
		CHECK(some != NULL);
		memcpy(some, bytes, cut);
		CHECK(!attr_record_decode((struct dw_bytes){some, cut}, &got));
		free(some);
	}
	CHECK_EQ(got.since, 99);
	free(bytes);
}

static void test_record(void)
{
	const struct attr_record none = {.since = 0};
	struct attr_record two = {.attrs = {.set = ATTR_MODE, .mode = 0644}, .since = 5};
	size_t size;

	round_trip(&none);
	round_trip(&everything);
	uint8_t *before = encoded(&everything, &size);
	two.before = (struct dw_bytes){before, size};
	round_trip(&two);
	free(before);
	before = encoded(&none, &size);
	two.before = (struct dw_bytes){before, size};
	round_trip(&two);
	/* there is no chain of them */
	uint8_t *middle = encoded(&two, &size);
	struct attr_record three = {.since = 6, .before = {middle, size}}, got;
	uint8_t *bytes = encoded(&three, &size);
	CHECK(!attr_record_decode((struct dw_bytes){bytes, size}, &got));
	free(bytes);
	free(middle);
	free(before);
}

/* A record decoded from damaged bytes encodes to the same bytes again: no field is misread. */
static void test_record_bits(void)
{
	size_t size, rejected = 0;
	uint8_t *bytes = encoded(&everything, &size);

	for (size_t bit = 0; bit < 8 * size; bit++) {
		struct attr_record got;
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		if (attr_record_decode((struct dw_bytes){bytes, size}, &got)) {
			size_t again_size;
			uint8_t *again = encoded(&got, &again_size);
			CHECK_EQ(again_size, size);
			CHECK(!memcmp(again, bytes, size));
			free(again);
		} else {
			rejected++;
		}
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	CHECK(rejected >= 32 + 4); /* version, fields, bits of the mode that are none */
	free(bytes);
}

static void test_same(void)
{
	const struct attrs none = {.set = 0}, times = {.set = ATTR_TIMES, .mtime_ns = 5},
			   mode = {.set = ATTR_MODE, .mode = 0600},
			   other = {.set = ATTR_MODE, .mode = 0644}, link = {.set = ATTR_SYMLINK};

	CHECK(attrs_same(NULL, NULL));
	CHECK(attrs_same(NULL, &none));
	CHECK(attrs_same(&times, NULL));
	CHECK(attrs_same(&mode, &mode));
	CHECK(!attrs_same(&mode, &other));
	CHECK(!attrs_same(&mode, NULL));
	CHECK(!attrs_same(NULL, &link));
	CHECK(attrs_is_empty(NULL));
	CHECK(attrs_is_empty(&none));
	CHECK(!attrs_is_empty(&times));
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"attr_xattrs", test_xattrs},
		{"attr_xattr_limits", test_xattr_limits},
		{"attr_xattrs_valid", test_xattrs_valid},
		{"attr_record", test_record},
		{"attr_record_bits", test_record_bits},
		{"attr_same", test_same},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
