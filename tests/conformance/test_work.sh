#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# test_work.sh - programs that people work with, in the mount: git, make, vim, sqlite3; and
# two users at once.
. "$(dirname "$0")/lib.sh"

quiet_git()
{
	git -c user.name=t -c user.email=t@example.org -c advice.detachedHead=false \
		-c gc.auto=0 -c safe.directory='*' "$@"
}

# This project's own history, or the test is skipped.
clone_here() # TO
{
	need git git
	quiet_git -C "$TOP" rev-parse -q --verify HEAD > /dev/null || skip "no repository here"
	[ "$(quiet_git -C "$TOP" rev-list --count HEAD)" -gt 5 ] || skip "no history here"
	quiet_git clone -q --no-local "$TOP" "$1"
}
export -f quiet_git clone_here

test_work_git_history()
{
	need git git
	local i
	mount_store
	mkdir "$M/project"
	cd "$M/project"
	quiet_git init -q
	for i in $(seq 30); do
		mkdir -p "d$((i % 5))"
		seq "$i" $((i * 50)) > "d$((i % 5))/f$i"
		[ "$i" -lt 10 ] || quiet_git mv "d$(((i - 9) % 5))/f$((i - 9))" "d$((i % 5))/moved$i"
		quiet_git add -A
		quiet_git commit -qm "change $i"
	done
	quiet_git branch side HEAD~10
	quiet_git checkout -q side
	echo side > side
	quiet_git add -A
	quiet_git commit -qm side
	quiet_git merge -q -m merged master || quiet_git merge -q -m merged main
	quiet_git fsck --full --strict
	quiet_git gc -q --aggressive --prune=now
	quiet_git fsck --full --strict
	quiet_git tag end
	quiet_git reset -q --hard HEAD~3
	quiet_git stash list
	quiet_git reset -q --hard end
	[ -z "$(quiet_git status --porcelain)" ]
	cd "$W"
	expect_lasting
	quiet_git -C "$M/project" fsck --full --strict
	[ "$(quiet_git -C "$M/project" log --oneline side -- | wc -l)" = 32 ]
	unmount_store
}

test_work_git_clone()
{
	mount_store
	clone_here "$M/clone"
	quiet_git -C "$M/clone" fsck --full
	[ -z "$(quiet_git -C "$M/clone" status --porcelain)" ]
	quiet_git -C "$M/clone" rev-parse HEAD^{tree} > "$W/tree"
	quiet_git -C "$M/clone" repack -qad
	local commit
	for commit in $(quiet_git -C "$M/clone" rev-list HEAD | awk 'NR % 9 == 1' | head -8); do
		quiet_git -C "$M/clone" checkout -q "$commit"
		[ -z "$(quiet_git -C "$M/clone" status --porcelain)" ]
	done
	# from the mount to outside, and by a linked work tree
	quiet_git clone -q --no-local "$M/clone" "$W/out"
	quiet_git -C "$M/clone" worktree add -q "$M/linked" "$(quiet_git -C "$TOP" rev-parse HEAD)"
	[ "$(quiet_git -C "$M/linked" rev-parse HEAD^{tree})" = "$(cat "$W/tree")" ]
	remount_store
	quiet_git -C "$M/clone" fsck --full
	rm -r "$M/clone" "$M/linked"
	[ -z "$(ls -A "$M")" ]
	unmount_store
}

test_work_build()
{
	mount_store
	clone_here "$M/clone"
	make -s -C "$M/clone" -j2 all
	# nothing is left to do, also after the next mount: times are what they were
	make -q -C "$M/clone" all
	remount_store
	make -q -C "$M/clone" all
	mkdir "$W/store2" "$W/mnt2"
	cp "$M/clone/build/release/datawalfs" "$W/built" # no mount can run from itself
	chmod +x "$W/built"
	"$W/built" "$W/store2" "$W/mnt2"
	echo works > "$W/mnt2/f"
	[ "$(cat "$W/mnt2/f")" = works ]
	umount "$W/mnt2"
	make -s -C "$M/clone" clean
	unmount_store
}

test_work_vim()
{
	need vim vim
	local how
	mount_store
	for how in "nobackup nowritebackup" "backup backupcopy=yes" "backup backupcopy=no" \
		"backup undofile fsync" "patchmode=.orig"; do
		seq 2000 > "$M/text"
		vim -es -u NONE -N -c "set $how swapfile" -c '%s/^1/one/' -c wq "$M/text"
		seq 2000 | sed 's/^1/one/' | cmp - "$M/text"
		remount_store
		seq 2000 | sed 's/^1/one/' | cmp - "$M/text"
		[ -z "$(find "$M" -name '*.swp')" ]
		rm -f "$M"/text* "$M"/.text*
	done
	[ -z "$(ls -A "$M")" ]
	unmount_store
}

