#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# test_library.sh - the library as other programs meet it: the header in C and C++, and which
# names the two libraries define.
#
# DATAWAL names a binary of the build whose libraries are tested.  Each test runs in a shell of
# its own with `set -e`, in a fresh directory "$W".
. "$(dirname "$0")/../support/shell.sh"
LIBRARY=$(dirname "$(readlink -f "${DATAWAL:-build/release/datawal}")")
export LIBRARY

# What datawal.h declares as functions, and the part of it that it includes.
declared()
{
	sed 's/^ \*.*//; s/^\/\*.*//' "$TOP/engine/datawal.h" "$TOP/engine/datawal_log.h" |
		grep -oE '\bdw_[a-z_]+\(' | tr -d '(' | grep -v '_fn$' | sort -u
}

# What a library that was built with sanitizers needs of a program.
sanitizers()
{
	nm -u "$LIBRARY/libdatawal.a" 2>/dev/null | grep __asan_init > /dev/null || return 0
	echo -fsanitize=address,undefined
}

# The static library hides its insides as the shared one does: they may be named as a program's
# own functions are.
test_library_symbols()
{
	declared > "$W/declared"
	[ "$(wc -l < "$W/declared")" -ge 50 ]
	nm -g --defined-only "$LIBRARY/libdatawal.a" | awk 'NF == 3 { print $3 }' | sort -u > "$W/static"
	nm -D --defined-only "$LIBRARY/libdatawal.so.0" | awk '$2 != "A" { print $3 }' |
		sed 's/@.*//' | sort -u > "$W/shared"
	diff "$W/declared" "$W/static"
	diff "$W/declared" "$W/shared"
}

# The example of docs/examples: listing a directory.
test_library_example()
{
	# shellcheck disable=SC2046 # several words
	gcc -std=c11 -Wall -Wextra -Wpedantic -Werror $(sanitizers) -I "$TOP/engine" \
		"$TOP/docs/examples/list.c" "$LIBRARY/libdatawal.a" -lisal -lcrypto -lxxhash -pthread -o "$W/list"
	for key in a b/x b/y b/z/deep b0; do
		"$LIBRARY/datawal" put "$W/store" --key "$key" "of $key" > "$W/out"
	done
	"$W/list" "$W/store" > "$W/root"
	printf '%10d bytes a\n%10d keys  b/\n%10d bytes b0\n' 4 3 5 | diff - "$W/root"
	"$W/list" "$W/store" b/ > "$W/b"
	printf '%10d bytes x\n%10d bytes y\n%10d keys  z/\n' 6 6 1 | diff - "$W/b"
}

test_library_own_names()
{
	cat > "$W/own.c" <<-'END'
		#include <datawal.h>
		int log_init(void) { return 41; }
		int buf_add(void) { return 1; }
		int main(int argc, char **argv)
		{
			const struct dw_options options = {.create = true};
			struct dw_store *store;
			(void)argc;
			if (dw_open(argv[1], &options, NULL, &store) || dw_close(store))
				return 1;
			return log_init() + buf_add() != 42;
		}
	END
	# shellcheck disable=SC2046 # several words
	gcc -std=c11 -Wall -Wextra -Wpedantic -Werror $(sanitizers) -I "$TOP/engine" "$W/own.c" \
		"$LIBRARY/libdatawal.a" -lisal -lcrypto -lxxhash -pthread -o "$W/own"
	"$W/own" "$W/store"
}

cxx() # COMPILER
{
	cat > "$W/use.cc" <<-'END'
		#include <datawal.h>
		#include <cstdlib>
		int main(int, char **argv)
		{
			dw_options options = {};
			dw_store *store = nullptr;
			dw_export *stream = nullptr;
			dw_value value;
			char line[256];
			options.create = true;
			const dw_bytes key = {"k", 1}, put = {"v", 1};
			if (dw_open(argv[1], &options, nullptr, &store) || dw_put(store, key, put) ||
			    dw_get(store, key, &value) || value.size != 1 ||
			    dw_export_open(store, &stream))
				return 1;
			free(value.data);
			ssize_t n = dw_export_read(stream, line, sizeof line);
			dw_export_close(stream);
			return n <= 0 || line[0] != '{' || dw_close(store);
		}
	END
	# shellcheck disable=SC2046 # several words
	"$1" -std=c++11 -Wall -Wextra -Wpedantic -Werror $(sanitizers) -I "$TOP/engine" "$W/use.cc" \
		"$LIBRARY/libdatawal.a" -lisal -lcrypto -lxxhash -pthread -o "$W/use-$1"
	"$W/use-$1" "$W/store-$1"
	"$1" -std=c++20 -Wall -Wextra -Wpedantic -Werror -I "$TOP/engine" -fsyntax-only "$W/use.cc"
}

test_library_gxx()
{
	command -v g++ > /dev/null || skip "no g++"
	cxx g++
}

# AddressSanitizer of one compiler does not go with that of the other.
test_library_clangxx()
{
	command -v clang++ > /dev/null || skip "no clang++"
	if [ -n "$(sanitizers)" ]; then
		clang++ -x c++ -std=c++11 -Wall -Wextra -Wpedantic -Werror -fsyntax-only "$TOP/engine/datawal.h"
	else
		cxx clang++
	fi
}

run_tests "$@"
