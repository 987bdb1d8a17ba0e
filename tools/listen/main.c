/* listen: hears what the demo checkpoint says in a WAV file; see its --help and voice.h. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "spectrogram.h"
#include "tessera/tokenizer.h"
#include "voice.h"
#include "wave.h"

static const char help[] =
    "Usage: listen [options] FILE.wav\n"
    "\n"
    "Hears what the voice of the demo checkpoint says, from the samples alone: a pair of tones for each\n"
    "half of a token (demo/README.md). Prints the text on standard output, and on standard error how sure\n"
    "it is: by how many decibel each tone leads the next loudest at least.\n"
    "\n"
    "Options:\n"
    "  --model FOLDER  whose tokenizer turns the ids into text; without it the ids are printed\n"
    "  --ids           the ids also with --model\n"
    "  --svg FILE      draws the spectrogram of the first 4.8 s, with the tokens above their frames\n"
    "  --help          this text\n"
    "\n"
    "Exit status: 0 heard, 1 nothing heard, unsure of a token, no such token, no end, or more behind it,\n"
    "2 options, 3 no such WAV file (24 kHz, one channel, 16 bits) or model, 4 system.\n"
    "\n"
    "Example:\n"
    "  tessera run --model demo/checkpoint --prompt 'Hello!' --speak hello.wav\n"
    "  listen --model demo/checkpoint --svg hello.svg hello.wav\n";

typedef struct options {
    const char *wav, *model, *svg;
    bool prints_ids;
} options;

static int complain(const char *word, const char *what)
{
    fprintf(stderr, "listen: %s%s\nTry 'listen --help'.\n", word, what);
    return 2;
}

/* -1: go on; else the exit status. */
static int parse(int argc, char **argv, options *o)
{
    static const struct option table[] = {{"model", required_argument, NULL, 'm'},
                                          {"ids", no_argument, NULL, 'i'},
                                          {"svg", required_argument, NULL, 's'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    int got;
    opterr = 0;
    while ((got = getopt_long(argc, argv, ":", table, NULL)) != -1) switch (got) {
        case 'm':
            o->model = optarg;
            break;
        case 'i':
            o->prints_ids = true;
            break;
        case 's':
            o->svg = optarg;
            break;
        case 'h':
            fputs(help, stdout);
            return fflush(stdout) ? 4 : 0;
        case ':':
            return complain(argv[optind - 1], ": a value is missing");
        default:
            return complain(argv[optind - 1], ": no such option, or one that takes no value");
        }
    if (optind == argc) return complain("", "a WAV file is missing");
    if (optind + 1 < argc) return complain(argv[optind + 1], ": a word that belongs to no option");
    o->wav = argv[optind];
    return -1;
}

typedef struct speech {
    float *samples;
    voice_token *tokens;
    size_t n_sample, n_token;
    voice_end end;
} speech;

static tess_status hear(const char *wav, speech *s, tess_error *err)
{
    tess_status status = wave_read(wav, &s->samples, &s->n_sample, err);
    if (status != TESS_OK) return status;
    s->tokens = malloc((s->n_sample / VOICE_FRAME + 1) * sizeof *s->tokens);
    if (!s->tokens) return tess_fail(err, TESS_ENOMEM, "no memory for what is heard");
    s->n_token = voice_hear(s->samples, s->n_sample, s->tokens, &s->end);
    return TESS_OK;
}

static tess_status print_text(const speech *s, const tess_tokenizer *tokenizer, tess_error *err)
{
    tess_ids ids = {0};
    tess_text text = {0};
    tess_status status = tess_ids_reserve(&ids, s->n_token, err);
    for (size_t i = 0; i < s->n_token && status == TESS_OK; i++) ids.data[ids.count++] = s->tokens[i].id;
    if (status == TESS_OK)
        status = tess_tokenizer_decode(tokenizer, ids.data, ids.count, TESS_DECODE_SKIP_UNKNOWN, &text, err);
    if (status == TESS_OK) {
        fwrite(text.data, 1, text.count, stdout);
        putchar('\n');
    }
    tess_ids_release(&ids);
    tess_text_release(&text);
    return status;
}

static void print_ids(const speech *s)
{
    for (size_t i = 0; i < s->n_token; i++) printf(i ? " %d" : "%d", (int)s->tokens[i].id);
    putchar('\n');
}

/* How sure it is. tokenizer: NULL knows every id. Returns the exit status. */
static int judge(const speech *s, const tess_tokenizer *tokenizer)
{
    const voice_token *worst = s->tokens;
    for (size_t i = 1; i < s->n_token; i++)
        if (s->tokens[i].lead_db < worst->lead_db) worst = s->tokens + i;
    int code = 0;
    if (s->n_token) {
        fprintf(stderr, "listen: %zu token%s heard, the least lead %.1f dB\n", s->n_token,
                s->n_token == 1 ? "" : "s", worst->lead_db);
        size_t at = (size_t)(worst - s->tokens);
        if (worst->lead_db < VOICE_SURE_DB) {
            fprintf(stderr,
                    "listen: unsure of token %zu, from %.2f s on: lead %.1f dB, expected %d or more\n", at,
                    (double)(at * VOICE_FRAME) / VOICE_RATE_HZ, worst->lead_db, VOICE_SURE_DB);
            code = 1;
        }
    } else {
        fputs("listen: nothing heard\n", stderr);
        code = 1;
    }
    for (size_t i = 0; i < s->n_token && tokenizer; i++) {
        size_t n_byte;
        if (tess_tokenizer_get_bytes(tokenizer, s->tokens[i].id, &n_byte)) continue;
        fprintf(stderr, "listen: token %zu: found id %d, expected one that the tokenizer has\n", i,
                (int)s->tokens[i].id);
        code = 1;
        break;
    }
    if (s->end != VOICE_ENDS) {
        static const char *const found[] = {[VOICE_GOES_ON] = "sound behind the silence",
                                            [VOICE_IS_CUT] = "the end of the file",
                                            [VOICE_BREAKS_OFF] = "half a token"};
        fprintf(stderr, "listen: behind %zu token%s: found %s, expected a frame of silence and the end\n",
                s->n_token, s->n_token == 1 ? "" : "s", found[s->end]);
        code = 1;
    }
    return code;
}

static int report(const tess_error *err)
{
    fprintf(stderr, "listen: %s\n", err->message);
    return err->status == TESS_EUSAGE                                       ? 2
           : err->status == TESS_EINPUT || err->status == TESS_EUNSUPPORTED ? 3
                                                                            : 4;
}

int main(int argc, char **argv)
{
    options o = {0};
    int code = parse(argc, argv, &o);
    if (code >= 0) return code;
    tess_error err;
    speech s = {0};
    tess_tokenizer *tokenizer = NULL;
    tess_status status = o.model ? tess_tokenizer_open(o.model, &tokenizer, &err) : TESS_OK;
    if (status == TESS_OK) status = hear(o.wav, &s, &err);
    if (status == TESS_OK && o.svg)
        status = spectrogram_write(o.svg, s.samples, s.n_sample, s.tokens, s.n_token, tokenizer, &err);
    if (status == TESS_OK && tokenizer && !o.prints_ids)
        status = print_text(&s, tokenizer, &err);
    else if (status == TESS_OK)
        print_ids(&s);
    if (status == TESS_OK && (ferror(stdout) || fflush(stdout)))
        status = tess_fail(&err, TESS_EIO, "cannot write standard output");
    code = status == TESS_OK ? judge(&s, tokenizer) : report(&err);
    tess_tokenizer_close(tokenizer);
    free(s.tokens);
    free(s.samples);
    return code;
}
