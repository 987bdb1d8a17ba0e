#include "media/sound_device.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "media/libraries.h"

enum { HELD_US = 200000 };
static const char CLIENT[] = "Tessera", STREAM[] = "speech";

/* One way to play. Functions return 0, or a code that `explain` knows. */
typedef struct sound_system {
    const char *name;
    tess_status (*open)(tess_sound_device *device, int rate_hz, tess_error *err);
    int (*write)(tess_sound_device *device, const int16_t *samples, size_t n);
    int (*drain)(tess_sound_device *device);
    int (*drop)(tess_sound_device *device);
    void (*close)(tess_sound_device *device);
    const char *(*explain)(const tess_sound_device *device, int code);
} sound_system;

struct tess_sound_device {
    const sound_system *system;
    tess_pulse_library pulse_lib;
    pa_simple *pulse;
    tess_alsa_library alsa_lib;
    snd_pcm_t *alsa;
};

static tess_status fail(const tess_sound_device *device, int code, const char *what, tess_error *err)
{
    return tess_fail(err, TESS_EIO, "%s cannot %s: %s", device->system->name, what,
                     device->system->explain(device, code));
}

/* ---- PulseAudio ---- */

static tess_status open_pulse(tess_sound_device *device, int rate_hz, tess_error *err)
{
    tess_status status = tess_pulse_library_open(&device->pulse_lib, err);
    if (status != TESS_OK) return status;
    pa_sample_spec form = {.format = PA_SAMPLE_S16LE, .rate = (uint32_t)rate_hz, .channels = 1};
    uint32_t held = (uint32_t)((uint64_t)rate_hz * sizeof(int16_t) * HELD_US / 1000000);
    pa_buffer_attr sizes = {.maxlength = (uint32_t)-1,
                            .tlength = held,
                            .prebuf = (uint32_t)-1,
                            .minreq = (uint32_t)-1,
                            .fragsize = (uint32_t)-1};
    int code = 0;
    device->pulse = device->pulse_lib.pa_simple_new(NULL, CLIENT, PA_STREAM_PLAYBACK, NULL, STREAM, &form,
                                                    NULL, &sizes, &code);
    return device->pulse ? TESS_OK : fail(device, code, "be reached", err);
}

static int write_pulse(tess_sound_device *device, const int16_t *samples, size_t n)
{
    int code = 0;
    return device->pulse_lib.pa_simple_write(device->pulse, samples, n * sizeof *samples, &code) < 0 ? code
                                                                                                     : 0;
}

static int drain_pulse(tess_sound_device *device)
{
    int code = 0;
    return device->pulse_lib.pa_simple_drain(device->pulse, &code) < 0 ? code : 0;
}

static int drop_pulse(tess_sound_device *device)
{
    int code = 0;
    return device->pulse_lib.pa_simple_flush(device->pulse, &code) < 0 ? code : 0;
}

static void close_pulse(tess_sound_device *device)
{
    if (device->pulse) device->pulse_lib.pa_simple_free(device->pulse);
}

static const char *explain_pulse(const tess_sound_device *device, int code)
{
    return device->pulse_lib.pa_strerror(code);
}

/* ---- ALSA ---- */

static tess_status open_alsa(tess_sound_device *device, int rate_hz, tess_error *err)
{
    const tess_alsa_library *lib = &device->alsa_lib;
    tess_status status = tess_alsa_library_open(&device->alsa_lib, err);
    if (status != TESS_OK) return status;
    int code = lib->snd_pcm_open(&device->alsa, "default", SND_PCM_STREAM_PLAYBACK, 0);
    if (code < 0) return fail(device, code, "open its device \"default\"", err);
    code = lib->snd_pcm_set_params(device->alsa, SND_PCM_FORMAT_S16_LE, SND_PCM_ACCESS_RW_INTERLEAVED, 1,
                                   (unsigned)rate_hz, 1 /* resampled if need be */, HELD_US);
    return code < 0 ? fail(device, code, "set its device \"default\" to 16 bits, one channel", err) : TESS_OK;
}

