#include "cli/prompt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/utf8.h"
#include "cli/outputs.h"

static tess_content_kind content_kind(tess_media_kind kind)
{
    static const tess_content_kind kinds[] = {[TESS_MEDIA_AUDIO] = TESS_CONTENT_AUDIO,
                                              [TESS_MEDIA_IMAGE] = TESS_CONTENT_IMAGE,
                                              [TESS_MEDIA_VIDEO] = TESS_CONTENT_VIDEO};
    return kinds[kind];
}

/* Media and the question after them, as one turn. */
static tess_status take_media(cli_prompt *prompt, tess_error *err)
{
    tess_status status = tess_conversation_begin_list(&prompt->talk, "user", err);
    for (size_t i = 0; i < cli_media_count(&prompt->media) && status == TESS_OK; i++)
        status = tess_conversation_add_medium(&prompt->talk, content_kind(cli_media_kind(&prompt->media, i)),
                                              cli_media_source(&prompt->media, i), err);
    if (status == TESS_OK && prompt->n_said > 0)
        status = tess_conversation_add_text(&prompt->talk, prompt->said, prompt->n_said, err);
    return status;
}

/* The question, with the system message before it, as a conversation. */
static tess_status take_question(cli_prompt *prompt, tess_error *err)
{
    tess_status status = TESS_OK;
    if (prompt->system)
        status = tess_conversation_say(&prompt->talk, "system", prompt->system, strlen(prompt->system), err);
    if (status != TESS_OK) return status;
    if (cli_media_count(&prompt->media)) return take_media(prompt, err);
    return tess_conversation_say(&prompt->talk, "user", prompt->said, prompt->n_said, err);
}

static tess_status take_messages(cli_prompt *prompt, tess_error *err)
{
    tess_status status = tess_conversation_load(&prompt->talk, prompt->messages, err);
    if (status == TESS_OK) status = tess_conversation_write(&prompt->talk, &prompt->json, err);
    prompt->said = prompt->json.data;
    prompt->n_said = prompt->json.count;
    return status;
}

/* Wrong bytes are found here, where it is known which option they came by. */
tess_status cli_check_text(const char *option, const char *text, size_t n_byte, tess_error *err)
{
    size_t invalid = tess_utf8_find_invalid((const uint8_t *)text, n_byte);
    if (invalid == n_byte) return TESS_OK;
    return tess_refuse(err, "", option, (int64_t)invalid, "UTF-8", "byte 0x%02x",
                       (unsigned)(uint8_t)text[invalid]);
}

static tess_status check_texts(const cli_prompt *prompt, tess_error *err)
{
    tess_status status = TESS_OK;
    if (prompt->messages) return TESS_OK;
    if (prompt->system) status = cli_check_text("--system", prompt->system, strlen(prompt->system), err);
    if (status != TESS_OK) return status;
    return cli_check_text(prompt->text ? "--prompt" : "standard input", prompt->said, prompt->n_said, err);
}

/* ---- media ---- */

static bool has_media(const tess_conversation *talk)
{
    for (size_t i = 0; i < talk->count; i++)
        for (size_t k = 0; k < talk->turn[i].n_content; k++)
            if (talk->turn[i].content[k].kind != TESS_CONTENT_TEXT) return true;
    return false;
}

static void show_media(const cli_command *self, const tess_conversation *talk)
{
    for (size_t i = 0; i < talk->count; i++)
        for (size_t k = 0; k < talk->turn[i].n_content; k++) cli_media_show(self, &talk->turn[i].content[k]);
}

json_t *cli_prompt_list_parts(const cli_prompt *prompt)
{
    json_t *parts = json_array();
    for (size_t i = 0; i < prompt->talk.count; i++)
        for (size_t k = 0; k < prompt->talk.turn[i].n_content; k++) {
            const tess_content *content = &prompt->talk.turn[i].content[k];
            const tess_medium_facts *facts = tess_content_get_facts(content);
            if (facts) json_array_append_new(parts, cli_media_to_json(facts, content->n_tok));
        }
    return parts;
}

