#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# test_build.sh - how programs and libraries are built, and what `make install` makes of them.
#
# DATAWAL names a binary of the build that is looked at.  Each test runs in a shell of its own with
# `set -e`, in a fresh directory "$W".
. "$(dirname "$0")/../support/shell.sh"
BUILD=$(dirname "$(readlink -f "${DATAWAL:-build/release/datawal}")")
export BUILD

is_sanitized()
{
	nm -D "$BUILD/datawal" | grep -E '__(a|t)san_init' > /dev/null
}
# What an attacker finds by a wild write: no fixed addresses, no writable tables of functions,
# canaries, and checked copies.
test_build_hardened()
{
	local file
	command -v readelf > /dev/null || skip "no readelf"
	for file in datawalfs datawal datawal-soak datawal-backup libdatawal.so.0; do
		readelf -hW "$BUILD/$file" | grep -E '^ *Type: *DYN'
		readelf -lW "$BUILD/$file" | grep GNU_RELRO
		readelf -dW "$BUILD/$file" | grep -E 'BIND_NOW|FLAGS_1.*NOW'
		readelf -lW "$BUILD/$file" | grep GNU_STACK | grep -v RWE
		is_sanitized || {
			nm -D "$BUILD/$file" | grep -F __stack_chk_fail
			nm -D "$BUILD/$file" | grep -E '__[a-z]+_chk@'
		}
	done
	for file in datawalfs datawal datawal-soak datawal-backup; do
		readelf -dW "$BUILD/$file" | grep -E 'FLAGS_1.*PIE'
	done
}

# A copy of the sources with what was built of them, so that nothing is built again, in "$W/copy";
# and a PATH without scdoc, and without the directories of root's programs, in "$PLAIN".
copy_tree()
{
	is_sanitized && skip "of the released build only"
	mkdir -p "$W/copy/build/release/obj" "$W/bin"
	(cd "$TOP" && cp -a Makefile README.md CHANGELOG.md LICENSE-* engine fs tools docs "$W/copy")
	(cd "$BUILD" && cp -a datawalfs datawal datawal-soak datawal-backup libdatawal.a libdatawal.so.0 \
		datawal.o "$W/copy/build/release")
	cp -a "$BUILD"/obj/engine "$BUILD"/obj/fs "$BUILD"/obj/tools "$W/copy/build/release/obj"
	find /usr/bin /bin -maxdepth 1 -name '[a-z[]*' ! -name scdoc -exec ln -sf -t "$W/bin" {} +
	PLAIN=$W/bin
	[ "$(id -u)" != 0 ] || chown -R 65534:65534 "$W"
}

# as_user COMMAND...: somebody who is not root
as_user()
{
	if [ "$(id -u)" = 0 ]; then
		setpriv --reuid 65534 --regid 65534 --clear-groups env HOME="$W" "$@"
	else
		"$@"
	fi
}
# Without scdoc, as after `make demo`, and by somebody whose PATH has no /sbin.
test_build_install_plain()
{
	copy_tree
	as_user env PATH="$PLAIN" make -s -C copy install DESTDIR="$W/root" prefix=/usr 2> "$W/said"
	grep "no scdoc, so no manual pages; 'tools/install-deps build' installs it" "$W/said"
	[ -x root/usr/bin/datawalfs ]
	[ -e root/usr/include/datawal.h ]
	[ -e root/usr/include/datawal_log.h ]
	[ -z "$(find root -name '*.1')" ]
	as_user env PATH="$PLAIN" make -s -C copy deb > "$W/said" 2>&1 || {
		cat "$W/said"
		return 1
	}
	dpkg-deb -f copy/build/datawalfs_*.deb Depends | grep -E '^fuse3, libc6 \(>= [0-9.]+\), '
	! command -v scdoc > /dev/null || {
		as_user make -s -C copy install DESTDIR="$W/root" prefix=/usr
		[ "$(find root -name '*.1' | wc -l)" = 4 ]
	}
	as_user make -s -C copy uninstall DESTDIR="$W/root" prefix=/usr
	[ -z "$(find root ! -type d)" ]
}

