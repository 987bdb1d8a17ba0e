/* Files of sound: WAV byte for byte, every format read back by the decoder of media, pieces and the whole the
 * same bytes, and names, places and options that are refused. */
#include "tessera/sound.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "../support/media.h"
#include "../support/scratch.h"
#include "../support/sound.h"
#include "media/sound_samples.h"

enum { RATE = 24000, MOST = 100001 };
static const char *const formats[] = {"wav", "flac", "mp3", "opus"};
enum { N_FORMAT = sizeof formats / sizeof *formats };

static char folder[SCRATCH_BYTES];
static char path[SCRATCH_BYTES + 16], other[SCRATCH_BYTES + 16];
static float *sound;
static tess_error err;

static int begin(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    sound = make_sound(MOST, RATE);
    return scratch_make_folder(folder, SCRATCH_ANYWHERE);
}

static int end(void **state)
{
    (void)state;
    free(sound);
    return rmdir(folder);
}

static void name_as(char out[SCRATCH_BYTES + 16], const char *name)
{
    snprintf(out, SCRATCH_BYTES + 16, "%s/%s", folder, name);
}

static void name_file(char out[SCRATCH_BYTES + 16], int format)
{
    snprintf(out, SCRATCH_BYTES + 16, "%s/a.%s", folder, formats[format]);
}

static tess_sound_writer *open_writer(const char *name, bool is_float)
{
    tess_sound_options options = TESS_SOUND_OPTIONS_DEFAULT;
    tess_sound_writer *writer;
    options.is_float = is_float;
    if (tess_sound_writer_open(name, &options, &writer, &err) != TESS_OK) fail_msg("%s", err.message);
    return writer;
}

static void write_all(tess_sound_writer *writer, const float *samples, size_t n, size_t piece)
{
    for (size_t i = 0; i < n; i += piece) {
        size_t taken = n - i < piece ? n - i : piece;
        if (tess_sound_writer_write(writer, samples + i, taken, &err) != TESS_OK) fail_msg("%s", err.message);
    }
    if (tess_sound_writer_finish(writer, &err) != TESS_OK) fail_msg("%s", err.message);
}

static void write_file(const char *name, bool is_float, size_t n, size_t piece)
{
    write_all(open_writer(name, is_float), sound, n, piece);
}

/* ---- WAV byte for byte ---- */

static const uint8_t integer_file[] = {'R',
                                       'I',
                                       'F',
                                       'F',
                                       42,
                                       0,
                                       0,
                                       0,
                                       'W',
                                       'A',
                                       'V',
                                       'E',
                                       'f',
                                       'm',
                                       't',
                                       ' ',
                                       16,
                                       0,
                                       0,
                                       0,
                                       1,
                                       0,
                                       1,
                                       0,
                                       0xc0,
                                       0x5d,
                                       0,
                                       0,
                                       /* 24000 */ 0x80,
                                       0xbb,
                                       0,
                                       0,
                                       /* 48000 */ 2,
                                       0,
                                       16,
                                       0,
                                       'd',
                                       'a',
                                       't',
                                       'a',
                                       6,
                                       0,
                                       0,
                                       0,
                                       /* 0.5, -1, 1 */ 0x00,
                                       0x40,
                                       0x01,
                                       0x80,
                                       0xff,
                                       0x7f};
static const uint8_t float_file[] = {'R',
                                     'I',
                                     'F',
                                     'F',
                                     62,
                                     0,
                                     0,
                                     0,
                                     'W',
                                     'A',
                                     'V',
                                     'E',
                                     'f',
                                     'm',
                                     't',
                                     ' ',
                                     18,
                                     0,
                                     0,
                                     0,
                                     3,
                                     0,
                                     1,
                                     0,
                                     0xc0,
                                     0x5d,
                                     0,
                                     0,
                                     /* 24000 */ 0x00,
                                     0x77,
                                     1,
                                     0,
                                     /* 96000 */ 4,
                                     0,
                                     32,
                                     0,
                                     0,
                                     0,
                                     'f',
                                     'a',
                                     'c',
                                     't',
                                     4,
                                     0,
                                     0,
                                     0,
                                     3,
                                     0,
                                     0,
                                     0,
                                     'd',
                                     'a',
                                     't',
                                     'a',
                                     12,
                                     0,
                                     0,
                                     0,
                                     /* 0.5, -1, 1 */ 0,
                                     0,
                                     0,
                                     0x3f,
                                     0,
                                     0,
                                     0x80,
                                     0xbf,
                                     0,
                                     0,
                                     0x80,
                                     0x3f};

