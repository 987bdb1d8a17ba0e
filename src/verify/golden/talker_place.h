/* What a row of the talker's prompt stands for. */
#ifndef TESS_VERIFY_GOLDEN_TALKER_PLACE_H
#define TESS_VERIFY_GOLDEN_TALKER_PLACE_H

#include "tessera/verify.h"

/* Where the rows that the talker was given differ, fills `where` of their report by what the first of them is
 * made of. TESS_ENOMEM is the only failure. */
tess_status tess_talker_place_say(const tess_engine *engine, const tess_golden *golden,
                                  tess_compare_result *result, tess_error *err);

#endif
