#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# test_lint.sh - the order of folders: these sources keep it, and a tree that breaks a rule of
# it is told so, rule by rule; likewise the map of files, and the lists of mutants.
#
# DATAWAL names a binary of the build whose objects are read.  Each test runs in a shell of its
# own with `set -e`, in a fresh directory "$W".
. "$(dirname "$0")/../support/shell.sh"
OBJECTS=$(dirname "$(readlink -f "${DATAWAL:-build/release/datawal}")")/obj
CHECK=$TOP/tests/support/check-layers.pl
export OBJECTS CHECK

# file PATH LINE...: a file of the tree
file()
{
	mkdir -p "$W/tree/$(dirname "$1")"
	printf '%s\n' "${@:2}" > "$W/tree/$1"
}

# A tree in which all is well, in as few files as the rules need.
make_tree()
{
	file tests/layers \
		'engine' 'engine/base  # the first' 'engine/store' \
		'fs/volume' 'fs/fuse' 'tools/common' 'tools/cli tools/soak' \
		'tests/unit/engine/base tests/unit/fs/volume' \
		'part engine sees' 'part fs sees engine' 'part tools sees engine' 'part tests sees *' \
		'header fuse in fs/fuse tests' 'mirror tests/unit' \
		'lines of a file 30' 'lines of a function 10'
	file engine/datawal.h 'int dw_open(void);'
	file engine/base/buf.h 'int buf_add(void);'
	file engine/base/buf.c '#include "base/buf.h"' 'int buf_add(void)' '{' 'return 1;' '}'
	file engine/store/store.h '#include "base/buf.h"' 'int store_put(void);'
	file engine/store/store.c '#include "datawal.h"' '#include "store/store.h"' \
		'int store_put(void)' '{' 'return buf_add();' '}' \
		'int dw_open(void)' '{' 'return store_put();' '}'
	file fs/volume/volume.h 'int volume_open(void);'
	file fs/volume/volume.c '#include "datawal.h"' '#include "fs/volume/volume.h"' \
		'int volume_open(void)' '{' 'return dw_open();' '}'
	file fs/fuse/ops.c '#include <linux/fuse.h>' '#include "fs/volume/volume.h"' \
		'int main(void)' '{' 'return volume_open();' '}'
	file tools/common/path.c '#include "datawal.h"' 'int path_make(void);' \
		'int path_make(void)' '{' 'return dw_open();' '}'
	# two programs, each with a function of that name
	file tools/cli/main.c 'int fail(void);' 'int fail(void)' '{' 'return 1;' '}'
	file tools/cli/other.c 'int fail(void);' 'int main(void)' '{' 'return fail();' '}'
	file tools/soak/main.c 'int fail(void);' 'int path_make(void);' \
		'int fail(void)' '{' 'return path_make();' '}' 'int main(void)' '{' 'return fail();' '}'
	file tests/unit/engine/base/test_buf.c '#include "base/buf.h"' \
		'int main(void)' '{' 'return buf_add();' '}'
	file tests/unit/fs/volume/test_volume.c '#include "store/store.h"' \
		'#include "fs/volume/volume.h"' 'int main(void)' '{' 'return volume_open() + store_put();' '}'
}

# What the check says, in "$W/said"; its exit status.
check_tree()
{
	local source
	cd "$W/tree" || return
	while IFS= read -r source; do
		mkdir -p "build/release/obj/$(dirname "$source")"
		gcc -std=c11 -w -Iengine -I. -c "$source" -o "build/release/obj/${source%.c}.o"
	done < <(find . -name '*.c' -printf '%P\n')
	"$CHECK" > "$W/said" 2>&1
}

# All is well, and nothing is said.
well()
{
	check_tree || { cat "$W/said" >&2; return 1; }
	diff /dev/null "$W/said"
}

# told LINE...: these faults are told, and no other
told()
{
	! check_tree
	diff <(printf 'layers: %s\n' "$@" | sort) <(sort "$W/said")
}

test_lint_sources()
{
	"$CHECK" "$TOP" "$OBJECTS" > "$W/said" || { cat "$W/said" >&2; return 1; }
	diff /dev/null "$W/said"
}

