/* Fuzzing comparisons: the bytes choose the taps of a reference and of a trace, their types, shapes and
 * values.
 *
 * A comparison ends with a verdict or a refusal in words; a trace compared with itself is equal if it can be
 * compared at all and is finite; counts, first and worst fit the reports; a page can be written.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tessera/compare.h"
#include "tessera/verify.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int good, const char *what)
{
    if (good) return;
    fprintf(stderr, "fuzz_compare: %s\n", what);
    abort();
}

/* What is left of the input; zeros behind its end. */
typedef struct input {
    const uint8_t *data;
    size_t size;
} input;

static unsigned take(input *in, unsigned below)
{
    unsigned byte = 0;
    if (in->size) {
        byte = *in->data++;
        in->size--;
    }
    return byte % below;
}

static const char *const names[] = {"in.input_ids",
                                    "tap.thinker.inputs_embeds",
                                    "tap.thinker.position_ids",
                                    "tap.thinker.model.layers.1.self_attn",
                                    "tap.thinker.model.layers.1.mlp.gate.logits",
                                    "tap.thinker.model.layers.1.mlp.gate.indices",
                                    "tap.thinker.model.layers.1.mlp.gate.weights",
                                    "tap.thinker.model.layers.1.mlp.experts.2",
                                    "tap.thinker.model.layers.1.mlp",
                                    "tap.thinker.model.layers.1",
                                    "tap.thinker.lm_head",
                                    "tap.thinker.generated",
                                    "tap.talker.codes",
                                    "tap.code2wav.waveform",
                                    "tap.other"};
enum { N_NAME = sizeof names / sizeof names[0], MOST_DATA = 1 << 14 };

static float make_float(unsigned byte)
{
    static const float odd[] = {NAN, INFINITY, -INFINITY, 0, -0.0f, 1e-40f, 3e38f, -3e38f};
    return byte >= 248 ? odd[byte - 248] : 0.1f * (float)((int)byte - 100);
}

static size_t put_values(input *in, int is_integer, size_t n, char *out)
{
    for (size_t i = 0; i < n; i++) {
        unsigned byte = take(in, 256);
        int64_t integer = byte >= 250 ? INT64_MIN >> (byte - 250) : (int64_t)byte % 9 - 1;
        float value = make_float(byte);
        memcpy(out + i * (is_integer ? 8 : 4), is_integer ? (const void *)&integer : (const void *)&value,
               is_integer ? 8 : 4);
    }
    return n * (is_integer ? 8 : 4);
}

static int is_integer_by_name(const char *name)
{
    return !strcmp(name, "in.input_ids") || strstr(name, "indices") || strstr(name, "generated") ||
           strstr(name, "codes");
}

/* One file: taps the input asks for, of the shape the model would give unless it wants another. */
static void write_trace(input *in, int fd)
{
    char header[8192], data[MOST_DATA];
    size_t used = 0, end = 0;
    unsigned n_tok = 1 + take(in, 6), kind = take(in, 4);
    used += (size_t)snprintf(header, sizeof header, "{\"__metadata__\":{\"dtype\":\"%s\"}",
                             kind == 0   ? "bfloat16"
                             : kind == 1 ? "odd"
                                         : "float32");
    for (int i = 0; i < N_NAME; i++) {
        unsigned choice = take(in, 16);
        if (choice == 15) continue;
        int is_integer = is_integer_by_name(names[i]) != (choice == 14);
        unsigned rows = choice == 13 ? take(in, 8) : n_tok, columns = choice == 12 ? take(in, 8) : 2;
        int is_list = (!strcmp(names[i], "in.input_ids") || strstr(names[i], "generated")) != (choice == 11);
        size_t n = (size_t)rows * (is_list ? 1 : columns), from = end;
        end += put_values(in, is_integer, n, data + end);
        used +=
            (size_t)snprintf(header + used, sizeof header - used, ",\"%s\":{\"dtype\":\"%s\",\"shape\":[%u",
                             names[i], is_integer ? "I64" : "F32", rows);
        if (!is_list) used += (size_t)snprintf(header + used, sizeof header - used, ",%u", columns);
        used +=
            (size_t)snprintf(header + used, sizeof header - used, "],\"data_offsets\":[%zu,%zu]}", from, end);
    }
    header[used++] = '}';
    while (used % 8) header[used++] = ' ';
    uint64_t size = used;
    require(ftruncate(fd, 0) == 0 && pwrite(fd, &size, 8, 0) == 8 &&
                pwrite(fd, header, used, 8) == (ssize_t)used &&
                pwrite(fd, data, end, (off_t)(8 + used)) == (ssize_t)end,
            "write");
}

static void check_result(const tess_compare_result *r)
{
    int n_failed = 0, first = -1;
    for (int i = 0; i < r->n_tap; i++) {
        const tess_tap_report *tap = &r->tap[i];
        int failed = tap->outcome >= TESS_OUTCOME_DIFFERENT;
        require(!failed || *tap->why, "a failure without a reason");
        require(tap->position < 64 && tap->row < 64, "a place beyond the prompt");
        require(tap->expert < 0 || tap->n_experts == 1 || strstr(tap->name, ".experts."),
                "an expert of several");
        n_failed += failed;
        if (failed && first < 0) first = i;
    }
    require(n_failed == r->n_failed && first == r->first && r->worst < r->n_tap, "counts");
    if (r->verdict != TESS_VERDICT_NONE)
        require((r->verdict == TESS_VERDICT_DIFFERENT) == (n_failed > 0), "verdict");
    tess_compare_result copy = *r;
    require(tess_compare_write_html((tess_compare_result *[]){&copy}, 1, NULL, "/dev/null", NULL) !=
                TESS_ENOMEM,
            "page");
}

static void try_pair(const char *reference, const char *trace, const tess_compare_options *options,
                     int is_same)
{
    tess_compare_result *result = NULL;
    tess_error err;
    tess_status status = tess_compare_files(reference, trace, options, &result, &err);
    require(status == TESS_OK || ((status == TESS_EINPUT || status == TESS_EUSAGE) && *err.message),
            "refused without a word");
    if (status != TESS_OK) return;
    check_result(result);
    for (int i = 0; is_same && i < result->n_tap; i++) {
        const tess_tap_report *tap = &result->tap[i];
        if (tap->outcome != TESS_OUTCOME_DIFFERENT && tap->outcome != TESS_OUTCOME_MISSING) continue;
        fprintf(stderr, "%s: %s\n", tap->name, tap->why);
        require(0, "not equal to itself");
    }
    tess_compare_result_free(result);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd[3] = {-1, -1, -1};
    static char path[3][32];
    input in = {data, size};
    tess_compare_options options = {.metrics_only = take(&in, 8) == 7};
    if (take(&in, 2)) options.truth = path[2];
    for (int i = 0; i < 3; i++) {
        if (fd[i] < 0) fd[i] = memfd_create("fuzz", MFD_CLOEXEC);
        require(fd[i] >= 0, "no memory for a file");
        snprintf(path[i], sizeof path[i], "/proc/self/fd/%d", fd[i]);
        write_trace(&in, fd[i]);
    }
    try_pair(path[0], path[1], &options, 0);
    options.truth = NULL;
    try_pair(path[0], path[0], &options, 1);
    tess_golden golden;
    if (tess_golden_read(path[0], "/nonexistent", &golden, NULL) == TESS_OK) tess_golden_release(&golden);
    return 0;
}
