/* Every kernel of the list, on every instruction set this processor has, against the plain reference: the
 * same bits, for all tail lengths, ordinary and extreme values, operands flush against unmapped pages at
 * either end. Prints TAP by itself, so that it also builds for other processors without a test library.
 *
 * AVX-512 runs natively where the processor has it, and everywhere emulated (emulated_avx512.h). An
 * instruction set that ran neither way is listed as not tested; named in TESS_REQUIRE_ISA, it fails. With the
 * argument "quick", and in a sanitizer's build, fewer lengths are tried: emulators and sanitizers are slow,
 * and unmapped pages stand beside the operands in every build. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kernels/elementary.h"
#include "kernels/kernel_list.h"
#include "kernels/matrix.h"

#include "emulated.h"

enum {
    SLOTS = 6,
    SLOT_BYTES = 1 << 20,
    PAGE = 1 << 16, /* at least a page on every processor we run on */
    CANARY = 0xa5,
    CANARY_BYTES = 256,
    MAX_LENGTH = 2049
};

/* -- operands between unmapped pages -- */

static unsigned char *slots[SLOTS];

static void map_slots(void)
{
    for (int s = 0; s < SLOTS; s++) {
        unsigned char *p = mmap(NULL, SLOT_BYTES + 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED || mprotect(p + PAGE, SLOT_BYTES, PROT_READ | PROT_WRITE) != 0) {
            perror("mmap");
            exit(2);
        }
        slots[s] = p + PAGE;
    }
}

/* One operand: its bytes as the reference uses them, and a copy between guards for the variant. */
typedef struct operand {
    void *plain;
    size_t bytes;
    void *guarded;
} operand;

static void place(operand *o, int n, bool at_end)
{
    for (int s = 0; s < n; s++) {
        if (o[s].bytes + CANARY_BYTES > SLOT_BYTES) abort();
        unsigned char *p = at_end ? slots[s] + SLOT_BYTES - o[s].bytes : slots[s];
        memset(at_end ? p - CANARY_BYTES : p + o[s].bytes, CANARY, CANARY_BYTES);
        if (o[s].bytes > 0) memcpy(p, o[s].plain, o[s].bytes);
        o[s].guarded = p;
    }
}

static bool canaries_alive(const operand *o, int n, bool at_end)
{
    for (int s = 0; s < n; s++) {
        const unsigned char *p = o[s].guarded;
        p = at_end ? p - CANARY_BYTES : p + o[s].bytes;
        for (int i = 0; i < CANARY_BYTES; i++)
            if (p[i] != CANARY) return false;
    }
    return true;
}

/* -- values -- */

static uint64_t state = 0x9e3779b97f4a7c15u;

static uint32_t draw(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 16);
}

enum { ORDINARY, WIDE, TINY, HUGE_VALUES, CANCELLING, BF16_VALUES, VANISHING, STYLES };

static float vanishing_sign = 1.0f; /* changes with every operand filled */

static float draw_float(int style, size_t i)
{
    const float unit = (float)(draw() & 0xffffff) / 8388608.0f - 1.0f;
    switch (style) {
    case WIDE:
        return ldexpf(unit, (int)(draw() % 41) - 20);
    case TINY:
        switch (draw() % 6) {
        case 0:
            return 0.0f;
        case 1:
            return -0.0f;
        case 2:
            return tess_float_of_bits(draw() & 0x807fffffu); /* subnormal */
        case 3:
            return ldexpf(unit, -100);
        case 4:
            return ldexpf(unit, -60);
        default:
            return unit;
        }
    case HUGE_VALUES:
        return (draw() & 3) ? unit * 1e17f : unit;
    case CANCELLING:
        return (i & 1 ? -1.0f : 1.0f) * (1000.0f + ldexpf(unit, -10));
    case VANISHING: /* products underflow to -0: an idle lane that multiplies by zero makes it +0 */
        return vanishing_sign * (fabsf(unit) + 0.5f) * 1e-25f;
    case BF16_VALUES:
        return tess_round_bf16(unit * 4.0f);
    default:
        return unit * 3.0f;
    }
}

static void fill(float *x, size_t n, int style)
{
    vanishing_sign = -vanishing_sign;
    for (size_t i = 0; i < n; i++) x[i] = draw_float(style, i);
}

static void fill_bf16(uint16_t *x, size_t n, int style)
{
    vanishing_sign = -vanishing_sign;
    for (size_t i = 0; i < n; i++)
        x[i] = (uint16_t)(tess_bits_of_float(tess_round_bf16(draw_float(style, i))) >> 16);
}

/* -- comparison -- */

typedef struct tally {
    size_t n_case, n_value, n_bad;
    double max_abs;
} tally;

static tally count;
static uint64_t digest = 0xcbf29ce484222325u; /* FNV-1a over everything the reference computed */

