# SPDX-License-Identifier: MIT OR Apache-2.0
#
# snapshots.sh - what tests of snapshots share: a tree of all there is, and its description.
# Sourced, with lib.sh.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# Everything that is to be seen of a tree, but for times of directories: once its names
# were read anew, that of the newest value in one is all it has to go by.
describe()
{
	(
		cd "$1"
		find . -printf '%P %y %m %U %G %l\n' | LC_ALL=C sort
		find . ! -type d -printf '%P %s %T@\n' | LC_ALL=C sort
		find . -type f -printf 'ctime %P %C@\n' | LC_ALL=C sort
		find . -type f -exec sha256sum {} + | LC_ALL=C sort
		find . -type f -o -type d | LC_ALL=C sort | xargs -d '\n' getfattr -d -m -
	)
}

# Directories, attributes, a link, a large file, a key that is also a directory.
fill()
{
	mkdir -p "$M/d/e/f" "$M/empty" "$M/private"
	local i
	for i in $(seq 300); do
		echo "value $i" > "$M/d/e/$i"
	done
	head -c 3000000 /dev/urandom > "$M/large"
	ln -s d/e/7 "$M/link"
	chmod 640 "$M/d/e/1"
	chown 12:34 "$M/d/e/2"
	touch -d '2001-02-03 04:05:06.789' "$M/d/e/3"
	setfattr -n user.colour -v blue "$M/d/e/4"
	chmod 700 "$M/private"
	chmod 751 "$M"
	setfattr -n user.of -v root "$M"
	echo secret > "$M/private/x"
	: > "$M/d/nothing"
}

# Other values, names and attributes for all of it.
change_everything()
{
	local i
	for i in $(seq 300); do
		case $((i % 5)) in
		0) rm "$M/d/e/$i" ;;
		1) echo "other $i" > "$M/d/e/$i" ;;
		2) chmod 600 "$M/d/e/$i" ;;
		3) mv "$M/d/e/$i" "$M/d/e/new$i" ;;
		4) setfattr -n user.colour -v red "$M/d/e/$i" ;;
		esac
	done
	printf X | dd of="$M/large" bs=1 seek=1000000 conv=notrunc status=none
	ln -sfn elsewhere "$M/link"
	mv "$M/d" "$M/moved"
	rmdir "$M/empty" "$M/moved/e/f"
	chmod 755 "$M/private" "$M"
	setfattr -x user.of "$M"
	echo new > "$M/new"
}
# What of it a copy can have.
describe_copy()
{
	describe "$1" | grep -v '^ctime '
}
export -f describe describe_copy fill change_everything
