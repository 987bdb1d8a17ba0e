/* A decoded picture: eight bits a colour, upright, without alpha. */
#ifndef TESS_MEDIA_PICTURE_H
#define TESS_MEDIA_PICTURE_H

#include <stdint.h>

typedef struct tess_picture {
    int width, height;
    uint8_t *rgb; /* [height, width, 3]; whoever made the picture says who frees it */
} tess_picture;

#endif
