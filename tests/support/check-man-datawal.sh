#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# check-man-datawal.sh PROGRAM PAGE.scd - whether the man page and --help of every command
# agree: the commands, their usage, and their options; and the options of all.
#
# In the page a command is a heading "## NAME USAGE" under "# COMMANDS", with its options
# at the margin below.
set -eu

if [ $# -ne 2 ]; then
	echo "usage: check-man-datawal.sh PROGRAM PAGE.scd" >&2
	exit 2
fi
program=$1 page=$2

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' HUP INT TERM
: >"$dir/wrong"

# From lines that begin with options: each option, a line each.
options() {
	awk '{ for (i = 1; i <= NF && $i ~ /^-/; i++) { sub(/,$/, "", $i); print $i } }' |
		LC_ALL=C sort -u
}

# The options that --help, on stdin, tells of.
of_help() { sed -n 's/^  *-/-/p' | options; }

# The lines of a section of the page, up to the next heading of its rank.
section() {
	awk -v head="$1" '$0 == head { inside = 1; next } /^#/ { inside = 0 } inside' "$page"
}

of_page() { grep '^\*-' | sed 's|[*\]||g' | options; }

# compare WHAT: $dir/help with $dir/page
compare() {
	LC_ALL=C comm -23 "$dir/help" "$dir/page" |
		sed "s|.*|  $1: '&' is in --help, not in $page|" >>"$dir/wrong"
	LC_ALL=C comm -13 "$dir/help" "$dir/page" |
		sed "s|.*|  $1: '&' is in $page, not in --help|" >>"$dir/wrong"
}

"$program" --help >"$dir/text"
of_help <"$dir/text" >"$dir/help"
section "# OPTIONS" | of_page >"$dir/page" || true
compare options
cp "$dir/page" "$dir/global"

sed -n '/^Commands:/,/^$/s/^    \([a-z]*\) .*/\1/p' "$dir/text" | LC_ALL=C sort >"$dir/help"
awk '/^# / { inside = $0 == "# COMMANDS" } inside && /^## / { print $2 }' "$page" |
	LC_ALL=C sort >"$dir/page"
compare commands
cp "$dir/help" "$dir/commands"

while read -r command; do
	"$program" "$command" --help >"$dir/text"
	usage=$(sed -n 's/^usage: datawal //p' "$dir/text")
	if ! grep -qxF "## $usage" "$page"; then
		echo "  $command: $page has no heading '## $usage'" >>"$dir/wrong"
		continue
	fi
	grep -q '^Example:' "$dir/text" || echo "  $command: no example" >>"$dir/wrong"
	of_help <"$dir/text" | LC_ALL=C comm -23 - "$dir/global" >"$dir/help"
	section "## $usage" | of_page >"$dir/page" || true
	compare "$command"
done <"$dir/commands"

if [ -s "$dir/wrong" ] || [ "$(wc -l <"$dir/commands")" -lt 10 ] || [ ! -s "$dir/global" ]; then
	cat "$dir/wrong"
	echo "not ok man_datawal"
	exit 1
fi
echo "ok man_datawal"
