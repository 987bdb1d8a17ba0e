/* What a medium is made of, for the files that look at it and decode it. */
#ifndef TESS_MEDIA_MEDIUM_H
#define TESS_MEDIA_MEDIUM_H

#include "media/audio_file.h"
#include "media/image_file.h"
#include "media/mel.h"
#include "media/patches.h"
#include "media/source.h"
#include "media/video_file.h"
#include "tessera/media.h"

struct tess_medium {
    tess_preprocessor preprocessor;
    tess_medium_options options; /* its preprocessor is the one above */
    char *text;                  /* what it was opened by, or its name */
    tess_source source;          /* with owned NULL where it belongs to a film */
    tess_medium_facts facts;
    tess_image_facts image; /* of a picture's header */
    tess_video_facts video; /* of the first pass over a film */
    bool is_bound;          /* they say how much it is at most */
    bool is_inside;         /* the sound of a film */
    bool is_prepared;
    const tess_progress *progress; /* of the call */
    tess_features features;        /* sizes as soon as they are known, rows once it is prepared */
    tess_mel *mel;
    uint8_t **frame; /* [facts.n_frame] of [taken_height, taken_width, 3] */
    int n_frame;     /* that are there */
    tess_patches patches;
};

/* Sides are at most 2^26. */
static inline uint64_t tess_medium_picture_bytes(int width, int height)
{
    return (uint64_t)width * (uint64_t)height * 3;
}

/* What is known of a sound that was heard to its end: n_sample of 16 kHz. */
void tess_medium_set_sound(tess_medium *m, int64_t n_sample, const tess_audio_facts *audio);
/* What a sound of so many mel frames holds. */
uint64_t tess_medium_sound_bytes(const tess_medium *m, int64_t n_frame);

/* Fills in what is known of a picture or film before it is prepared. */
tess_status tess_medium_look(tess_medium *m, tess_error *err);

tess_status tess_medium_refuse_bytes(const tess_medium *m, uint64_t n_byte, tess_error *err);

tess_video_options tess_medium_video_options(const tess_medium *m, const tess_video_facts *known);

#endif
