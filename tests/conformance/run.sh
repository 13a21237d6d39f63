#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# run.sh - the mount and the tools of the world; the last line is "N passed, N failed,
# N skipped".
#
#   run.sh [DIR]    with the daemon of this build (default: build/release)
#
# CONFORMANCE_SECONDS: how long each random or stressing part runs (default 15).
# CONFORMANCE_ONLY: of the scripts test_NAME.sh only these NAMEs.
# What everything said is in build/conformance-log.
set -u
cd "$(dirname "$0")/../.." || exit
dir=${1:-build/release}
log=build/conformance-log
mkdir -p build
: > $log
for script in tests/conformance/test_*.sh; do
	name=$(basename "$script" .sh)
	[[ -z ${CONFORMANCE_ONLY:-} || " $CONFORMANCE_ONLY " == *" ${name#test_} "* ]] || continue
	echo "== $script" | tee -a $log
	DATAWALFS=$dir/datawalfs "$script" 2>&1 | tee -a $log
	rc=${PIPESTATUS[0]}
	# a script that dies without a word failed as well
	[ "$rc" = 0 ] || tail -n +2 $log | grep -q '^not ok ' ||
		echo "not ok $script (exit status $rc)" | tee -a $log
done
echo
grep -E '^(not ok|skip) ' $log
passed=$(grep -c '^ok ' $log)
failed=$(grep -c '^not ok ' $log)
skipped=$(grep -c '^skip ' $log)
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ] && [ "$passed" != 0 ]