# 1,000 transactions, and the daemon killed in the middle of them, over and over: what
# sqlite3 said was done is there, and the database is sound.
transactions() # JOURNAL_MODE
{
	need sqlite3 sqlite3
	local mode=$1 round done_before=0 acknowledged found
	mount_store
	found=$(sqlite3 "$M/db" "PRAGMA journal_mode=$mode; CREATE TABLE t (n INTEGER PRIMARY KEY, text TEXT);")
	[ "$found" = "$mode" ] || skip "sqlite3 does not do $mode here"
	for round in $(seq 60); do
		perl -e 'my ($mode, $from) = @ARGV; $| = 1;
			print "PRAGMA journal_mode=$mode; PRAGMA synchronous=FULL;\n";
			for my $n ($from + 1 .. 1000) { print "BEGIN; INSERT INTO t VALUES ($n, hex(randomblob(300)));",
				"UPDATE t SET text = text || \"x\" WHERE n = $n / 2; COMMIT;\nSELECT \"ok $n\";\n" }' \
			"$mode" "$done_before" > "$W/statements"
		: > "$W/said"
		sqlite3 -bail "$M/db" < "$W/statements" > "$W/said" 2> "$W/errors" &
		local client=$!
		if [ "$round" -le 5 ]; then
			# in the middle of it, wherever that is
			until [ "$(grep -c '^ok' "$W/said")" -ge $((10 + RANDOM % 150)) ]; do
				kill -0 $client 2>/dev/null || break
			done
			kill -9 "$(daemon_pid)"
		fi
		wait $client || [ "$round" -le 5 ]
		acknowledged=$(sed -n 's/^ok //p' "$W/said" | tail -1)
		acknowledged=${acknowledged:-$done_before}
		if [ "$round" -le 5 ]; then
			umount -l "$M"
			wait_released
			mount_store
		fi
		[ "$(sqlite3 "$M/db" 'PRAGMA integrity_check')" = ok ]
		done_before=$(sqlite3 "$M/db" 'SELECT count(*) FROM t')
		[ "$done_before" -ge "$acknowledged" ]
		[ "$(sqlite3 "$M/db" 'SELECT max(n) FROM t')" = "$done_before" ]
		[ "$done_before" -lt 1000 ] || break
	done
	[ "$done_before" = 1000 ]
	[ "$round" -gt 5 ] # it was killed as often as that
	remount_store
	[ "$(sqlite3 "$M/db" 'PRAGMA integrity_check')" = ok ]
	[ "$(sqlite3 "$M/db" 'SELECT count(*) FROM t')" = 1000 ]
	unmount_store
}
export -f transactions

test_work_sqlite_rollback() { transactions delete; }
test_work_sqlite_truncate() { transactions truncate; }
test_work_sqlite_persist() { transactions persist; }
test_work_sqlite_wal() { transactions wal; }

# Two processes at one database: their locks keep them apart.
test_work_sqlite_two_writers()
{
	need sqlite3 sqlite3
	local mode i pids
	mount_store
	for mode in delete wal; do
		pids=()
		sqlite3 "$M/$mode" "PRAGMA journal_mode=$mode; CREATE TABLE t (n INTEGER); INSERT INTO t VALUES (0);"
		for i in 1 2 3; do
			perl -e 'print ".timeout 60000\n"; print "UPDATE t SET n = n + 1;\n" for 1 .. 100' |
				sqlite3 -bail "$M/$mode" &
			pids+=($!)
		done
		for i in "${pids[@]}"; do wait "$i"; done
		[ "$(sqlite3 "$M/$mode" 'SELECT n FROM t')" = 300 ]
	done
	unmount_store
}

as_user() # UID COMMAND...
{
	setpriv --reuid="$1" --regid="$1" --clear-groups "${@:2}"
}
export -f as_user

test_work_two_users()
{
	[ "$(id -u)" = 0 ] || skip "not root"
	need setpriv util-linux
	chmod 755 "$W"
	mount_store
	echo x > "$M/f"
	fails as_user 65534 cat "$M/f" # nobody else's without the option
	unmount_store
	mount_store -o allow_other,default_permissions
	echo x > "$M/f"
	[ "$(as_user 65534 cat "$M/f")" = x ]
	fails as_user 65534 bash -c "echo y > '$M/f'"
	fails as_user 65534 bash -c "echo y > '$M/new'"
	chmod 600 "$M/f"
	fails as_user 65534 cat "$M/f"
	mkdir "$M/common"
	chmod 1777 "$M/common"
	as_user 65534 bash -c "umask 022; echo mine > '$M/common/a'"
	as_user 1 bash -c "umask 022; echo others > '$M/common/b'"
	[ "$(stat -c %u:%g "$M/common/a" "$M/common/b")" = $'65534:65534\n1:1' ]
	[ "$(as_user 1 cat "$M/common/a")" = mine ]
	fails as_user 1 rm -f "$M/common/a" # sticky
	fails as_user 1 mv "$M/common/a" "$M/common/c"
	fails as_user 1 chmod 777 "$M/common/a"
	fails as_user 1 bash -c "echo z > '$M/common/a'"
	fails as_user 65534 bash -c "echo compact > '$M/.datawal/control'"
	as_user 65534 rm "$M/common/a"
	as_user 1 mkdir "$M/common/dir"
	as_user 1 git init -q "$M/common/dir/repo"
	# both at once, in one directory
	as_user 1 "$HERE/treeops" "$M/common/dir" - 3 > /dev/null &
	as_user 65534 find "$M/common" > /dev/null
	wait $!
	unmount_store
}

run_tests "$@"
