/* For tests: media that are made of a number, prompts of them, and runs of such prompts whose every bit is
 * kept. */
#ifndef TESS_TESTS_TALKING_H
#define TESS_TESTS_TALKING_H

#include "recording.h"

/* Features in memory: the rows follow from sizes and seed, and so does the digest. */
typedef struct test_medium {
    tess_features features;
    uint32_t seed;
} test_medium;
void test_medium_clip(test_medium *out, int n_frame, uint32_t seed);
/* An image has one step and fps 0. */
void test_medium_pictures(test_medium *out, int n_step, int n_high, int n_wide, double fps, uint32_t seed);

/* A model with a tokenizer, and what is asked of it. */
typedef struct test_talk {
    const char *model;
    tess_tokenizer *tokenizer;
    tess_conversation said;
} test_talk;
void test_talk_open(test_talk *talk, const char *model);
void test_talk_close(test_talk *talk);
/* Adds to the question that is being asked; begins one behind an answer. */
void test_talk_show(test_talk *talk, const test_medium *medium);
void test_talk_ask(test_talk *talk, const char *text);
void test_talk_answer(test_talk *talk, const char *text);
void test_talk_make(const test_talk *talk, tess_prompt *out);

/* The taps of a prompt, and what follows it: logits and greedy tokens. */
enum { TEST_STEPS = 3 };
typedef struct test_outcome {
    test_recording heard;
    int32_t id[TEST_STEPS];
    float *logits; /* [TEST_STEPS, n_vocab] before each of them */
    size_t n_logit;
} test_outcome;
/* Feeds what the session does not hold. Returns how many tokens it held. */
int test_outcome_take(tess_engine *engine, tess_session *session, const tess_feed *feed, test_outcome *out);
void test_outcome_release(test_outcome *outcome);
/* All that is heard of the part is the end of what is heard of the whole, bit for bit; taps of towers are
 * compared only if the part is the whole. Both go on alike. */
void test_outcome_assert_end(const test_outcome *whole, const test_outcome *part, int n_held,
                             const char *what);

#endif