static void compare(const char *what, const float *got, const float *want, size_t n)
{
    count.n_case++;
    count.n_value += n;
    for (size_t i = 0; i < n; i++) digest = (digest ^ tess_bits_of_float(want[i])) * 0x100000001b3u;
    if (n == 0 || memcmp(got, want, n * sizeof *got) == 0) return;
    size_t first = n;
    double error = 0, norm = 0, dot = 0, got_norm = 0, max_abs = 0;
    size_t non_finite = 0;
    for (size_t i = 0; i < n; i++) {
        if (tess_bits_of_float(got[i]) != tess_bits_of_float(want[i]) && first == n) first = i;
        const double g = got[i], w = want[i];
        if (!isfinite(g) || !isfinite(w)) {
            non_finite++;
            continue;
        }
        error += (g - w) * (g - w), norm += w * w, dot += g * w, got_norm += g * g;
        if (fabs(g - w) > max_abs) max_abs = fabs(g - w);
    }
    if (max_abs > count.max_abs) count.max_abs = max_abs;
    if (count.n_bad++ < 5)
        printf("# %s: max abs %.3g, relative L2 %.3g, cosine %.9f, %zu not finite, first at %zu of %zu: %a, "
               "reference %a\n",
               what, max_abs, sqrt(error / norm), dot / sqrt(norm * got_norm), non_finite, first, n,
               (double)got[first], (double)want[first]);
}

static void expect(const char *what, bool good)
{
    count.n_case++;
    if (good) return;
    if (count.n_bad++ < 5) printf("# %s\n", what);
}

static char label[160];
#define LABEL(...) (snprintf(label, sizeof label, __VA_ARGS__), label)

/* -- one case per operation -- */

static tess_kernels ref;
static float buffer[SLOTS][SLOT_BYTES / sizeof(float)];
static float result[SLOT_BYTES / sizeof(float)];

#define FLOATS(slot, n)                                                                                      \
    {                                                                                                        \
        buffer[slot], (n) * sizeof(float), NULL                                                              \
    }
#define HALVES(slot, n)                                                                                      \
    {                                                                                                        \
        buffer[slot], (n) * sizeof(uint16_t), NULL                                                           \
    }

/* Runs `call` on guarded copies of o, flush to the end and to the start, and compares n floats of o[0]. */
#define RUN_GUARDED(what, o, n_operand, want, n, call)                                                       \
    for (int at_end = 0; at_end < 2; at_end++) {                                                             \
        place(o, n_operand, at_end);                                                                         \
        call;                                                                                                \
        compare(what, (o)[0].guarded, want, n);                                                              \
        expect("a write beyond an operand", canaries_alive(o, n_operand, at_end));                           \
    }

static void case_dot(const tess_kernels *k, size_t n, int style, tess_rounding rounding)
{
    if (rounding != TESS_ROUND_NONE) return;
    fill(buffer[0], n, style);
    fill(buffer[1], n, style);
    operand o[] = {FLOATS(0, n), FLOATS(1, n)};
    const float want = ref.dot(buffer[0], buffer[1], n);
    for (int at_end = 0; at_end < 2; at_end++) {
        place(o, 2, at_end);
        const float got = k->dot(o[0].guarded, o[1].guarded, n);
        compare(LABEL("n %zu style %d", n, style), &got, &want, 1);
    }
}

static void case_softmax(const tess_kernels *k, size_t n, int style, tess_rounding rounding)
{
    if (rounding != TESS_ROUND_NONE) return;
    fill(buffer[0], n, style);
    operand o[] = {FLOATS(0, n)};
    memcpy(result, buffer[0], o[0].bytes);
    ref.softmax(result, n);
    RUN_GUARDED(LABEL("n %zu style %d", n, style), o, 1, result, n, k->softmax(o[0].guarded, n));
}

static void case_rms_norm(const tess_kernels *k, size_t n, int style, tess_rounding rounding)
{
    if (n == 0) return;
    fill(buffer[0], n, style);
    fill(buffer[1], n, style);
    fill_bf16((uint16_t *)buffer[2], n, ORDINARY);
    operand o[] = {FLOATS(0, n), FLOATS(1, n), HALVES(2, n)};
    ref.rms_norm(result, buffer[1], (const uint16_t *)buffer[2], n, 1e-6f, rounding);
    RUN_GUARDED(LABEL("n %zu style %d rounding %d", n, style, rounding), o, 3, result, n,
                k->rms_norm(o[0].guarded, o[1].guarded, o[2].guarded, n, 1e-6f, rounding));
    memcpy(buffer[0], buffer[1], o[0].bytes);
    RUN_GUARDED(LABEL("n %zu style %d rounding %d in place", n, style, rounding), o, 3, result, n,
                k->rms_norm(o[0].guarded, o[0].guarded, o[2].guarded, n, 1e-6f, rounding));
}

static void case_layer_norm(const tess_kernels *k, size_t n, int style, tess_rounding rounding)
{
    if (n == 0) return;
    fill(buffer[0], n, style);
    fill(buffer[1], n, style);
    fill_bf16((uint16_t *)buffer[2], n, ORDINARY);
    fill_bf16((uint16_t *)buffer[3], n, style);
    operand o[] = {FLOATS(0, n), FLOATS(1, n), HALVES(2, n), HALVES(3, n)};
    ref.layer_norm(result, buffer[1], (const uint16_t *)buffer[2], (const uint16_t *)buffer[3], n, 1e-5f,
                   rounding);
    RUN_GUARDED(LABEL("n %zu style %d rounding %d", n, style, rounding), o, 4, result, n,
                k->layer_norm(o[0].guarded, o[1].guarded, o[2].guarded, o[3].guarded, n, 1e-5f, rounding));
    memcpy(buffer[0], buffer[1], o[0].bytes);
    RUN_GUARDED(LABEL("n %zu style %d rounding %d in place", n, style, rounding), o, 4, result, n,
                k->layer_norm(o[0].guarded, o[0].guarded, o[2].guarded, o[3].guarded, n, 1e-5f, rounding));
}

