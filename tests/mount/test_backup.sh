#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# test_backup.sh - datawal-backup: a command on a snapshot, which goes whatever happens.
. "$(dirname "$0")/snapshots.sh"

DATAWAL_BACKUP=$(dirname "$DATAWALFS")/datawal-backup
export DATAWAL_BACKUP

test_backup_runs_a_command()
{
	mount_store
	fill
	cd "$W"
	"$DATAWAL_BACKUP" "$M" -- tar -cf out.tar -C {} .
	mkdir restored
	tar -C restored -xpf out.tar
	diff -r --no-dereference "$M" restored
	[ -z "$(ls -A "$M/.datawal/snapshots")" ]
	[ "$("$DATAWAL_BACKUP" mnt -- sh -c 'cat "$DATAWAL_SNAPSHOT/d/e/5"')" = "value 5" ]
	[ "$("$DATAWAL_BACKUP" -C "$M" -- cat d/e/5)" = "value 5" ]
	[ "$("$DATAWAL_BACKUP" --name=mine "$M" -- echo 'a{}b{}' {})" = \
		"a$M/.datawal/snapshots/mineb$M/.datawal/snapshots/mine $M/.datawal/snapshots/mine" ]
	# what is written meanwhile is in the next one
	"$DATAWAL_BACKUP" "$M" -- sh -c 'echo late > "$1/late"; ! [ -e "$2/late" ]' - "$M" {}
	"$DATAWAL_BACKUP" "$M" -- "$DATAWAL_BACKUP" "$M" -- test -e {}/late
	[ -z "$(ls -A "$M/.datawal/snapshots")" ]
	unmount_store
}

# status N COMMAND...: must exit so
status()
{
	local want=$1 rc=0
	shift
	"$@" > "$W/out" 2>&1 || rc=$?
	[ $rc = "$want" ] || { echo "exit status $rc instead of $want: $*"; cat "$W/out"; return 1; }
}
export -f status

test_backup_exit_status()
{
	mount_store -o control=.ctl
	echo 1 > "$M/a"
	local s=$M/.ctl/snapshots
	status 125 "$DATAWAL_BACKUP" "$M" -- true
	grep -q 'see --control\|See --control' "$W/out"
	status 0 "$DATAWAL_BACKUP" --control=.ctl "$M" -- true
	status 3 "$DATAWAL_BACKUP" --control=.ctl "$M" -- sh -c 'exit 3'
	status 137 "$DATAWAL_BACKUP" --control=.ctl "$M" -- sh -c 'kill -9 $$'
	status 127 "$DATAWAL_BACKUP" --control=.ctl "$M" -- no-such-command
	status 126 "$DATAWAL_BACKUP" --control=.ctl "$M" -- /etc/passwd
	[ -z "$(ls -A "$s")" ]
	status 125 "$DATAWAL_BACKUP" --control=.ctl "$M" true
	status 125 "$DATAWAL_BACKUP" --control=.ctl "$M" --
	status 125 "$DATAWAL_BACKUP" --name=a/b --control=.ctl "$M" -- true
	mkdir "$s/used"
	status 125 "$DATAWAL_BACKUP" --name=used --control=.ctl "$M" -- true
	[ -d "$s/used/" ]
	# an ordinary directory, of which mkdir would make an empty backup
	mkdir -p "$W/plain/.ctl/snapshots"
	status 125 "$DATAWAL_BACKUP" --control=.ctl "$W/plain" -- true
	mkdir "$W/look"
	"$DATAWALFS" "$S" "$W/look" -o ro
	status 125 "$DATAWAL_BACKUP" "$W/look" -- true
	grep -q 'one moment already' "$W/out"
	umount "$W/look"
	unmount_store
}

# It lets go whatever ends it, and the command ends with it.
test_backup_signals()
{
	mount_store
	echo 1 > "$M/a"
	local signal pid rc s=$M/.datawal/snapshots
	nothing_there()
	{
		[ -z "$(ls -A "$M/.datawal/snapshots")" ]
	}
	# also one that nobody waits for
	ended()
	{
		! grep '^State:' "/proc/$1/status" | grep -v Z
	}
	for signal in TERM HUP USR1 KILL; do
		"$DATAWAL_BACKUP" --name=$signal "$M" -- sh -c 'echo $$ > "$1"; exec sleep 1000' - "$W/pid.$signal" &
		pid=$!
		wait_until test -s "$W/pid.$signal"
		[ -e "$s/$signal/a" ]
		kill -$signal $pid
		rc=0
		wait $pid || rc=$?
		[ $rc = $((128 + $(kill -l $signal))) ]
		wait_until nothing_there
		wait_until ended "$(cat "$W/pid.$signal")"
	done
	# a command that has something to do before it ends is waited for
	"$DATAWAL_BACKUP" "$M" -- bash -c 'trap "cat \$1/a > \$2; exit 7" TERM; echo > "$3"
		while :; do read -rt 0.05 <> <(:) || true; done' - {} "$W/last" "$W/ready" &
	pid=$!
	wait_until test -s "$W/ready"
	kill -TERM $pid
	rc=0
	wait $pid || rc=$?
	[ $rc = 7 ]
	[ "$(cat "$W/last")" = 1 ]
	nothing_there
	# the mount goes first
	status 0 "$DATAWAL_BACKUP" "$M" -- umount -l "$M"
	wait_released
}

# What is killed together with the daemon leaves nothing behind, and a name can be had again.
test_backup_killed_with_the_daemon()
{
	mount_store
	echo 1 > "$M/a"
	mkdir "$M/.datawal/snapshots/kept"
	"$DATAWAL_BACKUP" --name=nightly "$M" -- sh -c 'echo > "$1"; exec sleep 1000' - "$W/ready" &
	local pid=$!
	wait_until test -e "$W/ready"
	[ "$(ls "$M/.datawal/snapshots" | tr '\n' ' ')" = 'kept nightly ' ]
	kill -9 "$(daemon_pid)"
	kill -9 $pid
	wait $pid || true
	umount -l "$M"
	wait_released
	mount_store
	[ "$(ls "$M/.datawal/snapshots")" = kept ]
	status 0 "$DATAWAL_BACKUP" --name=nightly "$M" -- test -e {}/a
	unmount_store
}

run_tests "$@"
