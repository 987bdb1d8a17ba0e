/* Playing: by ALSA itself into a file, and by stand-ins of PulseAudio and ALSA that hold back, run dry and
 * fail: what comes out is what went in, nobody waits for longer than there is no room, and stopping stops. */
#include "tessera/sound.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <alsa/asoundlib.h>
#include <cmocka.h>
#include <pulse/error.h>
#include <pulse/simple.h>

#include "../support/fault.h"
#include "../support/libraries.h"
#include "../support/media.h"
#include "../support/scratch.h"
#include "../support/sound.h"
#include "base/system.h"
#include "media/sound_samples.h"

enum { RATE = 24000, N = 15 * RATE };
static char folder[SCRATCH_BYTES], played[SCRATCH_BYTES + 16], config[SCRATCH_BYTES + 16];
static float *sound;
static int16_t *integers;
static tess_error err;

/* ---- stand-ins ---- */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int16_t heard[2 * N];
    size_t n_heard, n_limit; /* samples that it takes before it holds back */
    int n_open, n_drain, n_drop, n_close, n_prepare;
    int fail_code;        /* of the next write */
    size_t n_before_fail; /* samples until then */
    pa_sample_spec form;
    pa_buffer_attr sizes;
} device = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void reset_device(size_t n_limit)
{
    device.n_heard = 0;
    device.n_limit = n_limit;
    device.n_open = device.n_drain = device.n_drop = device.n_close = device.n_prepare = 0;
    device.fail_code = 0;
    device.n_before_fail = 0;
}

static void let_it_take(size_t n_limit)
{
    pthread_mutex_lock(&device.lock);
    device.n_limit = n_limit;
    pthread_cond_broadcast(&device.changed);
    pthread_mutex_unlock(&device.lock);
}

static int count(int *what)
{
    pthread_mutex_lock(&device.lock);
    ++*what;
    pthread_mutex_unlock(&device.lock);
    return 0;
}

/* Takes n samples, when it may, or fails. */
static int take(const void *samples, size_t n)
{
    int code = 0;
    pthread_mutex_lock(&device.lock);
    while (device.n_heard + n > device.n_limit) pthread_cond_wait(&device.changed, &device.lock);
    if (device.fail_code && device.n_heard >= device.n_before_fail) {
        code = device.fail_code;
        device.fail_code = 0;
    } else {
        memcpy(device.heard + device.n_heard, samples, n * sizeof *device.heard);
        device.n_heard += n;
    }
    pthread_mutex_unlock(&device.lock);
    return code;
}

static pa_simple *stand_in_new(const char *server, const char *name, pa_stream_direction_t direction,
                               const char *at, const char *stream, const pa_sample_spec *form,
                               const pa_channel_map *map, const pa_buffer_attr *sizes, int *error)
{
    (void)error;
    assert_true(!server && !at && !map && direction == PA_STREAM_PLAYBACK);
    assert_string_equal(name, "Tessera");
    assert_string_equal(stream, "speech");
    device.form = *form;
    device.sizes = *sizes;
    count(&device.n_open);
    return (pa_simple *)(void *)&device;
}

static pa_simple *stand_in_refuse(const char *server, const char *name, pa_stream_direction_t direction,
                                  const char *at, const char *stream, const pa_sample_spec *form,
                                  const pa_channel_map *map, const pa_buffer_attr *sizes, int *error)
{
    (void)server, (void)name, (void)direction, (void)at, (void)stream, (void)form, (void)map, (void)sizes;
    *error = PA_ERR_CONNECTIONREFUSED;
    return NULL;
}

static void stand_in_free(pa_simple *s)
{
    (void)s;
    count(&device.n_close);
}

static int stand_in_write(pa_simple *s, const void *bytes, size_t n, int *error)
{
    (void)s;
    *error = take(bytes, n / sizeof(int16_t));
    return *error ? -1 : 0;
}

static int stand_in_drain(pa_simple *s, int *error)
{
    (void)s, (void)error;
    return count(&device.n_drain);
}

