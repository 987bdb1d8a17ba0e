/* Drawing one medium of a comparison: a picture or a clip's spectrogram, and the errors of its tokens. */
#ifndef TESS_VERIFY_REPORT_MEDIUM_H
#define TESS_VERIFY_REPORT_MEDIUM_H

#include "verify/report/page.h"

typedef struct tess_medium_drawing {
    const tess_medium_report *medium;
    const tess_features *features; /* NULL: the reference's inputs cannot be read any more */
    const tess_decades *decades;   /* of the errors' colours */
    int result_place;              /* the page's ids are made of it and what is drawn */
    int most_px, most_cells;       /* along an edge of a picture; of a picture's errors */
} tess_medium_drawing;

/* Both frames of one step of an image or video, the second with the errors; an image's are the same. */
void tess_report_picture(FILE *out, const tess_medium_drawing *d, int step);
/* A clip's frames and, below them, its tokens in time. */
void tess_report_spectrogram(FILE *out, const tess_medium_drawing *d);

/* The worse of two errors; NaN if one is no number. */
double tess_report_worst_of(double a, double b);

#endif
