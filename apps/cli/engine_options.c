#include "cli/engine_options.h"

#include <string.h>

#include "cli/folder.h"

int cli_engine_check(cli_engine *engine, const cli_command *self, const cli_common *common)
{
    static const char *const dtypes[] = {[TESS_PRECISION_F32] = "f32", [TESS_PRECISION_BF16] = "bf16", NULL};
    static const char *const residents[] = {[TESS_RESIDENT_AUTO] = "auto",
                                            [TESS_RESIDENT_PLAIN] = "plain",
                                            [TESS_RESIDENT_PACKED] = "packed",
                                            NULL};
    tess_engine_options *options = &engine->options;
    if (!options->model_dir) return cli_usage(self, common, "--model is missing: the folder of a checkpoint");
    if (engine->ledger.keep_text && engine->ledger.place && !strcmp(engine->ledger.place, "off"))
        return cli_usage(self, common,
                         "--ledger-text says what is recorded, and --ledger off records nothing");
    int precision, resident, code = cli_choose(self, common, "dtype", engine->dtype, dtypes, &precision);
    if (code < 0) code = cli_choose(self, common, "resident", engine->resident, residents, &resident);
    if (code < 0) code = cli_choose_direct(self, common, engine->direct, &options->direct);
    if (code < 0) code = cli_check_checkpoint(self, common, options->model_dir);
    if (code >= 0) return code;
    options->precision = (tess_precision)precision;
    options->resident = (tess_resident)resident;
    cli_progress_init(&engine->bar, common);
    options->progress = &engine->bar.drawn_bar;
    cli_catch_interrupt(common);
    return -1;
}

void cli_put_residency(json_t *root, const tess_plan *plan)
{
    json_object_set_new(root, "resident",
                        json_string(plan->packs || plan->is_stored_packed ? "packed" : "plain"));
    json_object_set_new(root, "experts_resident",
                        json_string(plan->packs_experts || plan->is_stored_packed ? "packed" : "plain"));
}

void cli_engine_remark_reads(cli_engine *engine, const cli_command *self, const cli_common *common,
                             const tess_engine *opened)
{
    const char *path = tess_engine_get_buffered_path(opened);
    if (!path || common->quiet || engine->has_remarked_reads) return;
    cli_remark_buffered(self, path);
    engine->has_remarked_reads = true;
}