static void case_add_bias(const tess_kernels *k, size_t n, int style, tess_rounding rounding)
{
    fill(buffer[0], n, style);
    fill_bf16((uint16_t *)buffer[1], n, style);
    operand o[] = {FLOATS(0, n), HALVES(1, n)};
    memcpy(result, buffer[0], o[0].bytes);
    ref.add_bias(result, (const uint16_t *)buffer[1], n, rounding);
    RUN_GUARDED(LABEL("n %zu style %d rounding %d", n, style, rounding), o, 2, result, n,
                k->add_bias(o[0].guarded, o[1].guarded, n, rounding));
}

/* Ordinary values reach both roads of erf and tanh and what lies beyond. */
static void gelu_case(tess_gelu_erf_fn *gelu, tess_gelu_erf_fn *plain, size_t n, int style,
                      tess_rounding rounding)
{
    fill(buffer[1], n, style);
    for (size_t i = 0; i < n && style == ORDINARY; i++) buffer[1][i] *= 4.0f;
    operand o[] = {FLOATS(0, n), FLOATS(1, n)};
    plain(result, buffer[1], n, rounding);
    RUN_GUARDED(LABEL("n %zu style %d rounding %d", n, style, rounding), o, 2, result, n,
                gelu(o[0].guarded, o[1].guarded, n, rounding));
    memcpy(buffer[0], buffer[1], o[0].bytes);
    RUN_GUARDED(LABEL("n %zu style %d rounding %d in place", n, style, rounding), o, 2, result, n,
                gelu(o[0].guarded, o[0].guarded, n, rounding));
}

static void case_gelu_erf(const tess_kernels *k, size_t n, int style, tess_rounding rounding)
{
    gelu_case(k->gelu_erf, ref.gelu_erf, n, style, rounding);
}

static void case_gelu_tanh(const tess_kernels *k, size_t n, int style, tess_rounding rounding)
{
    gelu_case(k->gelu_tanh, ref.gelu_tanh, n, style, rounding);
}

static void case_swiglu(const tess_kernels *k, size_t n, int style, tess_rounding rounding)
{
    fill(buffer[1], n, style);
    for (size_t i = 0; i < n && style == ORDINARY; i++) buffer[1][i] *= 40.0f; /* beyond exp's clamps */
    fill(buffer[2], n, style);
    operand o[] = {FLOATS(0, n), FLOATS(1, n), FLOATS(2, n)};
    ref.swiglu(result, buffer[1], buffer[2], n, rounding);
    RUN_GUARDED(LABEL("n %zu style %d rounding %d", n, style, rounding), o, 3, result, n,
                k->swiglu(o[0].guarded, o[1].guarded, o[2].guarded, n, rounding));
    memcpy(buffer[0], buffer[1], o[0].bytes);
    RUN_GUARDED(LABEL("n %zu style %d rounding %d in place", n, style, rounding), o, 3, result, n,
                k->swiglu(o[0].guarded, o[0].guarded, o[2].guarded, n, rounding));
}

static void case_rope(const tess_kernels *k, size_t half, int style, tess_rounding rounding)
{
    fill(buffer[0], 2 * half, style);
    fill(buffer[1], half, style == HUGE_VALUES ? ORDINARY : style);
    fill(buffer[2], half, style == HUGE_VALUES ? ORDINARY : style);
    operand o[] = {FLOATS(0, 2 * half), FLOATS(1, half), FLOATS(2, half)};
    memcpy(result, buffer[0], o[0].bytes);
    ref.rope(result, buffer[1], buffer[2], 2 * half, rounding);
    RUN_GUARDED(LABEL("d_head %zu style %d rounding %d", 2 * half, style, rounding), o, 3, result, 2 * half,
                k->rope(o[0].guarded, o[1].guarded, o[2].guarded, 2 * half, rounding));
}

static void case_add(const tess_kernels *k, size_t n, int style, tess_rounding rounding)
{
    fill(buffer[0], n, style);
    fill(buffer[1], n, style);
    operand o[] = {FLOATS(0, n), FLOATS(1, n)};
    memcpy(result, buffer[0], o[0].bytes);
    ref.add(result, buffer[1], n, rounding);
    RUN_GUARDED(LABEL("n %zu style %d rounding %d", n, style, rounding), o, 2, result, n,
                k->add(o[0].guarded, o[1].guarded, n, rounding));
}

static void case_add_scaled(const tess_kernels *k, size_t n, int style, tess_rounding rounding)
{
    const float weight = draw_float(ORDINARY, 0);
    fill(buffer[0], n, style);
    fill(buffer[1], n, style);
    operand o[] = {FLOATS(0, n), FLOATS(1, n)};
    memcpy(result, buffer[0], o[0].bytes);
    ref.add_scaled(result, buffer[1], weight, n, rounding);
    RUN_GUARDED(LABEL("n %zu style %d rounding %d", n, style, rounding), o, 2, result, n,
                k->add_scaled(o[0].guarded, o[1].guarded, weight, n, rounding));
}

