/* Pictures and sounds of the prompt, with the error of each of their tokens. Of many, those are drawn that
 * failed, and then those with the largest errors. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "verify/report/medium.h"
#include "verify/trace/media.h"

enum {
    MOST_PANELS = 16,
    FEW = 4, /* of so many each may be large */
    LARGE_PX = 320,
    SMALL_PX = 160,
    LARGE_CELLS = 1024,
    SMALL_CELLS = 256,
    LEFT = TESS_REPORT_LEFT,
    LEGEND_WIDTH = 470,
    N_MEASURE = TESS_MEASURE_STEPS + 1
};

/* A step of an image or video, or a clip. */
typedef struct panel {
    int medium, step;
    bool has_failed, is_drawn;
    double worst; /* infinite beside values that are not finite */
} panel;

typedef struct section {
    const tess_compare_result *result;
    int result_place, n_panel, n_drawn;
    panel *panel;                    /* [n_panel] */
    tess_decades decades[N_MEASURE]; /* of the errors drawn, by their measure */
    double tolerance[N_MEASURE];
    tess_trace_media *media; /* NULL: cannot be read any more */
} section;

/* ---- what is drawn ---- */

static void weigh(const tess_medium_report *m, panel *p)
{
    int64_t n = m->kind == TESS_MEDIA_AUDIO ? m->n_token : m->n_token / m->n_step, first = p->step * n;
    for (int64_t t = first; m->error && t < first + n; t++) {
        double error = isnan(m->error[t]) ? INFINITY : (double)m->error[t];
        p->worst = fmax(p->worst, error);
        p->has_failed |= m->failed[t] != 0;
    }
}

static int64_t count_panels(const tess_compare_result *result)
{
    int64_t n = 0;
    for (int i = 0; i < result->n_medium; i++)
        n += result->medium[i].kind == TESS_MEDIA_AUDIO ? 1 : result->medium[i].n_step;
    return n;
}

static bool is_worse(const panel *a, const panel *b)
{
    return a->has_failed != b->has_failed ? a->has_failed : a->worst > b->worst;
}

static void choose_panels(section *s)
{
    for (int k = 0; k < s->n_panel && k < MOST_PANELS; k++) {
        panel *best = NULL;
        for (int i = 0; i < s->n_panel; i++)
            if (!s->panel[i].is_drawn && (!best || is_worse(&s->panel[i], best))) best = &s->panel[i];
        best->is_drawn = true;
        s->n_drawn++;
    }
}

static bool list_panels(section *s)
{
    int64_t n = count_panels(s->result);
    s->panel = n < INT32_MAX ? calloc((size_t)n + 1, sizeof *s->panel) : NULL;
    if (!s->panel) return false;
    for (int i = 0; i < s->result->n_medium; i++) {
        const tess_medium_report *m = &s->result->medium[i];
        int n_step = m->kind == TESS_MEDIA_AUDIO ? 1 : m->n_step;
        for (int step = 0; step < n_step; step++) {
            panel *p = &s->panel[s->n_panel++];
            *p = (panel){.medium = i, .step = step};
            weigh(m, p);
        }
    }
    choose_panels(s);
    return true;
}

static void set_scales(section *s)
{
    for (int k = 0; k < N_MEASURE; k++) {
        s->decades[k] = TESS_DECADES_NONE;
        s->tolerance[k] = NAN;
    }
    for (int i = 0; i < s->result->n_medium; i++) {
        const tess_medium_report *m = &s->result->medium[i];
        for (int64_t t = 0; m->error && t < m->n_token; t++)
            tess_decades_widen(&s->decades[m->measure], (double)m->error[t]);
        if (m->error) s->tolerance[m->measure] = m->tolerance;
        if (m->error) tess_decades_widen(&s->decades[m->measure], m->tolerance);
    }
    for (int k = 0; k < N_MEASURE; k++) {
        tess_decades *d = &s->decades[k];
        if (d->low > d->high) *d = (tess_decades){-8, -4};
        if (d->low > d->high - 3) d->low = d->high - 3;
    }
}

/* The features of a medium: the one of its kind and number. */
static const tess_features *find_features(const section *s, const tess_medium_report *m)
{
    int n = 0, number = 0;
    const tess_features *const *list = s->media ? tess_trace_media_get(s->media, &n) : NULL;
    for (int i = 0; i < n; i++) {
        const tess_features *f = list[i];
        if (f->kind != m->kind || ++number != m->number) continue;
        /* The file may be another by now. */
        bool is_same = m->kind == TESS_MEDIA_AUDIO
                           ? f->n_frame == m->n_frame
                           : f->n_step == m->n_step && f->n_high == m->n_high * m->merge &&
                                 f->n_wide == m->n_wide * m->merge;
        return is_same ? f : NULL;
    }
    return NULL;
}

/* ---- words ---- */

