#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# test_soak_broken.sh - datawal-soak finds what is wrong with engines that lose something.
. "$(dirname "$0")/soak.sh"

# broken CODE: datawal-soak over a library whose calls CODE spoils, as "$W/broken"
broken()
{
	local options=
	[ -e "$LIBRARY" ] || skip "no $LIBRARY"
	# grep reads on to the end, or nm would fail
	if nm "$LIBRARY" | grep __asan_ >/dev/null; then options=-fsanitize=address,undefined; fi
	local source objects=()
	for source in "$TOP"/tools/soak/*.c "$TOP"/tools/common/*.c; do
		source=${source#"$TOP"/}
		objects+=("$(dirname "$LIBRARY")/obj/${source%.c}.o")
	done
	printf '#include "datawal.h"\n%s\n' "$1" > "$W/broken.c"
	# shellcheck disable=SC2046,SC2086 # lists of options
	"${CC:-gcc}" -std=c11 -g $options -D_GNU_SOURCE -I"$TOP/engine" \
		-Wl,--wrap=dw_put,--wrap=dw_delete,--wrap=dw_compact,--wrap=dw_compact_to \
		"$W/broken.c" "${objects[@]}" "$LIBRARY" \
		$(pkg-config --libs libcrypto libxxhash jansson) -lisal -pthread -o "$W/broken"
	DATAWAL_SOAK=$W/broken
}

# declarations of those calls; each is passed on unless a test says otherwise
DECLARE='
int __real_dw_put(struct dw_store *, struct dw_bytes, struct dw_bytes);
int __real_dw_delete(struct dw_store *, struct dw_bytes);
int __real_dw_compact(struct dw_store *, struct dw_compact_report *);
int __real_dw_compact_to(struct dw_store *, const char *);
int PUT(struct dw_store *s, struct dw_bytes k, struct dw_bytes v) { return __real_dw_put(s, k, v); }
int DELETE(struct dw_store *s, struct dw_bytes k) { return __real_dw_delete(s, k); }
int COMPACT(struct dw_store *s, struct dw_compact_report *r) { return __real_dw_compact(s, r); }
int COMPACT_TO(struct dw_store *s, const char *p) { return __real_dw_compact_to(s, p); }
static int calls;
'
export DECLARE

# spoil CALL CODE: CODE in the place of CALL
spoil()
{
	local text=$DECLARE name
	text=${text//$1(struct/SPOILED_$1(struct}
	for name in PUT DELETE COMPACT COMPACT_TO; do
		text=${text//int $name(/int __wrap_dw_${name,,}(}
	done
	broken "$text$2"
}

test_soak_finds_a_lost_delete()
{
	spoil DELETE 'int __wrap_dw_delete(struct dw_store *s, struct dw_bytes k)
		{ return ++calls == 5 ? 0 : __real_dw_delete(s, k); }'
	# the key of the fifth delete is not put again before the end
	exits 1 soak --operations 101 --seed 1
	says 'failed: .*: key [0-9a-f]+ \((small|medium|large) record [0-9]+\): it has [0-9]+ bytes that bear the mark of operation [0-9]+, but operation 99 deleted it'
	says 'seed=1; the store is left in'
	[ -e "$DATAWAL_SOAK_WORK_DIR/00000001.dwal" ]
	exits 1 soak --operations 1000000 --seed 2
}

test_soak_finds_a_lost_put()
{
	spoil PUT 'int __wrap_dw_put(struct dw_store *s, struct dw_bytes k, struct dw_bytes v)
		{ return ++calls == 900 ? 0 : __real_dw_put(s, k, v); }'
	# a key that is not put again before the end
	exits 1 soak --operations 950 --seed 1
	says 'but operation 946 put [0-9]+ bytes there'
}

test_soak_finds_an_invented_key()
{
	spoil PUT 'int __wrap_dw_put(struct dw_store *s, struct dw_bytes k, struct dw_bytes v)
		{ struct dw_bytes odd = {"odd", 3};
		  return ++calls == 900 ? __real_dw_put(s, odd, v) || __real_dw_put(s, k, v) : __real_dw_put(s, k, v); }'
	exits 1 soak --operations 950
	says 'never written: 6f6464'
}

test_soak_finds_a_compaction_that_forgets()
{
	local spoilt='{ struct dw_iter *i; struct dw_item item;
		if (dw_iter_open(s, &i) || dw_iter_next(i, &item) != 1) return -5;
		__real_dw_delete(s, item.key); dw_iter_close(i);'
	export DATAWAL_SOAK_ROTATE_EVERY=50
	spoil COMPACT "int __wrap_dw_compact(struct dw_store *s, struct dw_compact_report *r)
		$spoilt return __real_dw_compact(s, r); }"
	exits 1 soak --operations 201 --seed 1 --compact online
	says 'it is absent, but operation [0-9]+ put'
	spoil COMPACT_TO "int __wrap_dw_compact_to(struct dw_store *s, const char *p)
		$spoilt return __real_dw_compact_to(s, p); }"
	exits 1 soak --operations 201 --seed 1
	says 'it is absent, but operation [0-9]+ put'
}

# What was acknowledged only into memory dies with the process.
test_soak_finds_what_a_kill_loses()
{
	spoil DELETE 'static unsigned char kept[64]; static struct dw_bytes held;
		#include <string.h>
		int __wrap_dw_delete(struct dw_store *s, struct dw_bytes k)
		{ int rc = held.size ? __real_dw_delete(s, held) : 0;
		  memcpy(kept, k.data, k.size); held = (struct dw_bytes){kept, k.size}; return rc; }'
	exits 1 soak --operations 100000 --kill-every 500
	says 'failed: '
}

test_soak_says_why_a_call_failed()
{
	spoil PUT 'int __wrap_dw_put(struct dw_store *s, struct dw_bytes k, struct dw_bytes v)
		{ return ++calls == 9 ? -28 : __real_dw_put(s, k, v); }'
	exits 1 soak --operations 100
	says 'failed: operation 8: put: No space left'
}

run_tests "$@"