static int stand_in_flush(pa_simple *s, int *error)
{
    (void)s, (void)error;
    return count(&device.n_drop);
}

static const char *stand_in_explain(int code)
{
    return code == PA_ERR_CONNECTIONTERMINATED ? "Connection terminated"
           : code == PA_ERR_CONNECTIONREFUSED  ? "Connection refused"
                                               : "?";
}

static int alsa_open(snd_pcm_t **pcm, const char *name, snd_pcm_stream_t stream, int mode)
{
    assert_string_equal(name, "default");
    assert_true(stream == SND_PCM_STREAM_PLAYBACK && mode == 0);
    *pcm = (snd_pcm_t *)(void *)&device;
    return count(&device.n_open);
}

static int alsa_set_params(snd_pcm_t *pcm, snd_pcm_format_t format, snd_pcm_access_t access,
                           unsigned channels, unsigned rate, int resample, unsigned latency)
{
    (void)pcm;
    assert_true(format == SND_PCM_FORMAT_S16_LE && access == SND_PCM_ACCESS_RW_INTERLEAVED && channels == 1);
    assert_true(rate == RATE && resample == 1 && latency == 200000);
    return 0;
}

/* Takes no more than 100 at a time. */
static snd_pcm_sframes_t alsa_writei(snd_pcm_t *pcm, const void *samples, snd_pcm_uframes_t n)
{
    (void)pcm;
    size_t taken = n < 100 ? n : 100;
    int code = take(samples, taken);
    return code ? code : (snd_pcm_sframes_t)taken;
}

static int alsa_recover(snd_pcm_t *pcm, int code, int silent)
{
    (void)pcm;
    assert_int_equal(silent, 1);
    return code == -EPIPE ? 0 : code;
}

static int alsa_drain(snd_pcm_t *pcm)
{
    (void)pcm;
    return count(&device.n_drain);
}

static int alsa_drop(snd_pcm_t *pcm)
{
    (void)pcm;
    return count(&device.n_drop);
}

static int alsa_prepare(snd_pcm_t *pcm)
{
    (void)pcm;
    return count(&device.n_prepare);
}

static int alsa_close(snd_pcm_t *pcm)
{
    (void)pcm;
    return count(&device.n_close);
}

