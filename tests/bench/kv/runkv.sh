#!/bin/bash
# runkv.sh [-n REPS] [-x DIVISOR] [-k KEYS] [-o OUT.csv] [-w WORKDIR] [-s "SCENARIO..."] [BACKEND...]
# Interleaves backends within each repetition and scenario.  Exit status 1: something failed.
#
# Scenarios are those of kvbench, and
#   threads    kvthreads: synced puts by one and by eight threads
#   open       kvopen: opening 1,000,000 keys, with and without hints
#   open_many  kvopen: the same with KEYS keys; only where a key directory has to come from somewhere
#   index      kvindex: finding 1,000,000 keys, 16 hexadecimal digits, and what it takes on disk
#   index_many kvindex: the same with KEYS keys, 1000 in a directory; and without the index's files
#   export     kvexport: the JSONL export beside base64 and write(2)
#   send       kvsend: a replica by send and receive beside cp(1)
# -x divides all counts, KEYS aside.
here=$(dirname "$(readlink -f "$0")")
cd "${KV_BUILD:-$here/../../../build/bench/kv}" || exit
reps=5 div=1 keys=10000000 out=${B:=${TMPDIR:-/tmp}/bench}/kv.csv w=$B/vol/kv failed=0
scn="small batch1000 sync1 sync1000 4k 1m half threads open index export send"
while getopts n:x:k:o:w:s: c; do
	case $c in
	n) reps=$OPTARG ;; x) div=$OPTARG ;; k) keys=$OPTARG ;; o) out=$OPTARG ;; w) w=$OPTARG ;;
	s) scn=$OPTARG ;; *) exit 2 ;;
	esac
done
shift $((OPTIND - 1))
bes=${*:-null raw rawmm rawpre model modelmm lmdb sqlite leveldb rocksdb tkrzw datawal}
mkdir -p "$w" "$(dirname "$out")" || exit

# The backends that a scenario is for, in a pattern of case.
backends_of()
{
	case $1 in
	threads) echo "datawal leveldb rocksdb tkrzw" ;; # those that many threads may call at once
	open) echo "datawal model lmdb sqlite leveldb rocksdb tkrzw" ;;
	open_many) echo "datawal rocksdb" ;;
	index*) echo "datawal lmdb rocksdb" ;;
	export | send) echo datawal ;;
	*) echo "$bes" ;;
	esac
}

run() # BACKEND REP SCENARIO
{
	local b=$1 rep=$2 s=$3 d=$w/$1 command
	case $s in
	threads) command=(./kvthreads -b "./be_$b.so" -x "$div") ;;
	open) command=(./kvopen -b "./be_$b.so" -x "$div") ;;
	open_many) command=(./kvopen -b "./be_$b.so" -s open_many -n "$keys") ;;
	index) command=(./kvindex -b "./be_$b.so" -x "$div") ;;
	index_many) command=(./kvindex -b "./be_$b.so" -s index_many -t -R -n "$keys") ;;
	export) command=(./kvexport -x "$div") ;;
	send) command=(./kvsend -x "$div") ;;
	*) command=(./kvbench -b "./be_$b.so" -s "$s" -x "$div") ;;
	esac
	case $s:$b in open*:datawal) command+=(-u .hint) ;; esac
	rm -rf "$d"
	sync -f "$w"
	timeout 1800 "${command[@]}" -d "$d" -r "$rep" >> "$out" || {
		echo "failed: $b, round $rep, $s" >&2
		failed=1
	}
	rm -rf "$d"
}

for rep in $(seq "$reps"); do
	for s in $scn; do
		for b in $bes; do
			case " $(backends_of "$s") " in *" $b "*) run "$b" "$rep" "$s" ;; esac
		done
	done
	echo "round $rep of $reps done, $(date +%T), load $(cut -d' ' -f1-3 /proc/loadavg)" >&2
done
exit $failed
