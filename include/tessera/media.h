/* Media: files of sound, pictures and film as what the network takes, exactly as the original prepares them.
 *
 *     tess_preprocessor_load(dir, &preprocessor, err);
 *     tess_medium_options options = {.preprocessor = &preprocessor, .fps = 2, …};
 *     tess_medium_open(TESS_MEDIA_IMAGE, "photo.jpg", &options, &medium, err);   looks, and counts
 *     facts = tess_medium_get_facts(medium);                                      size, frames, memory
 *     tess_medium_prepare(medium, progress, err);                                 decodes, within max_bytes
 *     features = tess_medium_get_features(medium);                                for the network
 *     tess_medium_close(medium);
 *
 * What a file is its bytes say, never its name. Libraries for decoding are loaded when a medium first needs
 * them; one that is not installed is refused by the name of its package.
 */
#ifndef TESSERA_MEDIA_H
#define TESSERA_MEDIA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tessera/features.h"
#include "tessera/progress.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* What preprocessor_config.json says. Plain memory. */
typedef struct tess_preprocessor {
    int n_mel; /* feature_size */
    int patch_size, merge_size, temporal_patch_size;
    int64_t least_pixels, most_pixels; /* of an image: min_pixels and max_pixels, or size */
    double mean[3], deviation[3];      /* image_mean, image_std */
} tess_preprocessor;

/* Reads DIR/preprocessor_config.json. Nothing is defaulted that it should say; a known key with a value that
 * is not implemented is refused, an unknown one ignored. Errors: TESS_EINPUT  the file is absent, or says
 * something wrong: the key, found, expected; TESS_EIO, TESS_ENOMEM. */
tess_status tess_preprocessor_load(const char *dir, tess_preprocessor *out, tess_error *err);

/* Whether it fits the towers of config.json in the same folder, whose values these are (num_mel_bins of
 * audio_config; patch_size, spatial_merge_size, temporal_patch_size and in_channels of vision_config).
 * Errors: TESS_EINPUT  one differs, by name. */
tess_status tess_preprocessor_check(const tess_preprocessor *preprocessor, const char *dir, int num_mel_bins,
                                    int patch_size, int spatial_merge_size, int temporal_patch_size,
                                    int in_channels, tess_error *err);

/* Numbers in a row of features: a frame's, and a patch's. */
int tess_preprocessor_frame_width(const tess_preprocessor *preprocessor);
int tess_preprocessor_patch_width(const tess_preprocessor *preprocessor);

/* Tokens that a medium becomes, as the original's processor counts them (of sound with its n_window, 50). */
int64_t tess_features_count_tokens(const tess_features *features, const tess_preprocessor *preprocessor);

typedef struct tess_medium_options {
    const tess_preprocessor *preprocessor; /* copied */
    double fps;              /* video: frames a second, 0.001 to 1000; the original's users take 2 */
    int most_frames;         /* video: even, at least 2; they take 768 */
    int64_t most_mel_frames; /* audio: of 10 ms, at least 1: longer clips are refused, not cut */
    uint64_t max_bytes; /* what a film's frames may take while it is looked at, and preparing one medium at a
                           time, the result included */
    const tess_progress *progress; /* of opening: TESS_ACTIVITY_LOOKING; may be NULL; lives for that call */
} tess_medium_options;
#define TESS_MEDIUM_OPTIONS_DEFAULT                                                                          \
    ((tess_medium_options){                                                                                  \
        .fps = 2.0, .most_frames = 768, .most_mel_frames = 1 << 20, .max_bytes = 1ull << 32})

typedef struct tess_medium_facts {
    tess_media_kind kind;
    const char *name;              /* as messages call it; lives as long as the medium */
    char format[64];               /* "JPEG"; of audio "" until it is counted or prepared */
    int width, height;             /* image, video: of the file, upright; else 0 */
    int taken_width, taken_height; /* what they are resized to */
    int64_t n_frame; /* image 1; video: frames sampled, even; audio: mel frames, 0 until it is counted */
    double seconds;  /* video; audio once counted; else 0 */
    double fps;      /* video: really sampled; else 0 */
    int rate_hz, n_channel; /* audio once counted: of the file; else 0 */
    bool has_sound;         /* video: it has an audio track */
    char loss[160]; /* video; audio once counted: what is known to be missing of it or was passed over, as
                       "found 4.20 s, expected 8.00 s as its header says"; what is there is taken; else "" */
    int32_t n_step, n_high, n_wide; /* image, video: the grid, as in tess_features; else 0 */
    uint64_t bytes_held;            /* once prepared, until it is closed; of audio 0 until it is counted */
    uint64_t bytes_peak;            /* while it is prepared, bytes_held included; likewise */
} tess_medium_facts;

