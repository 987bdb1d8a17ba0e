#include "media.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/whole_file.h"

uint8_t *media_read(const char *path, size_t *n_byte)
{
    char *bytes;
    tess_error err;
    if (tess_whole_file_read(path, "a media file", SIZE_MAX, &bytes, n_byte, &err) != TESS_OK)
        fail_msg("%s", err.message);
    return (uint8_t *)bytes;
}

tess_status media_decode(const tess_source *source, uint64_t max_bytes, tess_picture *out, tess_error *err)
{
    tess_image_facts facts;
    tess_status status = tess_image_probe(source, &facts, err);
    if (status != TESS_OK) return status;
    tess_picture picture = {facts.width, facts.height, NULL};
    /* Without room for it nothing is decoded. */
    if (tess_image_count_bytes(&facts, facts.width, facts.height) <= max_bytes) {
        picture.rgb = malloc(3 * (size_t)facts.width * (size_t)facts.height);
        if (!picture.rgb) return tess_fail(err, TESS_ENOMEM, "no memory for a picture");
    }
    status = tess_image_decode(source, &facts, max_bytes, &picture, err);
    if (status == TESS_OK)
        *out = picture;
    else
        free(picture.rgb);
    return status;
}

const tess_preprocessor media_published = {.n_mel = 128,
                                           .patch_size = 16,
                                           .merge_size = 2,
                                           .temporal_patch_size = 2,
                                           .least_pixels = 3136,
                                           .most_pixels = 12845056,
                                           .mean = {0.5, 0.5, 0.5},
                                           .deviation = {0.5, 0.5, 0.5}};

tess_medium_options media_options(void)
{
    tess_medium_options options = TESS_MEDIUM_OPTIONS_DEFAULT;
    options.preprocessor = &media_published;
    return options;
}

tess_medium *media_open(tess_media_kind kind, const char *source, const tess_medium_options *options)
{
    tess_medium *medium;
    tess_error err;
    if (tess_medium_open(kind, source, options, &medium, &err) != TESS_OK) fail_msg("%s", err.message);
    return medium;
}

void media_prepare(tess_medium *medium)
{
    tess_error err;
    if (tess_medium_prepare(medium, NULL, &err) != TESS_OK) fail_msg("%s", err.message);
}
