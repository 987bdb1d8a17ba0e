/* Listens to what the model's modules put out for a text, and prints the size of each layer's output.
 *
 *   cc taps.c $(pkg-config --cflags --libs tessera) -lm -o taps
 *   ./taps MODEL "The capital of France is"
 */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <tessera.h>

/* Sums up one tap at a time. A prompt longer than a chunk of the plan shows each layer once per chunk. */
typedef struct meter {
    char name[128];
    double sum_of_squares;
} meter;

static void print_and_reset(meter *m)
{
    if (*m->name) printf("%-32s |x| = %.4f\n", m->name, sqrt(m->sum_of_squares));
    *m = (meter){0};
}

/* The outputs of whole layers only. */
static bool wants_layer(void *context, const tess_tap *tap)
{
    static const char *const globs[] = {"thinker.model.layers.?", "thinker.model.layers.??"};
    (void)context;
    return tess_tap_matches(tap->name, globs, 2);
}

static tess_status hear_layer(void *context, const tess_tap_rows *rows, tess_error *err)
{
    meter *m = context;
    const char *name = tess_tap_short_name(rows->tap.name);
    (void)err;
    if (strcmp(m->name, name) != 0) print_and_reset(m);
    snprintf(m->name, sizeof m->name, "%s", name);
    for (size_t i = 0; i < (size_t)rows->n_row * rows->row_width; i++)
        m->sum_of_squares += (double)rows->values[i] * (double)rows->values[i];
    return TESS_OK;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "Usage: %s MODEL TEXT\n", argv[0]);
        return 2;
    }
    tess_error err;
    tess_tokenizer *tokenizer = NULL;
    tess_engine *engine = NULL;
    tess_session *session = NULL;
    tess_ids ids = {0};
    meter m = {0};
    const tess_tap_listener listener = {.context = &m, .wants = wants_layer, .hear = hear_layer};
    tess_status status = tess_tokenizer_open(argv[1], &tokenizer, &err);
    if (status == TESS_OK) status = tess_tokenizer_encode(tokenizer, argv[2], strlen(argv[2]), 0, &ids, &err);
    const tess_engine_options options = {.model_dir = argv[1], .n_needed = (int)ids.count};
    if (status == TESS_OK) status = tess_engine_open(&options, &engine, &err);
    if (status == TESS_OK) status = tess_session_new(engine, &session, &err);
    const tess_feed feed = {.ids = ids.data, .n_tok = (int)ids.count, .listener = &listener};
    if (status == TESS_OK) status = tess_session_feed(session, &feed, &err);
    if (status == TESS_OK) print_and_reset(&m);
    if (status != TESS_OK) fprintf(stderr, "%s\n", err.message);
    tess_session_free(session);
    tess_engine_close(engine);
    tess_ids_release(&ids);
    tess_tokenizer_close(tokenizer);
    return status != TESS_OK;
}