static int write_alsa(tess_sound_device *device, const int16_t *samples, size_t n)
{
    const tess_alsa_library *lib = &device->alsa_lib;
    while (n) {
        snd_pcm_sframes_t done = lib->snd_pcm_writei(device->alsa, samples, n);
        if (done < 0) { /* it ran dry, or slept */
            int code = lib->snd_pcm_recover(device->alsa, (int)done, 1);
            if (code < 0) return code;
            continue;
        }
        if (done == 0) return -EIO; /* it promises to wait */
        samples += done;
        n -= (size_t)done;
    }
    return 0;
}

/* A device that is drained or dropped begins anew with the next sample. */
static int prepare_alsa(tess_sound_device *device, int code)
{
    return code < 0 ? code : device->alsa_lib.snd_pcm_prepare(device->alsa);
}

static int drain_alsa(tess_sound_device *device)
{
    return prepare_alsa(device, device->alsa_lib.snd_pcm_drain(device->alsa));
}

static int drop_alsa(tess_sound_device *device)
{
    return prepare_alsa(device, device->alsa_lib.snd_pcm_drop(device->alsa));
}

static void close_alsa(tess_sound_device *device)
{
    if (device->alsa) device->alsa_lib.snd_pcm_close(device->alsa);
}

static const char *explain_alsa(const tess_sound_device *device, int code)
{
    return device->alsa_lib.snd_strerror(code);
}

/* ---- either ---- */

/* In the order in which they are tried: a server mixes what several programs play, and holds ALSA's device.
 */
static const sound_system systems[] = {
    {"PulseAudio", open_pulse, write_pulse, drain_pulse, drop_pulse, close_pulse, explain_pulse},
    {"ALSA", open_alsa, write_alsa, drain_alsa, drop_alsa, close_alsa, explain_alsa},
};
enum { N_SYSTEM = sizeof systems / sizeof *systems };

static tess_status open_any(tess_sound_device *device, int rate_hz, tess_error *err)
{
    tess_error reasons[N_SYSTEM];
    bool is_installed = false;
    for (int i = 0; i < N_SYSTEM; i++) {
        device->system = &systems[i];
        tess_status status = systems[i].open(device, rate_hz, &reasons[i]);
        if (status == TESS_OK) return TESS_OK;
        is_installed |= status != TESS_EUNSUPPORTED;
    }
    return tess_fail(err, is_installed ? TESS_EIO : TESS_EUNSUPPORTED, "sound cannot be played: %s; %s",
                     reasons[0].message, reasons[1].message);
}

tess_status tess_sound_device_open(int rate_hz, tess_sound_device **out, tess_error *err)
{
    tess_sound_device *device = calloc(1, sizeof *device);
    if (!device) return tess_fail(err, TESS_ENOMEM, "no memory to play sound");
    tess_status status = open_any(device, rate_hz, err);
    if (status == TESS_OK)
        *out = device;
    else
        tess_sound_device_close(device);
    return status;
}

void tess_sound_device_close(tess_sound_device *device)
{
    if (!device) return;
    device->system->close(device);
    free(device);
}

const char *tess_sound_device_get_name(const tess_sound_device *device)
{
    return device->system->name;
}

tess_status tess_sound_device_write(tess_sound_device *device, const int16_t *samples, size_t n,
                                    tess_error *err)
{
    int code = device->system->write(device, samples, n);
    return code ? fail(device, code, "play", err) : TESS_OK;
}

tess_status tess_sound_device_drain(tess_sound_device *device, tess_error *err)
{
    int code = device->system->drain(device);
    return code ? fail(device, code, "play to the end", err) : TESS_OK;
}

tess_status tess_sound_device_drop(tess_sound_device *device, tess_error *err)
{
    int code = device->system->drop(device);
    return code ? fail(device, code, "stop", err) : TESS_OK;
}
