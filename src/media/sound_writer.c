/* A file of sound: its format by its name, WAV by own code, the rest by FFmpeg.
 *
 * Invariant: after each call the target holds a header, n_sample samples of WAV or the encoder's whole bytes,
 * and perhaps a rest of what failed, which finishing cuts off.
 */
#include "tessera/sound.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "io/target.h"
#include "media/sound_encoder.h"
#include "media/sound_samples.h"
#include "media/sound_wav.h"

enum { BLOCK = 4096, MOST_RATE_HZ = 768000, CODE_WAV = -1 };

struct tess_sound_writer {
    tess_target *target;
    tess_sound_encoder *encoder; /* NULL: WAV */
    tess_sound_options options;
    uint64_t n_sample;   /* written */
    tess_status failure; /* of writing */
    tess_error error;    /* what it said */
};

static const struct ending {
    const char *text;
    int code;
} endings[] = {
    {".wav", CODE_WAV},         {".flac", TESS_SOUND_FLAC}, {".mp3", TESS_SOUND_MP3},
    {".opus", TESS_SOUND_OPUS}, {".ogg", TESS_SOUND_OPUS},
};

/* ---- opening ---- */

/* What has no name of its own to say it: standard output, a pipe, a device. */
static bool is_nameless(const char *path)
{
    struct stat info;
    if (!strcmp(path, "-")) return true;
    return stat(path, &info) == 0 && !S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode);
}

static tess_status find_code(const char *path, int *code, tess_error *err)
{
    const char *slash = strrchr(path, '/'), *dot = strrchr(slash ? slash : path, '.');
    for (size_t i = 0; dot && i < sizeof endings / sizeof *endings; i++) {
        if (strcasecmp(dot, endings[i].text)) continue;
        *code = endings[i].code;
        return TESS_OK;
    }
    *code = CODE_WAV;
    if (is_nameless(path)) return TESS_OK;
    tess_refuse(err, path, "", -1, "one that ends in .wav, .flac, .mp3, .opus or .ogg",
                "a name that says no format of sound");
    if (err) err->status = TESS_EUSAGE;
    return TESS_EUSAGE;
}

static tess_status check_options(const tess_sound_options *options, int code, tess_error *err)
{
    if (options->rate_hz < 1 || options->rate_hz > MOST_RATE_HZ)
        return tess_refuse_option(err, "rate_hz", "1 to 768000", "%d", options->rate_hz);
    if (options->is_float && code != CODE_WAV)
        return tess_refuse_option(err, "is_float", "a name that ends in .wav",
                                  "a format that has no 32-bit floats");
    return TESS_OK;
}

tess_status tess_sound_writer_check(const char *path, const tess_sound_options *options, bool *is_encoded,
                                    tess_error *err)
{
    int code;
    tess_status status = find_code(path, &code, err);
    if (status == TESS_OK) status = check_options(options, code, err);
    if (status == TESS_OK) *is_encoded = code != CODE_WAV;
    return status;
}

static tess_status write_wav_header(tess_sound_writer *w, uint64_t n_sample, tess_error *err)
{
    uint8_t header[TESS_WAV_MOST_HEADER];
    tess_wav_write_header(w->options.rate_hz, w->options.is_float, n_sample, header);
    return tess_target_write(w->target, 0, header, tess_wav_header_size(w->options.is_float), err);
}

tess_status tess_sound_writer_open(const char *path, const tess_sound_options *options,
                                   tess_sound_writer **out, tess_error *err)
{
    int code;
    tess_status status = find_code(path, &code, err);
    if (status == TESS_OK) status = check_options(options, code, err);
    if (status != TESS_OK) return status;
    tess_sound_writer *w = calloc(1, sizeof *w);
    if (!w) return tess_fail(err, TESS_ENOMEM, "%s: no memory to write it", path);
    w->options = *options;
    status = tess_target_open(path, options->progress, &w->target, err);
    if (status == TESS_OK && code == CODE_WAV) status = write_wav_header(w, TESS_WAV_UNKNOWN, err);
    if (status == TESS_OK && code != CODE_WAV)
        status =
            tess_sound_encoder_open((tess_sound_code)code, options->rate_hz, w->target, &w->encoder, err);
    if (status != TESS_OK) {
        tess_sound_writer_cancel(w);
        return status;
    }
    *out = w;
    return TESS_OK;
}

void tess_sound_writer_cancel(tess_sound_writer *w)
{
    if (!w) return;
    tess_sound_encoder_close(w->encoder);
    tess_target_abandon(w->target);
    free(w);
}