/* The functions under their names; their types are those of the headers. */
#define FUNCTION(name, ours)                                                                                 \
    if (!strcmp(wanted, #name)) {                                                                            \
        __typeof__(&(name)) function = (ours);                                                               \
        memcpy(&address, &function, sizeof address);                                                         \
    }

static void *find_pulse(const char *wanted, void *real)
{
    void *address = real;
    FUNCTION(pa_simple_new, stand_in_new)
    FUNCTION(pa_simple_free, stand_in_free)
    FUNCTION(pa_simple_write, stand_in_write)
    FUNCTION(pa_simple_drain, stand_in_drain)
    FUNCTION(pa_simple_flush, stand_in_flush)
    FUNCTION(pa_strerror, stand_in_explain)
    return address;
}

static void *find_no_server(const char *wanted, void *real)
{
    void *address = find_pulse(wanted, real);
    FUNCTION(pa_simple_new, stand_in_refuse)
    return address;
}

static void *find_alsa(const char *wanted, void *real)
{
    void *address = real;
    FUNCTION(snd_pcm_open, alsa_open)
    FUNCTION(snd_pcm_set_params, alsa_set_params)
    FUNCTION(snd_pcm_writei, alsa_writei)
    FUNCTION(snd_pcm_recover, alsa_recover)
    FUNCTION(snd_pcm_drain, alsa_drain)
    FUNCTION(snd_pcm_drop, alsa_drop)
    FUNCTION(snd_pcm_prepare, alsa_prepare)
    FUNCTION(snd_pcm_close, alsa_close)
    return address;
}

/* Who answers: PulseAudio's stand-in alone, ALSA's alone, or libraries as they are but for one. */
static void stand_in_pulse(size_t n_limit)
{
    reset_device(n_limit);
    libraries_hide("libasound");
    libraries_stand_in("libpulse-simple.so.0", find_pulse);
}

static void stand_in_alsa(size_t n_limit)
{
    reset_device(n_limit);
    libraries_hide("libpulse");
    libraries_stand_in("libasound.so.2", find_alsa);
}

static int leave_libraries(void **state)
{
    (void)state;
    libraries_hide("");
    libraries_stand_in("", NULL);
    return 0;
}

static int begin(void **state)
{
    (void)state;
    sound = make_sound(N, RATE);
    integers = malloc(N * sizeof *integers);
    assert_non_null(integers);
    tess_samples_to_int16(sound, N, integers);
    if (scratch_make_folder(folder, SCRATCH_ANYWHERE)) return -1;
    snprintf(played, sizeof played, "%s/played", folder);
    snprintf(config, sizeof config, "%s/alsa.conf", folder);
    char text[400];
    int n = snprintf(text, sizeof text,
                     "pcm.nowhere { type null }\n"
                     "pcm.!default { type file slave.pcm nowhere file \"%s\" format raw }\n"
                     "ctl.!default { type hw card 0 }\n",
                     played);
    scratch_write(config, text, (size_t)n);
    /* Asked by ALSA when it is first used. */
    return setenv("ALSA_CONFIG_PATH", config, 1);
}

static int end(void **state)
{
    (void)state;
    free(sound);
    free(integers);
    unlink(played);
    unlink(config);
    return rmdir(folder);
}

static tess_player *open_player(void)
{
    tess_player *player;
    if (tess_player_open(RATE, &player, &err) != TESS_OK) fail_msg("%s", err.message);
    return player;
}

static void play(tess_player *player, size_t first, size_t n, size_t piece)
{
    for (size_t i = 0; i < n; i += piece)
        if (tess_player_write(player, sound + first + i, n - i < piece ? n - i : piece, NULL, &err) !=
            TESS_OK)
            fail_msg("%s", err.message);
}

static void drain(tess_player *player)
{
    if (tess_player_drain(player, NULL, &err) != TESS_OK) fail_msg("%s", err.message);
}

static void must_have_heard(size_t n)
{
    assert_int_equal(device.n_heard, n);
    assert_memory_equal(device.heard, integers, n * sizeof *integers);
}

/* ---- what comes out ---- */

/* The library itself, by its own plug-in that writes files. */
static void alsa_plays_what_it_gets(void **state)
{
    (void)state;
    libraries_hide("libpulse");
    tess_player *player = open_player();
    assert_string_equal(tess_player_get_system(player), "ALSA");
    play(player, 0, N, 1920);
    drain(player);
    play(player, 0, 100, 7); /* after it was drained once */
    drain(player);
    tess_player_stop(player);
    drain(player);
    tess_player_close(player);
    size_t n_byte;
    uint8_t *bytes = media_read(played, &n_byte);
    assert_int_equal(n_byte, (N + 100) * sizeof *integers);
    assert_memory_equal(bytes, integers, N * sizeof *integers);
    assert_memory_equal(bytes + N * sizeof *integers, integers, 100 * sizeof *integers);
    free(bytes);
}

static void pulse_plays_what_it_gets(void **state)
{
    (void)state;
    static const size_t pieces[] = {1, 999, 1200, 1920, 30000, N};
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        stand_in_pulse(SIZE_MAX);
        tess_player *player = open_player();
        assert_string_equal(tess_player_get_system(player), "PulseAudio");
        play(player, 0, N, pieces[i]);
        drain(player);
        must_have_heard(N);
        assert_int_equal(device.n_drain, 1);
        drain(player); /* nothing is left to wait for */
        assert_int_equal(device.n_drain, 1);
        tess_player_close(player);
        assert_int_equal(device.n_open, 1);
        assert_int_equal(device.n_close, 1);
    }
    assert_int_equal(device.form.format, PA_SAMPLE_S16LE);
    assert_int_equal(device.form.rate, RATE);
    assert_int_equal(device.form.channels, 1);
    assert_int_equal(device.sizes.tlength, RATE * 2 / 5);
}