static void put_size(FILE *out, const tess_medium_report *m)
{
    static const char *const words[] = {
        [TESS_MEDIA_AUDIO] = "clip", [TESS_MEDIA_IMAGE] = "image", [TESS_MEDIA_VIDEO] = "video"};
    fprintf(out, "%s %d: ", words[m->kind], m->number);
    if (m->kind == TESS_MEDIA_AUDIO)
        fprintf(out, "%.2f s, %" PRId64 " token%s", (double)m->n_frame / 100, m->n_token,
                m->n_token == 1 ? "" : "s");
    else
        fprintf(out, "%d × %d patches", m->n_wide * m->merge, m->n_high * m->merge);
    if (m->kind == TESS_MEDIA_VIDEO)
        fprintf(out, ", %d step%s of %.3g s with %d × %d tokens", m->n_step, m->n_step == 1 ? "" : "s",
                m->seconds_per_step, m->n_wide, m->n_high);
    if (m->kind == TESS_MEDIA_IMAGE) fprintf(out, ", %d × %d tokens", m->n_wide, m->n_high);
}

static void put_caption(FILE *out, const section *s, const tess_medium_report *m)
{
    static const char *const errors[] = {[TESS_MEASURE_REL_L2] = "relative L2 error",
                                         [TESS_MEASURE_RATIO] = "distance to the float32 truth",
                                         [TESS_MEASURE_STEPS] = "error in bfloat16 steps"};
    int64_t n_failed = 0;
    fputs("<figcaption>", out);
    put_size(out, m);
    if (!m->error) {
        fputs(". No tap of its tower was compared.</figcaption>", out);
        return;
    }
    for (int64_t t = 0; t < m->n_token; t++) n_failed += m->failed[t] != 0;
    fprintf(out, ". The %s of ", errors[m->measure]);
    tess_report_put_string(out, tess_tap_short_name(s->result->tap[m->tap].name));
    fprintf(out, "; beyond the bar: %" PRId64 " of %" PRId64 " tokens.</figcaption>", n_failed, m->n_token);
}

static void put_intro(FILE *out, const section *s)
{
    fputs(
        "<p class=\"dim\">Drawn from the inputs that the reference holds. A cell is a token, coloured by the "
        "error at one tap of its tower, the largest where it has several rows there: the first tap that "
        "failed, or else the one nearest its bar.",
        out);
    if (s->n_drawn < s->n_panel)
        fprintf(out, " Of %d clips, images and steps of videos the %d that lie furthest off are drawn.",
                s->n_panel, s->n_drawn);
    fputs("</p>\n", out);
}

static void put_legend(FILE *out, const section *s)
{
    static const char *const items[][2] = {
        {"exact", "equal"}, {"odd", "no number"}, {"outline", "beyond the bar"}};
    for (int k = 0; k < N_MEASURE; k++) {
        bool is_used = false;
        for (int i = 0; i < s->result->n_medium; i++)
            is_used |= s->result->medium[i].error && (int)s->result->medium[i].measure == k;
        if (!is_used) continue;
        fprintf(out,
                "<figure><div class=\"wide\"><svg " TESS_REPORT_VIEW
                " role=\"img\" aria-label=\"the colours of "
                "errors\">\n",
                TESS_REPORT_VIEW_OF(LEGEND_WIDTH, 84));
        tess_report_ramp(out, &s->decades[k], s->tolerance[k], LEFT, 20);
        tess_report_keys(out, items, sizeof items / sizeof items[0], LEFT, 64);
        fputs("</svg></div></figure>\n", out);
    }
}

/* ---- all of them ---- */

/* The drawn panels among [first, end), which are one medium's. */
static void put_medium(FILE *out, const section *s, int first, int end)
{
    while (first < end && !s->panel[first].is_drawn) first++;
    if (first == end) return;
    const tess_medium_report *m = &s->result->medium[s->panel[first].medium];
    bool is_large = s->n_drawn <= FEW, is_clip = m->kind == TESS_MEDIA_AUDIO;
    const tess_medium_drawing d = {.medium = m,
                                   .features = find_features(s, m),
                                   .decades = &s->decades[m->measure],
                                   .result_place = s->result_place,
                                   .most_px = is_large ? LARGE_PX : SMALL_PX,
                                   .most_cells = is_large ? LARGE_CELLS : SMALL_CELLS};
    fputs("<figure class=\"medium\">", out);
    put_caption(out, s, m);
    fprintf(out, "<div class=\"wide%s\">\n", is_clip ? "" : " steps");
    for (int i = first; i < end; i++) {
        if (!s->panel[i].is_drawn) continue;
        if (is_clip)
            tess_report_spectrogram(out, &d);
        else
            tess_report_picture(out, &d, s->panel[i].step);
    }
    fputs("</div></figure>\n", out);
}

void tess_report_media(FILE *out, const tess_compare_result *result, int result_place)
{
    section s = {.result = result, .result_place = result_place};
    if (!result->n_medium && !*result->no_media) return;
    fputs("<h2>Pictures and sounds</h2>\n", out);
    if (*result->no_media) {
        fputs("<p class=\"dim\">Not all of them can be shown: ", out);
        tess_report_put_string(out, result->no_media);
        fputs(".</p>\n", out);
    }
    if (!result->n_medium || !list_panels(&s)) return;
    set_scales(&s);
    if (tess_trace_media_open(result->reference, &s.media, NULL) != TESS_OK) s.media = NULL;
    put_intro(out, &s);
    for (int first = 0, end; first < s.n_panel; first = end) {
        for (end = first + 1; end < s.n_panel && s.panel[end].medium == s.panel[first].medium;) end++;
        put_medium(out, &s, first, end);
    }
    put_legend(out, &s);
    tess_trace_media_free(s.media);
    free(s.panel);
}
