#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# test_datawal_snapshot.sh [TEST] - snapshots by the command line.
. "$(dirname "$0")/lib.sh"

names() { "$DATAWAL" --json snapshots "$S" | sed 's/.*"name":"\([^"]*\)".*/\1/' | tr '\n' ' '; }

# It stays what it was while the store is changed, compacted, and removed.
test_snapshot_is_a_store()
{
	"$DATAWAL" put "$S" --key a old
	"$DATAWAL" put "$S" --key gone value
	same "$S/.snapshots/first" "$DATAWAL" snapshot "$S" first
	"$DATAWAL" put "$S" --key a new
	"$DATAWAL" delete "$S" --key gone
	"$DATAWAL" compact "$S"
	same new "$DATAWAL" get "$S" --key a
	same old "$DATAWAL" get "$S/.snapshots/first" --key a
	same value "$DATAWAL" get "$S/.snapshots/first" --key gone
	"$DATAWAL" verify "$S/.snapshots/first"
	status 1 "$DATAWAL" put "$S/.snapshots/first" --key a x 2> err
	grep 'never changes' err
	cp -r "$S/.snapshots/first" copy
	rm -r "$S"
	same old "$DATAWAL" get copy --key a
	"$DATAWAL" verify copy
	rm copy/.snapshot
	"$DATAWAL" put copy --key a newer
	same newer "$DATAWAL" get copy --key a
}

# Copied together by rsync, they go on sharing what they share.
test_snapshot_many_copied()
{
	command -v rsync || skip "no rsync"
	head -c 1000000 /dev/urandom > value
	"$DATAWAL" put "$S" --key large --file value
	for i in 1 2 3 4; do
		"$DATAWAL" put "$S" --key a "$i"
		"$DATAWAL" snapshot "$S" "s$i"
	done
	rsync -aH "$S/.snapshots/" copies
	[ "$(du -s --block-size=1K copies | cut -f1)" -lt 1500 ]
	for i in 1 2 3 4; do
		same "$i" "$DATAWAL" get "copies/s$i" --key a
		"$DATAWAL" get "copies/s$i" --key large | cmp - value
	done
}

test_snapshot_listed()
{
	"$DATAWAL" put "$S" --key a 1
	"$DATAWAL" snapshots "$S" > out
	[ ! -s out ]
	"$DATAWAL" snapshot "$S" one
	head -c 1000000 /dev/zero > value
	"$DATAWAL" put "$S" --key b --file value
	"$DATAWAL" --quiet snapshot "$S" 'two words' > out
	[ ! -s out ]
	"$DATAWAL" delete "$S" --key b
	"$DATAWAL" compact "$S"
	"$DATAWAL" snapshots "$S" > out
	grep -E '^20.* +1  one$' out
	grep -E '^20.*976\.6 KiB +9[0-9][0-9]\.[0-9] KiB +2  "two words"$' out
	"$DATAWAL" stats "$S" | grep '"two words"$'
	"$DATAWAL" --json stats "$S" | grep '"kind":"snapshot","name":"one","time_ns":[0-9]*,"txid":1,"made":"link","brief":false,'
	same "one two words " names
}

test_snapshot_removed()
{
	"$DATAWAL" put "$S" --key a 1
	"$DATAWAL" snapshot "$S" one
	status 1 "$DATAWAL" snapshot "$S" one 2> err
	grep "there is a snapshot 'one' already" err
	status 2 "$DATAWAL" snapshot "$S" two --remove 2> err
	grep "has no snapshot 'two'" err
	"$DATAWAL" snapshot "$S" one --remove
	[ -z "$(ls -A "$S/.snapshots")" ]
	same "" names
}

# The newest of a prefix stay; others are left alone.
test_snapshot_keep()
{
	"$DATAWAL" put "$S" --key a 1
	"$DATAWAL" snapshot "$S" yearly
	for i in 1 2 3 4 5; do "$DATAWAL" snapshot "$S" "hourly-$i" --prefix hourly- --keep 3; done
	same "yearly hourly-3 hourly-4 hourly-5 " names
	"$DATAWAL" snapshot "$S" --prefix hourly- --keep 1 > out
	grep -E "^$S/\.snapshots/hourly-20[0-9-]+T[0-9:]+Z\$" out
	[ "$(names | wc -w)" = 2 ]
	# one that cannot be made costs none that is there
	mkdir -p "$S/.snapshots/hourly-x"
	status 1 "$DATAWAL" snapshot "$S" hourly-x --prefix h --keep 1
	[ "$(names | wc -w)" = 3 ]
}

test_snapshot_arguments()
{
	"$DATAWAL" put "$S" --key a 1
	for i in "" ".x" "a/b" "x --keep 3" "x --remove --prefix p" "--remove" "x --keep 0 --prefix x"; do
		# shellcheck disable=SC2086 # words
		status 1 "$DATAWAL" snapshot "$S" $i
	done
	status 1 "$DATAWAL" snapshot nothing x 2> err
	grep 'no store here' err
	status 1 "$DATAWAL" snapshots nothing
	[ ! -e "$S/.snapshots" ] || [ -z "$(ls -A "$S/.snapshots")" ]
}

run_tests "$@"