/* Any pattern at all, infinities and NaN too. */
static void fill_patterns(float *x, size_t n)
{
    static const uint32_t special[] = {0x7f800000u, 0xff800000u, 0x7f800001u, 0xffffffffu, 0x7fc00000u,
                                       0x7f7fffffu, 0x7f7f8000u, 0x7f7f7fffu, 0x00008000u, 0x00018000u,
                                       0x80007fffu, 0x3f808000u, 0x3f818000u, 0x3f808001u, 0x00000001u};
    for (size_t i = 0; i < n; i++) {
        const uint32_t bits = draw() % 4 ? draw() : special[draw() % (sizeof special / sizeof special[0])];
        memcpy(x + i, &bits, sizeof bits);
    }
}

static void case_widen(const tess_kernels *k, size_t n, int style, tess_rounding rounding)
{
    if (rounding != TESS_ROUND_NONE) return;
    fill_patterns(buffer[1], (n + 1) / 2);
    operand o[] = {FLOATS(0, n), HALVES(1, n)};
    ref.widen(result, (const uint16_t *)buffer[1], n);
    RUN_GUARDED(LABEL("n %zu style %d", n, style), o, 2, result, n, k->widen(o[0].guarded, o[1].guarded, n));
}

static void case_add_layer_scale(const tess_kernels *k, size_t n, int style, tess_rounding rounding)
{
    fill(buffer[0], n, style);
    fill(buffer[1], n, style);
    fill_bf16((uint16_t *)buffer[2], n, style);
    operand o[] = {FLOATS(0, n), FLOATS(1, n), HALVES(2, n)};
    memcpy(result, buffer[0], o[0].bytes);
    ref.add_layer_scale(result, buffer[1], (const uint16_t *)buffer[2], n, rounding);
    RUN_GUARDED(LABEL("n %zu style %d rounding %d", n, style, rounding), o, 3, result, n,
                k->add_layer_scale(o[0].guarded, o[1].guarded, o[2].guarded, n, rounding));
}

/* n channels: every number of taps, a few rows. */
static void case_depthwise(const tess_kernels *k, size_t n, int style, tess_rounding rounding)
{
    const size_t n_tap = 1 + (n + (size_t)style) % TESS_DEPTHWISE_TAPS, n_row = draw() % 5;
    fill(buffer[1], n * (n_row + n_tap - 1), style);
    fill_bf16((uint16_t *)buffer[2], n * n_tap, style);
    fill_bf16((uint16_t *)buffer[3], n, style);
    operand o[] = {FLOATS(0, n * n_row), FLOATS(1, n * (n_row + n_tap - 1)), HALVES(2, n * n_tap),
                   HALVES(3, n)};
    ref.depthwise(result, buffer[1], (const uint16_t *)buffer[2], (const uint16_t *)buffer[3], n, n_tap,
                  n_row, rounding);
    RUN_GUARDED(
        LABEL("n %zu taps %zu rows %zu style %d rounding %d", n, n_tap, n_row, style, rounding), o, 4, result,
        n * n_row,
        k->depthwise(o[0].guarded, o[1].guarded, o[2].guarded, o[3].guarded, n, n_tap, n_row, rounding));
}

/* n channels. Wide and huge values reach both roads of sin. */
static void case_snake(const tess_kernels *k, size_t n, int style, tess_rounding rounding)
{
    const size_t n_row = draw() % 4;
    fill(buffer[1], n * n_row, style);
    for (size_t i = 0; i < n * n_row && style == WIDE; i++) buffer[1][i] *= 64.0f;
    fill_bf16((uint16_t *)buffer[2], n, ORDINARY);
    fill_bf16((uint16_t *)buffer[3], n, ORDINARY);
    operand o[] = {FLOATS(0, n * n_row), FLOATS(1, n * n_row), HALVES(2, n), HALVES(3, n)};
    ref.snake(result, buffer[1], (const uint16_t *)buffer[2], (const uint16_t *)buffer[3], n, n_row,
              rounding);
    RUN_GUARDED(LABEL("n %zu rows %zu style %d rounding %d", n, n_row, style, rounding), o, 4, result,
                n * n_row,
                k->snake(o[0].guarded, o[1].guarded, o[2].guarded, o[3].guarded, n, n_row, rounding));
    memcpy(buffer[0], buffer[1], o[0].bytes);
    RUN_GUARDED(LABEL("n %zu rows %zu style %d rounding %d in place", n, n_row, style, rounding), o, 4,
                result, n * n_row,
                k->snake(o[0].guarded, o[0].guarded, o[2].guarded, o[3].guarded, n, n_row, rounding));
}

static void case_round_bf16(const tess_kernels *k, size_t n, int style, tess_rounding rounding)
{
    if (rounding != TESS_ROUND_NONE) return;
    fill_patterns(buffer[0], n);
    operand o[] = {FLOATS(0, n)};
    memcpy(result, buffer[0], o[0].bytes);
    ref.round_bf16(result, n);
    RUN_GUARDED(LABEL("n %zu style %d", n, style), o, 1, result, n, k->round_bf16(o[0].guarded, n));
}

