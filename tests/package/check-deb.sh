#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# check-deb.sh DEB [DIR] - install the package in a clean Debian (made by debootstrap in DIR,
# or in a temporary directory), mount with mount(8) and from fstab, remove the package.
# As root, with the network and /dev/fuse.  Prints "ok deb_...", "not ok ...", "skip ...".
set -u
deb=$(readlink -f "$1")
[ "$(id -u)" = 0 ] || { echo "skip deb_install: needs root"; exit 0; }
[ -c /dev/fuse ] || { echo "skip deb_install: no /dev/fuse"; exit 0; }
command -v debootstrap >/dev/null || { echo "skip deb_install: no debootstrap; apt-get install debootstrap"; exit 0; }
root=${2:-$(mktemp -d "${TMPDIR:-/tmp}/datawalfs-deb-XXXXXX")}
[ -x "$root/bin/sh" ] || debootstrap --variant=minbase bookworm "$root" http://deb.debian.org/debian >/dev/null ||
	{ echo "skip deb_install: debootstrap failed"; exit 0; }
cp "$deb" "$root/datawalfs.deb"

cat > "$root/check" <<'EOF'
set -e
step() { name=$1; shift; if "$@" >/tmp/log 2>&1; then echo "ok deb_$name"; else echo "not ok deb_$name"; sed 's/^/  /' /tmp/log; fi; }
install_it() { apt-get update -qq && apt-get install -y -qq /datawalfs.deb && datawalfs --version && datawal --help && man_page; }
man_page() { [ -e /usr/share/man/man1/datawalfs.1.gz ] || dpkg -L datawalfs | grep -q man1/datawalfs.1.gz; }
by_mount() {
	mkdir -p /store /mnt/d && mount -t fuse.datawalfs /store /mnt/d -o umask=027 &&
	echo hello > /mnt/d/f && [ "$(stat -c %a /mnt/d/f)" = 640 ] && umount /mnt/d && flock /store/.lock true &&
	[ "$(datawal get /store --key f)" = hello ]
}
by_fstab() {
	echo '/store /mnt/d fuse.datawalfs rw,nofail,_netdev,noauto,allow_other,uid=0 0 0' >> /etc/fstab &&
	mount /mnt/d && [ "$(cat /mnt/d/f)" = hello ] && umount /mnt/d && flock /store/.lock true
}
remove_it() { apt-get remove -y -qq datawalfs && [ ! -e /usr/bin/datawalfs ] && [ -e /store/00000001.dwal ]; }
step install install_it
step mount by_mount
step fstab by_fstab
step remove remove_it
EOF
# a mount namespace of its own: nothing stays mounted, whatever happens
unshare -m bash -c "
	mount -t proc proc '$root/proc'
	mount --rbind /dev '$root/dev'
	mount -t tmpfs tmpfs '$root/tmp'
	chroot '$root' bash /check"
[ $# -gt 1 ] || rm -rf "$root"
