/* Whether a file of sound or film ends where its container says that it does. Decoders take what is there of
 * one that was cut off, and so do we: what is missing is said.
 *
 * Containers that are made to be cut anywhere – MPEG streams, ADTS, MP3 without a header of its own – tell
 * nothing, and nothing is said of them.
 */
#ifndef TESS_MEDIA_ENDS_H
#define TESS_MEDIA_ENDS_H

#include <stddef.h>

#include "media/source.h"

/* format: FFmpeg's name of the demuxer. *out becomes "found …, expected …", or "" where nothing is missing.
 */
void tess_ends_check(const tess_source_reader *reader, const char *format, char *out, size_t size);

#endif
