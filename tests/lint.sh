#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# lint.sh - layout, static analysis, the other compiler, and the order of folders.  Silent when
# all is well.
set -u
cd "$(dirname "$0")/.." || exit
bad=0
# the yardsticks keep the layout that they came with
sources=$(git ls-files -co --exclude-standard '*.c' '*.h' ':!tests/bench')
code=$(git ls-files -co --exclude-standard 'engine/*.c' 'fs/*.c' 'tools/*.c')

fault() { echo "lint: $*"; bad=1; }

# shellcheck disable=SC2086 # lists of names
{
	clang-format --dry-run -Werror $sources 2>&1 | grep error: && fault "run 'make format'"
	make -s -j"$(nproc)" CC=clang CI=1 MODE=clang all tests || fault "clang warns"
	make -s -j"$(nproc)" CI=1 all tests || fault "gcc warns"
	cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr \
		--suppress=missingIncludeSystem --suppress=ctuuninitvar --error-exitcode=1 -Iengine -I. -D_GNU_SOURCE \
		-j"$(nproc)" $code || fault "cppcheck complains"
	clang-tidy --quiet $code -- -std=c11 -Iengine -I. -D_GNU_SOURCE \
		-DDATAWALFS_VERSION='"0"' $(pkg-config --cflags fuse3) 2>/dev/null |
		grep -E 'warning:|error:' && fault "clang-tidy complains"
}

# the order of folders, circles and lengths, by the objects that were just built
tests/support/check-layers.pl || bad=1
tests/support/check-map.pl || bad=1
exit $bad
