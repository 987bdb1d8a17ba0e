#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/pool.h"
#include "base/system.h"
#include "store/index.h"

enum { MAX_TINY = 500 }; /* in 10,000 weights */

static const char help[] =
    "Usage: synthetic [options] --out DIR\n"
    "\n"
    "Writes a checkpoint in the published layout, of random weights or of none.\n"
    "\n"
    "Options:\n"
    "  --out DIR            the folder to make; refused if there is something in it (required)\n"
    "  --hollow             no weights: holes of the files, which read as zero (default)\n"
    "  --filled             random weights for the components named\n"
    "  --components LIST    those that are filled: all (default), or some of text,audio,vision,\n"
    "                       talker,code_predictor,code2wav. The first three are always there, the\n"
    "                       last three together if one is named; what is not named is hollow\n"
    "  --layers N           layers of the thinker's decoder; default as in the configuration\n"
    "  --config FILE        base configuration; default: the released dimensions, 48 layers\n"
    "  --seed N             of the weights; default 0\n"
    "  --router-skew X      share of a router logit's variance that is the same for every token,\n"
    "                       0 … 0.99: how unevenly experts are chosen; default 0.1\n"
    "  --router-repeat X    share of the rest that comes from the neighbourhood, 0 … 0.99: how\n"
    "                       often a token chooses its predecessor's experts; default 0.3\n"
    "  --tails N            tiny weights in 10,000, on average, 0 … 500; default 24\n"
    "  --shards N           shard files; default by --shard-bytes\n"
    "  --shard-bytes SIZE   most bytes of tensors in a shard, about; default 5GB\n"
    "  --tokenizer DIR      copies vocab.json and merges.txt from there, and what goes with them\n"
    "  --threads N          threads that make and write; default twice the CPUs\n"
    "  --help               this text\n"
    "\n"
    "Weights are a function of seed, tensor name and place: threads and shards change nothing.\n"
    "Nothing of a checkpoint stands under its name before all of it does.\n"
    "\n"
    "Exit status: 0 done, 2 options, 3 folder, configuration or tokenizer refused, 4 system,\n"
    "130 interrupted.\n"
    "\n"
    "Examples:\n"
    "  synthetic --out published.hollow\n"
    "  synthetic --out eight.layers --filled --layers 8 --components text --tokenizer FOLDER\n";

static int complain(const char *format, ...) __attribute__((format(printf, 1, 2)));
static int complain(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("synthetic: ", stderr);
    vfprintf(stderr, format, args);
    fputs("\nTry 'synthetic --help'.\n", stderr);
    va_end(args);
    return 2;
}

static bool parse_whole(const char *text, uint64_t least, uint64_t most, uint64_t *out)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || errno || value < least || value > most) return false;
    *out = value;
    return true;
}

static bool parse_number(const char *text, double least, double most, double *out)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || !(value >= least && value <= most)) return false;
    *out = value;
    return true;
}

static bool parse_size(const char *text, uint64_t *out)
{
    static const struct {
        const char *unit;
        double bytes;
    } units[] = {{"", 1},     {"KiB", 0x1p10}, {"MiB", 0x1p20}, {"GiB", 0x1p30},
                 {"kB", 1e3}, {"MB", 1e6},     {"GB", 1e9}};
    char *end;
    double value = strtod(text, &end);
    if (end == text || !(value > 0)) return false;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        double bytes = value * units[i].bytes;
        if (strcmp(end, units[i].unit) || bytes < 1 || bytes > 1e15) continue;
        *out = (uint64_t)bytes;
        return true;
    }
    return false;
}

static bool parse_components(const char *text, synthetic_options *o)
{
    static const char *const name[] = {"text", "audio", "vision", "talker", "code_predictor", "code2wav"};
    memset(o->named, 0, sizeof o->named);
    o->names_all = !strcmp(text, "all");
    if (o->names_all) {
        memset(o->named, true, sizeof o->named);
        return true;
    }
    for (;;) {
        size_t n = strcspn(text, ","), i = 0;
        while (i < 6 && (strlen(name[i]) != n || strncmp(name[i], text, n))) i++;
        if (i == 6) return false;
        o->named[i] = true; /* in the order of tess_component */
        if (!text[n]) return true;
        text += n + 1;
    }
}

enum choice {
    OUT,
    HOLLOW,
    FILLED,
    COMPONENTS,
    LAYERS,
    CONFIG,
    SEED,
    SKEW,
    REPEAT,
    TAILS,
    SHARDS,
    SHARD_BYTES,
    TOKENIZER,
    THREADS,
    HELP,
};

