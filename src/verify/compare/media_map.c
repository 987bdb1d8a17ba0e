#include "verify/compare/media_map.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "verify/trace/media.h"

/* ---- clips ---- */

/* Steps of a chunk: three convolutions of stride two. */
static int64_t count_steps(int64_t n_frame)
{
    for (int i = 0; i < 3; i++) n_frame = (n_frame + 1) / 2;
    return n_frame;
}

int64_t tess_media_map_begin(int n_chunk_frame, int64_t token)
{
    int64_t full = count_steps(n_chunk_frame);
    return token / full * n_chunk_frame + 8 * (token % full);
}

static int64_t count_clip_tokens(int64_t n_frame, int chunk)
{
    return n_frame / chunk * count_steps(chunk) + count_steps(n_frame % chunk);
}

static int64_t count_clip_chunks(int64_t n_frame, int chunk)
{
    return (n_frame + chunk - 1) / chunk;
}

/* Whether chunks of so many frames make the shape that an audio tower's tap has. */
static bool fits_chunks(const tess_media_map *map, const tess_tensor *t, int line, int chunk)
{
    int64_t n_token = 0, n_chunk = 0, longest = 0;
    for (int i = 0; i < map->n; i++) {
        int64_t n_frame = map->medium[i].n_frame;
        if (map->medium[i].kind != TESS_MEDIA_AUDIO) continue;
        n_token += count_clip_tokens(n_frame, chunk);
        n_chunk += count_clip_chunks(n_frame, chunk);
        if (n_frame > chunk) n_frame = chunk;
        if (n_frame > longest) longest = n_frame;
    }
    if (line != TESS_AUDIO_TAP_CONV_OUT) return t->dim[0] == (uint64_t)n_token;
    bool is_one = t->n_dim == 2 && n_chunk == 1, is_many = t->n_dim == 3 && t->dim[0] == (uint64_t)n_chunk;
    return (is_one || is_many) && t->dim[t->n_dim - 2] == (uint64_t)count_steps(longest);
}

/* The frames of a chunk by which all of the tower's taps have their shapes: the published 100, or the fewest.
 */
static void find_chunk(const tess_safetensors *file, tess_media_map *map)
{
    enum { PUBLISHED = 100, MOST = 1024 };
    size_t n = tess_safetensors_get_count(file);
    int *chunk = &map->n_chunk_frame;
    for (int k = 0; k <= MOST / 2; k++) {
        bool has_tap = false, fits = true;
        *chunk = k ? 2 * k : PUBLISHED;
        for (size_t i = 0; i < n && fits; i++) {
            const tess_tensor *t = tess_safetensors_get(file, i);
            tess_tap_place place = tess_tap_place_of(t->name);
            if (place.part != TESS_PART_AUDIO || place.run || strncmp(t->name, "tap.", 4)) continue;
            has_tap = true;
            fits = t->n_dim > 1 && fits_chunks(map, t, place.line, *chunk);
        }
        if (fits && (has_tap || k == 0)) return;
    }
    *chunk = 0;
}

static void map_clips(const tess_safetensors *file, tess_media_map *map)
{
    int64_t token = 0, chunk = 0, column = 0, longest = 0;
    find_chunk(file, map);
    if (!map->n_chunk_frame) {
        snprintf(map->unknown, sizeof map->unknown,
                 "the taps of the audio tower are not those of the clips in in.input_features");
        return;
    }
    for (int i = 0; i < map->n; i++) {
        tess_mapped_medium *m = &map->medium[i];
        if (m->kind != TESS_MEDIA_AUDIO) continue;
        m->first_token = token;
        m->first_chunk = chunk;
        m->n_column = column;
        m->n_token = count_clip_tokens(m->n_frame, map->n_chunk_frame);
        m->n_chunk = count_clip_chunks(m->n_frame, map->n_chunk_frame);
        token += m->n_token;
        chunk += m->n_chunk;
        column += m->n_frame;
        if (m->n_frame > longest) longest = m->n_frame;
    }
    map->n_chunk_step = (int)count_steps(longest < map->n_chunk_frame ? longest : map->n_chunk_frame);
}

/* ---- pictures ---- */

static int64_t count_patches(const tess_mapped_medium *m)
{
    return (int64_t)m->n_step * m->n_high * m->n_wide;
}

/* The patches along an edge of a token: a merger's taps have a row for each square of them. */
static int find_merge(const tess_safetensors *file, const tess_media_map *map)
{
    for (size_t i = 0; i < tess_safetensors_get_count(file); i++) {
        const tess_tensor *t = tess_safetensors_get(file, i);
        tess_tap_place place = tess_tap_place_of(t->name);
        bool is_merged = place.part == TESS_PART_VISION && place.line >= TESS_VISION_TAP_DEEPSTACK &&
                         t->n_dim == 2 && t->dim[0] > 0;
        if (!is_merged || strncmp(t->name, "tap.", 4)) continue;
        int64_t n_patch = 0;
        for (int k = 0; k < map->n; k++)
            if (map->medium[k].part == TESS_PART_VISION && map->medium[k].run == place.run)
                n_patch += count_patches(&map->medium[k]);
        for (int merge = 1; merge <= 64; merge++)
            if (t->dim[0] * (uint64_t)(merge * merge) == (uint64_t)n_patch) return merge;
    }
    return 0;
}

