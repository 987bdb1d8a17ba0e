/* Fuzzing media files: as an image, as sound and as a film. Refused with a word, or decoded to what was told
 * before, in the room that was given. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "media/audio_file.h"
#include "media/image_file.h"
#include "media/video_file.h"

enum { ROOM = 48 << 20, RATE = 16000, MOST_SAMPLES = 30 * RATE, MOST_FRAMES = 6 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int good, const char *what)
{
    if (good) return;
    fprintf(stderr, "fuzz_media: %s\n", what);
    abort();
}

static void require_refusal(tess_status status, const tess_error *err)
{
    require(status == TESS_EINPUT || status == TESS_EINTERRUPTED, err->message);
    require(err->message[0] != 0 && err->status == status, "a refusal without a word");
}

/* Reads every byte, so that a sanitizer sees whether all of them are there. */
static unsigned sum_bytes(const tess_picture *picture)
{
    unsigned sum = 0;
    for (size_t i = 0; i < 3 * (size_t)picture->width * (size_t)picture->height; i++) sum += picture->rgb[i];
    return sum;
}

/* Decodes to a size, in room of exactly that. */
static void try_size(const tess_source *source, const tess_image_facts *facts, int width, int height)
{
    tess_error err = {0};
    tess_picture picture = {width, height, malloc(3 * (size_t)width * (size_t)height)};
    require(picture.rgb != NULL, "no memory");
    const tess_status status = tess_image_decode(source, facts, ROOM, &picture, &err);
    if (status != TESS_OK)
        require_refusal(status, &err);
    else
        require(sum_bytes(&picture) <= 255u * 3 * (unsigned)width * (unsigned)height, "sum");
    free(picture.rgb);
}

static void try_image(const tess_source *source)
{
    tess_image_facts facts = {0};
    tess_error err = {0};
    const tess_status status = tess_image_probe(source, &facts, &err);
    if (status != TESS_OK)
        require_refusal(status, &err);
    else if (tess_image_count_bytes(&facts, facts.width, facts.height) <= ROOM) {
        try_size(source, &facts, facts.width, facts.height);
        try_size(source, &facts, facts.width / 2 + 1, facts.height / 3 + 1);
        try_size(source, &facts, 28, 7);
    }
}

static tess_status hear(void *context, const float *samples, size_t n, tess_error *err)
{
    size_t *n_heard = context;
    require(n > 0, "no samples");
    float sum = 0;
    for (size_t i = 0; i < n; i++) sum += samples[i];
    *n_heard += n;
    return *n_heard > MOST_SAMPLES ? tess_fail(err, TESS_EINTERRUPTED, "enough (%g)", (double)sum) : TESS_OK;
}

static void try_audio(const tess_source *source)
{
    size_t n_heard = 0;
    tess_error err = {0};
    tess_audio_facts facts = {0};
    tess_status status = tess_audio_decode(source, RATE, hear, &n_heard, &facts, &err);
    if (status != TESS_OK)
        require_refusal(status, &err);
    else
        require(facts.rate_hz > 0 && facts.n_channel > 0 && n_heard > 0, "sound without samples");
}

static tess_status see(void *context, const tess_picture *frame, double seconds, tess_error *err)
{
    (void)err;
    int *n_seen = context;
    require(seconds >= 0, "a time before the first frame");
    require(sum_bytes(frame) <= 255u * 3 * (unsigned)frame->width * (unsigned)frame->height, "sum");
    ++*n_seen;
    return TESS_OK;
}

static void try_video(const tess_source *source)
{
    tess_video_options options = {.fps = 2, .max_frames = MOST_FRAMES, .max_bytes = ROOM};
    tess_video_facts facts = {0};
    int n_seen = 0;
    tess_error err = {0};
    tess_status status = tess_video_decode(source, &options, see, &n_seen, &facts, &err);
    if (status != TESS_OK) {
        require_refusal(status, &err);
        return;
    }
    require(n_seen == facts.n_frame && n_seen >= 2 && n_seen % 2 == 0 && n_seen <= MOST_FRAMES,
            "another number of frames");
    require(facts.bytes <= ROOM, "more than there is room for");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tess_source source = {.name = "media", .data = data, .n_byte = size};
    try_image(&source);
    try_audio(&source);
    try_video(&source);
    return 0;
}