static void case_find_non_finite(const tess_kernels *k, size_t n, int style, tess_rounding rounding)
{
    static const uint32_t bad[] = {0x7f800000u, 0xff800000u, 0x7f800001u, 0xffc00000u};
    if (rounding != TESS_ROUND_NONE) return;
    fill(buffer[0], n, style);
    operand o[] = {FLOATS(0, n)};
    for (size_t i = 0; i <= n; i += n > 40 ? 7 : 1) { /* from position i on, i = n: none */
        for (size_t j = i; j < n; j += 3) buffer[0][j] = tess_float_of_bits(bad[(i + j) % 4]);
        for (int at_end = 0; at_end < 2; at_end++) {
            place(o, 1, at_end);
            expect(LABEL("n %zu first %zu", n, i),
                   k->find_non_finite(o[0].guarded, n) == i && ref.find_non_finite(buffer[0], n) == i);
        }
        fill(buffer[0], n, style);
    }
}

static void case_pack(const tess_kernels *k, size_t n, int style, tess_rounding rounding)
{
    if (rounding != TESS_ROUND_NONE) return;
    fill(buffer[1], n, style);
    operand o[] = {FLOATS(0, tess_packed_floats(n)), FLOATS(1, n)};
    for (int at_end = 0; at_end < 2; at_end++) {
        memset(buffer[0], CANARY, o[0].bytes);
        place(o, 2, at_end);
        k->pack(o[0].guarded, o[1].guarded, n);
        expect("a write beyond an operand", canaries_alive(o, 2, at_end));
        /* the layout is private, but it holds every element once and zeros elsewhere: equal sums of bits */
        uint64_t got = 0, want = 0;
        const float *packed = o[0].guarded;
        for (size_t i = 0; i < tess_packed_floats(n); i++) got += tess_bits_of_float(packed[i]);
        for (size_t i = 0; i < n; i++) want += tess_bits_of_float(buffer[1][i]);
        expect(LABEL("n %zu style %d", n, style), got == want);
    }
}

/* w[n_row, n_col], plain in slot 5, as an operand of a form; packed in slot 1. The reference's products are
 * always of the plain weights. */
static operand weights_in_form(tess_weight_format format, size_t n_row, size_t n_col)
{
    const uint16_t *w = (const uint16_t *)buffer[5];
    if (format == TESS_FORMAT_BF16) return (operand)HALVES(5, n_row * n_col);
    const size_t n_exception = tess_weights_count_exceptions(w, n_row, n_col);
    const operand o = {buffer[1], tess_packed_bytes(n_row, n_col, n_exception), NULL};
    if (o.bytes > SLOT_BYTES) abort();
    tess_weights_pack(o.plain, w, n_row, n_col);
    return o;
}

static tess_matrix matrix_of(const operand *weights, size_t n_row, size_t n_col, tess_weight_format format)
{
    return (tess_matrix){weights->guarded, n_row, n_col, format};
}

/* Slot 0: y [n_tok, y_stride], 1 and 5: weights, 2: x packed by the variant, 3: by the reference, 4: x. */
static void matmul_case(const tess_kernels *k, tess_weight_format format, size_t n_col, size_t n_row,
                        size_t n_tok, int style, tess_rounding rounding)
{
    const size_t row = tess_packed_floats(n_col), y_stride = n_row + 3;
    const size_t n_y = (n_tok - 1) * y_stride + n_row, cut = draw() % (n_row + 1);
    fill_bf16((uint16_t *)buffer[5], n_row * n_col, style);
    fill(buffer[4], n_tok * n_col, style);
    for (size_t t = 0; t < n_tok; t++) {
        k->pack(buffer[2] + t * row, buffer[4] + t * n_col, n_col);
        ref.pack(buffer[3] + t * row, buffer[4] + t * n_col, n_col);
    }
    memset(buffer[0], CANARY, n_y * sizeof(float));
    memset(result, CANARY, n_y * sizeof(float));
    ref.matmul(result, y_stride, (const uint16_t *)buffer[5], n_col, 0, n_row, buffer[3], n_tok, rounding);
    operand o[] = {FLOATS(0, n_y), weights_in_form(format, n_row, n_col), FLOATS(2, n_tok * row)};
    LABEL("n_col %zu n_row %zu n_tok %zu style %d rounding %d", n_col, n_row, n_tok, style, rounding);
    RUN_GUARDED(label, o, 3, result, n_y, {
        const tess_matrix w = matrix_of(&o[1], n_row, n_col, format);
        tess_matrix_multiply(k, &w, o[0].guarded, y_stride, 0, n_row, o[2].guarded, n_tok, rounding);
    });
    /* the same in two parts of the rows and one token at a time */
    LABEL("n_col %zu n_row %zu n_tok %zu style %d rounding %d rows cut at %zu", n_col, n_row, n_tok, style,
          rounding, cut);
    RUN_GUARDED(label, o, 3, result, n_y, {
        const tess_matrix w = matrix_of(&o[1], n_row, n_col, format);
        tess_matrix_multiply(k, &w, o[0].guarded, y_stride, cut, n_row, o[2].guarded, n_tok, rounding);
        for (size_t t = 0; t < n_tok; t++)
            tess_matrix_multiply(k, &w, (float *)o[0].guarded + t * y_stride, y_stride, 0, cut,
                                 (float *)o[2].guarded + t * row, 1, rounding);
    });
}

