#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# test_bench.sh - the table of `make bench`: right for figures whose medians and verdicts were
# worked out by hand, and its bars speak of what the benchmarks measure.  Measures nothing.
#
# Each test runs in a shell of its own with `set -e`, in a fresh directory "$W".
. "$(dirname "$0")/../support/shell.sh"
WHERE=$TOP
BENCH=$TOP/tests/bench
FIXTURES=$TOP/tests/fixtures/bench
export BENCH FIXTURES

table() { "$BENCH/table.pl" "$@" > "$W/out" 2> "$W/err"; }

# refuses PATTERN ARGUMENTS...: the table generator fails and says so
refuses()
{
	local pattern=$1 rc=0
	shift
	table "$@" || rc=$?
	cat "$W/err" >&2 # shown if the test fails
	[ "$rc" = 1 ]
	grep -q -- "$pattern" "$W/err"
}

test_bench_table()
{
	table -t "$W/table.csv" "$FIXTURES/sample.bars" "$FIXTURES/figures.csv"
	diff "$FIXTURES/table.csv" "$W/table.csv"
	[ ! -s "$W/err" ]
	tail -1 "$W/out" | grep -qx '7 bars met, 5 missed, 3 not run'
	# what is printed: a row's figure once, then its other bars
	grep -qE '^rate +at least 0.5 x a +300 ops/s +600 \(a\) +0.50 +met$' "$W/out"
	grep -qE '^ +ahead of all +600 \(a\) +0.50 +missed$' "$W/out"
	grep -qE '^memory +at most 150 +150 B/key +- +- +met$' "$W/out"
}

test_bench_medians()
{
	table -m "$W/medians.csv" "$FIXTURES/sample.bars" "$FIXTURES/figures.csv"
	[ "$(head -1 "$W/medians.csv")" = scenario,metric,unit,peer,median,rounds ]
	grep -qx 's,put,ops/s,us,300,3' "$W/medians.csv"
	grep -qx 's,put,ops/s,a,600,2' "$W/medians.csv"
	grep -qx 's,open,s,us,3,2' "$W/medians.csv"
	[ "$(wc -l < "$W/medians.csv")" = 13 ]
}

# Lines in another order are the same figures.
test_bench_order()
{
	table -t "$W/1" "$FIXTURES/sample.bars" "$FIXTURES/figures.csv"
	tac "$FIXTURES/figures.csv" > "$W/reversed"
	table -t "$W/2" "$FIXTURES/sample.bars" "$W/reversed"
	cmp "$W/1" "$W/2"
}

test_bench_bad_figures()
{
	local line
	for line in x 1,us,s,put,ops/s 1,us,s,put,ops/s,nan 1,us,s,put,ops/s,-1 1,us,s,put,s,1 1,us,s,put,ops/s,1,2; do
		{ cat "$FIXTURES/figures.csv"; echo "$line"; } > "$W/bad.csv"
		refuses "bad.csv', line 17" "$FIXTURES/sample.bars" "$W/bad.csv"
	done
	: > "$W/bad.csv"
	refuses 'no figures' "$FIXTURES/sample.bars" "$W/bad.csv"
	refuses 'No such file' "$FIXTURES/sample.bars" "$W/nowhere"
	echo 1,us,s,put,ops/s,0 > "$W/bad.csv"
	echo 1,a,s,put,ops/s,1 >> "$W/bad.csv"
	refuses 'rate: a figure is 0' "$FIXTURES/sample.bars" "$W/bad.csv"
}

test_bench_bad_bars()
{
	local line
	for line in '  at least x a' '  at most a' '  ahead a' 'title' 'title | put'; do
		{ cat "$FIXTURES/sample.bars"; echo "$line"; } > "$W/bad.bars"
		refuses "bad.bars', line [0-9]*: '$line'" "$W/bad.bars" "$FIXTURES/figures.csv"
	done
	printf 'ours us\nrow | s:put\n  at least 1 x a@s:level\n' > "$W/bad.bars"
	refuses 'row: two units' "$W/bad.bars" "$FIXTURES/figures.csv"
	echo 'ours us' > "$W/bad.bars"
	refuses 'no rows' "$W/bad.bars" "$FIXTURES/figures.csv"
}

# A bar of a scenario or peer that nobody measures would never be missed.
test_bench_bars_are_measured()
{
	local name metric
	# shellcheck disable=SC2046 # a list of assignments
	eval "$(grep -E '^all_(peers|scenarios)_(kv|fs)=' "$BENCH/bench.sh")"
	for name in $(grep -oE '\w+(/\w+)*:\w+' "$BENCH/kv/kv.bars" | sort -u); do
		metric=${name#*:} name=${name%:*}
		case " $all_scenarios_kv open_many index_many " in *" $name "*) ;; *) false ;; esac
		cat "$BENCH"/kv/kv*.c | grep -F "\"$metric\"" > /dev/null
	done
	for name in $(grep -oE '\w+(/\w+)*:\w+' "$BENCH/fs/fs.bars" | sort -u); do
		metric=${name#*:}
		grep -q "\"$metric\"" "$BENCH/fs/fsbench.c" "$BENCH/fs/fsmillion.c"
	done
	for name in $(bar_peers kv); do
		case " $all_peers_kv base64 cp " in *" $name "*) ;; *) false ;; esac
	done
	for name in $(bar_peers fs); do
		case " $all_peers_fs engine before " in *" $name "*) ;; *) false ;; esac
	done
}

bar_peers() # PART: whom its bars name
{
	grep -v '^#' "$BENCH/$1/$1.bars" | sed -nE '
		s/^alias \w+ = (.*)/\1/p
		s/^ours (.*)/\1/p
		s/^ .*( x | of | beside )(\w+).*/\2/p' | tr , '\n' | grep -vxE 'peers|in_place' | sort -u
}

test_bench_chart()
{
	local times
	if ! command -v gnuplot > /dev/null; then
		echo "no gnuplot" > "$W/skip"
		exit 0
	fi
	table -g "$W/chart.svg" "$FIXTURES/sample.bars" "$FIXTURES/figures.csv"
	[ ! -s "$W/err" ]
	head -c 200 "$W/chart.svg" | grep -q '<svg'
	tail -2 "$W/chart.svg" | grep -q '</svg>'
	# each bar with a verdict has its label; bars without a verdict have none
	[ "$(grep -cE '(rate|time|level|memory|best of some): ' "$W/chart.svg")" = 12 ]
	[ "$(grep -c 'shown' "$W/chart.svg")" = 0 ]
	# all met, all missed: the other kind has no points
	for times in 0.1 10; do
		printf 'ours us\nrate | s:put\n  at least %s x a\n' "$times" > "$W/one.bars"
		table -g "$W/chart.svg" "$W/one.bars" "$FIXTURES/figures.csv"
		[ ! -s "$W/err" ]
		tail -2 "$W/chart.svg" | grep -q '</svg>'
	done
}

run_tests "$@"