static void must_be(const char *name, const uint8_t *expected, size_t n)
{
    size_t n_byte;
    uint8_t *bytes = media_read(name, &n_byte);
    assert_int_equal(n_byte, n);
    assert_memory_equal(bytes, expected, n);
    free(bytes);
}

static void wav_bytes(void **state)
{
    (void)state;
    static const float samples[] = {0.5f, -1, 1};
    name_as(path, "a.WaV");
    write_all(open_writer(path, false), samples, 3, 1);
    must_be(path, integer_file, sizeof integer_file);
    write_all(open_writer(path, true), samples, 3, 2);
    must_be(path, float_file, sizeof float_file);
    write_all(open_writer(path, false), samples, 0, 1);
    uint8_t empty[44];
    memcpy(empty, integer_file, 44);
    empty[4] = 36;
    empty[40] = 0;
    must_be(path, empty, 44);
    unlink(path);
}

/* What a reader of a pipe got, up to its end. */
typedef struct reader {
    int fd;
    uint8_t *bytes;
    size_t n;
} reader;

static void *read_all(void *arg)
{
    reader *r = arg;
    enum { ROOM = 1 << 20 };
    r->bytes = malloc(ROOM);
    for (ssize_t n; r->bytes && (n = read(r->fd, r->bytes + r->n, ROOM - r->n)) > 0;) r->n += (size_t)n;
    return NULL;
}

/* The file through a named pipe. */
static reader pipe_file(const char *name, bool is_float, const float *samples, size_t n)
{
    assert_int_equal(mkfifo(name, 0600), 0);
    reader r = {.fd = open(name, O_RDONLY | O_NONBLOCK)};
    fcntl(r.fd, F_SETFL, 0);
    tess_sound_writer *writer = open_writer(name, is_float);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, read_all, &r), 0);
    write_all(writer, samples, n, 1000);
    pthread_join(thread, NULL);
    close(r.fd);
    unlink(name);
    assert_non_null(r.bytes);
    return r;
}

static void wav_of_unknown_length(void **state)
{
    (void)state;
    static const float samples[] = {0.5f, -1, 1};
    name_as(path, "pipe"); /* a pipe needs no name that says WAV */
    uint8_t expected[sizeof float_file];
    reader r = pipe_file(path, false, samples, 3);
    memcpy(expected, integer_file, sizeof integer_file);
    memset(expected + 4, 0xff, 4);
    memset(expected + 40, 0xff, 4);
    assert_int_equal(r.n, sizeof integer_file);
    assert_memory_equal(r.bytes, expected, r.n);
    free(r.bytes);
    r = pipe_file(path, true, samples, 3);
    memcpy(expected, float_file, sizeof float_file);
    memset(expected + 4, 0xff, 4);
    memset(expected + 46, 0xff, 4);
    memset(expected + 54, 0xff, 4);
    assert_int_equal(r.n, sizeof float_file);
    assert_memory_equal(r.bytes, expected, r.n);
    free(r.bytes);
}

/* ---- read back ---- */

static void must_be_lossless(const heard *h, size_t n, bool is_float)
{
    assert_int_equal(h->n, n);
    for (size_t i = 0; i < n; i++) {
        int16_t integer;
        tess_samples_to_int16(sound + i, 1, &integer);
        float expected = is_float ? sound[i] : (float)integer * 0x1p-15f;
        if (h->samples[i] != expected)
            fail_msg("sample %zu: %g, expected %g", i, (double)h->samples[i], (double)expected);
    }
}

