#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# test_attr_users.sh - owners, modes and attributes with more than one user.
. "$(dirname "$0")/attr.sh"

test_attr_users()
{
	need_root
	chmod 755 "$W"
	mount_others
	chmod 1777 "$M"
	as_user sh -c "umask 027; mkdir '$M/u'; echo mine > '$M/u/f'; ln -s f '$M/u/l'"
	[ "$(stat -c '%a %u %g' "$M/u")" = '750 4242 4343' ]
	[ "$(stat -c '%a %u %g' "$M/u/f")" = '640 4242 4343' ]
	[ "$(stat -c '%u %g' "$M/u/l")" = '4242 4343' ]
	echo root > "$M/r"
	chmod 600 "$M/r"
	fails as_user cat "$M/r"
	fails as_user chmod 644 "$M/r"
	fails as_user chown 4242 "$M/r"
	fails as_user chown 0 "$M/u/f"
	# sticky: only the owner removes
	fails as_user rm -f "$M/r"
	fails as_user mv "$M/r" "$M/u/r"
	unmount_store
	mount_others
	[ "$(stat -c '%a' "$M")" = 1777 ]
	[ "$(stat -c '%a %u %g' "$M/u/f")" = '640 4242 4343' ]
	fails as_user cat "$M/r"
	[ "$(as_user cat "$M/u/l")" = mine ]
	# what a user copies is that user's, and lasts
	mkdir "$W/src"
	chown 4242:4343 "$W/src"
	cd "$W/src"
	as_user sh -c 'mkdir d; echo 1 > d/1; echo 2 > 2; ln -s 2 l; chmod 0400 2; touch -d 2000-01-01 d/1'
	# whole seconds: rsync keeps no others of directories and links
	as_user touch -d 2000-01-02 d .
	as_user touch -h -d 2000-01-03 l
	as_user rsync -a "$W/src/" "$M/u/copy/"
	[ -z "$(as_user rsync -a -i "$W/src/" "$M/u/copy/")" ]
	cd "$W"
	unmount_soon
	mount_others
	[ -z "$(as_user rsync -a -i "$W/src/" "$M/u/copy/")" ]
	describe "$W/src" > want
	describe "$M/u/copy" | diff want -
	as_user cp -a "$W/src" "$M/u/copy2"
	describe "$M/u/copy2" | diff want -
	unmount_soon
}

test_attr_setgid_and_setuid()
{
	need_root
	chmod 755 "$W"
	mount_others
	mkdir "$M/g"
	chgrp 5555 "$M/g"
	chmod 2777 "$M/g"
	as_user sh -c "echo x > '$M/g/f'; mkdir '$M/g/d'; echo x > '$M/g/d/f'"
	[ "$(stat -c '%a %u %g' "$M/g/f")" = '644 4242 5555' ]
	[ "$(stat -c '%a %u %g' "$M/g/d")" = '2755 4242 5555' ]
	[ "$(stat -c '%a %u %g' "$M/g/d/f")" = '644 4242 5555' ]
	# not of that group: no setgid for its file
	as_user chmod 2755 "$M/g/f"
	[ "$(stat -c '%a' "$M/g/f")" = 755 ]
	echo '#!/bin/sh' > "$M/s"
	chmod 6777 "$M/s"
	[ "$(stat -c '%a' "$M/s")" = 6777 ]
	as_user sh -c "echo more >> '$M/s'"
	[ "$(stat -c '%a' "$M/s")" = 777 ]
	unmount_store
	mount_others
	[ "$(stat -c '%a' "$M/s")" = 777 ]
	[ "$(stat -c '%a %u %g' "$M/g/d/f")" = '644 4242 5555' ]
	chmod 4755 "$M/s"
	as_user cat "$M/s" > /dev/null
	[ "$(stat -c '%a' "$M/s")" = 4755 ]
	chown 4242 "$M/s"
	[ "$(stat -c '%a %u' "$M/s")" = '755 4242' ]
	unmount_store
	mount_others
	[ "$(stat -c '%a %u' "$M/s")" = '755 4242' ]
	unmount_store
}

# A link in the place of the attributes is not followed: nothing is made or deleted behind it.
test_attr_link()
{
	mkdir "$W/victim"
	"$DATAWAL" put "$W/victim" --key fother --file /etc/hostname
	echo precious > "$W/victim/00000007.dwal.compact"
	(cd "$W/victim" && find . -printf '%P %s %T@ %C@\n' | sort) > before
	"$DATAWAL" put "$S" --key a one
	ln -s "$W/victim" "$S/.attr"
	mount_store -o log="$W/messages"
	grep "'.attr' inside the store is no directory (a link is not followed)" "$W/messages"
	[ "$(cat "$M/a")" = one ]
	fails chmod 600 "$M/a"
	echo two > "$M/b"
	unmount_store
	(cd "$W/victim" && find . -printf '%P %s %T@ %C@\n' | sort) | cmp - before
	[ "$("$DATAWAL" get "$S" --key b)" = two ]
}

# What the mount refuses to another user he does not find in the store either.
test_attr_private_store()
{
	need_root
	chmod 755 "$W" "$S"
	mount_others -o log="$W/messages"
	echo secret > "$M/a"
	chmod 600 "$M/a"
	fails as_user cat "$M/a"
	fails as_user "$DATAWAL" get "$S" --key a
	grep "Permission denied" "$W/stderr"
	[ -z "$(find "$S" -type f -perm /077)" ]
	fails as_user flock -n "$S/.lock" true
	unmount_store
	fails grep "other users" "$W/messages"
	# of a store that others may read already, the owner's choice counts, and is told once
	chmod 644 "$S/00000001.dwal"
	mount_others -o log="$W/messages"
	echo more > "$M/b"
	fails grep "other users" "$W/messages"
	chmod 600 "$M/a" "$M/b"
	chmod 640 "$M/b"
	mkdir -m 700 "$M/d"
	echo rotate > "$M/.datawal/control"
	[ "$(grep -c "other users may read the store's files" "$W/messages")" = 1 ]
	unmount_store
	[ "$(stat -c %a "$S/00000002.dwal")" = 644 ]
	[ "$(stat -c %a "$S/.lock")" = 600 ]
}

run_tests "$@"
