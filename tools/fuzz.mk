# `make fuzz-NAME [FUZZ_SECONDS=60]` builds fuzz/fuzz_NAME.c with clang's libFuzzer and runs it from the repository root on
# fuzz/corpus/NAME. What it finds is kept there under a name that says what it is; the ordinary tests replay the corpus.
FUZZ_SECONDS ?= 60
MODE_fuzz := -O1 -g -DTESS_DEBUG -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
FUZZ_BIN := $(patsubst %.c,$(B)/%,$(wildcard fuzz/fuzz_*.c))

$(FUZZ_BIN): $(B)/%: $(B)/%.o $(B)/libtessera.a
	@$(CC) $(CFLAGS_ALL) -fsanitize=fuzzer -o $@ $^ $(LDLIBS)

fuzz-%:
	@$(MAKE) --no-print-directory MODE=fuzz CC=clang-14 build/fuzz-clang-14/fuzz/fuzz_$*
	@mkdir -p build/fuzz-new/$*
	build/fuzz-clang-14/fuzz/fuzz_$* -max_total_time=$(FUZZ_SECONDS) -timeout=20 build/fuzz-new/$* fuzz/corpus/$*
