#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# test_systemd.sh - the unit under a systemd of its own: what the unit takes away from the daemon
# is nothing that it needs, and its mount is seen outside of it.
#
# systemd runs as the first process of namespaces (pids, mounts, control groups, network and
# others), with the unit, one that uses the mount, and nothing else.
. "$(dirname "$0")/lib.sh"

# The units, and "$W/use", which is what is done with the mount.
make_units()
{
	local name
	mkdir "$W/units"
	for name in sysinit basic local-fs shutdown multi-user emergency rescue; do
		printf '[Unit]\nDefaultDependencies=no\n' > "$W/units/$name.target"
	done
	printf '[Unit]\nDefaultDependencies=no\nRequires=use.service\n' > "$W/units/only.target"
	printf 'STORE=%s\nMOUNTPOINT=%s\nOPTIONS=-o log=%s,allow_other\n' "$S" "$M" "$W/log6" > "$W/store.conf"
	sed "s|/usr/bin/datawalfs|$DATAWALFS|; s|/etc/datawalfs/%i.conf|$W/store.conf|" \
		"$TOP/tools/systemd/datawalfs@.service" > "$W/units/datawalfs@.service"
	printf 'StandardError=append:%s\n' "$W/daemon.err" | sed -i '/^Type=notify/r /dev/stdin' \
		"$W/units/datawalfs@.service"
	cat > "$W/units/use.service" <<-END
		[Unit]
		Wants=datawalfs@store.service
		After=datawalfs@store.service
		[Service]
		Type=oneshot
		ExecStart=/bin/bash -ex $W/use
		# ends this systemd
		ExecStopPost=/bin/sh -c 'kill -s RTMIN+14 1'
		StandardOutput=append:$W/used
		StandardError=append:$W/used
	END
}
export -f make_units

# A group of its own in the hierarchy of control groups; then systemd in it.
boot()
{
	groups=$(findmnt -nro TARGET -t cgroup2 | head -1)
	[ -n "$groups" ] && mkdir "$groups/datawalfs-test-$$" 2> /dev/null || skip "no cgroup2 that can be written"
	groups=$groups/datawalfs-test-$$ # for the trap, when all is over
	trap 'find "$groups" -depth -type d -exec rmdir {} \; 2> /dev/null || true' EXIT
	timeout -s KILL 90 bash -c "
		echo \$\$ > '$groups/cgroup.procs' &&
		exec unshare -p -f -m -u -i -n -C --propagation private --kill-child bash -c '
			mount -t proc proc /proc && mount -t tmpfs tmpfs /run && mkdir /run/systemd /run/lock &&
			umount -l /sys/fs/cgroup && mount -t cgroup2 cgroup2 /sys/fs/cgroup || exit 77
			export container=lxc SYSTEMD_UNIT_PATH=$W/units
			exec /lib/systemd/systemd --unit=only.target --log-target=console < /dev/null'
	" > "$W/booted" 2>&1 || [ -s "$W/used" ] || skip "systemd cannot be the first process of a namespace here"
}
export -f boot

test_systemd_unit()
{
	[ "$(id -u)" = 0 ] || skip "needs root"
	[ -x /lib/systemd/systemd ] || skip "no systemd"
	# a sanitizer does what no service does
	! nm -D "$DATAWALFS" | grep -E '__(a|t)san_init' > /dev/null || skip "of the released build only"
	findmnt -no TARGET /sys/fs/cgroup > /dev/null || skip "no control groups at their place"
	make_units
	cat > "$W/use" <<-END
		mountpoint -q $M
		echo value > $M/key
		head -c 3000000 /dev/zero > $M/large
		sync $M/large
		chmod 4750 $M/large
		ln -s key $M/link
		mkdir $M/d
		mv $M/key $M/d/key
		for command in sync rotate compact verify 'compact auto' 'export all'; do
			echo "\$command" > $M/.datawal/control
		done
		mkdir $M/.datawal/snapshots/now
		cat $M/.datawal/snapshots/now/d/key
		rmdir $M/.datawal/snapshots/now
		cat $M/.datawal/export.jsonl $M/.datawal/metrics > /dev/null
		systemctl reload datawalfs@store
		systemctl is-active datawalfs@store
		systemctl stop datawalfs@store
		systemctl show -p Result,ExecMainStatus datawalfs@store
		! mountpoint -q $M
		flock -n $S/.lock echo free
		# killed: started again by the unit, over the mount that it left
		systemctl start datawalfs@store
		kill -KILL \$(head -1 $S/.lock)
		until [ "\$(stat -c %s $M/large)" = 3000000 ] && touch $M/again; do read -rt 0.1 <> <(:) || true; done
		systemctl stop datawalfs@store
		echo end
	END
	boot
	cat "$W/used"
	grep -qx end "$W/used"
	grep -qx active "$W/used"
	grep -qx Result=success "$W/used"
	grep -qx ExecMainStatus=0 "$W/used"
	grep -qx free "$W/used"
	grep -qx value "$W/used"
	[ "$(wc -l < "$S/.export/all")" = 4 ]
	# nothing was refused to it, by the filter or otherwise
	fails grep -iE 'operation not permitted|permission denied|warning|error' "$W/log6"
	grep -q 'opened the log again' "$W/log6"
	mount_store
	[ "$(cat "$M/d/key" "$M/link" 2> /dev/null)" = value ]
	[ -e "$M/again" ]
	unmount_store
}

run_tests "$@"