/* The tone of 440 Hz in the sound, as loud as it was put in (LAME gives 0.95 of it), in its place. */
static void must_be_near(const heard *h, size_t n, size_t at_most)
{
    double along = 0, across = 0, loud = 0, expected = 0;
    print_message("# %zu samples of %zu, %s\n", h->n, n, h->facts.format);
    assert_true(h->n >= n && h->n <= at_most);
    for (size_t i = 0; i < n; i++) {
        double turn = 2 * M_PI * 440 * (double)i / RATE;
        along += h->samples[i] * cos(turn);
        across += h->samples[i] * sin(turn);
        loud += (double)h->samples[i] * h->samples[i];
        expected += (double)sound[i] * sound[i];
    }
    double level = 2 * hypot(along, across) / (double)n, phase = atan2(along, across);
    print_message("# level %.4f, phase %.4f, power %.4f of what it was\n", level, phase, loud / expected);
    assert_true(level > 0.465 && level < 0.515 && fabs(phase) < 0.03);
    assert_true(loud / expected > 0.8 && loud / expected < 1.05);
}

static void must_read_back(const heard *h, const char *format, size_t n, bool is_piped)
{
    if (!strcmp(format, "wav") || !strcmp(format, "flac"))
        must_be_lossless(h, n, false);
    else /* MP3 says its length in a header that a pipe does not let it write: whole frames of 576 */
        must_be_near(h, n, is_piped && !strcmp(format, "mp3") ? n + 3 * 576 : n);
    assert_int_equal(h->facts.n_channel, 1);
    assert_int_equal(h->facts.rate_hz, strcmp(format, "opus") ? RATE : 48000);
}

static void reads_back(void **state)
{
    (void)state;
    for (int i = 0; i < N_FORMAT; i++) {
        name_file(path, i);
        write_file(path, false, MOST, 1920);
        heard h = hear_file(path, RATE);
        must_read_back(&h, formats[i], MOST, false);
        free(h.samples);
        unlink(path);
    }
    name_as(path, "a.wav");
    write_file(path, true, MOST, 1920);
    heard h = hear_file(path, RATE);
    must_be_lossless(&h, MOST, true);
    free(h.samples);
    unlink(path);
}

static void reads_back_from_a_pipe(void **state)
{
    (void)state;
    for (int i = 0; i < N_FORMAT; i++) {
        name_file(path, i);
        reader r = pipe_file(path, false, sound, MOST);
        heard h = hear_bytes(r.bytes, r.n, RATE);
        if (strcmp(formats[i], "mp3"))
            must_read_back(&h, formats[i], MOST, true);
        else /* and the delay of the encoder is in it */
            assert_true(h.n >= MOST && h.n <= MOST + 4 * 576 + 1105);
        free(h.samples);
        free(r.bytes);
    }
}

/* Lossy formats from 2 ms on: Opus loses the last sample or two, and no decoder drops more than a frame of
 * MP3 at the end, which leaves up to 47. */
static void short_sounds(void **state)
{
    (void)state;
    static const size_t lengths[] = {47,   479,  480,  481,  575,  576, 577, 1152,
                                     4095, 4096, 4097, 4609, 9600, 1,   2};
    enum { N = sizeof lengths / sizeof *lengths };
    for (int i = 0; i < N_FORMAT; i++)
        for (int l = 0; l < (i < 2 ? N : N - 2); l++) {
            name_file(path, i);
            write_file(path, false, lengths[l], 4000);
            heard h = hear_file(path, RATE);
            size_t most = lengths[l] + (strcmp(formats[i], "mp3") ? 0 : 47);
            if (h.n < lengths[l] || h.n > most) fail_msg("%s: %zu, not %zu", formats[i], h.n, lengths[l]);
            if (i < 2) must_be_lossless(&h, h.n, false);
            free(h.samples);
            unlink(path);
        }
}

static void must_be_equal_files(const char *a, const char *b)
{
    size_t n_a, n_b;
    uint8_t *of_a = media_read(a, &n_a), *of_b = media_read(b, &n_b);
    assert_int_equal(n_a, n_b);
    assert_memory_equal(of_a, of_b, n_a);
    free(of_a);
    free(of_b);
}