test_build_deb()
{
	command -v dpkg-deb > /dev/null && command -v readelf > /dev/null || skip "no dpkg-deb or no readelf"
	copy_tree
	chmod 755 "$W"
	as_user make -s -C copy deb
	local file doc=x/usr/share/doc/datawalfs target
	dpkg-deb -R copy/build/datawalfs_*.deb x
	for file in x/usr/bin/* x/usr/lib/*/libdatawal.so.0; do
		readelf -SW "$file" > sections
		fails grep -E '\.debug_info|\.symtab' sections
	done
	readelf -SW x/usr/lib/*/libdatawal.a > sections
	grep -F .text sections
	fails grep -F .debug_info sections
	[ "$(du -sk x/usr | cut -f1)" -lt 4000 ]
	zcat "$doc/changelog.gz" | grep -E "^datawalfs \($(dpkg-deb -f copy/build/datawalfs_*.deb Version)\) "
	# what README.md points to is there
	for target in $(grep -oE '\]\([^)#]+\)' "$doc/README.md" | tr -d '])('); do
		[ -e "$doc/$target" ]
	done
	grep -qF 'docs/examples' "$doc/README.md"
	[ -e "$doc/docs/examples/mnt-store.mount" ]
	(cd x && md5sum -c --quiet DEBIAN/md5sums)
	grep -qx 'activate-noawait ldconfig' x/DEBIAN/triggers
	# what the unit runs is there, or essential
	sed -n 's/^Exec[A-Za-z]*=\([^ ]*\).*/\1/p' x/usr/lib/systemd/system/datawalfs@.service | sort -u > "$W/runs"
	printf '/bin/sh\n/usr/bin/datawalfs\n' | cmp - "$W/runs"
}

# A program finds the installed library by pkg-config, the shared one and the static one.
test_build_pkg_config()
{
	command -v pkg-config > /dev/null || skip "no pkg-config"
	copy_tree
	as_user make -s -C copy install DESTDIR="$W/staged" prefix=/opt/dw 2> /dev/null
	cat > program.c <<-END
		#include <datawal.h>
		int main(int argc, char **argv)
		{
			const struct dw_options options = {.create = argc > 1};
			struct dw_store *store;
			if (dw_open(argv[1], &options, NULL, &store))
				return 1;
			if (dw_put(store, (struct dw_bytes){"key", 3}, (struct dw_bytes){"value", 5}))
				return 2;
			return dw_close(store) ? 3 : 0;
		}
	END
	export PKG_CONFIG_PATH=$W/staged/opt/dw/lib/pkgconfig
	local lib=$W/staged/opt/dw/lib flags
	[ "$(pkg-config --modversion libdatawal)" = "$("$BUILD/datawal" --version | sed 's/^datawal //')" ]
	# moved to where it was really put
	flags=$(pkg-config --define-variable=prefix="$W/staged/opt/dw" --cflags --libs libdatawal)
	# shellcheck disable=SC2086 # words
	gcc program.c $flags -o shared
	LD_LIBRARY_PATH=$lib ./shared "$W/s1"
	[ "$("$BUILD/datawal" get "$W/s1" --key key)" = value ]
	rm "$lib"/libdatawal.so*
	flags=$(pkg-config --define-variable=prefix="$W/staged/opt/dw" --static --cflags --libs libdatawal)
	# shellcheck disable=SC2086
	gcc program.c $flags -o static
	./static "$W/s2"
	[ "$("$BUILD/datawal" get "$W/s2" --key key)" = value ]
	# and without any shared library, where there is a static one of each
	if [ -e "$(gcc -print-file-name=libisal.a)" ]; then
		# shellcheck disable=SC2086
		gcc -static program.c $flags -o all
		./all "$W/s3"
	fi
}

run_tests "$@"
