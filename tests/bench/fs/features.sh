#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# features.sh [ROUNDS] - what the kernel's features are worth to a FUSE file system, each by itself:
# memfs as docs/ARCHITECTURE.md has it ("base": names, attributes and pages kept), and with one
# thing changed.  Variants in turns, medians over ROUNDS (3); harness and daemon on one processor
# unless said.  Run it by `make bench-features`, on a quiet machine.
set -u
here=$(dirname "$(readlink -f "$0")")
cd "${FS_BUILD:-$here/../../../build/bench/fs}" || exit
rounds=${1:-3}
W=$(mktemp -d) || exit
out=$W/features.csv
trap 'mountpoint -q "$W/m" && umount -l "$W/m"; rm -rf --one-file-system "$W"' EXIT
trap 'exit 1' INT TERM
mkdir "$W/m"
keep=timeout=86400,keep_cache

# NAME OPTIONS-OF-MEMFS
variants="base:-o $keep
no_caching:-o timeout=0
caching_1s:-o timeout=1,keep_cache
no_keep_cache:-o timeout=86400
no_flush:-o $keep,no_flush
no_open:-o $keep,no_open,no_flush
writeback:-o $keep,writeback
splice:-o $keep,splice
clone_fd:-o $keep -o clone_fd
one_thread:-o $keep -s
plain_readdir:-o $keep,plus=0
auto_readdir:-o $keep,plus=2"

measure() # NAME OPTIONS ROUND PIN
{
	local pid
	# shellcheck disable=SC2086 # commands and their options
	$4 ./memfs -f $2 "$W/m" 2> /dev/null &
	pid=$!
	for _ in $(seq 200); do mountpoint -q "$W/m" && break; sleep 0.02; done
	# shellcheck disable=SC2086
	$4 ./fsbench -d "$W/m" -p "$1" -r "$3" -x 2 100b big >> "$out" || echo "failed: $1" >&2
	umount "$W/m"
	wait "$pid"
}

for round in $(seq "$rounds"); do
	while IFS=: read -r name options; do
		measure "$name" "$options" "$round" "taskset -c 0"
	done <<< "$variants"
done
for phase in create read read_cold lsl_cold tar_cold overwrite save write_1m read_1m; do
	../kv/medians -b base -m $phase "$out"
done | awk 'NR == 1 || $1 != "scenario"'
