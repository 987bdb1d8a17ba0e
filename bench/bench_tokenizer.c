/* How fast text becomes ids and back, and what an open tokenizer takes of memory.
 *
 *   bench_tokenizer [FOLDER [FILE...]]
 *
 * FOLDER: tokenizer files; default the published ones if ../shared has them, else the small ones of the
 * tests. FILE: further texts. Each figure is the median of ROUNDS runs over at least a mebibyte, with the
 * lowest and highest.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "measure.h"
#include "tessera/tokenizer.h"

enum { ROUNDS = 9, TEXT_BYTES = 2 << 20 };

static long read_status(const char *key)
{
    FILE *f = fopen("/proc/self/status", "r");
    char line[256];
    long kib = -1;
    while (f && fgets(line, sizeof line, f))
        if (!strncmp(line, key, strlen(key))) kib = strtol(line + strlen(key) + 1, NULL, 10);
    if (f) fclose(f);
    return kib;
}

static void print_rate(const char *what, double bytes, double seconds[ROUNDS])
{
    bench_sort(seconds, ROUNDS);
    printf("  %-28s %7.1f MB/s   (%.1f to %.1f)\n", what, bytes / seconds[ROUNDS / 2] / 1e6,
           bytes / seconds[ROUNDS - 1] / 1e6, bytes / seconds[0] / 1e6);
}

/* Texts of this project's own, and with a file its content. */
static const char english[] =
    "The harbour was quiet before dawn, and the fishing boats lay so still that their lamps hung twice: once "
    "in the "
    "air, once in the water. Margaret counted them from the window, as she'd done every morning since her "
    "father "
    "sold the shop in 1987. \"Eleven,\" she said; yesterday there had been twelve. She didn't like it. By "
    "half past "
    "six the baker's van had come and gone, the gulls were quarrelling over a crate of herring, and nobody "
    "on the "
    "quay could say who'd taken the Juniper out, or why, or whether she'd be back by Friday.\n\n";
static const char mixed[] =
    "Release 4.2.1 (2025-03-14): fixed `parse_header()` for sizes > 65,535 bytes.\n\tif (n_bytes <= 0 || "
    "n_bytes > "
    "MAX_SIZE) { return -EINVAL; }\nDie Größe überschreitet 10 %, naïve café prices rose to 8,90 €. "
    "\u4eca\u5929\u5929\u6c14\u5f88\u597d\uff0c\u6211\u4eec\u53bb\u516c\u56ed\u6563\u6b65\u5427\u3002 "
    "\u041f\u0440\u0438\u0432\u0435\u0442, \u043a\u0430\u043a \u0434\u0435\u043b\u0430? "
    "\u65e5\u672c\u8a9e\u306e\u6587\u7ae0\u3067\u3059\u3002 https://example.org/a?b=c&d=42 \U0001f642\n";
static const char chinese[] =
    "\u6e2f\u53e3\u5728\u9ece\u660e\u524d\u5f88\u5b89\u9759\uff0c\u6e14\u8239\u4e00\u52a8\u4e0d\u52a8\uff0c"
    "\u706f\u5149\u5728\u7a7a\u4e2d\u548c\u6c34\u4e2d\u5404\u6302\u4e86\u4e00\u6b21\u3002\u5979\u6bcf\u5929"
    "\u65e9\u4e0a\u90fd\u4ece\u7a97\u53e3\u6570\u4e00\u6570\uff0c\u4eca\u5929\u53ea\u6709\u5341\u4e00\u6761"
    "\u3002\n";
/* Every second letter carries a mark that is not composed yet. */
static const char decomposed[] =
    "e\u0301te\u0301 a\u0300 la co\u0302te u\u0308ber n\u0303 \u0928\u093f\u0915\u093c ";

static char *repeat(const char *text, size_t n, size_t *total)
{
    size_t times = TEXT_BYTES / n + 1;
    char *out = malloc(times * n);
    for (size_t i = 0; out && i < times; i++) memcpy(out + i * n, text, n);
    *total = times * n;
    return out;
}

static int measure(const tess_tokenizer *t, const char *name, const char *text, size_t n)
{
    size_t total;
    char *all = repeat(text, n, &total);
    tess_ids ids = {0};
    tess_text back = {0};
    tess_error err = {0};
    double encode[ROUNDS], decode[ROUNDS];
    int status = all ? 0 : 1;
    for (int i = 0; i < ROUNDS && !status; i++) {
        ids.count = back.count = 0;
        double begin = bench_now(CLOCK_MONOTONIC);
        status |= tess_tokenizer_encode(t, all, total, 0, &ids, &err) != TESS_OK;
        double middle = bench_now(CLOCK_MONOTONIC);
        status |= status || tess_tokenizer_decode(t, ids.data, ids.count, 0, &back, &err) != TESS_OK;
        encode[i] = middle - begin;
        decode[i] = bench_now(CLOCK_MONOTONIC) - middle;
    }
    if (status) {
        fprintf(stderr, "%s: %s\n", name, err.message);
    } else {
        printf("%s: %zu bytes, %.2f bytes an id\n", name, total, (double)total / (double)ids.count);
        print_rate("encode", (double)total, encode);
        print_rate("decode", (double)back.count, decode);
    }
    free(all);
    tess_ids_release(&ids);
    tess_text_release(&back);
    return status;
}

static int measure_file(const tess_tokenizer *t, const char *path)
{
    FILE *f = fopen(path, "rb");
    char *text = malloc(64 << 20);
    size_t n = f && text ? fread(text, 1, 64 << 20, f) : 0;
    if (f) fclose(f);
    int status = n ? measure(t, path, text, n) : 1;
    if (!n) fprintf(stderr, "%s: cannot be read\n", path);
    free(text);
    return status;
}

int main(int argc, char **argv)
{
    static const char published[] = "../shared/data/qwen3_omni";
    const char *folder = argc > 1 ? argv[1] : access(published, R_OK) ? "tests/golden/text" : published;
    tess_tokenizer *t;
    tess_error err;
    long before = read_status("VmRSS");
    double begin = bench_now(CLOCK_MONOTONIC);
    if (tess_tokenizer_open(folder, &t, &err) != TESS_OK) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    printf("tokenizer of %s: %zu tokens\n", folder, tess_tokenizer_get_n_tokens(t));
    printf("  opened in %.0f ms, resident %ld KiB more than before, peak %ld KiB more\n",
           1e3 * (bench_now(CLOCK_MONOTONIC) - begin), read_status("VmRSS") - before,
           read_status("VmHWM") - before);
    int status = measure(t, "English prose", english, sizeof english - 1);
    status |= measure(t, "mixed", mixed, sizeof mixed - 1);
    status |= measure(t, "Chinese", chinese, sizeof chinese - 1);
    status |= measure(t, "decomposed marks", decomposed, sizeof decomposed - 1);
    for (int i = 2; i < argc; i++) status |= measure_file(t, argv[i]);
    tess_tokenizer_close(t);
    return status;
}