static void alsa_that_runs_dry(void **state)
{
    (void)state;
    stand_in_alsa(SIZE_MAX);
    device.fail_code = -EPIPE;
    device.n_before_fail = 5000;
    tess_player *player = open_player();
    play(player, 0, 30000, 1920);
    drain(player);
    must_have_heard(30000);
    assert_true(device.n_drain == 1 && device.n_prepare == 1);
    tess_player_close(player);
    assert_int_equal(device.n_close, 1);
}

/* ---- waiting ---- */

typedef struct asked {
    int n, n_before_no;
    uint64_t done, total;
    tess_player *to_stop;
} asked;

static bool answer(void *context, tess_activity activity, uint64_t done, uint64_t total)
{
    asked *a = context;
    assert_int_equal(activity, TESS_ACTIVITY_PLAYING);
    a->done = done;
    a->total = total;
    a->n++;
    if (a->to_stop && a->n == 2) tess_player_stop(a->to_stop);
    return a->n_before_no == 0 || a->n <= a->n_before_no;
}

/* A device that takes nothing: ten seconds are queued at once, more wait, and are given up when asked. */
static void waits_only_without_room(void **state)
{
    (void)state;
    stand_in_pulse(0);
    tess_player *player = open_player();
    asked a = {.n_before_no = 3};
    tess_progress progress = {answer, &a};
    double before = tess_system_seconds();
    assert_int_equal(tess_player_write(player, sound, 10 * RATE, &progress, &err), TESS_OK);
    assert_true(tess_system_seconds() - before < 1);
    assert_int_equal(a.n, 0);
    assert_int_equal(tess_player_write(player, sound + 10 * RATE, 4 * RATE, &progress, &err),
                     TESS_EINTERRUPTED);
    assert_int_equal(a.n, 4);
    assert_int_equal(a.done, RATE / 20); /* the piece that the device does not take */
    assert_int_equal(a.total, 10 * RATE + RATE / 20);
    a = (asked){.n_before_no = 1};
    assert_int_equal(tess_player_drain(player, &progress, &err), TESS_EINTERRUPTED);
    let_it_take(SIZE_MAX);
    drain(player);
    must_have_heard(10 * RATE + RATE / 20);
    tess_player_close(player);
}

/* What is queued is gone, what waits is told, and what comes after is played. */
static void stops(void **state)
{
    (void)state;
    stand_in_pulse(RATE);
    tess_player *player = open_player();
    play(player, 0, 3 * RATE, 1000);
    while (true) { /* until the device holds back */
        pthread_mutex_lock(&device.lock);
        bool is_full = device.n_heard + RATE / 20 > RATE;
        pthread_mutex_unlock(&device.lock);
        if (is_full) break;
        usleep(1000);
    }
    tess_player_stop(player);
    let_it_take(SIZE_MAX);
    drain(player);
    assert_true(device.n_heard <= RATE + RATE / 20);
    must_have_heard(device.n_heard);
    assert_int_equal(device.n_drop, 1);
    assert_int_equal(device.n_drain, 0); /* there was nothing to hear */
    device.n_heard = 0;
    play(player, 0, 5000, 1000);
    drain(player);
    must_have_heard(5000);

    let_it_take(0);
    asked a = {.to_stop = player};
    tess_progress progress = {answer, &a};
    assert_int_equal(tess_player_write(player, sound, N, &progress, &err), TESS_EINTERRUPTED);
    assert_string_equal(err.message, "playing was stopped");
    play(player, 0, RATE, RATE);
    a = (asked){.to_stop = player};
    assert_int_equal(tess_player_drain(player, &progress, &err), TESS_EINTERRUPTED);
    let_it_take(SIZE_MAX);
    tess_player_close(player);
}

static void *release_soon(void *arg)
{
    (void)arg;
    usleep(30000);
    let_it_take(SIZE_MAX);
    return NULL;
}

