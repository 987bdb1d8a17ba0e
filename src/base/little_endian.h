/* Every format that is read or written here – safetensors, traces, digests of ids – is little-endian, and its
 * bytes are used where they lie. A machine of the other order would compute nonsense, so there is no build
 * for one: whatever touches such bytes includes this. */
#ifndef TESS_BASE_LITTLE_ENDIAN_H
#define TESS_BASE_LITTLE_ENDIAN_H

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "the formats are little-endian, and so must be the machine");

#endif