static void pieces_are_the_whole(void **state)
{
    (void)state;
    static const size_t pieces[] = {1, 7, 480, 1920, 4096, 5000, MOST};
    enum { N = 30011 };
    for (int i = 0; i < N_FORMAT; i++) {
        name_file(path, i);
        snprintf(other, sizeof other, "%s/b.%s", folder, formats[i]);
        write_file(other, false, N, N);
        for (size_t p = 0; p < sizeof pieces / sizeof *pieces; p++) {
            write_file(path, false, N, pieces[p]);
            must_be_equal_files(path, other);
        }
        unlink(path);
        unlink(other);
    }
    name_as(path, "a.opus");
    name_as(other, "b.OGG");
    write_file(path, false, N, 100);
    write_file(other, false, N, 100);
    must_be_equal_files(path, other);
    unlink(path);
    unlink(other);
}

/* ---- names and places ---- */

static void files_stay_until_the_end(void **state)
{
    (void)state;
    for (int i = 0; i < N_FORMAT; i++) {
        name_file(path, i);
        scratch_write(path, "old", 3);
        tess_sound_writer *writer = open_writer(path, false);
        assert_int_equal(scratch_count_files(folder), 2);
        assert_int_equal(tess_sound_writer_write(writer, sound, 50000, &err), TESS_OK);
        must_be(path, (const uint8_t *)"old", 3);
        tess_sound_writer_cancel(writer);
        assert_int_equal(scratch_count_files(folder), 1);
        must_be(path, (const uint8_t *)"old", 3);
        writer = open_writer(path, false);
        tess_sound_writer_cancel(writer);
        write_file(path, false, 500, 500);
        assert_int_equal(scratch_count_files(folder), 1);
        heard h = hear_file(path, RATE);
        assert_int_equal(h.n, 500);
        free(h.samples);
        unlink(path);
    }
    tess_sound_writer_cancel(NULL);
}

static void links_stay(void **state)
{
    (void)state;
    name_as(path, "link.flac");
    name_as(other, "file");
    assert_int_equal(symlink("file", path), 0);
    write_file(path, false, 500, 500);
    struct stat info;
    assert_int_equal(lstat(path, &info), 0);
    assert_true(S_ISLNK(info.st_mode));
    heard h = hear_file(other, RATE);
    assert_int_equal(h.n, 500);
    free(h.samples);
    unlink(path);
    unlink(other);
}

static tess_status try_to_open(const char *name, tess_sound_options options)
{
    tess_sound_writer *writer = NULL;
    memset(&err, 0, sizeof err);
    tess_status status = tess_sound_writer_open(name, &options, &writer, &err);
    if (status == TESS_OK)
        tess_sound_writer_cancel(writer);
    else
        assert_null(writer);
    return status;
}

static void refuses_names(void **state)
{
    (void)state;
    static const char *const names[] = {"a.txt", "a", "a.wav/", "a.wave", "wav", "a.wav.gz", "a.", ""};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        assert_int_equal(try_to_open(names[i], TESS_SOUND_OPTIONS_DEFAULT), TESS_EUSAGE);
        assert_non_null(strstr(err.message, ".wav, .flac, .mp3, .opus or .ogg"));
        assert_int_equal(err.status, TESS_EUSAGE);
        bool is_encoded;
        assert_int_equal(tess_sound_writer_check(names[i], &TESS_SOUND_OPTIONS_DEFAULT, &is_encoded, &err),
                         TESS_EUSAGE);
    }
    assert_int_equal(try_to_open("/no/such/folder/a.mp3", TESS_SOUND_OPTIONS_DEFAULT), TESS_EIO);
    assert_int_equal(err.os_errno, ENOENT);
    name_as(path, "folder.wav");
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(try_to_open(path, TESS_SOUND_OPTIONS_DEFAULT), TESS_EUSAGE);
    rmdir(path);
}

