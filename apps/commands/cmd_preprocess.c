/* tessera preprocess: media to what the network takes of them, as a file of in.* tensors. */
#include <stdlib.h>
#include <string.h>

#include "base/system.h"
#include "cli/media.h"
#include "cli/outputs.h"
#include "cli/progress.h"
#include "commands/commands.h"

#define RUN_BYTES (1ull << 20)

typedef struct request {
    cli_common common;
    cli_progress bar;
    cli_media_options media;
    const char *model, *out;
    uint64_t memory_bytes; /* 0: the default */
    tess_preprocessor preprocessor;
    tess_medium **medium; /* those named, and the sound of a film behind it */
    const tess_features **features;
    int n_medium;
} request;

static void release(request *r)
{
    for (int i = 0; i < r->n_medium; i++) tess_medium_close(r->medium[i]);
    free(r->medium);
    free(r->features);
    free(r->media.named.item);
}

/* Opens a medium, and the sound of a film with it: a silent one is refused before it is decoded. */
static tess_status open_one(request *r, size_t i, const tess_medium_options *options, tess_error *err)
{
    const tess_media_kind kind = cli_media_kind(&r->media, i);
    tess_medium **out = r->medium + r->n_medium;
    tess_status status = tess_medium_open(kind, cli_media_source(&r->media, i), options, out, err);
    if (status != TESS_OK) return status;
    r->n_medium++;
    if (kind != TESS_MEDIA_VIDEO || !r->media.use_audio_in_video) return TESS_OK;
    status = tess_medium_open_sound(out[0], out + 1, err);
    if (status == TESS_OK) r->n_medium++;
    return status;
}

static tess_status prepare_all(request *r, tess_error *err)
{
    const size_t n = cli_media_count(&r->media);
    r->medium = calloc(2 * n, sizeof *r->medium);
    r->features = calloc(2 * n, sizeof *r->features);
    if (!r->medium || !r->features) {
        *err = (tess_error){.status = TESS_ENOMEM, .offset = -1, .message = "no memory for the request"};
        return TESS_ENOMEM;
    }
    const uint64_t used = cli_media_count_used();
    if (!r->memory_bytes) r->memory_bytes = tess_budget_get_default();
    tess_medium_options options = TESS_MEDIUM_OPTIONS_DEFAULT;
    options.preprocessor = &r->preprocessor;
    options.fps = r->media.fps;
    options.most_mel_frames = INT32_MAX; /* memory alone bounds them here */
    options.max_bytes = r->memory_bytes > used ? r->memory_bytes - used : 1; /* too little for any medium */
    options.progress = &r->bar.drawn_bar;
    tess_status status = TESS_OK;
    for (size_t i = 0; i < n && status == TESS_OK; i++) status = open_one(r, i, &options, err);
    if (status == TESS_OK)
        status = tess_media_prepare(r->medium, r->n_medium, options.max_bytes, options.progress, NULL, err);
    for (int k = 0; k < r->n_medium && status == TESS_OK; k++)
        r->features[k] = tess_medium_get_features(r->medium[k]);
    /* Two runs map different numbers of library pages. */
    if (status == TESS_EBUDGET)
        err->smallest_budget_bytes = cli_add_bytes(err->smallest_budget_bytes, used + RUN_BYTES);
    return status;
}

static void print_result(const cli_command *self, const request *r)
{
    json_t *parts = r->common.json ? json_array() : NULL;
    for (int i = 0; i < r->n_medium; i++) {
        const tess_medium_facts *facts = tess_medium_get_facts(r->medium[i]);
        const tess_medium_facts *before = i > 0 ? tess_medium_get_facts(r->medium[i - 1]) : NULL;
        if (!r->common.quiet) cli_media_remark_loss(self, facts, before);
        const int64_t n_tok = tess_features_count_tokens(r->features[i], &r->preprocessor);
        if (parts)
            json_array_append_new(parts, cli_media_to_json(facts, n_tok));
        else
            cli_media_print(stdout, facts, n_tok);
    }
    if (!parts) return;
    json_t *root = json_object();
    json_object_set_new(root, "out", cli_text(r->out, strlen(r->out)));
    json_object_set_new(root, "parts", parts);
    json_object_set_new(root, "peak_rss_bytes", json_integer((json_int_t)tess_system_peak_bytes()));
    cli_print_json(root);
}

