# datawalfs - see README.md.  SAN=1: ASan and UBSan; TSAN=1: ThreadSanitizer.
VERSION := 0.1.0
MODE := $(if $(TSAN),tsan,$(if $(SAN),san,release))
O := build/$(MODE)
prefix ?= /usr/local
bindir ?= $(prefix)/bin
# where Debian looks: below /usr by architecture, elsewhere plainly
libdir ?= $(prefix)/lib$(if $(filter /usr,$(prefix)),/$(shell $(CC) -print-multiarch))
includedir ?= $(prefix)/include
mandir ?= $(prefix)/share/man
bashdir ?= $(prefix)/share/bash-completion/completions
unitdir ?= $(prefix)/lib/systemd/system
zshdir ?= $(prefix)/share/zsh/$(if $(filter /usr,$(prefix)),vendor-completions,site-functions)

ifeq ($(origin CC),default)
CC := gcc
endif
OBJCOPY ?= objcopy
# V=1 shows the commands
Q := $(if $(V),,@)
PKGS := fuse3 libcrypto libxxhash jansson
# What makes a fault harder to exploit; sanitizers find more by themselves.
HARDEN := -fstack-protector-strong -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
HARDEN_LINK := -Wl,-z,relro,-z,now
PIE = $(if $(filter -static,$(LDFLAGS)),,-pie)
# the sanitizers' own options; -O1 keeps their stacks readable
OPT_release := -O2 $(HARDEN)
OPT_san := -O1 -DSTORE_CHECKS -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
# of `make fuzz`, with clang
OPT_fuzz := -O1 -DSTORE_CHECKS -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
OPT_tsan := -O1 -DSTORE_CHECKS -fsanitize=thread -fno-omit-frame-pointer
WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wstrict-prototypes \
	-Wmissing-prototypes -Wpointer-arith -Wwrite-strings -Wvla -Wundef
# a result that is ignored is cast to void, which gcc does not take where _FORTIFY_SOURCE asks for it
WARNINGS += $(if $(findstring clang,$(CC)),,-Wno-unused-result)
# a macro of libfuse's option parser puts -1U into a long
EXTRA_options.o := $(if $(findstring clang,$(CC)),-Wno-implicit-int-conversion)
PKG_CFLAGS = $(shell pkg-config --cflags $(PKGS))
PKG_LIBS_ENGINE = $(shell pkg-config --libs libcrypto libxxhash) -lisal -pthread
PKG_LIBS = $(shell pkg-config --libs $(PKGS)) -lisal -pthread
override CPPFLAGS += -Iengine -I. -D_GNU_SOURCE -DDATAWALFS_VERSION='"$(VERSION)"'
ALL_CFLAGS = -std=c11 -g -fPIC $(OPT_$(MODE)) $(WARNINGS) $(if $(CI),-Werror) $(PKG_CFLAGS) -pthread $(CFLAGS)

