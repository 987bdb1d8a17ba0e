/* The system misbehaves while sound is written: a disk that fills up, wherever it does, leaves a file that
 * plays up to there, or the old one; a reader that goes away is told by EPIPE; what fails at the end leaves
 * the old file; an allocation that fails is reported; memory does not grow with the sound. This program's
 * calls stand in front of the C library's, for the library under test too. */
#include "tessera/sound.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "../support/fault.h"
#include "../support/media.h"
#include "../support/scratch.h"
#include "../support/sound.h"
#include "base/system.h"
#include "media/sound_samples.h"

enum { RATE = 24000, N = 60000 };
static const char *const formats[] = {"wav", "flac", "mp3", "opus"};
enum { N_FORMAT = sizeof formats / sizeof *formats };

static char folder[SCRATCH_BYTES], path[SCRATCH_BYTES + 16];
static float *sound;
static tess_error err;

static struct {
    off_t room;  /* bytes a file may have; 0: any number */
    off_t sunk;  /* what is written beyond is left out; 0: nothing */
    size_t most; /* bytes per write at most; 0: as asked */
    int fsync_code, rename_code;
} plan;

ssize_t pwrite(int fd, const void *bytes, size_t n, off_t offset)
{
    if (plan.most && n > plan.most) n = plan.most;
    if (plan.room && offset >= plan.room) {
        errno = ENOSPC;
        return -1;
    }
    if (plan.room && offset + (off_t)n > plan.room) n = (size_t)(plan.room - offset);
    if (plan.sunk && offset >= plan.sunk) return (ssize_t)n;
    return syscall(SYS_pwrite64, fd, bytes, n, offset);
}

static int fail_with(int code)
{
    errno = code;
    return -1;
}

int fsync(int fd)
{
    return plan.fsync_code ? fail_with(plan.fsync_code) : (int)syscall(SYS_fsync, fd);
}

int rename(const char *from, const char *to)
{
    if (plan.rename_code) return fail_with(plan.rename_code);
    return (int)syscall(SYS_renameat2, -100, from, -100, to, 0); /* AT_FDCWD */
}

static int begin(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    sound = make_sound(N, RATE);
    return scratch_make_folder(folder, SCRATCH_ANYWHERE);
}

static int end(void **state)
{
    (void)state;
    free(sound);
    return rmdir(folder);
}

static void name_file(int format)
{
    snprintf(path, sizeof path, "%s/a.%s", folder, formats[format]);
}

static bool is_lossless(int format)
{
    return format < 2;
}

/* Writes the sound in pieces, and finishes it whatever came of that. *written: what writing said. */
static tess_status write_sound(tess_status *written, tess_error *write_error)
{
    tess_sound_options options = TESS_SOUND_OPTIONS_DEFAULT;
    tess_sound_writer *writer;
    *written = tess_sound_writer_open(path, &options, &writer, write_error);
    if (*written != TESS_OK) return *written;
    for (size_t i = 0; *written == TESS_OK && i < N; i += 1920) {
        size_t n = N - i < 1920 ? N - i : 1920;
        *written = tess_sound_writer_write(writer, sound + i, n, write_error);
    }
    return tess_sound_writer_finish(writer, &err);
}

static size_t size_of_file(void)
{
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    return (size_t)info.st_size;
}

static void must_be_old(void)
{
    size_t n;
    uint8_t *bytes = media_read(path, &n);
    assert_int_equal(n, 3);
    assert_memory_equal(bytes, "old", 3);
    free(bytes);
}

/* What is in the file is the sound's beginning; returns its samples. */
static size_t must_be_a_beginning(int format)
{
    heard h = hear_file(path, RATE);
    assert_true(h.n <= N + 2000);
    double difference = 0, power = 0;
    for (size_t i = 0; i < h.n && i < N; i++) {
        int16_t integer;
        tess_samples_to_int16(sound + i, 1, &integer);
        if (is_lossless(format)) assert_true(h.samples[i] == (float)integer * 0x1p-15f);
        difference += pow((double)h.samples[i] - (double)sound[i], 2);
        power += (double)sound[i] * sound[i];
    }
    /* Without its length in a header, MP3 keeps the delay of the encoder, so nothing is compared there. */
    if (strcmp(formats[format], "mp3")) assert_true(difference < 0.05 * power);
    free(h.samples);
    return h.n;
}

/* A disk with that much room. Returns whether it was enough; *n_kept: samples in the file, 0 where the old
 * one stays. What was told by writing is not told again if there is something to keep. */
