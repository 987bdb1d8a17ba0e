/* Films: which frames are sampled and what their pixels are (tests/data/media/video, made by
 * reference/media_video.py from what the ffmpeg program says), and what is refused. */
#include "media/video_file.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/digest.h"
#include "../support/media.h"

#define FOLDER "tests/data/media/video/"
enum { ROOM = 256 << 20 };

typedef struct seen {
    tess_sha256 sha;
    int n, width, height;
    double last, fps;
    bool is_even; /* frames lie 1 / fps apart */
} seen;

static tess_status see(void *context, const tess_picture *frame, double seconds, tess_error *err)
{
    (void)err;
    seen *s = context;
    if (s->n && fabs(seconds - s->last - 1 / s->fps) > 1e-9) s->is_even = false;
    if (!s->n && seconds != 0) s->is_even = false;
    s->last = seconds;
    s->n++;
    s->width = frame->width;
    s->height = frame->height;
    tess_sha256_add(&s->sha, frame->rgb, 3 * (size_t)frame->width * (size_t)frame->height);
    return TESS_OK;
}

typedef struct expectation {
    char name[64], sha[TESS_SHA256_HEX];
    double fps, sampled_fps;
    int most, width, height, n_decoded, n_frame, has_audio;
} expectation;

static bool is_as_expected(const expectation *e, const tess_video_facts *facts)
{
    return facts->width == e->width && facts->height == e->height && facts->n_decoded == e->n_decoded &&
           facts->n_frame == e->n_frame && fabs(facts->fps - e->sampled_fps) < 1e-7 * e->sampled_fps &&
           facts->has_audio == e->has_audio;
}

static bool check(const expectation *e)
{
    char path[128], hex[TESS_SHA256_HEX];
    snprintf(path, sizeof path, FOLDER "%s", e->name);
    tess_source source = {.name = path, .path = path};
    tess_video_options options = {.fps = e->fps, .max_frames = e->most, .max_bytes = ROOM};
    tess_video_facts probed = {0}, facts = {0};
    tess_error err = {0};
    if (tess_video_probe(&source, &options, &probed, &err) != TESS_OK) {
        print_error("# %s\n", err.message);
        return false;
    }
    options.known = &probed;
    seen s = {.fps = probed.fps, .is_even = true};
    tess_sha256_init(&s.sha);
    tess_status status = tess_video_decode(&source, &options, see, &s, &facts, &err);
    tess_sha256_finish(&s.sha, hex);
    bool is_good = status == TESS_OK && is_as_expected(e, &probed) &&
                   !memcmp(&facts, &probed, sizeof facts) && s.n == e->n_frame && s.width == e->width &&
                   s.height == e->height && s.is_even && !strcmp(hex, e->sha);
    if (!is_good)
        print_error("# %s at %g fps, at most %d: %s; %d x %d, %lld decoded, %d frames at %.9g fps, %s%s\n",
                    path, e->fps, e->most, err.message, facts.width, facts.height, (long long)facts.n_decoded,
                    s.n, facts.fps, facts.has_audio ? "sound" : "no sound",
                    strcmp(hex, e->sha) ? ", other pixels" : "");
    return is_good;
}

static void samples_the_frames_that_are_shown(void **state)
{
    (void)state;
    FILE *list = fopen(FOLDER "frames.txt", "r");
    assert_non_null(list);
    int n = 0, n_bad = 0;
    for (expectation e;
         fscanf(list, "%63s %lf %d %d %d %d %d %lf %d %64s", e.name, &e.fps, &e.most, &e.width, &e.height,
                &e.n_decoded, &e.n_frame, &e.sampled_fps, &e.has_audio, e.sha) == 10;
         n++)
        n_bad += !check(&e);
    fclose(list);
    assert_int_equal(n_bad, 0);
    assert_true(n >= 76);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_the_frames_that_are_shown),
    };
    return cmocka_run_group_tests_name("video_file", tests, NULL, NULL);
}
