/* What a session keeps of a prompt with media: no further than a medium that is another one, is not known or
 * is not whole, with the start tokens before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "engine/recall.h"

enum { AUDIO = 91, IMAGE, VIDEO, AUDIO_START, AUDIO_END, VISION_START, VISION_END };

static const tess_thinker_config config = {.audio = {.n_window = 50, .n_window_infer = 800},
                                           .vision = {.spatial_merge_size = 2},
                                           .audio_token = AUDIO,
                                           .image_token = IMAGE,
                                           .video_token = VIDEO,
                                           .audio_start = AUDIO_START,
                                           .audio_end = AUDIO_END,
                                           .vision_start = VISION_START,
                                           .vision_end = VISION_END};

/* 4 tokens of an image, 2 of a clip, and a video of 2 steps with sound of 2 tokens in it. */
static const int32_t ids[] = {
    1,         VISION_START, IMAGE, IMAGE, IMAGE,        IMAGE,       VISION_END, 2,     AUDIO_START, AUDIO,
    AUDIO,     AUDIO_END,    3,     4,     VISION_START, AUDIO_START, VIDEO,      AUDIO, AUDIO,       VIDEO,
    AUDIO_END, VISION_END,   5,     6};
enum {
    N_IDS = sizeof ids / sizeof ids[0],
    BEHIND_IMAGE = 7,
    BEHIND_CLIP = 12,
    BEFORE_VIDEO = 14,
    BEHIND_VIDEO = 22
};

typedef struct fixture {
    tess_features image, clip, video, sound;
    const tess_features *item[4];
    tess_media_list media;
    tess_recalled noted[8];
    tess_recall recall;
} fixture;

static void make(fixture *f)
{
    *f =
        (fixture){.image = {.kind = TESS_MEDIA_IMAGE, .n_step = 1, .n_high = 4, .n_wide = 4, .digest = {1}},
                  .clip = {.kind = TESS_MEDIA_AUDIO, .n_frame = 16, .digest = {2}},
                  .video = {.kind = TESS_MEDIA_VIDEO, .n_step = 2, .n_high = 2, .n_wide = 2, .digest = {3}},
                  .sound = {.kind = TESS_MEDIA_AUDIO, .n_frame = 16, .digest = {4}, .is_inside_video = true}};
    const tess_features *const item[] = {&f->image, &f->clip, &f->video, &f->sound};
    memcpy(f->item, item, sizeof item);
    f->media = (tess_media_list){f->item, 4};
    f->recall = (tess_recall){.medium = f->noted, .capacity = 8};
    tess_recall_add(&f->recall, &config, ids, N_IDS, &f->media, 0);
    assert_int_equal(f->recall.n, 4);
}

static void assert_kept(const fixture *f, int n_same, int n_tok, int n_audio, int n_image, int n_video)
{
    int kept[3];
    assert_int_equal(tess_recall_count(&f->recall, &config, ids, N_IDS, &f->media, n_same, kept), n_tok);
    assert_int_equal(kept[TESS_MEDIA_AUDIO], n_audio);
    assert_int_equal(kept[TESS_MEDIA_IMAGE], n_image);
    assert_int_equal(kept[TESS_MEDIA_VIDEO], n_video);
}

static void test_places(void **state)
{
    (void)state;
    fixture f;
    make(&f);
    static const int first[] = {9, 17, 2, 16}; /* clips, images, videos */
    for (int i = 0; i < 4; i++) assert_int_equal(f.noted[i].first, first[i]);
    tess_recall again = {.medium = f.noted, .capacity = 8};
    tess_recall_add(&again, &config, ids, N_IDS, &f.media, 100);
    for (int i = 0; i < 4; i++) assert_int_equal(f.noted[i].first, 100 + first[i]);
}

static void test_whole_media_are_kept(void **state)
{
    (void)state;
    fixture f;
    make(&f);
    assert_kept(&f, N_IDS - 1, N_IDS - 1, 2, 1, 1);
    assert_kept(&f, BEHIND_VIDEO, BEHIND_VIDEO, 2, 1, 1);
    assert_kept(&f, BEFORE_VIDEO, BEFORE_VIDEO, 1, 1, 0);
    for (int n = BEFORE_VIDEO + 1; n < BEHIND_VIDEO - 2; n++) assert_kept(&f, n, BEFORE_VIDEO, 1, 1, 0);
    assert_kept(&f, BEHIND_CLIP, BEHIND_CLIP, 1, 1, 0);
    for (int n = BEHIND_IMAGE + 2; n <= 10; n++) assert_kept(&f, n, BEHIND_IMAGE + 1, 0, 1, 0);
    assert_kept(&f, BEHIND_IMAGE, BEHIND_IMAGE, 0, 1, 0);
    for (int n = 1; n <= 5; n++) assert_kept(&f, n, 1, 0, 0, 0);
    assert_kept(&f, 0, 0, 0, 0, 0);
}

