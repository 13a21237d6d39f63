# SPDX-License-Identifier: MIT OR Apache-2.0
#
# attr.sh - what the tests of attributes share.  Sourced, instead of lib.sh.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
DATAWAL=$(readlink -f "${DATAWAL:-build/release/datawal}")
export DATAWAL

# describe DIR: one line a file: type, mode, owner, times, target; and what it holds
describe()
{
	(cd "$1" && find . -path ./.datawal -prune -o -printf '%P %y %m %U %G %T@ %l\n' | sort)
	(cd "$1" && find . -type f -exec md5sum {} + | sort -k2)
}

# rsync's helpers may still be on their way out
unmount_soon()
{
	wait_until umount "$M"
	wait_released
	! mountpoint -q "$M"
}

mount_others()
{
	mount_store -o allow_other "$@"
}

# as_user COMMAND...: by a user that is nobody's
as_user()
{
	setpriv --reuid 4242 --regid 4343 --clear-groups "$@"
}

need_root()
{
	[ "$(id -u)" = 0 ] || skip "needs root"
	setpriv --reuid 4242 --regid 4343 --clear-groups true || skip "setpriv cannot change users"
}
