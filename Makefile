# Tessera. `make demo` and `make check` do everything on a fresh Debian 12, missing packages included.
# Every .c file below src/ belongs to the library, every one below apps/ to the binary, every
# test_*.c or test_*.sh under tests/ is a test, every bench/bench_*.c a benchmark: nothing is listed by hand.

MODE ?= release
ifeq ($(origin CC),default)
CC := gcc
endif
B := build/$(MODE)-$(notdir $(CC))
ARCH := $(shell $(CC) -dumpmachine 2>/dev/null | cut -d- -f1)
VERSION := 0.1.0
# The interface may change with the second number as long as the first is 0.
SOVERSION := $(basename $(VERSION))

WARN := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla -Werror
MODE_release := -O2 -g1 -DNDEBUG
MODE_debug := -O1 -g -DTESS_DEBUG
MODE_asan := -O1 -g -DTESS_DEBUG -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
MODE_tsan := -O1 -g -DTESS_DEBUG -fsanitize=thread
LIBS := jansson libcrypto sqlite3
APP_LIBS := libedit
# Opened when media are decoded, encoded or played (src/media/libraries.h): their headers are needed, and nothing is linked.
OPENED_LIBS := libjpeg libwebp libwebpdemux libavformat libavcodec libavutil libswscale soxr zlib alsa libpulse-simple
# -ffp-contract=off: gcc and clang fuse a*b+c on their own otherwise, which changes the bits of a result.
# Objects serve archive and shared library alike; what no public header declares is hidden, so that nothing goes through
# a table of the dynamic linker that need not.
# In debug builds every allocation asks whether it is allowed.
GUARD = $(if $(findstring -DTESS_DEBUG,$(MODE_$(MODE))),-include src/base/guard.h)
CFLAGS_ALL = -std=c17 $(WARN) $(MODE_$(MODE)) $(GUARD) -ffp-contract=off -fno-math-errno -D_GNU_SOURCE \
             -fPIC -fvisibility=hidden -fno-semantic-interposition \
             -DTESS_VERSION='"$(VERSION)"' -DTESS_MODE='"$(MODE)"' -Iinclude -Isrc -Iapps $(PKG_CFLAGS) $(CFLAGS)
PKG_CFLAGS = $(shell pkg-config --cflags $(LIBS) 2>/dev/null) $(shell pkg-config --cflags $(OPENED_LIBS) 2>/dev/null)
LDLIBS = $(shell pkg-config --libs $(LIBS) 2>/dev/null) -lm -lpthread -ldl
APP_LDLIBS = $(LDLIBS) $(shell pkg-config --libs $(APP_LIBS) 2>/dev/null)

# Instruction-set flags go by file suffix; everything else runs on any CPU of the architecture.
ISA_avx2 := -mavx2 -mfma -mf16c
ISA_avx512 := -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx2 -mfma
# -Wno-psabi: vectors wider than the CPU's are passed in memory, which matters to nobody within one file.
ISA_emulated := -mavx2 -mfma -Wno-psabi
FOREIGN_x86_64 := %_neon.c
FOREIGN_aarch64 := %_avx2.c %_avx512.c