static tess_media_use use_of(const cli_prompt *prompt, const cli_engine *engine, int64_t n_text_tok)
{
    return (tess_media_use){.model_dir = engine->options.model_dir,
                            .n_context = engine->options.n_context > 0 ? engine->options.n_context : 0,
                            .n_text_tok = n_text_tok,
                            .fps = prompt->media.fps,
                            .use_audio_in_video = prompt->media.use_audio_in_video};
}

static tess_status prepare_media(cli_prompt *prompt, const cli_command *self, const cli_common *common,
                                 cli_engine *engine, unsigned flags, tess_error *err)
{
    if (!has_media(&prompt->talk)) return TESS_OK;
    const tess_media_use use =
        use_of(prompt, engine, cli_media_count_text(&prompt->talk, prompt->tokenizer, flags));
    const uint64_t used = cli_media_count_used(), budget = engine->options.memory_bytes;
    tess_status status = cli_media_prepare(&prompt->talk, use, budget, used, &engine->bar, err);
    if (status == TESS_EBUDGET) {
        prompt->refusal = *err;
        return cli_media_measure(&prompt->talk, used, &prompt->room, err);
    }
    if (status == TESS_OK && !common->quiet) show_media(self, &prompt->talk);
    return status;
}

static tess_status look_at_media(cli_prompt *prompt, const cli_command *self, const cli_common *common,
                                 cli_engine *engine, int64_t n_text_tok, tess_error *err)
{
    const uint64_t used = cli_media_count_used(), budget = engine->options.memory_bytes;
    tess_status status =
        cli_media_look(&prompt->talk, use_of(prompt, engine, n_text_tok), budget, used, &engine->bar, err);
    if (status == TESS_OK) status = cli_media_measure(&prompt->talk, used, &prompt->room, err);
    if (status == TESS_OK && !common->quiet) show_media(self, &prompt->talk);
    return status;
}

int cli_prompt_take_media(cli_prompt *prompt, const cli_command *self, const cli_common *common,
                          cli_engine *engine, int64_t n_text_tok, int64_t *n_tok)
{
    *n_tok = 0;
    int code = cli_media_check(&prompt->media, false, self, common);
    if (code >= 0 || cli_media_count(&prompt->media) == 0) return code;
    tess_error err;
    /* It is there while media of a question are prepared, and has its place in what they leave. */
    if (tess_tokenizer_open(engine->options.model_dir, &prompt->tokenizer, NULL) != TESS_OK)
        prompt->tokenizer = NULL;
    tess_status status = take_media(prompt, &err);
    if (status == TESS_OK) status = look_at_media(prompt, self, common, engine, n_text_tok, &err);
    tess_tokenizer_close(prompt->tokenizer);
    prompt->tokenizer = NULL;
    if (status == TESS_OK) status = tess_prompt_list_media(&prompt->talk, &prompt->made, &err);
    if (status != TESS_OK) return cli_report(self, common, &err);
    for (size_t k = 0; k < prompt->talk.turn[0].n_content; k++)
        *n_tok += prompt->talk.turn[0].content[k].n_tok;
    return -1;
}

/* ---- memory ---- */

/* What the model asks for is in the plan; media come before it. */
static tess_status refuse_media(const tess_plan *plan, uint64_t least_bytes, tess_error *err)
{
    char expected[96];
    snprintf(expected, sizeof expected, "at least %llu to prepare the media",
             (unsigned long long)least_bytes);
    tess_refuse_option(err, "max_bytes", expected, "%llu bytes", (unsigned long long)plan->budget_bytes);
    err->status = TESS_EBUDGET;
    cli_say_media_first(err);
    return TESS_EBUDGET;
}

