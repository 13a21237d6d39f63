#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# check-semantics.sh - every test that docs/SEMANTICS.md names exists.
set -u
cd "$(dirname "$0")/../.." || exit
rc=0
count=0
while read -r name; do
	count=$((count + 1))
	case $name in
	tests/*) [ -e "$name" ] ;;
	*) grep -rqE "(^$name\(\)|\"$name\")" --include='test_*' tests ;;
	esac || {
		echo "not ok semantics: no test '$name'"
		rc=1
	}
done < <(grep '^| ' docs/SEMANTICS.md | awk -F'|' '{ print $(NF - 1) }' | grep -o '`[^`]*`' | tr -d '`')
[ "$count" -gt 50 ] || { echo "not ok semantics: only $count names found"; rc=1; }
[ $rc = 0 ] && echo "ok semantics"
exit $rc