static void matmul_cases(const tess_kernels *k, tess_weight_format format, size_t n, int style,
                         tess_rounding rounding)
{
    const size_t n_row = n <= 130 ? 1 + draw() % 14 : 13;
    const size_t n_tok = n <= 130 ? 1 + draw() % 9 : 7;
    matmul_case(k, format, n, n_row, n_tok, style, rounding);
    if (n <= 130) matmul_case(k, format, n, n_row, 1, style, rounding);
}

static void case_matmul(const tess_kernels *k, size_t n, int style, tess_rounding rounding)
{
    matmul_cases(k, TESS_FORMAT_BF16, n, style, rounding);
}

static void case_matmul_packed(const tess_kernels *k, size_t n, int style, tess_rounding rounding)
{
    matmul_cases(k, TESS_FORMAT_PACKED, n, style, rounding);
}

static void case_tokens(const tess_kernels *k, tess_weight_format format)
{
    for (size_t n_tok = 1; n_tok <= 70; n_tok++)
        matmul_case(k, format, format == TESS_FORMAT_BF16 ? 67 : 323, 9, n_tok, ORDINARY, TESS_ROUND_NONE);
    matmul_case(k, format, MAX_LENGTH, 8, 100, ORDINARY, TESS_ROUND_NONE); /* more than one block of tokens */
    matmul_case(k, format, 33, 9, 340, ORDINARY, TESS_ROUND_BF16);
    matmul_case(k, format, 67, 9, 340, WIDE, TESS_ROUND_BF16);
    for (size_t n_col = 0; n_col <= 20; n_col++) /* one element in a lane at most, and many tokens */
        for (int style = 0; style < STYLES && format == TESS_FORMAT_BF16; style++) {
            const size_t n_row = 1 + draw() % 600, n_tok = 14 + draw() % 9;
            matmul_case(k, format, n_col, n_row, n_tok, style, (tess_rounding)(n_row % 2));
        }
}

/* Slot 0: y [n_tok, n_col + 3], 1 and 5: weights, 2: x, 3: scratch. The rounding stands for the number of
 * lanes: the product is not rounded. */
static void columns_case(const tess_kernels *k, tess_weight_format format, size_t n_row, size_t n_col,
                         size_t n_tok, int style, tess_rounding rounding)
{
    const size_t y_stride = n_col + 3, n_y = n_tok ? (n_tok - 1) * y_stride + n_col : 0;
    const size_t n_lane = rounding == TESS_ROUND_NONE ? 32 : 16, cut = draw() % (n_col + 1);
    fill_bf16((uint16_t *)buffer[5], n_row * n_col, style);
    fill(buffer[2], n_tok * n_row, style);
    memset(buffer[0], CANARY, n_y * sizeof(float));
    memset(result, CANARY, n_y * sizeof(float));
    ref.matmul_columns(result, y_stride, (const uint16_t *)buffer[5], n_col, n_row, n_col, buffer[2], n_tok,
                       n_lane, buffer[3]);
    operand o[] = {FLOATS(0, n_y), weights_in_form(format, n_row, n_col), FLOATS(2, n_tok * n_row),
                   FLOATS(3, tess_columns_floats(n_row, n_tok))};
    LABEL("n_row %zu n_col %zu n_tok %zu lanes %zu style %d columns cut at %zu", n_row, n_col, n_tok, n_lane,
          style, cut);
    RUN_GUARDED(label, o, 4, result, n_y, {
        const tess_matrix w = matrix_of(&o[1], n_row, n_col, format);
        tess_matrix_multiply_columns(k, &w, (float *)o[0].guarded + cut, y_stride, cut, n_col - cut,
                                     o[2].guarded, n_tok, n_lane, o[3].guarded);
        for (size_t t = 0; t < n_tok; t++)
            tess_matrix_multiply_columns(k, &w, (float *)o[0].guarded + t * y_stride, y_stride, 0, cut,
                                         (float *)o[2].guarded + t * n_row, 1, n_lane, o[3].guarded);
    });
}

static void case_matmul_columns(const tess_kernels *k, size_t n, int style, tess_rounding rounding)
{
    const size_t n_col = 1 + draw() % 40, n_row = 1 + draw() % 70, n_tok = draw() % 30;
    columns_case(k, TESS_FORMAT_BF16, n, n_col, n_tok / 2, style, rounding);
    columns_case(k, TESS_FORMAT_BF16, n_row, n, n_tok, style, rounding);
}

/* Fewer, because the reference looks for each weight of its own. */
static void case_matmul_columns_packed(const tess_kernels *k, size_t n, int style, tess_rounding rounding)
{
    const size_t n_col = 1 + draw() % 40, n_row = 1 + draw() % 20, n_tok = draw() % 14;
    columns_case(k, TESS_FORMAT_PACKED, n, n_col, n_tok / 2, style, rounding);
    columns_case(k, TESS_FORMAT_PACKED, n_row, n, n_tok, style, rounding);
}

