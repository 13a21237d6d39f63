#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# test_soak.sh - datawal-soak: its contract, its determinism, its figures.
. "$(dirname "$0")/soak.sh"

COLUMNS_LINE=elapsed_s,rss_kb,fds,segments,live_keys,puts,deletes,rotates,compacts,bytes_written
export COLUMNS_LINE

# Three small inputs: "small", "medium" and "large" in "$W".
make_inputs()
{
	local key
	for key in small medium large; do
		printf '{"key":"%s","payload":"%s"}\n\n \t\n{"payload":"","key":"%s"}\n' \
			"$(printf %s "$key/1" | base64)" "$(printf %s "$key payload" | base64)" \
			"$(printf %s "$key" | base64)" > "$W/$key"
	done
	export DATAWAL_SOAK_INPUT_SMALL=$W/small DATAWAL_SOAK_INPUT_MEDIUM=$W/medium \
		DATAWAL_SOAK_INPUT_LARGE=$W/large
}

# --- the command line ---

test_soak_help_and_version()
{
	soak --help
	grep -q '^usage: datawal-soak' "$W/out"
	soak --version
	grep -q '^datawal-soak [0-9]' "$W/out"
}

test_soak_wrong_options()
{
	exits 2 soak --nonsense
	exits 2 soak extra
	says "'extra'"
	exits 2 soak --mode banana
	says "--mode: 'banana'"
	exits 2 soak --via banana
	says "--via: 'banana'"
	exits 2 soak --kill-every 0
	says "--kill-every: '0'"
	exits 2 soak --via mount --compact swap
	says "--compact online"
	exits 2 soak --seed -1
	says "--seed: '-1'"
}

test_soak_variables_that_are_no_numbers()
{
	local name text
	for name in DURATION ROTATE_EVERY COMPACT_EVERY_ROTATIONS PROGRESS_SECS; do
		for text in banana "" -1 1x " 1" 99999999999999999999; do
			exits 2 env "DATAWAL_SOAK_$name=$text" "$DATAWAL_SOAK" 2> "$W/err"
			says "DATAWAL_SOAK_$name: '$text'"
		done
	done
	DATAWAL_SOAK_ROTATE_EVERY=0 exits 2 soak
	says DATAWAL_SOAK_ROTATE_EVERY
	DATAWAL_SOAK_LOG_DIR='' exits 2 soak
	says DATAWAL_SOAK_LOG_DIR
	DATAWAL_SOAK_LOG_DIR=/dev/null/x exits 2 soak
	says /dev/null/x
}

test_soak_spares_what_is_not_its_own()
{
	mkdir "$DATAWAL_SOAK_WORK_DIR"
	echo precious > "$DATAWAL_SOAK_WORK_DIR/file"
	exits 2 soak --operations 10
	says "no store here: DATAWAL_SOAK_WORK_DIR '$DATAWAL_SOAK_WORK_DIR' is not empty"
	[ "$(cat "$DATAWAL_SOAK_WORK_DIR/file")" = precious ]
	rm "$DATAWAL_SOAK_WORK_DIR/file"
	# its own may be used again, but not by two at a time
	soak --operations 10
	soak --operations 10
	exec 9< "$DATAWAL_SOAK_WORK_DIR.soak-lock"
	flock 9
	exits 2 soak --operations 10
	says "in use"
}

# --- the records ---

test_soak_fixtures_are_what_the_generator_writes()
{
	soak --write-fixtures "$W/fixtures"
	diff -r "$W/fixtures" "$TOP/tests/fixtures/soak"
	[ "$(wc -l < "$W/fixtures/small_records.jsonl")" = 100 ]
	[ "$(wc -l < "$W/fixtures/medium_records.jsonl")" = 100 ]
	[ "$(wc -l < "$W/fixtures/large_payloads.jsonl")" = 20 ]
}

test_soak_without_fixtures()
{
	local digest
	soak --operations 3000 --seed 5
	digest=$(value digest)
	cd "$W" || exit
	soak --operations 3000 --seed 5
	[ "$(value digest)" = "$digest" ]
}

