#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# test_memory.sh - a daemon in a control group with little memory: what odd_memory.c asks of it
# does not kill it.
. "$(dirname "$0")/lib.sh"
ODD=$(dirname "$DATAWALFS")/tests/mount
export ODD
if [ ! -x "$ODD/odd_memory" ]; then
	echo "not ok memory: build $ODD/odd_memory first ('make tests')"
	exit 1
fi

# Bytes; the largest value, once in memory and once on its way, and what else a daemon needs.
ALLOWED=$((224 << 20))
ALLOWED_MAX=$((64 << 20)) # values, by default
export ALLOWED ALLOWED_MAX

# Make a control group "$G"; fails where that cannot be.
make_group()
{
	if [ -e /sys/fs/cgroup/memory/memory.limit_in_bytes ]; then
		G=/sys/fs/cgroup/memory/datawalfs-test-$$
		mkdir "$G" && echo "$ALLOWED" > "$G/memory.limit_in_bytes"
	else
		G=/sys/fs/cgroup/datawalfs-test-$$
		mkdir "$G" && echo "$ALLOWED" > "$G/memory.max" && echo 0 > "$G/memory.swap.max"
	fi
}

remove_group()
{
	# a process that ended may count for a moment longer
	wait_until rmdir "$G"
}

# Processes of the group that the kernel has killed for want of memory.
killed()
{
	cat "$G/memory.oom_control" "$G/memory.events" 2> /dev/null |
		awk '$1 == "oom_kill" { n += $2 } END { print n + 0 }'
}

mount_in_group()
{
	bash -c 'echo $$ > "$0/cgroup.procs" && exec "$@"' "$G" "$DATAWALFS" "$S" "$M" "$@"
}
export -f make_group remove_group killed mount_in_group

# in_group TEST...: each with a daemon that may use little memory.
in_group()
{
	local test
	case "$DATAWALFS" in *san*) skip "sanitizers take more memory than the daemon does" ;; esac
	[ "$(stat -f -c %T "$S")" != tmpfs ] || skip "the store is in memory itself"
	make_group 2> "$W/no-group" || skip "no control group with a limit of memory: $(cat "$W/no-group")"
	trap 'umount -l "$M" 2> /dev/null; remove_group' EXIT
	for test; do
		mount_in_group
		"$ODD/odd_memory" "$test" "$M"
		[ "$(killed)" = 0 ]
		grep -q "\"dirty_max\": $ALLOWED_MAX" "$M/.datawal/stats.json"
		unmount_store
	done
	[ "$(killed)" = 0 ]
	trap - EXIT
	remove_group
}
export -f in_group

test_memory_sparse_files() { in_group sparse; }
test_memory_files_that_stay_open() { in_group held; }
test_memory_mapped_writes() { in_group mapped; }
test_memory_files_without_a_name() { in_group nameless; }
test_memory_attributes() { in_group label labelled; }

test_memory_option()
{
	mount_store -o dirty_max=65M
	grep -q "\"dirty_max\": $((65 << 20))" "$M/.datawal/stats.json"
	grep -q "^datawalfs_value_memory_max_bytes $((65 << 20))$" "$M/.datawal/metrics"
	unmount_store
	fails mount_store -o dirty_max=63M
	grep -q "dirty_max '63M' is no size from 64M" "$W/stderr"
	fails mount_store -o dirty_max=lots
}

run_tests "$@"