tess_status cli_prompt_plan(const cli_prompt *prompt, const tess_engine_options *options, tess_plan *out,
                            tess_error *err)
{
    const uint64_t least = prompt->room.least_bytes;
    tess_engine_options whole = *options;
    whole.other_bytes += prompt->room.coming_bytes;
    tess_status status = tess_plan_make(&whole, out, err);
    if (status != TESS_OK && status != TESS_EBUDGET) return status;
    if (out->smallest_budget_bytes < least) out->smallest_budget_bytes = least;
    if (status == TESS_OK && out->budget_bytes < prompt->room.needed_bytes)
        status = refuse_media(out, least, err);
    if (status == TESS_EBUDGET) err->smallest_budget_bytes = out->smallest_budget_bytes;
    return status;
}

tess_status cli_prompt_open_engine(const cli_prompt *prompt, const tess_engine_options *options,
                                   tess_engine **out, tess_error *err)
{
    if (prompt->refusal.status == TESS_OK) return tess_engine_open(options, out, err);
    tess_plan plan;
    const tess_status status = cli_prompt_plan(prompt, options, &plan, err);
    if (status != TESS_OK && status != TESS_EBUDGET) return status;
    *err = prompt->refusal;
    err->smallest_budget_bytes = plan.smallest_budget_bytes;
    return TESS_EBUDGET;
}

/* ---- thinking ---- */

unsigned cli_thinking_flag(const char *thinking)
{
    return thinking && !strcmp(thinking, "off") ? TESS_CHAT_NO_THINKING : 0;
}

int cli_thinking_check(const char *thinking, const cli_command *self, const cli_common *common,
                       const char *model_dir)
{
    if (!thinking) return -1;
    if (strcmp(thinking, "on") && strcmp(thinking, "off"))
        return cli_usage(self, common, "--think: found \"%s\", expected on or off", thinking);
    tess_model_facts model;
    tess_error err;
    if (tess_model_get_facts(model_dir, &model, &err) != TESS_OK) return cli_report(self, common, &err);
    if (model.has_talker)
        return cli_usage(self, common,
                         "--think is for the Thinking checkpoint; this one speaks (enable_audio_output) and "
                         "does not think first");
    return -1;
}

/* ---- the Captioner ---- */

bool cli_is_captioner(const char *model_dir)
{
    char *path = realpath(model_dir, NULL);
    bool is = path && strcasestr(path, "captioner");
    free(path);
    return is;
}

static bool is_one_clip(const tess_conversation *talk)
{
    return talk->count == 1 && !strcmp(talk->turn[0].role, "user") && talk->turn[0].n_content == 1 &&
           talk->turn[0].content[0].kind == TESS_CONTENT_AUDIO;
}

/* It describes exactly one clip; whatever is said besides is out of what it was trained for. */
static tess_status check_captioner(const cli_prompt *prompt, const char *model_dir, tess_error *err)
{
    if (!cli_is_captioner(model_dir) || is_one_clip(&prompt->talk)) return TESS_OK;
    return tess_refuse(err, "", "prompt", -1,
                       "for the Captioner exactly one clip and no text: --audio FILE --prompt \"\"",
                       "something else");
}

/* ---- encoding ---- */

/* What is asked as a conversation, before anything that it names is read. */
static int take_conversation(cli_prompt *prompt, const cli_command *self, const cli_common *common)
{
    tess_error err;
    tess_status status = prompt->messages ? take_messages(prompt, &err) : take_question(prompt, &err);
    if (status != TESS_OK) return cli_report(self, common, &err);
    return cli_output_check_media(self, common, prompt->output_option, prompt->output, &prompt->talk, NULL);
}

static int encode_said(cli_prompt *prompt, const cli_command *self, const cli_common *common,
                       cli_engine *engine)
{
    tess_error err;
    tess_status status = check_texts(prompt, &err);
    if (status != TESS_OK) return cli_report(self, common, &err);
    if (prompt->raw) {
        status = tess_tokenizer_encode(prompt->tokenizer, prompt->said, prompt->n_said,
                                       prompt->plain ? TESS_ENCODE_PLAIN : 0, &prompt->made.ids, &err);
    } else {
        int code = take_conversation(prompt, self, common);
        if (code >= 0) return code;
        const unsigned flags =
            TESS_CHAT_GENERATE | (prompt->plain ? TESS_CHAT_PLAIN : 0) | cli_thinking_flag(prompt->thinking);
        status = check_captioner(prompt, engine->options.model_dir, &err);
        if (status == TESS_OK) status = prepare_media(prompt, self, common, engine, flags, &err);
        if (status == TESS_OK)
            status = tess_prompt_make(&prompt->talk, prompt->tokenizer, engine->options.model_dir, flags,
                                      &prompt->made, &err);
    }
    if (status != TESS_OK) return cli_report(self, common, &err);
    if (prompt->made.ids.count == 0)
        return cli_usage(self, common, "the prompt is empty: say something with --prompt");
    return -1;
}

