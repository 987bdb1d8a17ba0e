/* Media on the command line: the options that name them, and what is said of each. */
#ifndef TESS_APPS_CLI_MEDIA_H
#define TESS_APPS_CLI_MEDIA_H

#include "cli/progress.h"

/* What decoding libraries take once they are loaded: 29 MB measured for sound, 17 MB for a PNG. */
#define CLI_MEDIA_LIBRARY_BYTES (40ull << 20)

typedef struct cli_media_options {
    cli_list named; /* option and file by turns */
    double fps;
    bool use_audio_in_video;
} cli_media_options;
#define CLI_MEDIA_DEFAULT ((cli_media_options){.fps = 2.0})

#define CLI_MEDIA_OPTIONS(m)                                                                                 \
    {"audio", CLI_MARKED, &(m)->named, "FILE",                                                               \
     "a sound: WAV, FLAC, MP3, OGG, AAC, M4A and others; \"-\" for standard input, or a data URL; "          \
     "repeatable, as the next two"},                                                                         \
        {"image", CLI_MARKED, &(m)->named, "FILE", "a picture: JPEG, PNG, WebP, GIF, BMP or TIFF"},          \
        {"video", CLI_MARKED, &(m)->named, "FILE", "a film: MP4, MOV, WebM, MKV, AVI and others"},           \
        {"use-audio-in-video", CLI_FLAG, &(m)->use_audio_in_video, NULL, "hear the films as well"},          \
    {                                                                                                        \
        "fps", CLI_NUMBER, &(m)->fps, "N", "frames of a film taken a second; default 2"                      \
    }

/* For the help of commands that take media. */
#define CLI_MEDIA_NOTES                                                                                      \
    "Media are decoded by libraries that are opened when a file needs them:\n"                               \
    "libjpeg-turbo, libwebp, zlib, FFmpeg, libsoxr. One that is not installed is\n"                          \
    "told by the name of its package. Several media stand in the order given.\n"

/* The sum, or the largest number where that is less: what a medium says it takes may be any number. */
uint64_t cli_add_bytes(uint64_t a, uint64_t b);

/* One medium as named: its kind and its source. */
tess_media_kind cli_media_kind(const cli_media_options *options, size_t i);
const char *cli_media_source(const cli_media_options *options, size_t i);
size_t cli_media_count(const cli_media_options *options);

/* Refuses options about films where there is none; `elsewhere`: one may be named in another place. Returns -1
 * or an exit code. */
int cli_media_check(const cli_media_options *options, bool elsewhere, const cli_command *self,
                    const cli_common *common);

/* What the process holds, and decoding libraries will: media are prepared in what a budget leaves of it. */
uint64_t cli_media_count_used(void);

/* Tokens of a conversation but for its media; 0 where it cannot be encoded, which is told when it must be. */
int64_t cli_media_count_text(const tess_conversation *talk, const tess_tokenizer *tokenizer, unsigned flags);

/* Prepares the media of a conversation, or only counts them, in what a budget leaves beside used_bytes. `use`
 * needs neither max_bytes nor progress. Errors: those of tess_conversation_prepare and
 * tess_conversation_count; TESS_EBUDGET  err->smallest_budget_bytes is without used_bytes. */
tess_status cli_media_prepare(tess_conversation *talk, tess_media_use use, uint64_t budget_bytes,
                              uint64_t used_bytes, cli_progress *bar, tess_error *err);
tess_status cli_media_look(tess_conversation *talk, tess_media_use use, uint64_t budget_bytes,
                           uint64_t used_bytes, cli_progress *bar, tess_error *err);

/* What preparing media asks of a budget. */
typedef struct cli_media_room {
    uint64_t needed_bytes; /* the budget that it takes in this process; 0: there are none */
    uint64_t least_bytes;  /* the smallest that is enough in any, which is told */
    uint64_t coming_bytes; /* what the process grows by until it is done */
} cli_media_room;
/* Of a conversation whose sizes are known; used_bytes as above. */
tess_status cli_media_measure(const tess_conversation *talk, uint64_t used_bytes, cli_media_room *out,
                              tess_error *err);

/* "photo.jpg: 1260 × 840, taken as 1248 × 832, 1,014 tokens": what a prepared medium is, safe on a terminal.
 */
void cli_media_print(FILE *out, const tess_medium_facts *facts, int64_t n_tok);
/* Says on standard error what is known to be missing of a medium, if anything is, unless the one before it
 * (NULL: none), which may be the film that it is the sound of, lacks the same. */
void cli_media_remark_loss(const cli_command *self, const tess_medium_facts *facts,
                           const tess_medium_facts *before);
/* Both, of a medium of a conversation whose sizes are known, and of its sound. */
void cli_media_show(const cli_command *self, const tess_content *content);
/* The same as an object: kind, source, width, height, frames, seconds, tokens, …; null where it does not
 * apply. */
json_t *cli_media_to_json(const tess_medium_facts *facts, int64_t n_tok);

#endif
