#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# check-semantics.sh - every test that a table of docs/SEMANTICS.md or docs/SECURITY.md names
# in its last column exists.
set -u
cd "$(dirname "$0")/../.." || exit
all=0

check() # NAME DOCUMENT LEAST: one document, which names at least so many tests
{
	local rc=0 count=0 name
	while read -r name; do
		count=$((count + 1))
		case $name in
		tests/*) [ -e "$name" ] ;;
		*) grep -rqE "(^$name\(\)|\"$name\")" --include='test_*' tests ;;
		esac || {
			echo "not ok $1: no test '$name'"
			rc=1
		}
	done < <(grep '^| ' "$2" | awk -F'|' '{ print $(NF - 1) }' | grep -o '`[^`]*`' | tr -d '`')
	[ "$count" -gt "$3" ] || { echo "not ok $1: only $count names found"; rc=1; }
	[ $rc = 0 ] && echo "ok $1"
	[ $rc = 0 ] || all=1
}

check semantics docs/SEMANTICS.md 50
check security docs/SECURITY.md 30
exit $all