test_lint_well()
{
	make_tree
	well
}

test_lint_folder_undeclared()
{
	make_tree
	file fs/extra/extra.c 'int extra;'
	file tools/loose.h 'int loose(void);'
	told 'folder fs/extra: is not declared in tests/layers' \
		'folder tools: is not declared in tests/layers'
}

test_lint_folder_gone()
{
	make_tree
	rm -r "$W/tree/tests/unit/engine"
	told 'folder tests/unit/engine/base: is declared in tests/layers and has no C in it'
}

test_lint_folder_mirrors_nothing()
{
	make_tree
	mkdir -p "$W/tree/tests/unit/engine/bases"
	mv "$W/tree"/tests/unit/engine/{base,bases}/test_buf.c
	sed -i 's|tests/unit/engine/base|&s|' "$W/tree/tests/layers"
	told 'folder tests/unit/engine/bases: mirrors nothing'
}

test_lint_include_up()
{
	make_tree
	sed -i '1i #pragma once' "$W/tree/engine/base/buf.h" "$W/tree/engine/store/store.h"
	sed -i '2i #include "store/store.h"' "$W/tree/engine/base/buf.h"
	told 'include engine/base/buf.h: "store/store.h": engine/store comes after engine/base'
}

# fs/ and tools/ include the public header of the engine only; the engine nothing of theirs.
test_lint_include_internal()
{
	make_tree
	sed -i '1i #include "base/buf.h"' "$W/tree/fs/volume/volume.h" "$W/tree/tools/common/path.c"
	sed -i '1i #include "fs/volume/volume.h"' "$W/tree/tools/cli/main.c" "$W/tree/engine/store/store.c"
	told 'include fs/volume/volume.h: "base/buf.h": fs/ sees nothing of engine/base' \
		'include tools/common/path.c: "base/buf.h": tools/ sees nothing of engine/base' \
		'include tools/cli/main.c: "fs/volume/volume.h": tools/ sees nothing of fs/volume' \
		'include engine/store/store.c: "fs/volume/volume.h": engine/ sees nothing of fs/volume'
}

test_lint_include_beside()
{
	make_tree
	file tools/soak/say.h 'int say(void);'
	sed -i '1i #include "tools/soak/say.h"' "$W/tree/tools/cli/main.c"
	told 'include tools/cli/main.c: "tools/soak/say.h": tools/soak is beside tools/cli'
}

# Spelled by way of the file's own folder, or of nothing that is there.
test_lint_include_spelled_oddly()
{
	make_tree
	sed -i '1i #  include "../store/store.h"' "$W/tree/engine/base/buf.c"
	mkdir "$W/elsewhere"
	echo > "$W/elsewhere/made.h"
	sed -i '1i #include "../../../elsewhere/made.h"' "$W/tree/fs/volume/volume.c"
	told 'include engine/base/buf.c: "../store/store.h": engine/store comes after engine/base' \
		'include fs/volume/volume.c: "../../../elsewhere/made.h" is no file of the tree'
}

test_lint_fuse_outside()
{
	make_tree
	sed -i '1i #include <linux/fuse.h>' "$W/tree/fs/volume/volume.c"
	told 'include fs/volume/volume.c: <linux/fuse.h> does not belong in fs/volume'
}

# A test may include it, and may define what a library of the system has.
test_lint_fuse_in_tests()
{
	make_tree
	file fs/fuse/ops.c 'int fuse_reply(void);' 'int main(void)' '{' 'return fuse_reply();' '}'
	file tests/unit/fs/volume/test_fuse.c '#include <linux/fuse.h>' 'int fuse_reply(void);' \
		'int fuse_reply(void)' '{' 'return 0;' '}'
	well
}

# A program may define what the C library has, for itself: another one that uses the name calls that.
test_lint_names_of_programs()
{
	make_tree
	file tests/unit/fs/volume/test_one.c 'int spare(void);' 'int spare(void)' '{' 'return 0;' '}' \
		'int main(void)' '{' 'return spare();' '}'
	file tests/unit/engine/base/test_buf.c 'int spare(void);' 'int main(void)' '{' 'return spare();' '}'
	well
}