static const struct option table[] = {{"out", required_argument, NULL, OUT},
                                      {"hollow", no_argument, NULL, HOLLOW},
                                      {"filled", no_argument, NULL, FILLED},
                                      {"components", required_argument, NULL, COMPONENTS},
                                      {"layers", required_argument, NULL, LAYERS},
                                      {"config", required_argument, NULL, CONFIG},
                                      {"seed", required_argument, NULL, SEED},
                                      {"router-skew", required_argument, NULL, SKEW},
                                      {"router-repeat", required_argument, NULL, REPEAT},
                                      {"tails", required_argument, NULL, TAILS},
                                      {"shards", required_argument, NULL, SHARDS},
                                      {"shard-bytes", required_argument, NULL, SHARD_BYTES},
                                      {"tokenizer", required_argument, NULL, TOKENIZER},
                                      {"threads", required_argument, NULL, THREADS},
                                      {"help", no_argument, NULL, HELP},
                                      {NULL, 0, NULL, 0}};

/* Stores an option's value. Returns what was expected instead, in `expected`, or NULL. */
static const char *store_option(synthetic_options *o, int choice, const char *value, char expected[96])
{
    uint64_t n = 0;
    double x = 0;
    switch ((enum choice)choice) {
    case OUT:
        o->out = value;
        return *value && strlen(value) < MAX_PATH_BYTES ? NULL : "a folder's name of less than 3 KiB";
    case CONFIG:
        o->config = value;
        return NULL;
    case TOKENIZER:
        o->tokenizer = value;
        return NULL;
    case COMPONENTS:
        return parse_components(value, o)
                   ? NULL
                   : "all, or some of text,audio,vision,talker,code_predictor,code2wav";
    case LAYERS:
        snprintf(expected, 96, "a whole number from 1 to %d", TESS_MAX_LAYERS);
        if (!parse_whole(value, 1, TESS_MAX_LAYERS, &n)) return expected;
        o->n_layer = (int)n;
        return NULL;
    case SHARDS:
        snprintf(expected, 96, "a whole number from 1 to %d", TESS_MAX_SHARDS);
        if (!parse_whole(value, 1, TESS_MAX_SHARDS, &n)) return expected;
        o->n_shard = (int)n;
        return NULL;
    case THREADS:
        snprintf(expected, 96, "a whole number from 1 to %d", TESS_POOL_MAX_THREADS);
        if (!parse_whole(value, 1, TESS_POOL_MAX_THREADS, &n)) return expected;
        o->n_thread = (int)n;
        return NULL;
    case SEED:
        return parse_whole(value, 0, UINT64_MAX, &o->weights.seed) ? NULL : "a whole number of 0 or more";
    case SKEW:
        return parse_number(value, 0, 0.99, &o->weights.router_skew) ? NULL : "a number from 0 to 0.99";
    case REPEAT:
        return parse_number(value, 0, 0.99, &o->weights.router_repeat) ? NULL : "a number from 0 to 0.99";
    case TAILS:
        snprintf(expected, 96, "a number from 0 to %d", MAX_TINY);
        if (!parse_number(value, 0, MAX_TINY, &x)) return expected;
        o->weights.tiny_share = x / 1e4;
        return NULL;
    case SHARD_BYTES:
        return parse_size(value, &o->shard_bytes) ? NULL : "a size such as 512MiB or 5GB";
    case HOLLOW:
    case FILLED:
    case HELP:
        break;
    }
    return "no value";
}

int options_parse(int argc, char **argv, synthetic_options *out)
{
    tess_system_cpus cpus;
    tess_system_get_cpus("", &cpus);
    int n_cpu = cpus.n_cpu, got;
    synthetic_options o = {.shard_bytes = 5000000000u,
                           .n_thread = 2 * n_cpu < TESS_POOL_MAX_THREADS ? 2 * n_cpu : TESS_POOL_MAX_THREADS,
                           .weights = {.router_skew = 0.1, .router_repeat = 0.3, .tiny_share = 24e-4}};
    bool is_hollow = false;
    char expected[96];
    parse_components("all", &o);
    opterr = 0;
    while ((got = getopt_long(argc, argv, ":", table, NULL)) != -1) {
        const char *word = argv[optind - 1];
        if (got == '?') return complain("%s: no such option, or one that takes no value", word);
        if (got == ':') return complain("%s: a value is missing", word);
        if (got == HELP) {
            fputs(help, stdout);
            return fflush(stdout) ? 4 : 0;
        }
        if (got == HOLLOW) is_hollow = true;
        if (got == FILLED) o.is_filled = true;
        if (got == HOLLOW || got == FILLED) continue;
        const char *wanted = store_option(&o, got, optarg, expected);
        if (wanted) return complain("--%s: found \"%s\", expected %s", table[got].name, optarg, wanted);
    }
    if (optind < argc) return complain("%s: a word that belongs to no option", argv[optind]);
    if (!o.out) return complain("--out is missing");
    if (is_hollow && o.is_filled) return complain("--hollow and --filled exclude each other");
    *out = o;
    return -1;
}
