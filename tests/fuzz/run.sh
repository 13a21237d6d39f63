#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# run.sh DIR SECONDS [NAME...] - run the fuzzers with libFuzzer, each for so long, from the
# seeds that those of DIR write.  Inputs found in build/fuzz/corpus are used again; an input
# that fails is kept in build/fuzz/failed.
set -u
cd "$(dirname "$0")/../.." || exit
dir=$1 seconds=$2
shift 2
programs=build/fuzz/tests/fuzz
failed=0
mkdir -p build/fuzz/failed
if [ $# = 0 ]; then
	for source in tests/fuzz/fuzz_*.c; do
		set -- "$@" "$(basename "$source" .c)"
	done
fi
for name; do
	corpus=build/fuzz/corpus/$name
	mkdir -p "$corpus"
	"$dir/tests/fuzz/$name" --seeds "$corpus" > /dev/null || exit
	extra=
	[ ! -d "tests/fuzz/found/$name" ] || extra=tests/fuzz/found/$name
	# shellcheck disable=SC2086 # a directory or none
	if "$programs/$name" -max_total_time="$seconds" -max_len=4096 -timeout=20 -rss_limit_mb=4096 \
		-print_final_stats=1 -artifact_prefix="build/fuzz/failed/$name-" \
		"$corpus" $extra > "build/fuzz/$name.log" 2>&1; then
		echo "ok $name ($(awk '/^stat::number_of_executed_units/ { print $2 }' "build/fuzz/$name.log") inputs," \
			"$(find "$corpus" -type f | wc -l) kept)"
	else
		echo "not ok $name"
		grep -vE '^(#|INFO|NEW_FUNC)' "build/fuzz/$name.log" | tail -30
		failed=1
	fi
done
exit $failed