/* The canonical dot of two taps, element by element, is the sum of two dots of 16 lanes. */
static void case_two_taps(const tess_kernels *k)
{
    for (size_t n = 1; n <= 200; n++)
        for (int style = 0; style < STYLES; style++) {
            float sums[2], whole, scratch[200 * 20];
            uint16_t *w = (uint16_t *)buffer[0];
            fill_bf16(w, 2 * n, style);
            fill(buffer[1], 2 * n, style);
            for (size_t i = 0; i < 2 * n; i++) {
                buffer[2][i] = tess_float_of_bits((uint32_t)w[i] << 16);
                buffer[3][i % 2 * n + i / 2] = buffer[1][i];
            }
            for (size_t tap = 0; tap < 2; tap++)
                k->matmul_columns(sums + tap, 2, w + tap, 2, n, 1, buffer[3] + tap * n, 1, 16, scratch);
            whole = ref.dot(buffer[2], buffer[1], 2 * n);
            sums[0] += sums[1];
            compare(LABEL("n %zu style %d as two taps", n, style), sums, &whole, 1);
        }
}

/* Slot 0: out, 1: q, 2: keys, 3: values, 4: scores. The reference's is always of wide keys and values. */
static void attend_case(const tess_kernels *k, bool is_narrow, size_t n_query, size_t n_key, size_t d_head,
                        int style, tess_rounding rounding)
{
    const size_t n_together = draw() % 2 ? n_query : 1 + draw() % n_query;
    const size_t n_seen = n_key + (n_query - 1) / n_together;
    const size_t stride = d_head + draw() % 3 * 5, n_kv = (n_seen - 1) * stride + d_head;
    const float scale = 1.0f / sqrtf((float)d_head);
    fill(buffer[1], n_query * d_head, style);
    static float wide[2][SLOT_BYTES / sizeof(float)];
    for (int i = 0; i < 2; i++) {
        uint16_t *halves = (uint16_t *)buffer[2 + i];
        if (is_narrow)
            fill_bf16(halves, n_kv, style), ref.widen(wide[i], halves, n_kv);
        else
            fill(buffer[2 + i], n_kv, style), memcpy(wide[i], buffer[2 + i], n_kv * sizeof(float));
    }
    ref.attend(result, buffer[1], n_query, n_together, wide[0], wide[1], stride, n_key, d_head, scale,
               buffer[4], rounding);
    operand o[] = {FLOATS(0, n_query * d_head), FLOATS(1, n_query * d_head), FLOATS(2, n_kv), FLOATS(3, n_kv),
                   FLOATS(4, n_query * n_seen)};
    if (is_narrow) o[2] = (operand)HALVES(2, n_kv), o[3] = (operand)HALVES(3, n_kv);
    LABEL("n_query %zu by %zu n_key %zu d_head %zu stride %zu style %d rounding %d", n_query, n_together,
          n_key, d_head, stride, style, rounding);
    if (is_narrow) {
        RUN_GUARDED(label, o, 5, result, n_query * d_head,
                    k->attend_narrow(o[0].guarded, o[1].guarded, n_query, n_together, o[2].guarded,
                                     o[3].guarded, stride, n_key, d_head, scale, o[4].guarded, rounding));
        return;
    }
    RUN_GUARDED(label, o, 5, result, n_query * d_head,
                k->attend(o[0].guarded, o[1].guarded, n_query, n_together, o[2].guarded, o[3].guarded, stride,
                          n_key, d_head, scale, o[4].guarded, rounding));
}

static void attend_cases(const tess_kernels *k, bool is_narrow, size_t n, int style, tess_rounding rounding)
{
    if (n == 0 || n > 1000) return;
    const size_t n_query = 1 + draw() % 9, n_key = 1 + draw() % 70, d_head = 8 * (1 + draw() % 16);
    const size_t n_grouped = TESS_QUERY_GRAIN * (1 + draw() % 2) + draw() % 3;
    attend_case(k, is_narrow, n_query, n, d_head, style, rounding);
    if (n <= 130) attend_case(k, is_narrow, n_query, n_key, n, style, rounding);
    /* whole groups of queries and more, half of the lengths as keys and half as elements */
    if (n > 130 ? n % 256 == 0 : (n + (size_t)style) % 2 == 0)
        attend_case(k, is_narrow, n_grouped, n, n > 130 ? 72 : d_head, style, rounding);
    else if (n <= 130)
        attend_case(k, is_narrow, n_grouped, n_key, n, style, rounding);
}

static void case_attend(const tess_kernels *k, size_t n, int style, tess_rounding rounding)
{
    attend_cases(k, false, n, style, rounding);
}

static void case_attend_narrow(const tess_kernels *k, size_t n, int style, tess_rounding rounding)
{
    if ((n + (size_t)style) % 3 == 0)
        attend_cases(k, true, n, style, rounding); /* the walk is the wide one's */
    if (n == 0 || n > 20) return;
    attend_case(k, true, 1 + n, n, 1 + draw() % 500, style, rounding); /* few keys, wide heads */
    if (n % 8 == 0) attend_case(k, true, 2, n, TESS_NARROW_MAX_HEAD, style, rounding);
}

/* -- the whole list -- */

typedef void case_fn(const tess_kernels *k, size_t n, int style, tess_rounding rounding);