/* The first medium that is another one ends it, whatever follows. */
static void test_other_media(void **state)
{
    (void)state;
    static const int until[] = {1, BEHIND_IMAGE + 1, BEFORE_VIDEO, BEFORE_VIDEO};
    for (int i = 0; i < 4; i++) {
        fixture f;
        make(&f);
        tess_features *const item[] = {&f.image, &f.clip, &f.video, &f.sound};
        item[i]->digest[31] ^= 1;
        assert_kept(&f, N_IDS - 1, until[i], i > 1, i > 0, 0);
        make(&f);
        memset(item[i]->digest, 0, sizeof item[i]->digest); /* not known */
        assert_kept(&f, N_IDS - 1, until[i], i > 1, i > 0, 0);
    }
}

/* Two media that are not known are not the same. */
static void test_unknown_media(void **state)
{
    (void)state;
    fixture f;
    make(&f);
    memset(f.image.digest, 0, sizeof f.image.digest);
    f.recall.n = 0;
    tess_recall_add(&f.recall, &config, ids, N_IDS, &f.media, 0);
    assert_kept(&f, N_IDS - 1, 1, 0, 0, 0);
}

static void test_truncate(void **state)
{
    (void)state;
    fixture f;
    make(&f);
    tess_recall_truncate(&f.recall, BEFORE_VIDEO);
    assert_int_equal(f.recall.n, 2);
    assert_kept(&f, N_IDS - 1, BEFORE_VIDEO, 1, 1, 0);
    tess_recall_truncate(&f.recall, 2); /* the place of the image's first token */
    assert_int_equal(f.recall.n, 0);
    assert_kept(&f, N_IDS - 1, 1, 0, 0, 0);
}

/* What there is no room to note is made anew. */
static void test_no_room(void **state)
{
    (void)state;
    fixture f;
    make(&f);
    f.recall = (tess_recall){.medium = f.noted, .capacity = 2};
    tess_recall_add(&f.recall, &config, ids, N_IDS, &f.media, 0);
    assert_int_equal(f.recall.n, 2);
    assert_kept(&f, N_IDS - 1, 1, 0, 0, 0); /* clips are noted first */
}

/* The same tokens without the media: pad tokens are tokens, and what is held of media is not theirs. */
static void test_media_not_asked(void **state)
{
    (void)state;
    fixture f;
    make(&f);
    f.media.n = 0;
    assert_kept(&f, N_IDS - 1, 1, 0, 0, 0);
    f.media = (tess_media_list){&f.item[1], 3}; /* no image */
    assert_kept(&f, N_IDS - 1, 1, 0, 0, 0);
    f.media = (tess_media_list){f.item, 2}; /* no video, no sound in it */
    assert_kept(&f, N_IDS - 1, BEFORE_VIDEO, 1, 1, 0);
    f.media.n = 0;
    f.recall = (tess_recall){.medium = f.noted, .capacity = 2};
    f.media = (tess_media_list){f.item, 4};
    tess_recall_add(&f.recall, &config, ids, N_IDS, &f.media, 0);
    f.media = (tess_media_list){&f.item[1], 1}; /* the clip alone: the image was not noted, and is there */
    assert_kept(&f, N_IDS - 1, 1, 0, 0, 0);
}

/* Of a medium that was cut its beginning is held, which is no medium. */
static void test_cut_medium(void **state)
{
    (void)state;
    fixture f;
    make(&f);
    tess_recall_truncate(&f.recall, 4); /* in the image; then tokens alone go on as the same ids */
    assert_kept(&f, N_IDS - 1, 1, 0, 0, 0);
    f.media.n = 0;
    assert_kept(&f, N_IDS - 1, 1, 0, 0, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_places),          cmocka_unit_test(test_whole_media_are_kept),
        cmocka_unit_test(test_other_media),     cmocka_unit_test(test_unknown_media),
        cmocka_unit_test(test_truncate),        cmocka_unit_test(test_no_room),
        cmocka_unit_test(test_media_not_asked), cmocka_unit_test(test_cut_medium)};
    return cmocka_run_group_tests_name("recall", tests, NULL, NULL);
}