/* ---- writing ---- */

static uint64_t count_wav_bytes(const tess_sound_writer *w)
{
    return tess_wav_header_size(w->options.is_float) +
           w->n_sample * (w->options.is_float ? sizeof(float) : sizeof(int16_t));
}

static tess_status write_wav_block(tess_sound_writer *w, const float *samples, size_t n, tess_error *err)
{
    if (w->options.is_float)
        return tess_target_write(w->target, count_wav_bytes(w), samples, n * sizeof *samples, err);
    int16_t integers[BLOCK];
    tess_samples_to_int16(samples, n, integers);
    return tess_target_write(w->target, count_wav_bytes(w), integers, n * sizeof *integers, err);
}

/* What cannot be sought keeps the header that says that its length is not known, and has no limit. */
static tess_status check_wav_length(const tess_sound_writer *w, size_t n, tess_error *err)
{
    if (!tess_target_can_seek(w->target)) return TESS_OK;
    uint64_t most = tess_wav_most_samples(w->options.is_float);
    if (n <= most && w->n_sample <= most - n) return TESS_OK;
    const char *name = tess_target_get_name(w->target);
    tess_fail_system(err, EFBIG, name, (int64_t)count_wav_bytes(w), "write");
    if (err)
        snprintf(
            err->message, sizeof err->message,
            "%s: found %llu samples and %zu more, expected at most the %llu that a WAV file of 4 GiB holds",
            name, (unsigned long long)w->n_sample, n, (unsigned long long)most);
    return TESS_EIO;
}

static tess_status write_wav(tess_sound_writer *w, const float *samples, size_t n, tess_error *err)
{
    tess_status status = check_wav_length(w, n, err);
    while (status == TESS_OK && n) {
        size_t taken = n < BLOCK ? n : BLOCK;
        status = write_wav_block(w, samples, taken, err);
        if (status != TESS_OK) break;
        w->n_sample += taken;
        samples += taken;
        n -= taken;
    }
    return status;
}

tess_status tess_sound_writer_write(tess_sound_writer *w, const float *samples, size_t n, tess_error *err)
{
    TESS_ASSERT(w->failure == TESS_OK);
    tess_status status = tess_samples_check(tess_target_get_name(w->target), samples, n, w->n_sample, err);
    if (status != TESS_OK) return status;
    if (w->encoder) {
        status = tess_sound_encoder_write(w->encoder, samples, n, &w->error);
        w->n_sample += n;
    } else {
        status = write_wav(w, samples, n, &w->error);
    }
    w->failure = status;
    if (status != TESS_OK && err) *err = w->error;
    return status;
}

/* ---- ending ---- */

/* Writes what is left to write. After a failure of writing that is WAV's header alone. */
static tess_status write_end(tess_sound_writer *w, tess_error *err)
{
    if (w->encoder) return w->failure == TESS_OK ? tess_sound_encoder_finish(w->encoder, err) : TESS_OK;
    return tess_target_can_seek(w->target) ? write_wav_header(w, w->n_sample, err) : TESS_OK;
}

/* Bytes of what plays: all, unless something failed. */
static uint64_t count_whole_bytes(const tess_sound_writer *w)
{
    if (w->encoder) return tess_sound_encoder_get_whole_bytes(w->encoder);
    return w->n_sample || w->failure == TESS_OK ? count_wav_bytes(w) : 0;
}

/* Gives the first n_byte bytes their name, and frees the writer. */
static tess_status commit(tess_sound_writer *w, uint64_t n_byte, tess_error *err)
{
    tess_sound_encoder_close(w->encoder); /* which refers to the target */
    tess_status status = tess_target_commit(w->target, n_byte, err);
    free(w);
    return status;
}

tess_status tess_sound_writer_finish(tess_sound_writer *w, tess_error *err)
{
    tess_status told = w->failure;
    tess_status ended = write_end(w, told == TESS_OK ? &w->error : NULL);
    if (told == TESS_OK) w->failure = ended;
    tess_status failure = w->failure;
    if (failure != TESS_OK && err) *err = w->error;
    uint64_t n_byte = count_whole_bytes(w);
    if (failure != TESS_OK && n_byte == 0) {
        tess_sound_writer_cancel(w);
        return failure;
    }
    if (told == TESS_OK && failure != TESS_OK) {
        (void)commit(w, n_byte, NULL);
        return failure;
    }
    return commit(w, n_byte, err);
}