static size_t run_lengths(case_fn *one, const tess_kernels *k, bool quick)
{
    static const size_t large[] = {255, 256, 257, 511, 768, 1000, 2048, MAX_LENGTH};
    memset(&count, 0, sizeof count);
    for (int style = 0; style < STYLES; style++)
        for (int rounding = 0; rounding < 2; rounding++) {
            for (size_t n = 0; n <= 130; n += quick ? 1 + draw() % 12 : 1)
                one(k, n, style, (tess_rounding)rounding);
            for (size_t i = 0; i < sizeof large / sizeof large[0]; i += quick ? 5 : 1)
                one(k, large[i], style, (tess_rounding)rounding);
        }
    return count.n_bad;
}

static int n_test, n_failed;

static void report(bool good, const char *isa, const char *op, const char *text)
{
    printf("%s %d - %s %s: %s\n", good ? "ok" : "not ok", ++n_test, isa, op, text);
    n_failed += !good;
}

static void test_kernel(const char *isa, const char *how, const char *op, case_fn *one, const tess_kernels *k,
                        bool quick)
{
    run_lengths(one, k, quick);
    if (one == case_matmul) case_tokens(k, TESS_FORMAT_BF16);
    if (one == case_matmul_packed) case_tokens(k, TESS_FORMAT_PACKED);
    if (one == case_matmul_columns) case_two_taps(k);
    char text[160];
    snprintf(text, sizeof text,
             "%s, %zu cases, %zu values, %zu differ from the reference, max abs difference %g", how,
             count.n_case, count.n_value, count.n_bad, count.max_abs);
    report(count.n_bad == 0 && count.n_case > 0, isa, op, text);
    fflush(stdout);
}

static void test_kernels(const char *isa, const char *how, const tess_kernels *k, bool quick)
{
#define TEST_ENTRY(op, types, variant)                                                                       \
    if (strcmp(#variant, isa) == 0) test_kernel(isa, how, #op, case_##op, k, quick);
    TESS_KERNEL_LIST(TEST_ENTRY)
}

static bool required(const char *isa)
{
    const char *list = getenv("TESS_REQUIRE_ISA");
    const size_t n = strlen(isa);
    for (const char *p = list; p && (p = strstr(p, isa)) != NULL; p += n)
        if ((p == list || p[-1] == ' ') && (p[n] == 0 || p[n] == ' ')) return true;
    return false;
}

static void test_natively(const char *isa, unsigned need, bool quick)
{
    tess_kernels k;
    unsigned named;
    tess_kernels_init(&k, need);
    bool entries = strcmp(k.name, isa) == 0 && tess_isa_from_name(isa, &named) && named == need;
#define HAS_ENTRY(op, types, variant)                                                                        \
    if (strcmp(#variant, isa) == 0) entries = entries && k.op == tess_##op##_##types##_##variant;
    TESS_KERNEL_LIST(HAS_ENTRY)
    report(entries, isa, "table", "the name, its mask and the list's entries agree");
    test_kernels(isa, "natively", &k, quick);
    if (need == 0) printf("# digest of the reference %016llx\n", (unsigned long long)digest);
}

static void test_isa(const char *isa, unsigned need, bool quick)
{
    tess_kernels k;
    const bool native = tess_isa_available(need), emulated = test_emulated_init(&k, isa);
    if (native) test_natively(isa, need, quick);
    if (emulated) test_kernels(isa, "emulated", &k, quick);
    printf("# instruction set %s: %s\n", isa,
           native ? (emulated ? "natively and emulated" : "natively")
                  : (emulated ? "emulated" : "not tested"));
    if (native || emulated) return;
    if (required(isa))
        report(false, isa, "kernels", "required, but this processor lacks it: not tested");
    else
        printf("ok %d - %s kernels # SKIP not tested: this processor lacks it\n", ++n_test, isa);
}

/* A required name outside this build's list is a failure too. */
static void test_required_names(void)
{
    static const char *const known[] = {"avx2", "avx512", "neon"};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        bool listed = false;
#define IS_LISTED(isa, need) listed = listed || strcmp(#isa, known[i]) == 0;
        TESS_ISA_LIST(IS_LISTED)
        if (!listed && required(known[i]))
            report(false, known[i], "kernels", "required, but not in this build");
    }
}

int main(int argc, char **argv)
{
    const bool quick = (argc > 1 && strcmp(argv[1], "quick") == 0) || getenv("TESS_SANITIZED");
    map_slots();
    tess_kernels_init(&ref, 0);
    tess_kernels all;
    tess_kernels_init(&all, ~0u);
    unsigned mask = 0;
    tess_kernels alone; /* AVX-512 with AVX2 taken away is not run */
    tess_kernels_init(&alone, TESS_CPU_AVX512);
    const bool named =
        tess_isa_from_name("auto", &mask) && mask == tess_cpu_mask() && alone.matmul == ref.matmul;
    report(named && !tess_isa_from_name("sse9", &mask) && strcmp(ref.name, "reference") == 0, "dispatch",
           "names", all.name);
#define TEST_ISA(isa, need) test_isa(#isa, need, quick);
    TESS_ISA_LIST(TEST_ISA)
    test_required_names();
    printf("1..%d\n", n_test);
    return n_failed > 0;
}
