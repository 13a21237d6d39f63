#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# test_build.sh - how programs and libraries are built, and what `make install` makes of them.
#
# DATAWAL names a binary of the build that is looked at.  Each test runs in a shell of its own with
# `set -e`, in a fresh directory "$W".
. "$(dirname "$0")/../mount/lib.sh"
BUILD=$(dirname "$(readlink -f "${DATAWAL:-build/release/datawal}")")
export BUILD

is_sanitized()
{
	nm -D "$BUILD/datawal" | grep -E '__(a|t)san_init' > /dev/null
}
export -f is_sanitized

# What an attacker finds by a wild write: no fixed addresses, no writable tables of functions,
# canaries, and checked copies.
test_build_hardened()
{
	local file
	command -v readelf > /dev/null || skip "no readelf"
	for file in datawalfs datawal datawal-soak datawal-backup libdatawal.so.0; do
		readelf -hW "$BUILD/$file" | grep -E '^ *Type: *DYN'
		readelf -lW "$BUILD/$file" | grep GNU_RELRO
		readelf -dW "$BUILD/$file" | grep -E 'BIND_NOW|FLAGS_1.*NOW'
		readelf -lW "$BUILD/$file" | grep GNU_STACK | grep -v RWE
		is_sanitized || {
			nm -D "$BUILD/$file" | grep -F __stack_chk_fail
			nm -D "$BUILD/$file" | grep -E '__[a-z]+_chk@'
		}
	done
	for file in datawalfs datawal datawal-soak datawal-backup; do
		readelf -dW "$BUILD/$file" | grep -E 'FLAGS_1.*PIE'
	done
}

run_tests "$@"