static bool fill_up(int format, size_t room, size_t *n_kept)
{
    scratch_write(path, "old", 3);
    tess_status written;
    tess_error write_error;
    plan.room = (off_t)room;
    tess_status status = write_sound(&written, &write_error);
    plan.room = 0;
    assert_int_equal(scratch_count_files(folder), 1);
    if (written != TESS_OK) {
        assert_int_equal(written, TESS_EIO);
        assert_int_equal(write_error.os_errno, ENOSPC);
        assert_string_equal(write_error.file, path);
    }
    if (written == TESS_OK && status != TESS_OK) assert_int_equal(err.os_errno, ENOSPC);
    *n_kept = size_of_file() > 3 ? must_be_a_beginning(format) : 0;
    if (*n_kept == 0) must_be_old();
    bool is_fine = *n_kept > 0 && (written != TESS_OK || *n_kept == N);
    assert_int_equal(status, is_fine ? TESS_OK : TESS_EIO);
    return written == TESS_OK && status == TESS_OK;
}

static void full_disks(void **state)
{
    (void)state;
    for (int format = 0; format < N_FORMAT; format++) {
        name_file(format);
        size_t n_kept;
        assert_true(fill_up(format, 1 << 30, &n_kept));
        size_t n_byte = size_of_file(), n_refused = 0, n_file = 0, before = 0;
        for (size_t room = 1; room < n_byte; room += room < 200 ? 13 : n_byte / 61) {
            assert_false(fill_up(format, room, &n_kept));
            n_refused += n_kept == 0;
            n_file += n_kept > 0;
            assert_true(n_kept >= before); /* more room, more of it */
            before = n_kept;
            /* All but what a second takes, and headers. */
            double seconds = (double)n_kept / RATE, full = (double)N / RATE * (double)room / (double)n_byte;
            if (room > n_byte / 2) assert_true(seconds > full - 1);
        }
        print_message("# %s: %zu refused, %zu kept\n", formats[format], n_refused, n_file);
        assert_true(n_refused > 0 && n_file > 30);
        unlink(path);
    }
}

static void short_writes(void **state)
{
    (void)state;
    for (int format = 0; format < N_FORMAT; format++) {
        tess_status written;
        size_t n_plain, n;
        name_file(format);
        assert_int_equal(write_sound(&written, &err), TESS_OK);
        uint8_t *plain = media_read(path, &n_plain);
        plan.most = 7;
        assert_int_equal(write_sound(&written, &err), TESS_OK);
        plan.most = 0;
        uint8_t *bytes = media_read(path, &n);
        assert_int_equal(n, n_plain);
        assert_memory_equal(bytes, plain, n);
        free(bytes);
        free(plain);
        unlink(path);
    }
}

static void failing_ends(void **state)
{
    (void)state;
    int *const codes[] = {&plan.fsync_code, &plan.rename_code};
    for (int format = 0; format < N_FORMAT; format++)
        for (size_t i = 0; i < 2; i++) {
            tess_status written;
            name_file(format);
            scratch_write(path, "old", 3);
            *codes[i] = EIO;
            tess_status status = write_sound(&written, &err);
            *codes[i] = 0;
            assert_int_equal(written, TESS_OK);
            assert_int_equal(status, TESS_EIO);
            assert_int_equal(err.os_errno, EIO);
            must_be_old();
            assert_int_equal(scratch_count_files(folder), 1);
            unlink(path);
        }
}

/* Somebody listens, and goes away. */
static void readers_that_go_away(void **state)
{
    (void)state;
    for (int format = 0; format < N_FORMAT; format++) {
        name_file(format);
        assert_int_equal(mkfifo(path, 0600), 0);
        int reader = open(path, O_RDONLY | O_NONBLOCK);
        assert_true(fcntl(reader, F_SETPIPE_SZ, 1 << 20) > 0);
        tess_sound_options options = TESS_SOUND_OPTIONS_DEFAULT;
        tess_sound_writer *writer;
        assert_int_equal(tess_sound_writer_open(path, &options, &writer, &err), TESS_OK);
        assert_int_equal(tess_sound_writer_write(writer, sound, N / 2, &err), TESS_OK);
        close(reader);
        assert_int_equal(tess_sound_writer_write(writer, sound + N / 2, N / 2, &err), TESS_EIO);
        assert_int_equal(err.os_errno, EPIPE);
        assert_string_equal(err.file, path);
        if (format % 2)
            assert_int_equal(tess_sound_writer_finish(writer, &err), TESS_OK);
        else
            tess_sound_writer_cancel(writer);
        unlink(path);
    }
}

