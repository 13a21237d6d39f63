# SPDX-License-Identifier: MIT OR Apache-2.0
#
# lib.sh - the mount tests' lib.sh, for tools of the world.
#
# CONFORMANCE_SECONDS: how long each random or stressing part runs (default 15).
SECONDS_EACH=${CONFORMANCE_SECONDS:-15}
LIMIT=${LIMIT:-$((600 + 20 * SECONDS_EACH))}
. "$(dirname "${BASH_SOURCE[0]}")/../mount/lib.sh"
HERE=$(dirname "$DATAWALFS")/tests/conformance

# need PROGRAM PACKAGE: or the test is skipped
need()
{
	command -v "$1" > /dev/null || skip "no $1 (Debian: $2)"
}

# What is in a tree, in a form to compare: types, sizes and sums.
picture()
{
	(cd "$1" && find . ! -type d -printf '%y %s %p\n' | sort && find . -type d | sort &&
		find . -type f -print0 | sort -z | xargs -0 -r cksum)
}

# The store's log is sound, and the mount shows the same after the next mount.
expect_lasting()
{
	picture "$M" > "$W/picture.before"
	unmount_store
	"$(dirname "$DATAWALFS")/datawal" verify "$S"
	mount_store "$@"
	picture "$M" > "$W/picture.after"
	cmp "$W/picture.before" "$W/picture.after"
}
export SECONDS_EACH HERE
export -f need picture expect_lasting
