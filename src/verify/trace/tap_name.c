#include "verify/trace/tap_name.h"

#include <fnmatch.h>
#include <stddef.h>
#include <string.h>

#include "tessera/trace.h"

static const struct {
    const char *name, *component;
    tess_tap_class class;
} inputs[] = {
    /* Where media are of other sizes, the ids are others for it: sizes come first, then values, then ids. */
    {"audio_feature_lengths", "preprocess", TESS_CLASS_INPUT},
    {"input_features", "preprocess", TESS_CLASS_FEATURES},
    {"image_grid_thw", "preprocess", TESS_CLASS_INPUT},
    {"pixel_values", "preprocess", TESS_CLASS_INPUT},
    {"video_second_per_grid", "preprocess", TESS_CLASS_INPUT},
    {"video_grid_thw", "preprocess", TESS_CLASS_INPUT},
    {"pixel_values_videos", "preprocess", TESS_CLASS_INPUT},
    {"input_ids", "tokenizer", TESS_CLASS_INPUT},
    {"position_ids", "position_ids", TESS_CLASS_INPUT},
    {"use_audio_in_video", "position_ids", TESS_CLASS_INPUT},
    {"codes", "code2wav", TESS_CLASS_INPUT},
};

enum { MAX_NUMBER = 0xffff };

/* Reads a decimal number without leading zeros; NULL if there is none or it is too large. */
static const char *read_number(const char *at, int *out)
{
    if (*at < '0' || *at > '9' || (*at == '0' && at[1] >= '0' && at[1] <= '9')) return NULL;
    int value = 0;
    for (; *at >= '0' && *at <= '9'; at++) {
        value = value * 10 + (*at - '0');
        if (value > MAX_NUMBER) return NULL;
    }
    *out = value;
    return at;
}

/* Whether the whole of `name`, up to a run suffix, fits the pattern. number: two; -1 where there is none. */
static bool matches(const char *text, const char *name, int number[2], int *run)
{
    int n = 0;
    number[0] = number[1] = -1;
    *run = 0;
    for (; *text; text++) {
        if (*text != '%') {
            if (*name++ != *text) return false;
        } else {
            name = read_number(name, &number[n++]);
            if (!name) return false;
        }
    }
    if (*name == '#') {
        name = read_number(name + 1, run);
        if (!name || *run > 0xff) return false;
    }
    return *name == 0;
}

static tess_tap_place place_input(const char *name)
{
    tess_tap_place place = {TESS_CLASS_INPUT, TESS_PART_INPUTS, "other", -1, -1, false, 0xff, 0, 0};
    for (size_t i = 0; i < sizeof inputs / sizeof inputs[0]; i++)
        if (!strcmp(name, inputs[i].name)) {
            place.component = inputs[i].component;
            place.class = inputs[i].class;
            place.order = i;
        }
    return place;
}

static tess_tap_place place_in(tess_tap_part part, size_t line, const tess_tap_line *p, const int number[2],
                               int run)
{
    const bool is_predictor = part == TESS_PART_CODE_PREDICTOR;
    /* Codes are what the code predictor makes of the talker's. */
    tess_tap_part place_of = p->class == TESS_CLASS_CODES ? TESS_PART_CODE_PREDICTOR : part;
    tess_tap_place place = {
        p->class,
        part,
        is_predictor               ? "code_predictor"
        : part == TESS_PART_TALKER ? p->talker_component
                                   : p->component,
        p->numbers == TESS_NUMBERS_LAYER || p->numbers == TESS_NUMBERS_LAYER_EXPERT ? number[0] : -1,
        p->numbers == TESS_NUMBERS_LAYER_EXPERT ? number[1] : -1,
        p->rows_are_positions && !is_predictor,
        0,
        run,
        (int)line};
    uint64_t first = number[0] < 0 ? 0 : (uint64_t)number[0],
             second = number[1] < 0 ? 0 : (uint64_t)number[1];
    place.order = (uint64_t)place_of << 56 | (uint64_t)run << 48 | (uint64_t)p->stage << 40 | first << 24 |
                  (uint64_t)line << 16 | second;
    return place;
}

tess_tap_place tess_tap_place_of(const char *name)
{
    if (!strncmp(name, "in.", 3)) return place_input(name + 3);
    const char *module = strncmp(name, "tap.", 4) ? name : name + 4;
    for (tess_tap_part part = TESS_PART_INPUTS; part < TESS_PART_OTHER; part++) {
        const tess_tap_line *table = tess_tap_table_of(part);
        size_t length = table ? strlen(tess_tap_prefix_of(part)) : 0;
        if (!table || strncmp(module, tess_tap_prefix_of(part), length)) continue;
        for (const tess_tap_line *p = table; p->pattern; p++) {
            int number[2], run;
            if (matches(p->pattern, module + length, number, &run))
                return place_in(part, (size_t)(p - table), p, number, run);
        }
    }
    return (tess_tap_place){TESS_CLASS_HIDDEN, TESS_PART_OTHER, "other", -1, -1, false, UINT64_MAX, 0, 0};
}

const char *tess_tap_short_name(const char *name)
{
    return strncmp(name, "tap.", 4) ? name : name + 4;
}

bool tess_tap_matches(const char *name, const char *const *globs, int n_glob)
{
    const char *module = tess_tap_short_name(name);
    for (int i = 0; i < n_glob; i++)
        if (!fnmatch(globs[i], module, 0) || !fnmatch(globs[i], name, 0)) return true;
    return n_glob == 0;
}