/* After the piece that the device is at, whatever is queued. */
static void closes_at_once(void **state)
{
    (void)state;
    stand_in_pulse(RATE / 20);
    tess_player *player = open_player();
    play(player, 0, 5 * RATE, 1000);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, release_soon, NULL), 0);
    tess_player_close(player);
    pthread_join(thread, NULL);
    assert_true(device.n_heard <= RATE / 10);
    assert_int_equal(device.n_close, 1);
    tess_player_close(NULL);
}

/* ---- failures ---- */

static void a_server_that_goes_away(void **state)
{
    (void)state;
    stand_in_pulse(SIZE_MAX);
    device.fail_code = PA_ERR_CONNECTIONTERMINATED;
    device.n_before_fail = 2000;
    tess_player *player = open_player();
    tess_status status = tess_player_write(player, sound, N, NULL, &err);
    if (status == TESS_OK) status = tess_player_drain(player, NULL, &err);
    assert_int_equal(status, TESS_EIO);
    assert_string_equal(err.message, "PulseAudio cannot play: Connection terminated");
    assert_int_equal(tess_player_write(player, sound, 1, NULL, &err), TESS_EIO);
    assert_int_equal(tess_player_drain(player, NULL, &err), TESS_EIO);
    tess_player_stop(player);
    tess_player_close(player);
    assert_int_equal(device.n_close, 1);
}

static void another_system_where_one_does_not_answer(void **state)
{
    (void)state;
    libraries_stand_in("libpulse-simple.so.0", find_no_server);
    tess_player *player = open_player();
    assert_string_equal(tess_player_get_system(player), "ALSA");
    tess_player_close(player);
}

static void refuses_where_nothing_plays(void **state)
{
    (void)state;
    tess_player *player = NULL;
    libraries_hide("lib");
    assert_int_equal(tess_player_open(RATE, &player, &err), TESS_EUNSUPPORTED);
    print_message("# %s\n", err.message);
    assert_non_null(strstr(err.message, "package libpulse0"));
    assert_non_null(strstr(err.message, "package libasound2"));
    libraries_hide("libasound");
    libraries_stand_in("libpulse-simple.so.0", find_no_server);
    assert_int_equal(tess_player_open(RATE, &player, &err), TESS_EIO);
    print_message("# %s\n", err.message);
    assert_non_null(strstr(err.message, "PulseAudio cannot be reached: Connection refused; "));
    assert_non_null(strstr(err.message, "package libasound2"));
    static const int rates[] = {0, 7999, 192001, -1};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(tess_player_open(rates[i], &player, &err), TESS_EUSAGE);
        assert_string_equal(err.field, "rate_hz");
    }
    assert_null(player);
}

static void refuses_what_is_no_number(void **state)
{
    (void)state;
    stand_in_pulse(SIZE_MAX);
    tess_player *player = open_player();
    float bad[] = {0, INFINITY};
    assert_int_equal(tess_player_write(player, bad, 2, NULL, &err), TESS_ENONFINITE);
    play(player, 0, 50, 50);
    drain(player);
    must_have_heard(50);
    tess_player_close(player);
}

static tess_status open_and_close(void)
{
    tess_player *player;
    tess_status status = tess_player_open(RATE, &player, &err);
    if (status == TESS_OK) tess_player_close(player);
    return status;
}

static void allocations(void **state)
{
    (void)state;
    stand_in_pulse(SIZE_MAX);
    assert_int_equal(fault_alloc_each(open_and_close, &err), 2);
    assert_int_equal(device.n_open, device.n_close);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, leave_libraries)
    const struct CMUnitTest tests[] = {
        TEST(alsa_plays_what_it_gets),
        TEST(pulse_plays_what_it_gets),
        TEST(alsa_that_runs_dry),
        TEST(waits_only_without_room),
        TEST(stops),
        TEST(closes_at_once),
        TEST(a_server_that_goes_away),
        TEST(another_system_where_one_does_not_answer),
        TEST(refuses_where_nothing_plays),
        TEST(refuses_what_is_no_number),
        TEST(allocations),
    };
    return cmocka_run_group_tests_name("sound_player", tests, begin, end);
}