/* Each format has a header, so that it shows before there is work to lose. */
static void devices_that_are_full(void **state)
{
    (void)state;
    for (int format = 0; format < N_FORMAT; format++) {
        tess_sound_options options = TESS_SOUND_OPTIONS_DEFAULT;
        tess_sound_writer *writer = NULL;
        name_file(format);
        assert_int_equal(symlink("/dev/full", path), 0);
        assert_int_equal(tess_sound_writer_open(path, &options, &writer, &err), TESS_EIO);
        assert_int_equal(err.os_errno, ENOSPC);
        assert_null(writer);
        unlink(path);
    }
    assert_int_equal(scratch_count_files(folder), 0);
}

/* As many samples as sizes of 32 bits can tell, and not one more. */
static void four_gibibytes(void **state)
{
    (void)state;
    tess_sound_options options = TESS_SOUND_OPTIONS_DEFAULT;
    options.is_float = true;
    tess_sound_writer *writer;
    name_file(0);
    enum { PIECE = 1 << 20 };
    const uint64_t most = (UINT32_MAX - 1 - 50) / 4;
    float *piece = calloc(PIECE, sizeof *piece);
    piece[0] = 0.5f;
    assert_int_equal(tess_sound_writer_open(path, &options, &writer, &err), TESS_OK);
    plan.sunk = 1 << 16;
    uint64_t n = 0;
    for (; n + PIECE <= most; n += PIECE)
        assert_int_equal(tess_sound_writer_write(writer, piece, PIECE, &err), TESS_OK);
    size_t rest = (size_t)(most - n);
    assert_int_equal(tess_sound_writer_write(writer, piece, rest, &err), TESS_OK);
    assert_int_equal(tess_sound_writer_write(writer, piece, 1, &err), TESS_EIO);
    assert_int_equal(err.os_errno, EFBIG);
    print_message("# %s\n", err.message);
    assert_non_null(strstr(err.message, "4 GiB"));
    assert_int_equal(tess_sound_writer_finish(writer, &err), TESS_OK);
    plan.sunk = 0;
    free(piece);
    uint32_t header[15];
    FILE *f = fopen(path, "rb");
    assert_int_equal(fread(header, 1, 58, f), 58);
    fclose(f);
    assert_int_equal(size_of_file(), 58 + 4 * most);
    assert_int_equal(header[1], 50 + 4 * most);
    unlink(path);
}

static tess_status write_short_sound(void)
{
    tess_sound_options options = TESS_SOUND_OPTIONS_DEFAULT;
    tess_sound_writer *writer;
    tess_status status = tess_sound_writer_open(path, &options, &writer, &err);
    if (status != TESS_OK) return status;
    status = tess_sound_writer_write(writer, sound, 5000, &err);
    if (status == TESS_OK) return tess_sound_writer_finish(writer, &err);
    tess_sound_writer_cancel(writer);
    return status;
}

static void allocations(void **state)
{
    (void)state;
    for (int format = 0; format < N_FORMAT; format++) {
        name_file(format);
        assert_int_equal(fault_alloc_each(write_short_sound, &err), format ? 4 : 3);
        unlink(path);
    }
}

/* Two minutes, and what libraries hold is what they held after ten seconds. */
static void memory_does_not_grow(void **state)
{
    (void)state;
    for (int format = 0; format < N_FORMAT; format++) {
        tess_sound_options options = TESS_SOUND_OPTIONS_DEFAULT;
        tess_sound_writer *writer;
        name_file(format);
        assert_int_equal(symlink("/dev/null", path), 0);
        assert_int_equal(tess_sound_writer_open(path, &options, &writer, &err), TESS_OK);
        fault_alloc_at(1);
        for (int i = 0; i < 4; i++)
            assert_int_equal(tess_sound_writer_write(writer, sound, N, &err), TESS_OK);
        uint64_t before = tess_system_resident_bytes();
        for (int i = 0; i < 44; i++)
            assert_int_equal(tess_sound_writer_write(writer, sound, N, &err), TESS_OK);
        uint64_t after = tess_system_resident_bytes();
        assert_false(fault_alloc_end()); /* none of our own */
        assert_int_equal(tess_sound_writer_finish(writer, &err), TESS_OK);
        unlink(path);
        print_message("# %s: %llu KiB, then %llu\n", formats[format], (unsigned long long)before >> 10,
                      (unsigned long long)after >> 10);
        /* A sanitizer keeps what is freed for a while. */
        assert_true(getenv("TESS_SANITIZED") || after < before + (1 << 20));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(full_disks),
        cmocka_unit_test(short_writes),
        cmocka_unit_test(failing_ends),
        cmocka_unit_test(readers_that_go_away),
        cmocka_unit_test(devices_that_are_full),
        cmocka_unit_test(four_gibibytes),
        cmocka_unit_test(allocations),
        cmocka_unit_test(memory_does_not_grow),
    };
    return cmocka_run_group_tests_name("sound_faults", tests, begin, end);
}
