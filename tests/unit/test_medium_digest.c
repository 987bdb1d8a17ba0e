/* What a session and the ledger tell media by: the digest of a prepared medium's features. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "../support/media.h"
#include "tessera/media.h"

#define IMAGES "tests/data/media/images/"
#define TRACKS "tests/data/media/tracks/"
#define FILMS "tests/data/media/video/"

typedef struct told {
    unsigned char digest[32];
} told;

static told tell(tess_media_kind kind, const char *path, const tess_medium_options *options, bool is_sound)
{
    tess_medium *medium = media_open(kind, path, options), *sound = NULL;
    if (is_sound) assert_int_equal(tess_medium_open_sound(medium, &sound, NULL), TESS_OK);
    media_prepare(is_sound ? sound : medium);
    told out;
    memcpy(out.digest, tess_medium_get_features(is_sound ? sound : medium)->digest, sizeof out.digest);
    tess_medium_close(sound);
    tess_medium_close(medium);
    return out;
}

static told tell_film(const char *path, double fps, int most_frames)
{
    tess_medium_options options = media_options();
    options.fps = fps;
    options.most_frames = most_frames;
    return tell(TESS_MEDIA_VIDEO, path, &options, false);
}

static void assert_all_differ(const told *all, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < i; k++) assert_memory_not_equal(&all[i], &all[k], sizeof all[i]);
}

static void assert_same(const told *a, const told *b)
{
    assert_memory_equal(a, b, sizeof *a);
}

/* Pixels, mean and deviation; not the way in which pixels are stored. */
static void pictures_by_their_values(void **state)
{
    (void)state;
    const tess_medium_options o = media_options();
    tess_medium_options mean = o, deviation = o;
    tess_preprocessor other_mean = media_published, other_deviation = media_published;
    other_mean.mean[1] = 0.25;
    other_deviation.deviation[2] = 0.25;
    mean.preprocessor = &other_mean;
    deviation.preprocessor = &other_deviation;
    const told all[] = {tell(TESS_MEDIA_IMAGE, IMAGES "upright1.png", &o, false),
                        tell(TESS_MEDIA_IMAGE, IMAGES "upright1.png", &mean, false),
                        tell(TESS_MEDIA_IMAGE, IMAGES "upright1.png", &deviation, false),
                        tell(TESS_MEDIA_IMAGE, IMAGES "palette1.png", &o, false),
                        tell(TESS_MEDIA_IMAGE, IMAGES "palette2.png", &o, false)};
    assert_all_differ(all, sizeof all / sizeof all[0]);
    for (char way = '2'; way <= '8'; way++) {
        char path[] = IMAGES "upright1.png";
        path[strlen(path) - 5] = way;
        const told turned = tell(TESS_MEDIA_IMAGE, path, &o, false);
        assert_same(&turned, &all[0]);
    }
}

static void sounds_by_their_frames(void **state)
{
    (void)state;
    const tess_medium_options o = media_options();
    const told all[] = {tell(TESS_MEDIA_AUDIO, TRACKS "low.mp4", &o, false),
                        tell(TESS_MEDIA_AUDIO, TRACKS "high.mp4", &o, false),
                        tell(TESS_MEDIA_AUDIO, TRACKS "longer.mp4", &o, false)};
    assert_all_differ(all, sizeof all / sizeof all[0]);
    const told inside[] = {tell(TESS_MEDIA_VIDEO, TRACKS "low.mp4", &o, true),
                           tell(TESS_MEDIA_VIDEO, TRACKS "high.mp4", &o, true)};
    assert_all_differ(inside, 2);
}

/* A film of one frame is twice that frame at any rate: what differs is how long a step is. Its sound is told
 * by itself. */
static void films_by_frames_and_rate(void **state)
{
    (void)state;
    const told all[] = {tell_film(FILMS "frames1.mp4", 1, 768), tell_film(FILMS "frames1.mp4", 2, 768),
                        tell_film(FILMS "frames1.mp4", 3, 768), tell_film(FILMS "plain.mp4", 2, 2),
                        tell_film(FILMS "plain.mp4", 2, 4),     tell_film(TRACKS "low.mp4", 2, 768)};
    assert_all_differ(all, sizeof all / sizeof all[0]);
    const told high = tell_film(TRACKS "high.mp4", 2, 768);
    assert_same(&high, &all[5]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(pictures_by_their_values),
                                       cmocka_unit_test(sounds_by_their_frames),
                                       cmocka_unit_test(films_by_frames_and_rate)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