SRC_ENGINE := $(wildcard engine/*/*.c)
SRC_FS := $(wildcard fs/*/*.c)
# a program, and the folder of tools/ that it is made of
DIR_datawal := cli
DIR_datawal-soak := soak
DIR_datawal-backup := backup
TOOLS := datawal datawal-soak datawal-backup
SRC_TOOLS_COMMON := $(wildcard tools/common/*.c)
MAN := $(basename $(notdir $(wildcard docs/man/*.scd)))
# without scdoc everything else is installed, and a line says what is missing
MAN_PAGES = $(if $(shell command -v scdoc 2>/dev/null),$(addprefix build/man/,$(MAN)))
SRC_SUPPORT := $(wildcard tests/support/*.c)
FUZZERS := $(patsubst tests/%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
# what fuzzers share; with libFuzzer, main() is not ours
SRC_FUZZ := $(addprefix tests/fuzz/,fuzz.c memio.c naive.c $(if $(filter fuzz,$(MODE)),,driver.c))
# unit tests stand in folders like those that they test
TESTS := $(FUZZERS) $(patsubst tests/%.c,%,$(wildcard $(addprefix tests/,unit/*.c unit/*/*/*.c model/*.c crash/*.c golden/*.c thread/*.c cli/*.c mount/*.c conformance/*.c)))
objs = $(patsubst %.c,$(O)/obj/%.o,$(1))

.DEFAULT_GOAL := all
.PHONY: all demo check check-fast check-mount check-crash conformance mutants lint format install uninstall deb check-deb bench bench-features model clean tests man fuzz bench-kv bench-fs
.DELETE_ON_ERROR:
# make would otherwise take the objects of test programs for intermediate files
.SECONDARY:

# with the fuzzers, so that they do not rot
all: $(O)/datawalfs $(O)/libdatawal.a $(O)/libdatawal.so.0 $(addprefix $(O)/,$(TOOLS)) $(addprefix $(O)/tests/,$(FUZZERS))

$(O)/obj/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(EXTRA_$(@F)) $(CPPFLAGS) -MMD -MP -c $< -o $@

# Of both libraries only what datawal.h declares is visible outside; of the static one, which is
# therefore one object, the rest becomes local to it.
$(O)/libdatawal.a: $(call objs,$(SRC_ENGINE))
	$(Q)$(CC) $(CFLAGS) -r -nostdlib $^ -o $(O)/datawal.o
	$(Q)$(OBJCOPY) -w --keep-global-symbol='dw_*' $(O)/datawal.o
	$(Q)rm -f $@
	$(Q)$(AR) rcs $@ $(O)/datawal.o

# for tests, which see the rest as well
$(O)/engine.a: $(call objs,$(SRC_ENGINE))
	$(Q)rm -f $@
	$(Q)$(AR) rcs $@ $^

$(O)/libdatawal.so.0: $(call objs,$(SRC_ENGINE)) engine/libdatawal.map
	$(Q)$(CC) $(ALL_CFLAGS) $(HARDEN_LINK) $(LDFLAGS) -shared -Wl,-soname,libdatawal.so.0 \
		-Wl,--version-script=engine/libdatawal.map $(filter %.o,$^) $(PKG_LIBS_ENGINE) -o $@

# for tests, each of which takes out of it what it calls
$(O)/fs.a: $(call objs,$(filter-out fs/daemon/main.c,$(SRC_FS)))
	$(Q)rm -f $@
	$(Q)$(AR) rcs $@ $^

$(O)/datawalfs: $(call objs,$(SRC_FS)) $(O)/libdatawal.a
	$(Q)$(CC) $(ALL_CFLAGS) $(PIE) $(HARDEN_LINK) $(LDFLAGS) $^ $(PKG_LIBS) -o $@

define tool_rule
$(O)/$(1): $(call objs,$(wildcard tools/$(DIR_$(1))/*.c) $(SRC_TOOLS_COMMON)) $(O)/libdatawal.a
	$$(Q)$$(CC) $$(ALL_CFLAGS) $$(PIE) $$(HARDEN_LINK) $$(LDFLAGS) $$^ $$(PKG_LIBS) -o $$@
endef
$(foreach tool,$(TOOLS),$(eval $(call tool_rule,$(tool))))

$(O)/tests/%: $(O)/obj/tests/%.o $(call objs,$(SRC_SUPPORT)) $(O)/fs.a $(O)/engine.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(PIE) $(HARDEN_LINK) $(LDFLAGS) $^ $(PKG_LIBS) -lcunit -o $@

$(O)/tests/unit/tools/common/test_when: $(call objs,tools/common/when.c)
$(O)/tests/fuzz/fuzz_jsonl: $(call objs,tools/cli/jsonl.c tools/common/base64.c)
$(O)/tests/fuzz/fuzz_%: $(O)/obj/tests/fuzz/fuzz_%.o $(call objs,$(SRC_FUZZ)) $(O)/fs.a $(O)/engine.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(if $(filter fuzz,$(MODE)),-fsanitize=fuzzer) $(LDFLAGS) $^ $(PKG_LIBS) -o $@

tests: $(addprefix $(O)/tests/,$(TESTS))

demo:
	tools/install-deps build
	$(MAKE) all
	tools/demo $(O)/datawalfs

# Everything, in the modes that find something there; prints one closing line.
check:
	tools/install-deps check
	tests/run.sh

# What needs no mount, in this mode: for the inner loop.
check-fast: all tests
	tests/run.sh --only "$(O)"

check-mount: all $(patsubst %.c,$(O)/%,$(wildcard tests/mount/*.c))
	tests/run.sh --mount "$(O)"

# The mount and the tools of the world; tests/conformance/run.sh has the variables.
conformance:
	tools/install-deps conformance || true # what is missing is skipped, with its name
	$(MAKE) all $(patsubst %.c,$(O)/%,$(wildcard tests/conformance/*.c))
	tests/conformance/run.sh "$(O)"

check-crash: tests
	tests/run.sh --crash "$(O)"

# The protocols of compaction and of the zeros ahead, as models checked by spin.
model:
	tools/install-deps model || true # without spin it says so
	tests/run-models.sh

# Each fuzzer for so many seconds with libFuzzer, from its seeds on.
FUZZ_SECONDS ?= 60
fuzz: $(addprefix $(O)/tests/,$(FUZZERS))
	$(Q)$(MAKE) MODE=fuzz CC=clang $(addprefix build/fuzz/tests/,$(FUZZERS))
	tests/fuzz/run.sh "$(O)" $(FUZZ_SECONDS)

# Break the code a little, many times over: a test must notice each time.
mutants:
	tests/mutants/run.sh

lint:
	tests/lint.sh

format:
	# the yardsticks keep the layout that they came with
	clang-format -i $$(git ls-files -co --exclude-standard '*.c' '*.h' ':!tests/bench')

man: $(addprefix build/man/,$(MAN))

build/man/%: docs/man/%.scd
	@mkdir -p $(@D)
	scdoc < $< > $@

PROGRAMS := datawalfs $(TOOLS)

install: $(addprefix $(O)/,$(PROGRAMS)) $(O)/libdatawal.a $(O)/libdatawal.so.0 $(MAN_PAGES)
	install -d $(DESTDIR)$(bindir) $(DESTDIR)$(libdir)/pkgconfig $(DESTDIR)$(includedir) \
		$(DESTDIR)$(mandir)/man1 $(DESTDIR)$(bashdir) $(DESTDIR)$(zshdir) $(DESTDIR)$(unitdir)
	install -m755 $(addprefix $(O)/,$(PROGRAMS)) $(DESTDIR)$(bindir)
	install -m644 $(O)/libdatawal.a $(O)/libdatawal.so.0 $(DESTDIR)$(libdir)
	ln -sf libdatawal.so.0 $(DESTDIR)$(libdir)/libdatawal.so
	install -m644 engine/datawal.h engine/datawal_log.h $(DESTDIR)$(includedir)
	sed 's|@prefix@|$(prefix)|; s|@libdir@|$(patsubst $(prefix)/%,$${prefix}/%,$(libdir))|; s|@version@|$(VERSION)|; s|@includedir@|$(patsubst $(prefix)/%,$${prefix}/%,$(includedir))|' \
		engine/libdatawal.pc.in > $(DESTDIR)$(libdir)/pkgconfig/libdatawal.pc
	$(if $(MAN_PAGES),install -m644 $(MAN_PAGES) $(DESTDIR)$(mandir)/man1,@echo "no scdoc, so no manual pages; 'tools/install-deps build' installs it" >&2)
	install -m644 tools/completions/datawal.bash $(DESTDIR)$(bashdir)/datawal
	install -m644 tools/completions/_datawal $(DESTDIR)$(zshdir)
	sed 's|/usr/bin/|$(bindir)/|' tools/systemd/datawalfs@.service > $(DESTDIR)$(unitdir)/datawalfs@.service
	@[ -n "$(DESTDIR)" ] || [ "$$(id -u)" != 0 ] || PATH="$$PATH:/usr/sbin:/sbin" ldconfig

uninstall:
	cd $(DESTDIR)$(bindir) && rm -f $(PROGRAMS)
	cd $(DESTDIR)$(libdir) && rm -f libdatawal.a libdatawal.so libdatawal.so.0 pkgconfig/libdatawal.pc
	cd $(DESTDIR)$(mandir)/man1 && rm -f $(MAN)
	rm -f $(addprefix $(DESTDIR)$(includedir)/,datawal.h datawal_log.h) $(DESTDIR)$(bashdir)/datawal $(DESTDIR)$(zshdir)/_datawal \
		$(DESTDIR)$(unitdir)/datawalfs@.service

# build/datawalfs_VERSION_ARCH.deb
deb:
	tools/make-deb $(VERSION)

# The package in a clean Debian; needs root, the network and debootstrap.
check-deb: deb
	tests/package/check-deb.sh build/datawalfs_$(VERSION)_$$(dpkg --print-architecture).deb

# The library and the mount beside their peers; needs root.  tests/bench/bench.sh has the variables.
bench: BENCH := kv fs
bench-kv: BENCH := kv
bench-fs: BENCH := fs
bench bench-kv bench-fs:
	tools/install-deps bench
	for part in $(BENCH); do $(MAKE) -s -C tests/bench/$$part || exit; done
	tests/bench/bench.sh $(BENCH)

# What each of the kernel's features is worth, shown on memfs.
bench-features:
	tools/install-deps bench
	for part in kv fs; do $(MAKE) -s -C tests/bench/$$part || exit; done
	tests/bench/fs/features.sh

clean:
	rm -rf build

-include $(shell find $(O)/obj -name '*.d' 2>/dev/null)
