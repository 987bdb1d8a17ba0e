/* What plays sound on this machine, at the end of which are ears: PulseAudio, which PipeWire answers for as
 * well, where its server answers; else ALSA's device "default".
 *
 * One channel of 16-bit integers. A device holds a fifth of a second, and writing waits until there is room.
 * Threads: one at a time for a device. */
#ifndef TESS_MEDIA_SOUND_DEVICE_H
#define TESS_MEDIA_SOUND_DEVICE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

typedef struct tess_sound_device tess_sound_device;

/* Errors: TESS_EUNSUPPORTED  neither library is installed: which, and what to install; TESS_EIO  no server
 * answers and no device can be opened: why not; TESS_ENOMEM. */
tess_status tess_sound_device_open(int rate_hz, tess_sound_device **out, tess_error *err);
void tess_sound_device_close(tess_sound_device *device); /* drops what it holds; NULL is fine */

const char *tess_sound_device_get_name(const tess_sound_device *device); /* "PulseAudio", "ALSA" */

/* TESS_EIO: what the device said. A device that ran dry goes on. */
tess_status tess_sound_device_write(tess_sound_device *device, const int16_t *samples, size_t n,
                                    tess_error *err);
/* Waits until all is heard. */
tess_status tess_sound_device_drain(tess_sound_device *device, tess_error *err);
/* Silence at once. */
tess_status tess_sound_device_drop(tess_sound_device *device, tess_error *err);

#endif
