#include "cli/media.h"

#include <malloc.h>
#include <string.h>
#include <unistd.h>

#include "base/system.h"
#include "cli/screen.h"

uint64_t cli_add_bytes(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

tess_media_kind cli_media_kind(const cli_media_options *options, size_t i)
{
    const char *name = options->named.item[2 * i];
    if (!strcmp(name, "audio")) return TESS_MEDIA_AUDIO;
    return strcmp(name, "image") ? TESS_MEDIA_VIDEO : TESS_MEDIA_IMAGE;
}

const char *cli_media_source(const cli_media_options *options, size_t i)
{
    return options->named.item[2 * i + 1];
}

size_t cli_media_count(const cli_media_options *options)
{
    return options->named.count / 2;
}

int cli_media_check(const cli_media_options *options, bool elsewhere, const cli_command *self,
                    const cli_common *common)
{
    bool has_film = elsewhere;
    int n_input = 0;
    for (size_t i = 0; i < cli_media_count(options); i++) {
        has_film |= cli_media_kind(options, i) == TESS_MEDIA_VIDEO;
        n_input += !strcmp(cli_media_source(options, i), "-");
    }
    if (n_input > 1)
        return cli_usage(self, common, "-: standard input is one medium, and it is named %d times", n_input);
    if (!(options->fps >= 0.001 && options->fps <= 1000))
        return cli_usage(self, common, "--fps: found %g, expected 0.001 to 1000 frames a second",
                         options->fps);
    if (options->use_audio_in_video && !has_film)
        return cli_usage(self, common, "--use-audio-in-video: there is no --video");
    if (options->fps != CLI_MEDIA_DEFAULT.fps && !has_film)
        return cli_usage(self, common, "--fps: there is no --video to take frames of");
    return -1;
}

/* Two runs map different numbers of library pages. */
#define RUN_BYTES (1ull << 20)

uint64_t cli_media_count_used(void)
{
    return tess_system_resident_bytes() + CLI_MEDIA_LIBRARY_BYTES;
}

int64_t cli_media_count_text(const tess_conversation *talk, const tess_tokenizer *tokenizer, unsigned flags)
{
    tess_ids ids = {0};
    int64_t n_pad = 0;
    if (tess_conversation_encode(talk, tokenizer, flags, &ids, NULL) != TESS_OK) return 0;
    for (size_t i = 0; i < talk->count; i++)
        for (size_t k = 0; k < talk->turn[i].n_content; k++)
            n_pad += talk->turn[i].content[k].kind != TESS_CONTENT_TEXT;
    const int64_t n_tok = (int64_t)ids.count - n_pad;
    tess_ids_release(&ids);
    return n_tok;
}

static tess_media_use limit_use(tess_media_use use, uint64_t budget_bytes, uint64_t used_bytes,
                                const cli_progress *bar)
{
    const uint64_t budget = budget_bytes ? budget_bytes : tess_budget_get_default();
    use.max_bytes = budget > used_bytes ? budget - used_bytes : 1; /* a byte is too little for any medium */
    use.progress = &bar->drawn_bar;
    return use;
}

tess_status cli_media_prepare(tess_conversation *talk, tess_media_use use, uint64_t budget_bytes,
                              uint64_t used_bytes, cli_progress *bar, tess_error *err)
{
    use = limit_use(use, budget_bytes, used_bytes, bar);
    const tess_status status = tess_conversation_prepare(talk, &use, err);
    cli_progress_clear(bar);
    if (status == TESS_EBUDGET) cli_say_media_first(err);
    return status;
}

tess_status cli_media_look(tess_conversation *talk, tess_media_use use, uint64_t budget_bytes,
                           uint64_t used_bytes, cli_progress *bar, tess_error *err)
{
    use = limit_use(use, budget_bytes, used_bytes, bar);
    const tess_status status = tess_conversation_count(talk, &use, err);
    cli_progress_clear(bar);
    return status;
}

tess_status cli_media_measure(const tess_conversation *talk, uint64_t used_bytes, cli_media_room *out,
                              tess_error *err)
{
    uint64_t held, most;
    const tess_status status = tess_conversation_count_bytes(talk, &held, &most, err);
    if (status != TESS_OK) return status;
    malloc_trim(0);
    const uint64_t resident = tess_system_resident_bytes(), then = cli_add_bytes(used_bytes, held);
    out->needed_bytes = cli_add_bytes(used_bytes, most);
    out->least_bytes = cli_add_bytes(out->needed_bytes, RUN_BYTES);
    out->coming_bytes = then > resident ? then - resident : 0;
    return TESS_OK;
}

/* With a comma before every three digits. */
static const char *spell_count(int64_t n, char out[32])
{
    char digits[24];
    const size_t n_digit = (size_t)snprintf(digits, sizeof digits, "%lld", (long long)n);
    char *at = out;
    for (size_t i = 0; i < n_digit; i++) {
        if (i && (n_digit - i) % 3 == 0) *at++ = ',';
        *at++ = digits[i];
    }
    *at = 0;
    return out;
}

static const char *plural(int64_t n)
{
    return n == 1 ? "" : "s";
}

static const char *spell_channels(int n)
{
    return n == 1 ? "mono" : n == 2 ? "stereo" : "many-channel";
}

void cli_media_print(FILE *out, const tess_medium_facts *f, int64_t n_tok)
{
    char line[1024], count[32], size[96], film[96] = "";
    if (f->kind == TESS_MEDIA_AUDIO)
        snprintf(size, sizeof size, "%.2f s of %s sound at %d Hz, %s frame%s", f->seconds,
                 spell_channels(f->n_channel), f->rate_hz, spell_count(f->n_frame, count),
                 plural(f->n_frame));
    else
        snprintf(size, sizeof size, "%d × %d, taken as %d × %d", f->width, f->height, f->taken_width,
                 f->taken_height);
    if (f->kind == TESS_MEDIA_VIDEO)
        snprintf(film, sizeof film, ", %.2f s, %s frames at %.6g a second", f->seconds,
                 spell_count(f->n_frame, count), f->fps);
    snprintf(line, sizeof line, "%s: %s%s, %s token%s", CLI_SAFE(f->name), size, film,
             spell_count(n_tok, count), plural(n_tok));
    /* What is piped has a line for each medium. */
    if (isatty(fileno(out)))
        cli_print_wrapped(out, line);
    else
        fprintf(out, "%s\n", line);
}

void cli_media_remark_loss(const cli_command *self, const tess_medium_facts *f,
                           const tess_medium_facts *before)
{
    if (!*f->loss || (before && !strcmp(f->name, before->name) && !strcmp(f->loss, before->loss))) return;
    cli_remark(self, "%s: %s; what is there is taken", f->name, f->loss);
}

void cli_media_show(const cli_command *self, const tess_content *content)
{
    const tess_medium_facts *facts = tess_content_get_facts(content);
    if (!facts) return;
    cli_media_print(stderr, facts, content->n_tok);
    cli_media_remark_loss(self, facts, NULL);
    if (content->sound) cli_media_remark_loss(self, tess_medium_get_facts(content->sound), facts);
}

static json_t *count_or_null(int64_t n)
{
    return n ? json_integer(n) : json_null();
}

static json_t *number_or_null(double value)
{
    return value > 0 ? cli_number(value) : json_null();
}

json_t *cli_media_to_json(const tess_medium_facts *f, int64_t n_tok)
{
    static const char *const kinds[] = {
        [TESS_MEDIA_AUDIO] = "audio", [TESS_MEDIA_IMAGE] = "image", [TESS_MEDIA_VIDEO] = "video"};
    json_t *part = json_object();
    json_object_set_new(part, "kind", json_string(kinds[f->kind]));
    json_object_set_new(part, "source", cli_text(f->name, strlen(f->name)));
    json_object_set_new(part, "format", cli_text_or_null(f->format));
    json_object_set_new(part, "width", count_or_null(f->width));
    json_object_set_new(part, "height", count_or_null(f->height));
    json_object_set_new(part, "taken_width", count_or_null(f->taken_width));
    json_object_set_new(part, "taken_height", count_or_null(f->taken_height));
    json_object_set_new(part, "frames", count_or_null(f->kind == TESS_MEDIA_IMAGE ? 0 : f->n_frame));
    json_object_set_new(part, "seconds", number_or_null(f->seconds));
    json_object_set_new(part, "fps", number_or_null(f->fps));
    json_object_set_new(part, "rate_hz", count_or_null(f->rate_hz));
    json_object_set_new(part, "channels", count_or_null(f->n_channel));
    json_object_set_new(part, "loss", cli_text_or_null(f->loss));
    json_object_set_new(part, "tokens", json_integer(n_tok));
    return part;
}
