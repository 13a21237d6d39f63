#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# test_stress.sh - programs that put a file system under load and check what they get:
# stress-ng, fio, bonnie++, dbench, postmark.  Sizes are such that no file gets larger
# than the 64 MiB that a value may have.
. "$(dirname "$0")/lib.sh"

# stress STRESSOR [OPTIONS...]: two at once, verifying
stress()
{
	need stress-ng stress-ng
	local rc=0
	mount_store
	stress-ng --temp-path "$M" --"$1" 2 --timeout $((SECONDS_EACH / 10 + 1))s --verify \
		--metrics-brief "${@:2}" > "$W/stress.log" 2>&1 || rc=$?
	cat "$W/stress.log"
	case $rc in
	3 | 4) skip "$(grep -E 'skipp|not ' "$W/stress.log" | head -1 | sed 's/.*\] //')" ;;
	0) ;;
	*) return 1 ;;
	esac
	# that it could do something
	! grep -E 'skipp(ed|ing) stress' "$W/stress.log" ||
		skip "$(grep -E 'skipp' "$W/stress.log" | head -1 | sed 's/.*\] //')"
	expect_lasting
	unmount_store
}
export -f stress

# NAME [OPTIONS...]: a test of its own for each
while read -r stressor options; do
	eval "test_stress_ng_${stressor//-/_}() { stress $stressor $options; }"
done <<'LIST'
access
aio
aiol
chattr
chdir
chmod
chown
dentry
dir
dirdeep
dirmany
dnotify
fallocate --fallocate-bytes 32M
fanotify
fault
fcntl
fiemap
file-ioctl
filename
flock
fpunch
fsize
fstat
getdent
hdd --hdd-bytes 32M
inode-flags
inotify
io
iomix --iomix-bytes 16M
lease
link
locka
lockf
lockofd
mknod
mmap --mmap-file --mmap-bytes 16M
msync --msync-bytes 16M
open
readahead --readahead-bytes 32M
rename
revio --revio-bytes 16M
seek --seek-size 32M
sendfile
splice
symlink
sync-file --sync-file-bytes 32M
touch
utime
xattr
LIST

# fio_job NAME OPTIONS...: write and verify; verify again after the next mount
fio_job()
{
	need fio fio
	mount_store
	local job=(--name="$1" --directory="$M" --verify=crc32c --verify_fatal=1 --randrepeat=1
		--allow_file_create=1 --fallocate=none --output="$W/fio.log" "${@:2}")
	fio "${job[@]}" --do_verify=1 || { cat "$W/fio.log"; return 1; }
	remount_store
	fio "${job[@]}" --verify_only=1 || { cat "$W/fio.log"; return 1; }
	cat "$W/fio.log"
	grep -q 'READ: ' "$W/fio.log" # it did read
	unmount_store
}
export -f fio_job

test_fio_sync_sequential() { fio_job s --ioengine=sync --rw=write --bs=128k --size=48m; }
test_fio_sync_random() { fio_job r --ioengine=psync --rw=randwrite --bs=4k --size=24m --numjobs=2; }
test_fio_sync_fsync() { fio_job f --ioengine=psync --rw=randwrite --bs=16k --size=4m --fsync=16; }
test_fio_mmap_random() { fio_job m --ioengine=mmap --rw=randwrite --bs=4k --size=24m; }
test_fio_mmap_odd_sizes() { fio_job o --ioengine=mmap --rw=write --bsrange=1k-32k --size=16m; }
test_fio_aio_direct() { fio_job a --ioengine=libaio --direct=1 --iodepth=8 --rw=randwrite --bs=4k --size=16m; }
test_fio_small_files() { fio_job n --ioengine=sync --rw=write --bs=2k --nrfiles=500 --filesize=10k --openfiles=50; }

test_bonnie()
{
	need bonnie++ bonnie++
	mount_store
	local user=()
	[ "$(id -u)" != 0 ] || user=(-u root)
	bonnie++ -d "$M" -s 48 -r 24 -n 4:4096:0:8 -x 1 "${user[@]}" > "$W/bonnie.log" 2>&1 || {
		cat "$W/bonnie.log"
		return 1
	}
	[ -z "$(ls -A "$M")" ]
	unmount_store
}

test_dbench()
{
	need dbench dbench
	mount_store
	dbench -D "$M" -t "$SECONDS_EACH" 2 > "$W/dbench.log" 2>&1 || { cat "$W/dbench.log"; return 1; }
	tail -12 "$W/dbench.log"
	grep -q '^Throughput ' "$W/dbench.log"
	! grep -iE 'failed|error|No such' "$W/dbench.log"
	expect_lasting
	unmount_store
}

test_postmark()
{
	need postmark postmark
	mount_store
	postmark > "$W/postmark.log" 2>&1 <<-LINES
		set location $M
		set number 2000
		set transactions $((SECONDS_EACH * 1000))
		set size 100 100000
		set subdirectories 20
		set seed 5
		run
		quit
	LINES
	cat "$W/postmark.log"
	grep -q 'per second' "$W/postmark.log"
	! grep -i 'error' "$W/postmark.log"
	[ -z "$(ls -A "$M")" ]
	unmount_store
}

run_tests "$@"
