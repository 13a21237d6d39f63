/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * read.c - the public calls that read one key.
 *
 * The way of a get: the index tells the place, with a reference on the segment; then without
 * locks: the record read, checked; reference dropped.
 */
#include <errno.h>
#include <stdlib.h>

#include "store/store.h"

int dw_ref_get(struct dw_store *store, struct dw_bytes key, struct dw_ref *ret)
{
	struct keydir_place place;

	int rc = store_find(store, key, true, &place);
	if (rc < 0)
		return rc;
	*ret = (struct dw_ref){
		.segment = place.segment,
		.offset = place.offset,
		.mtime_ns = place.mtime_ns,
		.key_size = (uint32_t)key.size,
		.value_size = place.value_size,
	};
	return 0;
}

void dw_ref_put(struct dw_store *store, struct dw_ref *ref)
{
	(void)store;
	segment_unref(ref->segment);
	*ref = (struct dw_ref){0};
}

/* A record could not be read, and its key is known. */
static int read_failed(struct core *core, const struct dw_ref *ref, int rc, enum dw_damage damage,
		       struct dw_bytes key)
{
	const struct dw_finding finding = {
		.kind = DW_FINDING_IO,
		.error = -rc,
		.segment = ref->segment->id,
		.offset = ref->offset,
		.key = key,
		.name = "reading a value in segment",
	};

	if (rc == -EBADMSG)
		return core_damaged(core, ref->segment, ref->offset, damage, key);
	if (rc != -ENOMEM)
		core_report(core, &finding);
	return rc;
}

static int ref_verify(struct core *core, struct dw_ref *ref, struct dw_bytes key)
{
	enum dw_damage damage = DW_DAMAGE_NONE;
	int rc = segment_check_record(ref->segment, ref->offset, key, ref->value_size, &damage);

	ref->verified = !rc;
	return rc ? read_failed(core, ref, rc, damage, key) : 0;
}

/* All of the value with one call, checked. */
static int ref_load(struct core *core, struct dw_ref *ref, struct dw_bytes key, void *ret)
{
	enum dw_damage damage = DW_DAMAGE_NONE;
	int rc = segment_read_record(ref->segment, ref->offset, key, ref->value_size, ret, &damage);

	ref->verified = !rc;
	return rc ? read_failed(core, ref, rc, damage, key) : 0;
}

ssize_t dw_ref_read(struct dw_store *store, struct dw_ref *ref, struct dw_bytes key, void *ret,
		    size_t size, uint64_t offset)
{
	int rc = 0;

	key = store_key(key);
	if (!offset && size >= ref->value_size && !ref->verified) {
		rc = ref_load(store->core, ref, key, ret);
		return rc ? rc : (ssize_t)ref->value_size;
	}
	if (!ref->verified)
		rc = ref_verify(store->core, ref, key);
	if (rc < 0 || offset >= ref->value_size)
		return rc;
	if (size > ref->value_size - offset)
		size = (size_t)(ref->value_size - offset);
	rc = segment_read_bytes(
		ref->segment, ref->offset + RECORD_HEADER_SIZE + ref->key_size + offset, ret, size);
	if (rc == -ENODATA) /* cut off since it was checked */
		rc = core_damaged(store->core, ref->segment, ref->offset, DW_DAMAGE_TRUNCATED, key);
	return rc ? rc : (ssize_t)size;
}

int dw_get(struct dw_store *store, struct dw_bytes key, struct dw_value *ret)
{
	struct dw_ref ref;
	int rc = dw_ref_get(store, key, &ref);

	if (rc < 0)
		return rc;
	void *data = malloc(ref.value_size ? ref.value_size : 1);
	rc = data ? ref_load(store->core, &ref, store_key(key), data) : -ENOMEM;
	if (rc < 0)
		free(data);
	else
		*ret = (struct dw_value){data, ref.value_size, ref.mtime_ns};
	dw_ref_put(store, &ref);
	return rc;
}

static struct dw_stat stat_of(const struct keydir_place *place)
{
	return (struct dw_stat){
		.size = place->value_size,
		.mtime_ns = place->mtime_ns,
		.segment = place->segment->id,
		.offset = place->offset,
	};
}

int dw_stat(struct dw_store *store, struct dw_bytes key, struct dw_stat *ret)
{
	struct keydir_place place;

	int rc = store_find(store, key, true, &place);
	if (rc < 0)
		return rc;
	*ret = stat_of(&place);
	segment_unref(place.segment);
	return 0;
}

bool dw_contains(struct dw_store *store, struct dw_bytes key)
{
	struct keydir_place place;

	/* damage was reported; a key that cannot be read is not certain to exist */
	return !store_find(store, key, false, &place);
}

static int read_txid(struct core *core, const struct dw_ref *ref, struct dw_bytes key,
		     uint64_t *ret)
{
	uint8_t bytes[RECORD_HEADER_SIZE];
	struct record_header header;
	int fd = segment_pin(ref->segment);

	if (fd < 0)
		return fd;
	int rc = io_read_full(core->io, fd, bytes, sizeof bytes, ref->offset);
	segment_unpin(ref->segment);
	if (rc < 0)
		return rc;
	enum dw_damage damage = record_header_decode(bytes, &header);
	if (!damage && header.key_size != ref->key_size)
		damage = DW_DAMAGE_KEY;
	if (damage)
		return core_damaged(core, ref->segment, ref->offset, damage, key);
	*ret = header.txid;
	return 0;
}

int dw_txid(struct dw_store *store, struct dw_bytes key, uint64_t *ret)
{
	struct dw_ref ref;
	int rc = dw_ref_get(store, key, &ref);

	if (rc < 0)
		return rc;
	rc = read_txid(store->core, &ref, store_key(key), ret);
	dw_ref_put(store, &ref);
	return rc;
}