/* Whether a medium comes from where words would. */
static bool has_standard_input(const cli_media_options *media)
{
    for (size_t i = 0; i < cli_media_count(media); i++)
        if (!strcmp(cli_media_source(media, i), "-")) return true;
    return false;
}

/* What is said in words: --prompt, or standard input. */
static int read_words(cli_prompt *prompt, const cli_command *self, const cli_common *common)
{
    prompt->said = prompt->text;
    if (prompt->text) {
        prompt->n_said = strlen(prompt->text);
        return -1;
    }
    /* Media may stand alone, and nobody types at a terminal what was not asked for. */
    if (cli_media_count(&prompt->media) && (isatty(STDIN_FILENO) || has_standard_input(&prompt->media)))
        return -1;
    int code = cli_read_input(self, common, &prompt->input, &prompt->n_said);
    if (code) return code;
    prompt->said = prompt->input;
    if (prompt->n_said > 0 && prompt->input[prompt->n_said - 1] == '\n') prompt->n_said--;
    return -1;
}

void cli_remark_template(const cli_command *self, const cli_common *common, const char *model_dir)
{
    tess_text warning = {0};
    if (common->quiet) return;
    if (tess_template_check(model_dir, &warning, NULL) == TESS_OK && warning.count)
        cli_remark(self, "%s", warning.data);
    tess_text_release(&warning);
}

/* Media stand in a turn of the chat template; what --messages says names its own. */
static int check_options(const cli_prompt *prompt, const cli_command *self, const cli_common *common)
{
    bool names_media = cli_media_count(&prompt->media) > 0;
    if (prompt->messages && (prompt->text || prompt->system || prompt->raw || names_media))
        return cli_usage(self, common,
                         "--messages says what is asked, media included: --prompt, --system, --raw, --image, "
                         "--audio and --video go without it");
    if (prompt->raw && prompt->system)
        return cli_usage(self, common, "--system is a message of the chat template, which --raw leaves out");
    if (prompt->raw && names_media)
        return cli_usage(self, common, "media stand in a turn of the chat template, which --raw leaves out");
    if (prompt->raw && prompt->thinking)
        return cli_usage(self, common, "--think is about the chat template, which --raw leaves out");
    return cli_media_check(&prompt->media, prompt->messages != NULL, self, common);
}

int cli_prompt_encode(cli_prompt *prompt, const cli_command *self, const cli_common *common,
                      cli_engine *engine)
{
    int code = check_options(prompt, self, common);
    if (code < 0) code = cli_thinking_check(prompt->thinking, self, common, engine->options.model_dir);
    if (code >= 0) return code;
    tess_error err;
    tess_status status = tess_tokenizer_open(engine->options.model_dir, &prompt->tokenizer, &err);
    if (status != TESS_OK) return cli_report(self, common, &err);
    if (!prompt->raw) cli_remark_template(self, common, engine->options.model_dir);
    prompt->kind = prompt->messages ? "messages" : prompt->raw ? "raw" : "chat";
    code = prompt->messages ? -1 : read_words(prompt, self, common);
    return code < 0 ? encode_said(prompt, self, common, engine) : code;
}

void cli_prompt_release(cli_prompt *prompt)
{
    tess_prompt_release(&prompt->made);
    tess_conversation_release(&prompt->talk);
    tess_text_release(&prompt->json);
    free(prompt->media.named.item);
    tess_tokenizer_close(prompt->tokenizer);
    free(prompt->input);
    *prompt = (cli_prompt){0};
}
