#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# check-man.sh PROGRAM PAGE.scd - whether a man page and --help list the same options.
#
# An option's line begins with a dash: in --help behind blanks, in the page's section
# OPTIONS at the margin.  Of "-o uid=N,gid=N" the options are "-o uid" and "-o gid".
set -eu

if [ $# -ne 2 ]; then
	echo "usage: check-man.sh PROGRAM PAGE.scd" >&2
	exit 2
fi
program=$1 page=$2
name=man_$(basename "$page" | sed 's/\..*//')

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' HUP INT TERM

# From lines that begin with options: each option, a line each.
options() {
	awk '{
		for (i = 1; i <= NF && $i ~ /^-/; i++) {
			sub(/,$/, "", $i)
			if ($i != "-o") {
				sub(/=.*/, "", $i)
				print $i
				continue
			}
			count = split($++i, parts, ",")
			for (j = 1; j <= count; j++) {
				sub(/=.*/, "", parts[j])
				print "-o " parts[j]
			}
		}
	}' | LC_ALL=C sort -u
}

"$program" --help >"$dir/text"
sed -n 's/^  *-/-/p' "$dir/text" | options >"$dir/help"
awk '/^# / { inside = $0 == "# OPTIONS" } inside && /^\*-/' "$page" |
	sed 's|[*\]||g' | options >"$dir/page"

good=yes
for list in help page; do
	if [ ! -s "$dir/$list" ]; then
		echo "  no options found in the $list"
		good=no
	fi
done
LC_ALL=C comm -23 "$dir/help" "$dir/page" | sed "s|.*|  '&' is in --help, not in $page|" >"$dir/wrong"
LC_ALL=C comm -13 "$dir/help" "$dir/page" | sed "s|.*|  '&' is in $page, not in --help|" >>"$dir/wrong"
if [ -s "$dir/wrong" ] || [ $good = no ]; then
	cat "$dir/wrong"
	echo "not ok $name"
	exit 1
fi
echo "ok $name"
