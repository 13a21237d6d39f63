#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# bench.sh kv|fs... - measure the library (kv) or the mount (fs) beside their peers, and say which
# bars of kv/kv.bars and fs/fs.bars are met.  Needs root, for a loop device.
#
# Everything happens on an ext4 volume with a journal, made for this run and removed after it.
# From the environment:
#   REPS        rounds (5); medians are taken over them
#   SCENARIOS   some of runkv.sh's and runfs.sh's, instead of all
#   PEERS       some of theirs, instead of all; "datawal" and "project" are ours
#   BEFORE      another datawalfs, measured as the peer "before"
#   BENCH_KEYS  also open stores of so many keys, e.g. 10000000
#   QUICK       1: one round of small sizes.  It tries the harness; its figures say nothing
#   BENCH_OUT   where the figures go (build/bench/result)
#
# Leaves there PART.csv (all figures), PART-medians.csv, PART-bars.csv, PART.txt, PART.svg.
# Exit status: 0, whatever bars are missed; 1: a peer or the harness failed.
set -u
here=$(dirname "$(readlink -f "$0")")
top=$(readlink -f "$here/../..")
out=${BENCH_OUT:-$top/build/bench/result}

all_scenarios_kv="small batch1000 sync1 sync1000 4k 1m half threads open index export send"
all_scenarios_fs="pinned free busy million"
all_peers_kv="null raw rawmm rawpre model modelmm lmdb sqlite leveldb rocksdb tkrzw datawal"
all_peers_fs="ext4 memfs memfs_fast bindfs mergerfs gocryptfs project${BEFORE:+ before}"

die() { echo "bench: $*" >&2; exit 1; }

# select NAMES ALL: those of NAMES that are in ALL; all of them if NAMES is empty
select_names()
{
	local name
	[ -n "$1" ] || { echo "$2"; return; }
	for name in $1; do
		case " $2 " in *" $name "*) printf '%s ' "$name" ;; esac
	done
}

# A misspelt name must not look like a run in which nothing failed.
check_names() # WHAT NAMES ALL
{
	local name
	for name in $2; do
		case " $3 " in *" $name "*) ;; *) die "$1: no '$name'; there are: $3" ;; esac
	done
}

measure() # PART
{
	local part=$1 rc=0 scenarios peers all_scenarios=all_scenarios_$1 all_peers=all_peers_$1 options
	scenarios=$(select_names "${SCENARIOS:-}" "${!all_scenarios}")
	peers=$(select_names "${PEERS:-}" "${!all_peers}")
	if [ -z "$scenarios" ] || [ -z "$peers" ]; then
		echo "$part: none of its scenarios or peers asked for"
		return 0
	fi
	options=(-n "$reps" -x "$divisor" -o "$out/$part.csv" -w "$V/$part")
	if [ "$part" = kv ] && [ -n "${BENCH_KEYS:-}" ]; then
		scenarios="$scenarios open_many index_many"
		options+=(-k "$BENCH_KEYS")
	fi
	# the figures of two runs must not mix
	rm -f "$out/$part.csv" "$out/$part"-*.csv "$out/$part.txt" "$out/$part.svg"
	echo "$part: $reps rounds of: $scenarios"
	# shellcheck disable=SC2086 # a list of names
	"$here/$part/run$part.sh" "${options[@]}" -s "$scenarios" $peers || rc=1
	judge "$part" || rc=1
	return $rc
}

judge() # PART
{
	local rc
	"$here/table.pl" -m "$out/$1-medians.csv" -t "$out/$1-bars.csv" -g "$out/$1.svg" \
		"$here/$1/$1.bars" "$out/$1.csv" > "$out/$1.txt"
	rc=$?
	echo
	cat "$out/$1.txt"
	[ -z "${QUICK:-}" ] || echo "(a quick run, to try the harness: these figures say nothing)"
	echo "in $out: $(cd "$out" && echo "$1".* "$1"-*)"
	return $rc
}

# shellcheck disable=SC2317 # called by the trap
clean_up()
{
	# the daemons of a run that was stopped end with their mounts
	findmnt -rno TARGET | grep "^$V/" | tac | xargs -r -n1 umount -l
	! mountpoint -q "$V" || "$here/mkvol.sh" down || echo "bench: '$V' is still mounted" >&2
	mountpoint -q "$V" || rm -rf --one-file-system "$TMPDIR"
}

[ $# -gt 0 ] || die "usage: bench.sh kv|fs..."
[ "$(id -u)" = 0 ] || die "needs root, to mount a volume"
check_names SCENARIOS "${SCENARIOS:-}" "$all_scenarios_kv $all_scenarios_fs"
check_names PEERS "${PEERS:-}" "$all_peers_kv $all_peers_fs"
reps=${REPS:-5} divisor=1
[ -z "${QUICK:-}" ] || reps=${REPS:-1} divisor=50
mkdir -p "$out" || exit
TMPDIR=$(mktemp -d "${TMPDIR:-/tmp}/datawal-bench-XXXXXX") || exit
V=$TMPDIR/vol IMG=$TMPDIR/vol.img
export TMPDIR V IMG
trap clean_up EXIT
trap 'exit 1' INT TERM
"$here/mkvol.sh" up || die "no volume"
mountpoint -q "$V" || die "no volume"
rc=0
for part; do
	case $part in
	kv | fs) measure "$part" || rc=1 ;;
	*) die "neither kv nor fs: '$part'" ;;
	esac
done
[ $rc = 0 ] || echo "bench: something failed; see above" >&2
exit $rc