LIB_SRC := $(filter-out $(FOREIGN_$(ARCH)),$(wildcard src/*/*.c src/*/*/*.c))
APP_SRC := $(wildcard apps/*.c apps/*/*.c)
SUPPORT_SRC := $(wildcard tests/support/*.c)
TEST_SRC := $(wildcard tests/*/test_*.c)
TEST_SH := $(wildcard tests/*/test_*.sh)
BENCH_SRC := $(wildcard bench/bench_*.c)
SYNTHETIC_SRC := $(wildcard tools/synthetic/*.c)
LISTEN_SRC := $(wildcard tools/listen/*.c)
OBJ = $(patsubst %.c,$(B)/%.o,$(1))
TEST_BIN := $(patsubst %.c,$(B)/%,$(TEST_SRC))
BENCH_BIN := $(patsubst %.c,$(B)/%,$(BENCH_SRC))
TOOL_BIN := $(B)/synthetic $(B)/listen

.PHONY: help all lib tests benches objects demo check bench clean install deps check-deps bench-deps layers format \
        format-check tidy app-libs list-tests reference check-reference

all: $(B)/tessera ## build build/tessera; what plain `make` does
ifeq ($(MODE)-$(notdir $(CC)),release-gcc)
all: build/tessera
build/tessera: $(B)/tessera
	@ln -sf release-gcc/tessera $@
endif
lib: $(B)/libtessera.a $(B)/libtessera.so.$(VERSION) ## build the library, archive and shared
tests: $(TEST_BIN) $(TOOL_BIN) ## build the test programs
benches: $(BENCH_BIN) ## build the benchmarks
# Everything compiled and nothing linked: for the warnings of a compiler whose programs are not all run.
objects: $(call OBJ,$(LIB_SRC) $(APP_SRC) $(SUPPORT_SRC) $(TEST_SRC) $(BENCH_SRC) $(SYNTHETIC_SRC) $(LISTEN_SRC))

$(B)/libtessera.a: $(call OBJ,$(LIB_SRC))
	@rm -f $@
	@ar rcs $@ $^
$(B)/libtessera.so.$(VERSION): $(call OBJ,$(LIB_SRC))
	@echo "  LINK  $@"
	@$(CC) $(CFLAGS_ALL) -shared -Wl,-soname,libtessera.so.$(SOVERSION) -Wl,-z,defs -o $@ $^ $(LDLIBS)
$(B)/tessera: $(call OBJ,$(APP_SRC)) $(B)/libtessera.a
	@echo "  LINK  $@"
	@$(CC) $(CFLAGS_ALL) -o $@ $^ $(APP_LDLIBS)
# Allocations of tests pass through tests/support/fault.c, which can let the k-th one fail; libraries are opened through
# tests/support/libraries.c, where some are absent; leases through tests/support/packing.c, which can pack what is lent.
WRAP := malloc calloc realloc aligned_alloc strdup dlopen dlsym tess_bank_lease
$(TEST_BIN): $(B)/%: $(B)/%.o $(call OBJ,$(SUPPORT_SRC)) $(B)/libtessera.a
	@$(CC) $(CFLAGS_ALL) $(WRAP:%=-Wl,--wrap=%) -o $@ $^ -lcmocka $(LDLIBS)
# The AVX-512 kernels emulated with AVX2, so that CPUs without AVX-512 test them too (tests/kernels/emulated_avx512.h).
# Under sanitizers, where they take half a minute to compile, only those do: the others run the kernels themselves.
ifneq ($(MODE)$(shell grep -o -m 1 avx512dq /proc/cpuinfo 2>/dev/null | head -n 1),asanavx512dq)
EMULATED_x86_64 := $(patsubst src/kernels/%.c,$(B)/emulated/%.o,$(wildcard src/kernels/*_avx512.c))
else
$(B)/tests/kernels/test_variants.o: EXTRA := -DTESS_WITHOUT_EMULATION
endif
$(B)/tests/kernels/test_variants: $(EMULATED_$(ARCH))
$(B)/emulated/%.o: src/kernels/%.c $(B)/flags
	@mkdir -p $(dir $@)
	@echo "  CC    $< (emulated)"
	@$(CC) $(CFLAGS_ALL) $(call opt_of,$<) $(ISA_emulated) -include tests/kernels/emulated_avx512.h -MMD -MP -c -o $@ $<
$(BENCH_BIN): $(B)/%: $(B)/%.o $(B)/libtessera.a
	@$(CC) $(CFLAGS_ALL) -o $@ $^ $(LDLIBS)

$(B)/synthetic: $(call OBJ,$(SYNTHETIC_SRC)) $(B)/libtessera.a
$(B)/listen: $(call OBJ,$(LISTEN_SRC)) $(B)/libtessera.a
$(TOOL_BIN):
	@echo "  LINK  $@"
	@$(CC) $(CFLAGS_ALL) -o $@ $^ $(LDLIBS)

isa_of = $(foreach s,avx2 avx512,$(if $(filter %_$(s),$(1)),$(ISA_$(s))))
# gcc 12 at -O2 keeps arrays of vector accumulators in memory; -O3 keeps them in registers.
opt_of = $(if $(findstring /kernels/,$(1)),$(if $(filter release,$(MODE)),-O3))
$(B)/%.o: %.c $(B)/flags
	@mkdir -p $(dir $@)
	@echo "  CC    $<"
	@$(CC) $(CFLAGS_ALL) $(EXTRA) $(call opt_of,$<) $(call isa_of,$*) -MMD -MP -c -o $@ $<

$(B)/src/verify/answers/builtin.o: data/known_answers.json
$(B)/tools/synthetic/released_config.o: tests/data/published_config.json

# Rebuilds everything when the compiler or a flag changes.
$(B)/flags: FORCE
	@mkdir -p $(B)
	@echo '$(CC) $(subst ','\'',$(CFLAGS_ALL)) $(ISA_avx2) $(ISA_avx512) $(ISA_emulated)' | cmp -s - $@ || \
	 echo '$(CC) $(subst ','\'',$(CFLAGS_ALL)) $(ISA_avx2) $(ISA_avx512) $(ISA_emulated)' > $@
FORCE:

-include $(wildcard $(B)/*/*.d $(B)/*/*/*.d $(B)/*/*/*/*.d)
include $(wildcard tools/*.mk)

deps: ## install the packages that building needs, as root or by sudo
	@tools/ensure_packages build
check-deps: ## the same, and those that the tests need
	@tools/ensure_packages build check
bench-deps: deps

layers: ## check that includes go down the layers only
	@tools/check_layers

demo: deps ## build, then run, hear and verify the demo checkpoint
	@$(MAKE) --no-print-directory all $(B)/listen
	@ln -sf $(notdir $(B))/listen build/listen
	@tools/demo

check: check-deps ## build and run all tests
	@tools/check

bench: bench-deps ## build and run the benchmarks
	@$(MAKE) --no-print-directory all benches tests
	@for b in $(BENCH_BIN); do echo; echo "== $${b##*/}"; $$b || exit 1; done

format: ## format the sources (clang-format 14)
	clang-format-14 -i $$(git ls-files '*.c' '*.h')
format-check: ## say what is not formatted
	@clang-format-14 --dry-run -Werror $$(git ls-files '*.c' '*.h')
tidy: ## run the blocking list of clang-tidy
	@tools/tidy

PREFIX ?= /usr/local
TO = $(DESTDIR)$(PREFIX)
install: all lib ## install below PREFIX (/usr/local), behind DESTDIR
	install -d $(TO)/bin $(TO)/lib/pkgconfig $(TO)/include/tessera $(TO)/share/doc/tessera/examples
	install -m 755 $(B)/tessera $(TO)/bin/
	install -m 644 $(B)/libtessera.a $(B)/libtessera.so.$(VERSION) $(TO)/lib/
	ln -sf libtessera.so.$(VERSION) $(TO)/lib/libtessera.so.$(SOVERSION)
	ln -sf libtessera.so.$(SOVERSION) $(TO)/lib/libtessera.so
	install -m 644 include/tessera.h $(TO)/include/
	install -m 644 include/tessera/*.h $(TO)/include/tessera/
	install -m 644 examples/*.c $(TO)/share/doc/tessera/examples/
	sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@VERSION@|$(VERSION)|' -e 's|@LIBS@|$(LIBS)|' tools/tessera.pc.in \
	  > $(TO)/lib/pkgconfig/tessera.pc

clean: ## remove everything that was built
	rm -rf build

# What stands behind "##" beside a target.
help: ## this list
	@echo 'make [TARGET...] [MODE=release|debug|asan|tsan] [CC=gcc|clang-14]'
	@sed -n 's/^\([a-z-]*\):[^#=]*## \(.*\)/  \1\t\2/p' $(filter-out %.d,$(MAKEFILE_LIST)) | expand -t 20

# For tests that link the binary anew.
app-libs:
	@echo $(APP_LDLIBS)

list-tests:
	@echo $(patsubst %.c,%,$(TEST_SRC)) $(TEST_SH)
