#include "cli/engine_options.h"

#include <string.h>

static bool show_progress(void *context, const char *what, const char *unit, uint64_t done, uint64_t total)
{
    cli_progress *bar = context;
    if (!strcmp(what, "decode")) return !cli_interrupted(); /* the answer itself shows how far it is */
    bar->unit = unit;
    bar->in_bytes = !strcmp(unit, "bytes");
    cli_progress_update(bar, what, done, total);
    if (done >= total) cli_progress_clear(bar);
    return !cli_interrupted();
}

int cli_engine_check(cli_engine *engine, const cli_command *self, const cli_common *common)
{
    static const char *const direct[] = {"auto", "on", "off"};
    tess_engine_options *options = &engine->options;
    if (!options->model_dir) return cli_usage(self, common, "--model is missing: the folder of a checkpoint");
    if (!strcmp(engine->dtype, "f32"))
        options->precision = TESS_PRECISION_F32;
    else if (!strcmp(engine->dtype, "bf16"))
        options->precision = TESS_PRECISION_BF16;
    else
        return cli_usage(self, common, "--dtype: found \"%s\", expected f32 or bf16", engine->dtype);
    int mode = 0;
    while (mode < 3 && strcmp(engine->direct, direct[mode])) mode++;
    if (mode == 3)
        return cli_usage(self, common, "--direct: found \"%s\", expected auto, on or off", engine->direct);
    options->direct = (tess_direct)mode;
    cli_progress_init(&engine->bar, common, "bytes");
    options->progress = show_progress;
    options->progress_context = &engine->bar;
    cli_catch_interrupt();
    return -1;
}
