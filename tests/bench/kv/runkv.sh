#!/bin/bash
# runkv.sh [-n REPS] [-o OUT.csv] [-w WORKDIR] [-s "SCENARIO..."] [BACKEND...]
# Interleaves backends within each repetition and scenario.
here=$(dirname "$(readlink -f "$0")")
cd "${KV_BUILD:-$here/../../../build/bench/kv}" || exit
reps=5 out=${B:=${TMPDIR:-/tmp}/bench}/kv.csv w=$B/vol/kv
scn="small batch1000 sync1 sync1000 4k 1m"
while getopts n:o:w:s: c; do
	case $c in n) reps=$OPTARG;; o) out=$OPTARG;; w) w=$OPTARG;; s) scn=$OPTARG;; *) exit 2;; esac
done
shift $((OPTIND - 1))
bes=${*:-null raw rawmm rawpre model modelmm lmdb sqlite leveldb rocksdb tkrzw datawal}
mkdir -p "$w" "$(dirname "$out")"
for rep in $(seq "$reps"); do
	for s in $scn; do
		for b in $bes; do
			rm -rf "$w/$b"
			sync -f "$w"
			timeout 600 ./kvbench -b "./be_$b.so" -d "$w/$b" -s "$s" -r "$rep" >> "$out" ||
				echo "$b rep $rep $s failed" >&2
			rm -rf "$w/$b"
		done
	done
	echo "rep $rep done $(date +%T) load $(cut -d' ' -f1-3 /proc/loadavg)" >&2
done