test_soak_real()
{
	make_inputs
	soak --mode real --operations 1000
	grep -q 'streams loaded small=2 medium=2 large=2' "$W/out"
	[ "$(value puts)" = 950 ]
	soak --mode real --operations 1000 --compact online --kill-every 100
}

# The reference takes a record as an array as well.
test_soak_real_arrays()
{
	local digest
	make_inputs
	soak --mode real --operations 500 --seed 3
	digest=$(value digest)
	sed -i -E 's/^\{"key":("[^"]*"),"payload":("[^"]*")\}$/[\1, \2]/' "$W/small" "$W/medium"
	grep -q '^\["' "$W/small"
	soak --mode real --operations 500 --seed 3
	[ "$(value digest)" = "$digest" ]
}

# The work directory is the store, for any other program as well.
test_soak_store_is_the_work_directory()
{
	local kind
	for kind in swap online; do
		DATAWAL_SOAK_ROTATE_EVERY=100 soak --operations 2000 --compact $kind
		[ "$(ls "$DATAWAL_SOAK_WORK_DIR" | grep -c '^[0-9]\{8\}\.dwal$')" = "$(value final_segments)" ]
		[ "$("$(dirname "$DATAWAL_SOAK")/datawal" ls "$DATAWAL_SOAK_WORK_DIR" | wc -l)" = \
			"$(value final_keys)" ]
		# nothing is left of the run but that, and its lock
		[ "$(cd "$W" && ls -d work*)" = "$(printf 'work\nwork.soak-lock')" ]
	done
}

# Without arguments it says what it will do before it does anything.
test_soak_says_what_it_will_do()
{
	local pid
	"$DATAWAL_SOAK" > "$W/out" 2>&1 &
	pid=$!
	until grep -q 'streams loaded' "$W/out"; do read -rt 0.05 <> <(:) || true; done
	kill "$pid"
	wait "$pid"
	head -1 "$W/out" | grep -qF "soak: about to work on a store in '$DATAWAL_SOAK_WORK_DIR' for 1800 s"
	head -1 "$W/out" | grep -qF -- --help
}

test_soak_real_needs_all_inputs()
{
	local name
	for name in SMALL MEDIUM LARGE; do
		make_inputs
		unset "DATAWAL_SOAK_INPUT_$name"
		exits 2 soak --mode real
		says "DATAWAL_SOAK_INPUT_$name"
	done
}