typedef struct tess_medium tess_medium;

/* Whether a source is a path: neither "-" (standard input) nor a data URL. */
bool tess_source_is_path(const char *source);

/* `source` is a path, "-" (standard input) or a data URL. An image's header is read; a video is decoded once,
 * for what its container says of its length need not be true; of audio nothing is read yet. What takes more
 * than max_bytes is opened all the same, so that its facts say how much: preparing refuses it. A video whose
 * frames are too large for max_bytes is not decoded; its frames and seconds are then those that it has at
 * most, by its packets.
 * Errors: TESS_EINPUT  no such file, not of this kind, or of a size that is refused; TESS_EUNSUPPORTED  a
 * library is not installed; TESS_EUSAGE  an option is out of range; TESS_EINTERRUPTED; TESS_EIO; TESS_ENOMEM.
 * Threads: one at a time for a medium, any number of media. */
tess_status tess_medium_open(tess_media_kind kind, const char *source, const tess_medium_options *options,
                             tess_medium **out, tess_error *err);
/* The same of bytes in memory, borrowed until it is closed. name: for messages, copied. */
tess_status tess_medium_open_memory(tess_media_kind kind, const char *name, const void *bytes, size_t n_byte,
                                    const tess_medium_options *options, tess_medium **out, tess_error *err);
/* The audio track of a film as a medium of its own. `film` must stay open until that one is prepared.
 * Errors: TESS_EINPUT  there is none. */
tess_status tess_medium_open_sound(const tess_medium *film, tess_medium **out, tess_error *err);
void tess_medium_close(tess_medium *medium); /* NULL is allowed */

const tess_medium_facts *tess_medium_get_facts(const tess_medium *medium);

/* Learns of audio how long it is and what preparing it will take, by hearing it to its end without keeping
 * anything; of others all is known. progress: TESS_ACTIVITY_PREPARING; may be NULL. Errors: as of opening. */
tess_status tess_medium_count(tess_medium *medium, const tess_progress *progress, tess_error *err);

/* What preparing may take from now on, instead of options.max_bytes. */
void tess_medium_set_max_bytes(tess_medium *medium, uint64_t max_bytes);

/* Decodes; once, and nothing but closing after a failure other than TESS_EBUDGET. What is decoded is not held
 * whole: of audio its mel frames stay, of a picture or film what was resized. progress:
 * TESS_ACTIVITY_PREPARING, asked with every piece; may be NULL. Errors: as of opening; TESS_EBUDGET  it takes
 * more than max_bytes, and how much: nothing is decoded then, but audio that was not counted. */
tess_status tess_medium_prepare(tess_medium *medium, const tess_progress *progress, tess_error *err);
/* As soon as its sizes are known: of audio when it is counted or prepared. There are rows, and a digest, once
 * it is prepared. Lives as long as the medium. */
const tess_features *tess_medium_get_features(const tess_medium *medium);

/* ---- several media in one room ---- */

/* Bytes that media hold once all are prepared by tess_media_prepare, and the most that they take at a time
 * until then; what is prepared already is held. Audio counts once it is counted. */
void tess_media_count_bytes(tess_medium *const *media, int n, uint64_t *held, uint64_t *most);

/* Prepares those that are not, audio first, and pictures only when it is known that they all fit.
 *   max_bytes  what all of them may take at a time, those that are prepared included
 *   failed     the medium that an error is about; may be NULL
 * Errors: those of tess_medium_prepare. TESS_EBUDGET  err->smallest_budget_bytes is enough for them all; each
 * is then counted, and can be prepared with more. */
tess_status tess_media_prepare(tess_medium *const *media, int n, uint64_t max_bytes,
                               const tess_progress *progress, int *failed, tess_error *err);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