static void map_pictures(const tess_safetensors *file, tess_media_map *map)
{
    map->merge = find_merge(file, map);
    for (int i = 0; i < map->n && map->merge; i++) {
        const tess_mapped_medium *m = &map->medium[i];
        if (m->part == TESS_PART_VISION && (m->n_high % map->merge || m->n_wide % map->merge)) map->merge = 0;
    }
    if (!map->merge) {
        snprintf(map->unknown, sizeof map->unknown,
                 "no tap of a merger tells how many patches of the pictures make a token");
        return;
    }
    int64_t token[2] = {0, 0};
    for (int i = 0; i < map->n; i++) {
        tess_mapped_medium *m = &map->medium[i];
        if (m->part != TESS_PART_VISION) continue;
        m->first_token = token[m->run];
        m->n_token = count_patches(m) / (map->merge * map->merge);
        token[m->run] += m->n_token;
    }
}

/* ---- all of them ---- */

/* Images go through the tower first; videos are its second run where there are any. */
static void list_media(const tess_features *const *media, tess_media_map *map)
{
    int number[3] = {0, 0, 0};
    for (int i = 0; i < map->n; i++) {
        const tess_features *f = media[i];
        tess_mapped_medium *m = &map->medium[i];
        *m = (tess_mapped_medium){.kind = f->kind,
                                  .number = ++number[f->kind],
                                  .n_step = f->n_step,
                                  .n_high = f->n_high,
                                  .n_wide = f->n_wide,
                                  .seconds_per_step = f->seconds_per_grid,
                                  .n_frame = f->n_frame,
                                  .part = f->kind == TESS_MEDIA_AUDIO ? TESS_PART_AUDIO : TESS_PART_VISION};
        m->run = f->kind == TESS_MEDIA_VIDEO && number[TESS_MEDIA_IMAGE] > 0;
    }
}

static bool has_part(const tess_media_map *map, tess_tap_part part)
{
    for (int i = 0; i < map->n; i++)
        if (map->medium[i].part == part) return true;
    return false;
}

tess_status tess_media_map_make(const tess_safetensors *file, tess_media_map *out, tess_error *err)
{
    *out = (tess_media_map){0};
    tess_trace_media *media;
    tess_error why;
    tess_status status =
        tess_trace_media_open(tess_file_get_path(tess_safetensors_get_file(file)), &media, &why);
    if (status == TESS_EINPUT) { /* a comparison can do without, a run refuses it */
        snprintf(out->unknown, sizeof out->unknown, "%.40s: expected %.70s", why.field, why.expected);
        return TESS_OK;
    }
    if (status != TESS_OK) {
        if (err) *err = why;
        return status;
    }
    const tess_features *const *list = tess_trace_media_get(media, &out->n);
    out->medium = malloc(((size_t)out->n + 1) * sizeof *out->medium);
    if (out->medium)
        list_media(list, out);
    else
        status = tess_fail(err, TESS_ENOMEM, "no memory for the places of media");
    tess_trace_media_free(media);
    if (status != TESS_OK) return status;
    if (has_part(out, TESS_PART_AUDIO)) map_clips(file, out);
    if (has_part(out, TESS_PART_VISION)) map_pictures(file, out);
    return TESS_OK;
}

void tess_media_map_release(tess_media_map *map)
{
    free(map->medium);
    *map = (tess_media_map){0};
}

/* ---- from tokens to rows ---- */

static bool is_conv_out(const tess_tap_state *s)
{
    return s->place.part == TESS_PART_AUDIO && s->place.line == TESS_AUDIO_TAP_CONV_OUT;
}

/* Rows of a vision tower's tap that make a token. */
static int64_t rows_per_token(const tess_media_map *map, const tess_tap_state *s)
{
    bool is_patches = s->place.part == TESS_PART_INPUTS ||
                      (s->place.part == TESS_PART_VISION && s->place.line < TESS_VISION_TAP_DEEPSTACK);
    return is_patches ? (int64_t)map->merge * map->merge : 1;
}

int64_t tess_media_map_rows(const tess_media_map *map, const tess_mapped_medium *medium,
                            const tess_tap_state *s, int64_t token, int64_t *first)
{
    int64_t n = rows_per_token(map, s), full = count_steps(map->n_chunk_frame);
    *first = (medium->first_token + token) * n;
    if (is_conv_out(s)) *first = (medium->first_chunk + token / full) * map->n_chunk_step + token % full;
    return n;
}