static int run_request(const cli_command *self, request *r)
{
    tess_error err;
    cli_progress_init(&r->bar, &r->common);
    tess_status status = tess_preprocessor_load(r->model, &r->preprocessor, &err);
    if (status == TESS_OK) status = prepare_all(r, &err);
    /* Up to here a signal ends the command, waiting for standard input included; what is begun of the file
     * must go. */
    cli_catch_termination();
    if (status == TESS_OK)
        status = tess_trace_write_media(r->features, r->n_medium, r->media.use_audio_in_video,
                                        &r->bar.drawn_bar, r->out, &err);
    cli_progress_clear(&r->bar);
    if (status != TESS_OK) return cli_report(self, &r->common, &err);
    print_result(self, r);
    return CLI_DONE;
}

static int check_request(const cli_command *self, const request *r)
{
    if (!r->model)
        return cli_usage(self, &r->common,
                         "--model DIR is missing: the folder with preprocessor_config.json");
    if (!r->out) return cli_usage(self, &r->common, "--out is missing: the file to write");
    if (!cli_media_count(&r->media))
        return cli_usage(self, &r->common, "no medium: name some with --audio, --image or --video");
    const int checked = cli_media_check(&r->media, false, self, &r->common);
    if (checked >= 0) return checked;
    for (size_t i = 0; i < cli_media_count(&r->media); i++) {
        const char *source = cli_media_source(&r->media, i);
        const char *const used[] = {tess_source_is_path(source) ? source : NULL};
        const int code = cli_output_check(self, &r->common, "--out", r->out, used, 1, r->model);
        if (code >= 0) return code;
    }
    return -1;
}

static int run_preprocess(const cli_command *self, int argc, char **argv)
{
    request r = {.common = CLI_COMMON_DEFAULT, .media = CLI_MEDIA_DEFAULT};
    const cli_option options[] = {
        {"model", CLI_NAME, &r.model, "DIR", "folder with preprocessor_config.json (required)"},
        CLI_MEDIA_OPTIONS(&r.media),
        {"out", CLI_NAME, &r.out, "OUT.safetensors", "the in.* tensors to write (required)"},
        {"memory", CLI_SIZE, &r.memory_bytes, "SIZE",
         "what all of it may take; default 70 % of what is to be had"},
    };
    char **words;
    int n_word;
    int code =
        cli_parse(self, options, sizeof options / sizeof options[0], &r.common, argc, argv, &words, &n_word);
    if (code < 0 && n_word > 0)
        code = cli_unexpected_word(self, &r.common, words[0], "media go after --audio, --image and --video");
    if (code < 0) code = check_request(self, &r);
    if (code < 0) code = run_request(self, &r);
    release(&r);
    return code;
}

const cli_command cli_preprocess = {
    .name = "preprocess",
    .summary = "Turns sounds, pictures and films into the network's inputs.",
    .arguments = "[options] --model DIR (--audio FILE | --image FILE | --video FILE)... --out FILE",
    .has = CLI_HAS_PROGRESS | CLI_HAS_REMARKS | CLI_HAS_BUDGET,
    .examples =
        {"tessera preprocess --model demo/checkpoint --image tests/data/media/images/420.jpg --out "
         "picture.safetensors",
         "cat tests/data/media/images/rgb.jpg | tessera preprocess --model demo/checkpoint --image - --out "
         "picture.safetensors"},
    .run = run_preprocess,
    .notes = "OUT holds the tensors that the original's processor calls input_features,\n"
             "pixel_values and so on, each as \"in.\" and that name: to be compared with its\n"
             "own. To ask about media, name them to run, chat or trace.\n\n" CLI_MEDIA_NOTES,
};