test_lint_circle_of_headers()
{
	make_tree
	file engine/base/one.h '#pragma once' '#include "base/two.h"'
	file engine/base/two.h '#pragma once' '#include "base/three.h"'
	file engine/base/three.h '#pragma once' '#include "base/one.h"'
	told 'circle of headers in engine/base: one.h three.h two.h'
}

# By a declaration of its own, so that no include shows it.
test_lint_call_up()
{
	make_tree
	file engine/base/buf.c 'int store_put(void), buf_add(void);' \
		'int buf_add(void)' '{' 'return store_put();' '}'
	told 'call engine/base/buf.c -> engine/store/store.c: store_put'
}

# Of the engine only what datawal.h declares, by name; data as well as functions.
test_lint_call_internal()
{
	make_tree
	file engine/base/table.c 'int table[2] = {1, 2};'
	file tools/common/path.c 'extern int table[2]; int buf_add(void), path_make(void);' \
		'int path_make(void)' '{' 'return buf_add() + table[1];' '}'
	told 'call tools/common/path.c -> engine/base/buf.c: buf_add' \
		'call tools/common/path.c -> engine/base/table.c: table'
}

test_lint_circle_of_calls()
{
	make_tree
	file fs/volume/a.c 'int b(void), a(void);' 'int a(void)' '{' 'return b();' '}'
	file fs/volume/b.c 'int c(void), b(void);' 'int b(void)' '{' 'return c();' '}'
	file fs/volume/c.c 'int a(void), c(void);' 'int c(void)' '{' 'return a();' '}'
	told 'circle of calls in fs/volume: a.c b.c c.c'
}

# Without objects calls cannot be judged, so all must not seem well.
test_lint_object_missing()
{
	make_tree
	well
	rm "$W/tree/build/release/obj/fs/fuse/ops.o"
	fails "$CHECK" "$W/tree" > "$W/said"
	grep -q 'calls of fs/fuse/ops.c: there is no .*ops.o; build all and tests first' "$W/said"
}

test_lint_lengths()
{
	make_tree
	file tests/unit/fs/volume/test_long.c '/* a comment is no head */' 'int' 'main(void)' '{' \
		'' '' '' '' '' '' '' '}'
	file engine/base/most.c 'int most(void);' 'int most(void)' '{' '' '' '' '' '' '' 'return 1;' '}'
	{ yes '' || :; } | head -31 > "$W/tree/engine/store/long.h"
	{ yes '' || :; } | head -30 > "$W/tree/engine/store/most.h"
	{ yes '' || :; } | head -32 > "$W/tree/tests/run.sh"
	told 'length of engine/store/long.h: 31 lines, a file has at most 30' \
		'length of tests/run.sh: 32 lines, a file has at most 30' \
		'length of tests/unit/fs/volume/test_long.c main: 11 lines, a function has at most 10'
}

# What is listed, and less of it, is not told; more of it is.
test_lint_known()
{
	make_tree
	file fs/volume/a.c 'int b(void), a(void);' 'int a(void)' '{' 'return b();' '}'
	file fs/volume/b.c 'int a(void), b(void);' 'int b(void)' '{' 'return a();' '}'
	{ yes '' || :; } | head -31 > "$W/tree/engine/store/long.h"
	file tests/layers.known '# why' \
		'circle of calls in fs/volume: a.c b.c c.c -- c.c went out of it' \
		'length of engine/store/long.h: 33 lines -- a contract'
	well
	{ yes '' || :; } | head -34 > "$W/tree/engine/store/long.h"
	sed -i 's/a.c b.c c.c/a.c c.c/' "$W/tree/tests/layers.known"
	told 'circle of calls in fs/volume: a.c b.c' \
		'length of engine/store/long.h: 34 lines, a file has at most 30'
}

# The list only shrinks, and each entry says why.
test_lint_known_mended()
{
	make_tree
	file tests/layers.known 'length of engine/store/gone.h: 33 lines -- a contract'
	told 'tests/layers.known: is mended, take it out: length of engine/store/gone.h: 33 lines -- a contract'
	file tests/layers.known 'length of engine/store/gone.h: 33 lines'
	told 'tests/layers.known: no fault with a reason: length of engine/store/gone.h: 33 lines'
}

