/* Sound going out: files of speech, and playing it.
 *
 *     tess_sound_options options = TESS_SOUND_OPTIONS_DEFAULT;
 *     tess_sound_writer_open("answer.wav", &options, &writer, err);   before anything is computed
 *     tess_sound_writer_write(writer, samples, n, err);               as they come
 *     tess_sound_writer_finish(writer, err);                          or tess_sound_writer_cancel(writer)
 *
 *     tess_player_open(24000, &player, err);
 *     tess_player_write(player, samples, n, progress, err);           as they come; returns when they are
 * queued tess_player_drain(player, progress, err);                       returns when all is heard
 *     tess_player_close(player);
 *
 * Sound is one channel of float32 samples, full scale at -1 and 1. What takes them holds a few thousand at a
 * time, however long the sound is.
 */
#ifndef TESSERA_SOUND_H
#define TESSERA_SOUND_H

#include <stdbool.h>
#include <stddef.h>

#include "tessera/error.h"
#include "tessera/progress.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

typedef struct tess_sound_options {
    int rate_hz;                   /* samples a second, 1 to 768000; MP3 and Opus know some rates only */
    bool is_float;                 /* WAV: 32-bit floats instead of 16-bit integers; nothing else has them */
    const tess_progress *progress; /* asked while the reader of a pipe is waited for; lives as long as the
                                      writer; may be NULL */
} tess_sound_options;
#define TESS_SOUND_OPTIONS_DEFAULT ((tess_sound_options){.rate_hz = 24000})

typedef struct tess_sound_writer tess_sound_writer;

/* Opens a file for one channel of sound, in the format that the end of its name says, in any case:
 *
 *   .wav          16-bit integers, or 32-bit floats (is_float): the samples as they are
 *   .flac         the integers of a 16-bit WAV, compressed without loss
 *   .mp3          96 kbit/s, by LAME
 *   .opus, .ogg   Opus in Ogg, 64 kbit/s
 *
 * "-" is standard output, as WAV; so is what has no such end and is a pipe or a device. Integers are
 * x · 32767, rounded to the nearest, half to even, and clamped.
 *
 * The file is created at once, under a temporary name, and has its own name only when it is finished: until
 * then an older file of that name stays. A pipe or a device is written through: its reader gets what there
 * is, and a header that says that the length is not known (in WAV sizes of 0xFFFFFFFF, which players read to
 * the end). The process should ignore SIGPIPE; err->os_errno is EPIPE then where nobody reads any more.
 *
 * The same samples give the same bytes, however they are cut into pieces; MP3 and Opus with the same version
 * of their libraries on the same kind of CPU.
 *
 * Errors: TESS_EUSAGE        a name without a known end, with the list; an option out of range; is_float
 *                            where the format has no floats; a folder
 *         TESS_EUNSUPPORTED  FFmpeg is not installed, or lacks the encoder: which, and what to install
 *         TESS_EIO           the file cannot be created, with the system's errno
 *         TESS_EINTERRUPTED  options->progress asked to stop while a named pipe had no reader, or, where that
 *                            is NULL, a signal came; TESS_ENOMEM.
 * Memory: FFmpeg, for all but WAV, takes 30 to 35 MB once it is opened; WAV next to nothing.
 * Threads: one at a time for a writer. */
tess_status tess_sound_writer_open(const char *path, const tess_sound_options *options,
                                   tess_sound_writer **out, tess_error *err);

/* Refuses a name without a known end, and options that its format does not have, as opening does, and makes
 * nothing: for a plan. *is_encoded tells whether opening will ask for FFmpeg. Errors: TESS_EUSAGE. */
tess_status tess_sound_writer_check(const char *path, const tess_sound_options *options, bool *is_encoded,
                                    tess_error *err);

/* Appends n samples, which are borrowed for the call; 0 is fine.
 *
 * Errors: TESS_ENONFINITE  a NaN or an infinity: which sample; nothing of this call is written, and writing
 *                          may go on
 *         TESS_EIO         the disk is full, nobody reads the pipe (EPIPE), or the file is as long as its
 *                          format can say, 4 GiB of WAV (EFBIG)
 *         TESS_EINTERRUPTED  options->progress, asked ten times a second or more while nobody reads what is
 * in a pipe, asked to stop. After these two, and after TESS_ENOMEM, only finish and cancel are left. */
tess_status tess_sound_writer_write(tess_sound_writer *writer, const float *samples, size_t n,
                                    tess_error *err);

/* Ends the file, puts its length in the header where that can be sought, gives it its name, and frees the
 * writer in every case. After a failure of writing it does so with what was written until then: a file that
 * plays, short of at most the last second.
 * Errors: TESS_EIO, TESS_ENOMEM, TESS_EINTERRUPTED  what was held back until now could not be written, and is
 * missing in a file that is kept otherwise; or the file could not get its name and is gone, the older one is
 * as it was; or there is nothing to keep after a failure of writing, which is told again. */
tess_status tess_sound_writer_finish(tess_sound_writer *writer, tess_error *err);

/* Gives the file up, of which nothing stays, and frees the writer. What was written through a pipe or a
 * device is out. NULL is fine. */
void tess_sound_writer_cancel(tess_sound_writer *writer);

typedef struct tess_player tess_player;

enum { TESS_PLAYER_LEAST_RATE_HZ = 8000, TESS_PLAYER_MOST_RATE_HZ = 192000 };

/* Opens what plays sound here: PulseAudio where its server answers, which PipeWire does as well, else ALSA's
 * device "default". Samples are played as 16-bit integers, rounded as in a file. Up to ten seconds wait in
 * the player, from which a thread of its own, which takes no signals, feeds the device; the device holds a
 * fifth of a second. Who computes more slowly than sound passes is heard with gaps.
 *
 * Errors: TESS_EUNSUPPORTED  neither library is installed: what to install
 *         TESS_EIO           no server answers, and no device can be opened: why not, of both
 *         TESS_EUSAGE        a rate out of range; TESS_ENOMEM.
 * Memory: 20 bytes times the rate (0.5 MB at 24000), and what the libraries take, 5 MB.
 * Threads: one at a time for a player, but for tess_player_stop(). */
tess_status tess_player_open(int rate_hz, tess_player **out, tess_error *err);
/* Drops what is not heard yet. A server that hangs is waited for. NULL is fine. */
void tess_player_close(tess_player *player);

/* "PulseAudio" or "ALSA"; a static string. */
const char *tess_player_get_system(const tess_player *player);

/* Queues n samples and returns, at once if there is room for them. While there is none, progress
 * (TESS_ACTIVITY_PLAYING, samples heard of those queued; may be NULL) is asked ten times a second or more.
 *
 * Errors: TESS_EINTERRUPTED  progress asked to stop, or tess_player_stop() was called: some of them may be
 * queued TESS_EIO           what the device or its server said, now or about earlier samples; closing is all
 *                            that is left
 *         TESS_ENONFINITE    a NaN or an infinity: which sample of this call; none of them is queued. */
tess_status tess_player_write(tess_player *player, const float *samples, size_t n,
                              const tess_progress *progress, tess_error *err);

/* Waits until all is heard. Errors: as of writing; after TESS_EINTERRUPTED the rest is played on, unless it
 * is stopped. */
tess_status tess_player_drain(tess_player *player, const tess_progress *progress, tess_error *err);

/* Drops what is queued: silence within a quarter of a second. Does not wait, and more may be written. From
 * any thread, but not from a signal handler. */
void tess_player_stop(tess_player *player);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
