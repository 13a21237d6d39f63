#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# test_metrics.sh - what a mount tells Prometheus: its syntax, its numbers, and damage.
. "$(dirname "$0")/lib.sh"
DATAWAL=$(readlink -f "${DATAWAL:-build/release/datawal}")
export DATAWAL

# sample NAME-AND-LABELS: its value
sample()
{
	awk -v name="$1" '$1 == name { print $2 }' "$M/.datawal/metrics"
}

check_metrics()
{
	cat "$M/.datawal/metrics" > "$W/metrics"
	"$TOP/tests/support/check-prometheus.pl" "$W/metrics"
	! command -v promtool || promtool check metrics < "$W/metrics"
}

test_control_metrics()
{
	mount_store
	check_metrics
	[ "$(sample datawalfs_store_keys)" = 0 ]
	[ "$(sample 'datawalfs_operation_duration_seconds_count{operation="mkdir"}')" = 0 ]
	mkdir "$M/d"
	for i in 1 2 3 4 5; do
		head -c 1000 /dev/zero > "$M/f$i"
	done
	cat "$M/f1" > /dev/null
	echo over > "$M/f2"
	fails ls "$M/missing/x"
	fails rmdir "$M/f1"
	sync "$M/f1"
	check_metrics
	[ "$(sample datawalfs_store_keys)" = 6 ]
	[ "$(sample 'datawalfs_operation_duration_seconds_count{operation="mkdir"}')" = 1 ]
	[ "$(sample 'datawalfs_operation_duration_seconds_count{operation="create"}')" = 5 ]
	[ "$(sample datawalfs_written_bytes_total)" = 5005 ]
	[ "$(sample 'datawalfs_store_appended_records_total{type="put"}')" -ge 7 ]
	[ "$(sample datawalfs_store_dead_bytes)" -ge 1000 ]
	[ "$(sample datawalfs_store_sync_calls_total)" -ge 1 ]
	[ "$(sample datawalfs_store_syncs_total)" -le "$(sample datawalfs_store_sync_calls_total)" ]
	[ "$(sample datawalfs_store_compactions_total)" = 0 ]
	command_file compact
	fails command_file reload
	check_metrics
	[ "$(sample datawalfs_store_compactions_total)" = 1 ]
	[ "$(sample datawalfs_store_dead_bytes)" = 0 ]
	[ "$(sample 'datawalfs_commands_total{command="compact",result="done"}')" = 1 ]
	[ "$(sample 'datawalfs_commands_total{command="reload",result="failed"}')" = 1 ]
	[ "$(sample 'datawalfs_operation_errors_total{errno="EIO"}')" = 0 ]
	unmount_store
}

test_control_metrics_tell_damage()
{
	mount_store
	echo damaged-value > "$M/a"
	unmount_store
	mount_store
	printf X | dd of="$S/00000001.dwal" bs=1 seek=30 conv=notrunc status=none
	[ "$(sample datawalfs_store_damaged_records_total)" = 0 ]
	fails cat "$M/a"
	[ "$(sample datawalfs_store_damaged_records_total)" -ge 1 ]
	[ "$(sample 'datawalfs_operation_errors_total{errno="EIO"}')" -ge 1 ]
	unmount_store
}

# The parser of these tests refuses what is wrong.
test_control_metrics_parser_is_strict()
{
	local good='# HELP a_total A.\n# TYPE a_total counter\na_total{x="1"} 5\n'
	local head='# HELP h H.\n# TYPE h histogram\n'
	local parser=$TOP/tests/support/check-prometheus.pl text
	printf "$good" > "$W/m"
	"$parser" "$W/m"
	printf "${head}h_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 1.5\nh_count 2\n" > "$W/m"
	"$parser" "$W/m"
	for text in 'a_total 5\n' "${good}${good}" "${good}a_total{x=\"1\"} 6\n" "${good}a_total{x=1} 6\n" \
		"${good}a_total{y=\"1\"} -6\n" "${good}\n" "${good}# HELP b B.\n# TYPE b counter\nb 1\n" \
		"${good}# HELP b B.\n# TYPE b gauge\nb 1\na_total{x=\"2\"} 5\n" '' \
		"${head}h_bucket{le=\"1\"} 1\nh_sum 1\nh_count 1\n" \
		"${head}h_bucket{le=\"1\"} 3\nh_bucket{le=\"+Inf\"} 2\nh_sum 1\nh_count 2\n" \
		"${head}h_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 1\nh_count 3\n"; do
		printf "$text" > "$W/m"
		fails "$parser" "$W/m"
	done
}

run_tests "$@"
