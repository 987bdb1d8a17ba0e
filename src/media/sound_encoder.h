/* Files of compressed sound, by FFmpeg's encoders: one thread, and nothing in them that depends on the time
 * or on the machine's name. */
#ifndef TESS_MEDIA_SOUND_ENCODER_H
#define TESS_MEDIA_SOUND_ENCODER_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "io/target.h"

typedef enum tess_sound_code { TESS_SOUND_FLAC, TESS_SOUND_MP3, TESS_SOUND_OPUS } tess_sound_code;

typedef struct tess_sound_encoder tess_sound_encoder;

/* Writes the header to the target, which must outlive the encoder. Errors: TESS_EUNSUPPORTED  the library or
 * its encoder is not installed; TESS_EUSAGE  a rate that the format does not know, with those that it does;
 * TESS_EIO; TESS_ENOMEM. */
tess_status tess_sound_encoder_open(tess_sound_code code, int rate_hz, tess_target *target,
                                    tess_sound_encoder **out, tess_error *err);

/* After a failure nothing but asking for whole bytes and closing. */
tess_status tess_sound_encoder_write(tess_sound_encoder *encoder, const float *samples, size_t n,
                                     tess_error *err);
/* Writes what is held back, and what a header says of the whole where the target can seek. */
tess_status tess_sound_encoder_finish(tess_sound_encoder *encoder, tess_error *err);

/* Bytes of a file that plays as far as it goes: up to the last packet, or page of Ogg, that was written
 * whole; after finishing all; 0 while there are fewer than two. */
uint64_t tess_sound_encoder_get_whole_bytes(const tess_sound_encoder *encoder);

void tess_sound_encoder_close(tess_sound_encoder *encoder); /* NULL is fine */

#endif