bool tess_media_map_covers(const tess_media_map *map, const tess_mapped_medium *medium,
                           const tess_tap_state *s)
{
    if (s->place.part != medium->part || s->place.run != medium->run || !medium->n_token) return false;
    int64_t first, n = tess_media_map_rows(map, medium, s, medium->n_token - 1, &first);
    return first + n <= tess_tap_state_count_rows(s);
}

/* ---- from rows to words ---- */

static int say_picture(const tess_media_map *map, const tess_mapped_medium *m, const tess_tap_state *s,
                       int64_t row, char *out, size_t size)
{
    int64_t per_token = rows_per_token(map, s), patch = row % per_token;
    int64_t token = row / per_token - m->first_token;
    if (token < 0 || token >= m->n_token) return 0;
    int edge = per_token > 1 ? map->merge : 1, n_high = m->n_high / map->merge,
        n_wide = m->n_wide / map->merge;
    int64_t step = token / (n_high * n_wide), high = token / n_wide % n_high, wide = token % n_wide;
    char when[96] = "";
    if (m->kind == TESS_MEDIA_VIDEO)
        snprintf(when, sizeof when, ", step %lld of %d (from %.2f s on)", (long long)step + 1, m->n_step,
                 (double)step * m->seconds_per_step);
    return snprintf(out, size, "%s %d%s, %s in row %lld of %d, column %lld of %d",
                    m->kind == TESS_MEDIA_VIDEO ? "video" : "image", m->number, when,
                    edge > 1 ? "patch" : "token", (long long)(high * edge + patch / edge) + 1, n_high * edge,
                    (long long)(wide * edge + patch % edge) + 1, n_wide * edge);
}

static int say_frames(const tess_mapped_medium *m, int64_t first, int64_t end, char *out, size_t size)
{
    if (end > m->n_frame) end = m->n_frame;
    return snprintf(out, size, "clip %d, %.2f s to %.2f s", m->number, (double)first / 100,
                    (double)end / 100);
}

static int say_clip(const tess_media_map *map, const tess_mapped_medium *m, const tess_tap_state *s,
                    int64_t row, char *out, size_t size)
{
    int64_t full = count_steps(map->n_chunk_frame), token = row - m->first_token;
    int64_t chunk = token / full, step = token % full;
    if (is_conv_out(s)) {
        chunk = row / map->n_chunk_step - m->first_chunk;
        step = row % map->n_chunk_step;
        if (chunk < 0 || chunk >= m->n_chunk) return 0;
        if (chunk * full + step >= m->n_token)
            return snprintf(out, size, "clip %d, the padding behind its end", m->number);
    } else if (token < 0 || token >= m->n_token) {
        return 0;
    }
    token = chunk * full + step;
    return say_frames(m, tess_media_map_begin(map->n_chunk_frame, token),
                      tess_media_map_begin(map->n_chunk_frame, token + 1), out, size);
}

/* Which kind of media an input's rows are; false for others. */
static bool find_input(const tess_tap_state *s, tess_media_kind *kind)
{
    static const char *const names[] = {[TESS_MEDIA_AUDIO] = "in.input_features",
                                        [TESS_MEDIA_IMAGE] = "in.pixel_values",
                                        [TESS_MEDIA_VIDEO] = "in.pixel_values_videos"};
    for (int i = 0; i < 3; i++)
        if (!strcmp(s->reference->name, names[i])) {
            *kind = (tess_media_kind)i;
            return true;
        }
    return false;
}

/* The file has mel bins one below the other, each with the frames of all clips. */
static int say_input(const tess_media_map *map, const tess_mapped_medium *m, const tess_tap_state *s,
                     int64_t row, int64_t element, char *out, size_t size)
{
    if (m->kind != TESS_MEDIA_AUDIO) return say_picture(map, m, s, row, out, size);
    int64_t frame = element % (int64_t)s->row_width - m->n_column;
    return frame < 0 || frame >= m->n_frame ? 0 : say_frames(m, frame, frame + 1, out, size);
}

void tess_media_map_say(const tess_media_map *map, const tess_tap_state *s, int64_t row, int64_t element,
                        char *out, size_t size)
{
    tess_media_kind kind;
    bool is_input = find_input(s, &kind);
    int n = 0;
    *out = 0;
    for (int i = 0; i < map->n && !n && row >= 0; i++) {
        const tess_mapped_medium *m = &map->medium[i];
        if (!m->n_token) continue;
        if (is_input && kind == m->kind)
            n = say_input(map, m, s, row, element, out, size);
        else if (!tess_media_map_covers(map, m, s))
            continue;
        else if (m->part == TESS_PART_AUDIO)
            n = say_clip(map, m, s, row, out, size);
        else
            n = say_picture(map, m, s, row, out, size);
    }
}