static void refuses_options(void **state)
{
    (void)state;
    name_as(path, "a.wav");
    static const int rates[] = {0, -1, 768001};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(try_to_open(path, (tess_sound_options){.rate_hz = rates[i]}), TESS_EUSAGE);
        assert_string_equal(err.field, "rate_hz");
    }
    static const char *const others[] = {"a.flac", "a.mp3", "a.Opus", "a.ogg"};
    for (size_t i = 0; i < 4; i++) {
        name_as(path, others[i]);
        assert_int_equal(try_to_open(path, (tess_sound_options){.rate_hz = RATE, .is_float = true}),
                         TESS_EUSAGE);
        assert_string_equal(err.field, "is_float");
    }
    name_as(path, "a.opus");
    assert_int_equal(try_to_open(path, (tess_sound_options){.rate_hz = 22050}), TESS_EUSAGE);
    assert_string_equal(
        err.message,
        "rate_hz: found 22050, which Opus does not know, expected one of 48000, 24000, 16000, 12000, 8000");
    assert_int_equal(try_to_open(path, (tess_sound_options){.rate_hz = 16000}), TESS_OK);
    assert_int_equal(scratch_count_files(folder), 0);
}

static void checks_without_a_file(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        bool is_encoded;
    } known[] = {{"a.wav", false}, {"A.WAV", false}, {"-", false}, {"a.flac", true}, {"a.ogg", true}};
    const tess_sound_options floats = {.rate_hz = RATE, .is_float = true};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        bool is_encoded = !known[i].is_encoded;
        name_as(path, known[i].name);
        const char *name = strcmp(known[i].name, "-") ? path : "-";
        assert_int_equal(tess_sound_writer_check(name, &TESS_SOUND_OPTIONS_DEFAULT, &is_encoded, &err),
                         TESS_OK);
        assert_int_equal(is_encoded, known[i].is_encoded);
        assert_int_equal(tess_sound_writer_check(name, &floats, &is_encoded, &err),
                         known[i].is_encoded ? TESS_EUSAGE : TESS_OK);
    }
    assert_int_equal(scratch_count_files(folder), 0);
}

/* As somebody whom the folder does not let in; root is let in everywhere. */
static void refuses_a_folder_of_others(void **state)
{
    (void)state;
    uid_t user = geteuid();
    name_as(path, "a.wav");
    assert_int_equal(chmod(folder, 0555), 0);
    if (user == 0) assert_int_equal(seteuid(65534), 0);
    tess_status status = try_to_open(path, TESS_SOUND_OPTIONS_DEFAULT);
    if (user == 0) assert_int_equal(seteuid(user), 0);
    assert_int_equal(chmod(folder, 0700), 0);
    assert_int_equal(status, TESS_EIO);
    assert_int_equal(err.os_errno, EACCES);
    assert_string_equal(err.file, path);
}

/* A sample that is no number is refused with nothing of its piece, and what comes after it is taken. */
static void refuses_what_is_no_number(void **state)
{
    (void)state;
    float bad[3] = {0, 0, NAN};
    for (int i = 0; i < N_FORMAT; i++) {
        name_file(path, i);
        tess_sound_writer *writer = open_writer(path, false);
        assert_int_equal(tess_sound_writer_write(writer, sound, 1000, &err), TESS_OK);
        assert_int_equal(tess_sound_writer_write(writer, bad, 3, &err), TESS_ENONFINITE);
        assert_string_equal(err.found, "NaN in sample 1002");
        assert_string_equal(err.file, path);
        assert_int_equal(tess_sound_writer_write(writer, sound + 1000, 1000, &err), TESS_OK);
        assert_int_equal(tess_sound_writer_finish(writer, &err), TESS_OK);
        heard h = hear_file(path, RATE);
        assert_int_equal(h.n, 2000);
        if (i < 2) must_be_lossless(&h, h.n, false);
        free(h.samples);
        unlink(path);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wav_bytes),
        cmocka_unit_test(wav_of_unknown_length),
        cmocka_unit_test(reads_back),
        cmocka_unit_test(reads_back_from_a_pipe),
        cmocka_unit_test(short_sounds),
        cmocka_unit_test(pieces_are_the_whole),
        cmocka_unit_test(files_stay_until_the_end),
        cmocka_unit_test(links_stay),
        cmocka_unit_test(refuses_names),
        cmocka_unit_test(refuses_options),
        cmocka_unit_test(checks_without_a_file),
        cmocka_unit_test(refuses_a_folder_of_others),
        cmocka_unit_test(refuses_what_is_no_number),
    };
    return cmocka_run_group_tests_name("sound_writer", tests, begin, end);
}
