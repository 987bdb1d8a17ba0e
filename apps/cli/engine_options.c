#include "cli/engine_options.h"

#include <string.h>

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
    cli_progress_init(&engine->bar, common);
    options->progress = &engine->bar.drawn_bar;
    cli_catch_interrupt();
    return -1;
}
