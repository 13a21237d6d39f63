#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# run.sh [-k] [NAME|LIST.list]... - break the code on purpose, a little at a time, and see that
# a test notices.
#
# Without arguments: every mutant of tests/mutants/*.list; with names (patterns of bash) or
# lists: those.  Works on a copy of the sources in build/mutants, never on the sources
# themselves.  "ok NAME" when a test failed, as it must; "not ok NAME: ..." when none did, when
# the mutant does not compile, or when its old text is not in its file any more, exactly once.
# -k: also say which test killed it.  Exit status 0: all were killed.
#
# MUTANTS_TIMEOUT: seconds for a test (60); one that hangs counts as failed.
set -u
cd "$(dirname "$0")/../.." || exit 2
TOP=$PWD
LISTS=("$TOP"/tests/mutants/*.list)
TREE=$TOP/build/mutants/tree
LOG=$TOP/build/mutants/log
LIMIT=${MUTANTS_TIMEOUT:-60}
# where a mutant names no tests
DEFAULT=$'unit/engine/log/test_log\tunit/engine/log/test_prealloc\tcrash/test_guard\tmodel/test_store_model\tcrash/test_crash'
verbose=
passed=0 failed=0 skipped=0

if [ "${1:-}" = -k ]; then
	verbose=1
	shift
fi

copy_tree()
{
	mkdir -p "$TREE"
	# what is gone from the sources goes from the copy; objects stay, so that little is built
	(cd "$TREE" && find . -path ./build -prune -o -type f -print0 | xargs -0r rm -f)
	git ls-files -co --exclude-standard -z | while IFS= read -r -d '' file; do
		[ ! -e "$file" ] || printf '%s\0' "$file"
	done | tar -c --null -T - | tar -x -C "$TREE"
	# their objects may be a mutant's, and are newer than the files that were just laid there
	[ ! -e "$TREE/build/.mutated" ] || (cd "$TREE" && xargs touch -c < build/.mutated)
	rm -f "$TREE/build/.mutated"
}

# build TEST...: the programs that these need
build()
{
	local test targets=()
	for test in "$@"; do
		case ${test%% *} in
		*.sh) targets+=(all) ;;
		*) targets+=("build/release/tests/${test%% *}") ;;
		esac
	done
	make -s -C "$TREE" -j"$(nproc)" "${targets[@]}" > "$LOG" 2>&1
}

# run_test TEST: its exit status; 77 if it only skipped
run_test()
{
	local program=${1%% *} name='' rc=0
	[ "$program" = "$1" ] || name=${1#* }
	case $program in
	*.sh) program=tests/$program ;;
	*) program=build/release/tests/$program ;;
	esac
	# bash itself would tell of those that an assertion ends
	{
		(cd "$TREE" && exec timeout -k 10 "$LIMIT" "$program" ${name:+"$name"}) > "$LOG" 2>&1 ||
			rc=$?
	} 2> /dev/null
	if [ $rc = 0 ] && ! grep -q '^ok ' "$LOG"; then
		rc=77
	fi
	return $rc
}

# Whether the tests pass without a mutant: else their failing says nothing.
baseline()
{
	local test rc
	build "$@" || {
		tail -20 "$LOG" >&2
		echo "not ok baseline: it does not build"
		return 1
	}
	for test in "$@"; do
		rc=0
		run_test "$test" || rc=$?
		if [ $rc != 0 ] && [ $rc != 77 ]; then
			grep -vE '^(ok|skip) ' "$LOG" | tail -20 >&2
			echo "not ok baseline: '$test' fails without a mutant"
			return 1
		fi
	done
}

not_ok()
{
	echo "not ok $1: $2"
	failed=$((failed + 1))
}

# judge NAME TEST...: the mutant is applied
judge()
{
	local name=$1 test rc ran=
	shift
	for test in "$@"; do
		if ! build "$test"; then
			grep -m1 'error' "$LOG" >&2
			not_ok "$name" "does not build"
			return
		fi
		rc=0
		run_test "$test" || rc=$?
		case $rc in
		0) ran=1 ;;
		77) ;;
		*)
			echo "ok $name${verbose:+ # $test$([ $rc != 124 ] || echo ' hung')}"
			passed=$((passed + 1))
			return
			;;
		esac
	done
	if [ -n "$ran" ]; then
		not_ok "$name" "survived"
	else
		echo "skip $name: its tests cannot be run here"
		skipped=$((skipped + 1))
	fi
}

# wanted NAME PATTERN...
wanted()
{
	local name=$1 pattern
	shift
	[ $# != 0 ] || return 0
	for pattern in "$@"; do
		# shellcheck disable=SC2053 # a pattern
		[[ $name == $pattern ]] && return 0
	done
	return 1
}

patterns=()
chosen=()
for argument in "$@"; do
	case $argument in
	*.list) chosen+=("$(readlink -f "$argument")") ;;
	*) patterns+=("$argument") ;;
	esac
done
[ ${#chosen[@]} = 0 ] || LISTS=("${chosen[@]}")

lines=() tests=()
while IFS= read -r line; do
	IFS=$'\t' read -r -a fields <<< "$line"
	wanted "${fields[0]}" "${patterns[@]}" || continue
	[ ${#fields[@]} -gt 2 ] || line+=$'\t'$DEFAULT
	lines+=("$line")
	IFS=$'\t' read -r -a fields <<< "$line"
	tests+=("${fields[@]:2}")
done < <(perl "$TOP/tests/mutants/mutate.pl" names "${LISTS[@]}" || echo failed)
if [ ${#lines[@]} = 0 ] || [ "${lines[-1]%%$'\t'*}" = failed ]; then
	echo "not ok lists: no mutants of that name, or a list that cannot be read"
	exit 2
fi

mkdir -p "$TOP/build/mutants"
copy_tree
mapfile -t tests < <(printf '%s\n' "${tests[@]}" | sort -u)
baseline "${tests[@]}" || exit 2

for line in "${lines[@]}"; do
	IFS=$'\t' read -r -a fields <<< "$line"
	name=${fields[0]} file=${fields[1]}
	echo "$file" >> "$TREE/build/.mutated"
	# not of the sources, which may have changed meanwhile
	cp "$TREE/$file" "$TREE/build/.original" 2>/dev/null
	if wrong=$(perl "$TOP/tests/mutants/mutate.pl" apply "$name" "$TREE" "${LISTS[@]}"); then
		judge "$name" "${fields[@]:2}"
	else
		not_ok "$name" "does not apply: $wrong"
	fi
	# not `cp -p`: the object is of the mutant, and must be older than the file
	[ ! -e "$TREE/$file" ] || cp "$TREE/build/.original" "$TREE/$file"
done
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