test_soak_bad_lines()
{
	local line good
	make_inputs
	good=$(head -1 "$W/medium")
	while read -r line; do
		printf '%s\n\n%s\n' "$good" "$line" > "$W/medium"
		exits 2 soak --mode real
		says "medium', line 3: "
	done <<- 'END'
		x
		[]
		["YQ=="]
		["YQ==","YQ==","YQ=="]
		["YQ==",1]
		"YQ=="
		{"key":"YQ==","payload":"YQ=="
		{"key":"YQ==","payload":"YQ=="} x
		{"key":"YQ=="}
		{"payload":"YQ=="}
		{"key":1,"payload":"YQ=="}
		{"key":"YQ","payload":"YQ=="}
		{"key":"YQ==","payload":"Y Q="}
		{"key":"YQ==","payload":"YR=="}
		{"key":"YQ==","key":"YQ==","payload":"YQ=="}
	END
	printf '{"key":"%s","payload":""}\n' "$(head -c 65537 /dev/zero | base64 -w 0)" > "$W/medium"
	exits 2 soak --mode real
	says "medium', line 1: .*65,536"
	printf '\n \n' > "$W/medium"
	exits 2 soak --mode real
	says "medium' holds no records"
	: > "$W/medium"
	exits 2 soak --mode real
	says "medium' holds no records"
	rm "$W/medium"
	exits 2 soak --mode real
	says "medium'"
}

# --- runs ---

test_soak_figures()
{
	DATAWAL_SOAK_DURATION=2 DATAWAL_SOAK_PROGRESS_SECS=1 soak
	[ "$(head -1 "$W/soak.csv")" = "$COLUMNS_LINE" ]
	[ "$(wc -l < "$W/soak.csv")" -ge 3 ]
	# ten numbers a row, none of the first six of them nothing
	tail -n +2 "$W/soak.csv" | awk -F, 'NF != 10 || /[^0-9,]/ || !($2 && $3 && $4 && $5 && $6) { exit 1 }'
	grep -qE '^soak: t= +1s rss=[0-9]+kb fds=[0-9]+ segs=[0-9]+ live=[0-9]+ puts=[0-9]+ dels=[0-9]+ rot=[0-9]+ cmp=[0-9]+$' "$W/out"
	grep -qE '^soak: seed=[0-9]+$' "$W/out"
	tail -1 "$W/out" | grep -q '^soak: clean exit; final_keys='
}

test_soak_numbers()
{
	local given
	for given in --kill-every=0 --kill-every=-1 --operations=1e3 --seed=18446744073709551616 "--seed= 1"; do
		exits 2 soak "$given"
		says "${given%%=*}: '${given#*=}' is no number from [01] to 18446744073709551615"
	done
	for given in 0 -1 5s ''; do
		DATAWAL_SOAK_PROGRESS_SECS=$given exits 2 soak
		says "DATAWAL_SOAK_PROGRESS_SECS: '$given' is no number from 1 to"
	done
	# the largest is never, not at once
	DATAWAL_SOAK_DURATION=2 DATAWAL_SOAK_PROGRESS_SECS=18446744073709551615 soak
	[ "$(wc -l < "$W/soak.csv")" -le 3 ]
}

test_soak_counts()
{
	DATAWAL_SOAK_ROTATE_EVERY=100 DATAWAL_SOAK_COMPACT_EVERY_ROTATIONS=3 soak --operations 2000
	# each twentieth operation deletes
	[ "$(value puts) $(value deletes)" = "1900 100" ]
	[ "$(value rotates) $(value compacts)" = "20 6" ]
	[ "$(value final_segments)" -le 4 ]
	# as the reference: each rotation has one
	DATAWAL_SOAK_ROTATE_EVERY=100 DATAWAL_SOAK_COMPACT_EVERY_ROTATIONS=0 soak --operations 2000
	[ "$(value rotates) $(value compacts)" = "20 20" ]
	DATAWAL_SOAK_DURATION=0 soak
}

test_soak_reaches_all_records()
{
	soak --operations 20000
	[ "$(value final_keys)" -gt 180 ]
}

test_soak_seed_decides()
{
	local digest
	soak --operations 5000 --seed 7
	digest=$(value digest)
	[ "$(grep -o 'seed=.*' "$W/out")" = seed=7 ]
	DATAWAL_SOAK_ROTATE_EVERY=300 soak --operations 5000 --seed 7 --compact online --kill-every 900
	[ "$(value kills)" -gt 1 ]
	[ "$(value digest)" = "$digest" ]
	soak --operations 5000 --seed 8
	[ "$(value digest)" != "$digest" ]
}

test_soak_ends_on_sigterm()
{
	local pid
	"$DATAWAL_SOAK" > "$W/out" 2>&1 &
	pid=$!
	until grep -q 'streams loaded' "$W/out"; do read -rt 0.05 <> <(:) || true; done
	kill "$pid"
	wait "$pid"
	tail -1 "$W/out" | grep -q '^soak: clean exit'
}

test_soak_kills_with_swap()
{
	DATAWAL_SOAK_ROTATE_EVERY=500 DATAWAL_SOAK_DURATION=4 soak --kill-every 700
	[ "$(value kills)" -ge 5 ]
	[ "$(value kills_in_compaction)" -ge 1 ]
}

test_soak_kills_with_online_compaction()
{
	DATAWAL_SOAK_ROTATE_EVERY=500 DATAWAL_SOAK_DURATION=4 soak --compact online --kill-every 700
	[ "$(value kills)" -ge 5 ]
	[ "$(value kills_in_compaction)" -ge 1 ]
}

# --- through a mount ---

test_soak_mount()
{
	needs_fuse
	DATAWAL_SOAK_ROTATE_EVERY=200 soak --via mount --daemon "$DATAWALFS" --operations 3000 --seed 7
	[ "$(value compacts)" = 3 ]
	local digest
	digest=$(value digest)
	soak --operations 3000 --seed 7
	[ "$(value digest)" = "$digest" ]
	fails grep -q "$W" /proc/mounts
}

test_soak_mount_kills()
{
	needs_fuse
	DATAWAL_SOAK_DURATION=5 DATAWAL_SOAK_ROTATE_EVERY=60 soak --via mount --daemon "$DATAWALFS" --kill-every 100
	[ "$(value kills)" -ge 2 ]
	fails grep -q "$W" /proc/mounts
}

test_soak_mount_setup()
{
	exits 2 soak --via mount --daemon "$W/nowhere"
	says "'$W/nowhere' cannot be run"
	exits 2 soak --via mount --daemon false
	says "'false' could not mount"
	make_inputs
	printf '{"key":"%s","payload":""}\n' "$(head -c 256 /dev/zero | tr '\0' a | base64 -w 0)" > "$W/large"
	exits 2 soak --mode real --via mount --daemon "$DATAWALFS"
	says "large record 1 is too long"
}

test_soak_mount_daemon_dies()
{
	needs_fuse
	# a daemon that kills itself in the middle of the run, by somebody's hand
	"$DATAWAL_SOAK" --via mount --daemon "$DATAWALFS" > "$W/out" 2> "$W/err" &
	local pid=$! lock=$DATAWAL_SOAK_WORK_DIR/.lock rc=0
	until [ -e "$DATAWAL_SOAK_WORK_DIR.soak-mnt/.datawal/control" ] && [ -s "$lock" ]; do
		read -rt 0.05 <> <(:) || true
	done
	kill -KILL "$(cat "$lock")"
	wait "$pid" || rc=$?
	[ "$rc" = 1 ]
	says "the daemon was ended by signal 9"
	says "the store is left in"
	fails grep -q "$W" /proc/mounts
}

# --- the picture ---

test_soak_plot()
{
	command -v gnuplot >/dev/null || skip "no gnuplot"
	DATAWAL_SOAK_DURATION=2 DATAWAL_SOAK_PROGRESS_SECS=1 soak
	soak --plot "$W/soak.svg"
	head -c 200 "$W/soak.svg" | grep -q '<svg'
	tail -2 "$W/soak.svg" | grep -q '</svg>'
	fails grep -qi nan "$W/soak.svg"
	[ "$(grep -c '<path' "$W/soak.svg")" -gt 10 ]
	[ ! -e "$W/soak.svg.tmp" ]
	[ ! -s "$W/err" ]
}

test_soak_plot_setup()
{
	exits 2 soak --plot "$W/soak.svg"
	says "soak.csv': No such file"
	echo banana > "$W/soak.csv"
	exits 2 soak --plot "$W/soak.svg"
	says "no CSV of datawal-soak"
	echo "$COLUMNS_LINE" > "$W/soak.csv"
	exits 2 soak --plot "$W/soak.svg"
	says "no rows"
	echo "1,2,3,4,5,6,7,8,9,10" >> "$W/soak.csv"
	PATH=$W exits 2 soak --plot "$W/soak.svg" 2> /dev/null
	PATH=$PATH:/usr/bin says "gnuplot cannot be run"
	[ ! -e "$W/soak.svg" ]
	exits 2 soak --plot "$W/nowhere/soak.svg"
}

# What it writes beside the store is written to no other file by a link of that name.
test_soak_links()
{
	echo precious > "$W/victim"
	ln -s "$W/victim" "$W/soak.csv"
	exits 2 soak --operations 10
	says "soak.csv': Too many levels of symbolic links"
	rm "$W/soak.csv"
	mkdir "$W/fixtures"
	ln -s "$W/victim" "$W/fixtures/small_records.jsonl"
	exits 2 soak --write-fixtures "$W/fixtures"
	command -v gnuplot > /dev/null || { grep -qx precious "$W/victim"; return; }
	DATAWAL_SOAK_DURATION=2 DATAWAL_SOAK_PROGRESS_SECS=1 soak
	ln -s "$W/victim" "$W/soak.svg.tmp"
	soak --plot "$W/soak.svg"
	[ ! -L "$W/soak.svg" ]
	grep -qx precious "$W/victim"
}

run_tests "$@"
