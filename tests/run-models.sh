#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# run-models.sh - check the models in tests/promela with spin; `make model`.
#
#   run-models.sh          every model, and every mutation of one: spin must find its error
#   run-models.sh --large  more operations and crashes, no mutations; minutes, up to 4 GB
#
# A line each: "ok NAME", "FAILED NAME" or "skip NAME: why", with states and seconds.  The
# last line is "N passed, N failed, N skipped".
set -u
cd "$(dirname "$0")/.." || exit
out=build/models
results=$out/results
rm -rf $out
mkdir -p $out
: > $results
queue=()

# A search that ran out of time, memory or depth has shown nothing, whatever it found so far.
verdict() # DIR STATUS
{
	local log=$1/pan.log
	[ "$2" = 0 ] || { echo "stopped with status $2"; return; }
	grep -qE 'max search depth too small|out of memory|hash table full' "$log" &&
		{ echo incomplete; return; }
	if grep -q 'errors: 0' "$log"; then
		echo sound
	elif grep -qE '^pan:1: (assertion violated|a reader met)' "$log" &&
		! grep -q 'array index' "$log"; then
		echo wrong
	else
		echo "no verdict"
	fi
}

# check WANT NAME MODEL FLAG...; WANT is sound or wrong
check()
{
	local want=$1 name=$2 model=$3 dir got start=$SECONDS
	shift 3
	dir=$out/${name//[ ,:]/_}
	mkdir -p "$dir"
	(
		cd "$dir" &&
			cp ../../../tests/promela/* . &&
			spin -a "$@" "$model.pml" > spin.log 2>&1 &&
			"${CC:-gcc}" -O2 -w -DSAFETY -DHC4 -DVECTORSZ=1024 -DMEMLIM=3800 "$@" -o pan pan.c 2> cc.log
	) || {
		echo "FAILED $name: cannot be built, see $dir" | tee -a $results
		return
	}
	(cd "$dir" && timeout -k 5 900 ./pan -m5000 > pan.log 2>&1)
	got=$(verdict "$dir" $?)
	local states
	states=$(sed -n 's/^ *\([0-9]*\) states, stored.*/\1/p' "$dir/pan.log")
	if [ "$got" = "$want" ]; then
		echo "ok $name (${states:-?} states, $((SECONDS - start)) s)"
	else
		echo "FAILED $name: $got, want $want (${states:-?} states, $((SECONDS - start)) s), see $dir"
	fi | tee -a $results
}

add() { queue+=("$(printf '%q ' "$@")"); }

# mutations MODEL FLAGS NAME...: each must be found wrong
mutations()
{
	local model=$1 flags=$2 m
	shift 2
	for m; do
		# shellcheck disable=SC2086 # a list of flags
		add wrong "$model, broken: $m" "$model" "-DM_$m" $flags
	done
}

add_models()
{
	local reader="-DREADER -DOPERATIONS=1 -DROTATIONS=0 -DCOMPACTIONS=1 -DCRASHES=0"
	# the longest first
	# shellcheck disable=SC2086 # a list of flags
	add sound "compact, reader" compact $reader
	add sound "guard, 3 operations" guard -DOPERATIONS=3 -DCRASHES=1
	add sound "compact, 2 compactions" compact -DOPERATIONS=1 -DCOMPACTIONS=2 -DCRASHES=1
	add sound "compact, 2 operations" compact -DOPERATIONS=2 -DCOMPACTIONS=1 -DCRASHES=1
	add sound "guard, 2 crashes" guard -DOPERATIONS=2 -DCRASHES=2
	add sound "guard in one write, no reader" guard -DOPERATIONS=2 -DCRASHES=2 -DM_ONE_WRITE -DNO_LIVE_READER
	add sound "compact, 2 crashes" compact -DOPERATIONS=1 -DCOMPACTIONS=1 -DCRASHES=2
	mutations guard "-DOPERATIONS=2 -DCRASHES=2" ENTER_AT_ONCE LEAVE_AT_ONCE APPEND_AT_ONCE GROW_AT_ONCE \
		UNDO_AT_ONCE RECOVER_AT_ONCE RECOVER_UNSYNCED EDGE SPLIT LOOKS_OLD ONE_WRITE
	mutations guard "-DOPERATIONS=2 -DCRASHES=1 -DNO_LIVE_READER" TWO_CALLS
	mutations compact "-DOPERATIONS=1 -DCOMPACTIONS=2" NOT_OLDEST UNLINK_DESCENDING RENAME_UNSYNCED \
		NO_SYNC_OF_NAMES ACTIVE_UNSYNCED NO_SYNC_BETWEEN ROTATE_UNSYNCED DROP_LAST_TXID
	mutations compact "-DOPERATIONS=2 -DROTATIONS=0" FORGET_OUTPUT
	mutations compact "$reader" LIST_ONCE
}

add_large_models()
{
	add sound "guard, 3 operations, 2 crashes" guard -DOPERATIONS=3 -DCRASHES=2
	add sound "compact, 2 compactions, 2 crashes" compact -DOPERATIONS=1 -DCOMPACTIONS=2 -DCRASHES=2
}

jobs=$(nproc)
case ${1:-} in
--large) add_large_models; jobs=1 ;;
*) add_models ;;
esac
for tool in spin "${CC:-gcc}"; do
	command -v "$tool" > /dev/null && continue
	for item in "${queue[@]}"; do
		eval "set -- $item"
		echo "skip $2: $tool is not installed" | tee -a $results
	done
	queue=()
	break
done
# two at once stay below 4 GB together
[ "$jobs" -le 2 ] || jobs=2
export -f check verdict
export out results CC
[ ${#queue[@]} = 0 ] ||
	printf '%s\n' "${queue[@]}" | xargs -d '\n' -P "$jobs" -I{} bash -c 'check {}'
passed=$(grep -c '^ok ' $results)
failed=$(grep -c '^FAILED ' $results)
skipped=$(grep -c '^skip ' $results)
missing=$((${#queue[@]} - passed - failed))
[ ${#queue[@]} = 0 ] || [ $missing = 0 ] || failed=$((failed + missing))
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