# One circle that is left does not vouch for another one of the same folder.
test_lint_known_circle_mended()
{
	make_tree
	file fs/volume/a.c 'int b(void), a(void);' 'int a(void)' '{' 'return b();' '}'
	file fs/volume/b.c 'int a(void), b(void);' 'int b(void)' '{' 'return a();' '}'
	file tests/layers.known 'circle of calls in fs/volume: a.c b.c -- to be broken' \
		'circle of calls in fs/volume: c.c d.c -- to be broken'
	told 'tests/layers.known: is mended, take it out: circle of calls in fs/volume: c.c d.c -- to be broken'
}

# --- the map of files ---

# map ROW...: the output for a map with these rows
map()
{
	file docs/ARCHITECTURE.md '| `gone.c` | before the map |' '## Map' '' '| file | what it is |' \
		'|---|---|' "$@" '## Invariants' '| `gone.c` | behind it |'
	"$TOP/tests/support/check-map.pl" "$W/tree"
}
test_lint_map()
{
	"$TOP/tests/support/check-map.pl" "$TOP"
}

test_lint_map_told()
{
	file engine/base/buf.c ''
	file engine/base/buf.h ''
	file tools/cli/main.c ''
	file tests/unit/test_buf.c ''
	file tools/demo ''
	map '| `engine/base/buf.[ch]` | a buffer |' '| `tools/cli/main.c`, `tools/demo` | see `gone.c` |'
	map '| `engine/base/buf.c`, `buf.h` | a buffer |' '| `tools/cli/main.c` | |'
	fails map '| `engine/base/buf.[ch]`, `bulk.c` | |' '| `engine/base/buf.h` | |' > "$W/said"
	diff - "$W/said" <<-'END'
		map of docs/ARCHITECTURE.md: 'engine/base/buf.h' stands there twice
		map of docs/ARCHITECTURE.md: 'engine/base/bulk.c' does not exist
		map of docs/ARCHITECTURE.md: 'tools/cli/main.c' is missing
	END
}

# --- mutants ---

# mutants LINE...: the output for a list with these lines, in a tree of three files
mutants()
{
	file engine/base/buf.c 'int buf_add(void)' '{' 'return 1;' '}'
	file tests/unit/engine/base/test_buf.c 'static void buf_grows(void)' '{' '}'
	file tests/mount/test_life.sh 'test_life()'
	printf '%s\n' "$@" > "$W/some.list"
	perl "$TOP/tests/mutants/mutate.pl" check "$W/tree" "$W/some.list"
}
# Each mutant applies to these sources, and its tests are there.
test_lint_mutants()
{
	perl "$TOP/tests/mutants/mutate.pl" check "$TOP" "$TOP"/tests/mutants/*.list
}

test_lint_mutants_told()
{
	mutants 'mutant well' 'file engine/base/buf.c' 'test unit/engine/base/test_buf buf_grows' \
		'test mount/test_life.sh test_life' '-return 1;' '+return 0;'
	fails mutants 'mutant gone' 'file engine/base/buf.c' '-return 2;' '+return 0;' > "$W/said"
	grep -qxF "mutant gone: 'return 2;' occurs 0 times" "$W/said"
	fails mutants 'mutant file' 'file engine/base/bufs.c' '-return 1;' > "$W/said"
	grep -qxF 'mutant file: there is no engine/base/bufs.c' "$W/said"
	fails mutants 'mutant program' 'file engine/base/buf.c' 'test unit/test_buf' '-return 1;' > "$W/said"
	grep -qxF 'mutant program: there is no tests/unit/test_buf.c' "$W/said"
	fails mutants 'mutant test' 'file engine/base/buf.c' 'test mount/test_life.sh test_death' \
		'-return 1;' > "$W/said"
	grep -qxF 'mutant test: there is no test_death in tests/mount/test_life.sh' "$W/said"
	diff <(printf '%s\n' 'int buf_add(void)' '{' 'return 1;' '}') "$W/tree/engine/base/buf.c"
}

run_tests "$@"
