#include "commands/weights_identity.h"

#include "cli/progress.h"
#include "commands/inspect_digests.h"

typedef struct hashing {
    inspect_digests digests;
    cli_progress bar;
    tess_tensor_checksum damaged; /* the first; without a tensor: none */
} hashing;

static void take_tensor(void *context, const tess_tensor_checksum *sum)
{
    hashing *h = context;
    if (sum->is_damaged && !h->damaged.tensor) h->damaged = *sum;
}

static bool recall_shard(void *context, int shard, tess_tensor_checksum *sum, char sha256[65])
{
    hashing *h = context;
    return inspect_digests_recall(&h->digests, shard, sum, sha256);
}

static void take_shard(void *context, int shard, const char *sha256)
{
    hashing *h = context;
    inspect_digests_take(&h->digests, shard, sha256);
}

int cli_weights_sha256(const cli_command *self, const cli_common *common, const char *model_dir,
                       const cli_ledger *ledger, char out[65])
{
    tess_error err;
    tess_checkpoint *checkpoint;
    tess_status status = tess_checkpoint_open(model_dir, TESS_DIRECT_AUTO, &checkpoint, &err);
    if (status != TESS_OK) return cli_report(self, common, &err);
    hashing h = {.digests.ledger.place = ledger->place};
    inspect_digests_begin(&h.digests, self, common, model_dir, checkpoint);
    cli_progress_init(&h.bar, common);
    const tess_checksum_listener listener = {.tensor = take_tensor,
                                             .shard = take_shard,
                                             .recall = recall_shard,
                                             .progress = &h.bar.drawn_bar,
                                             .context = &h};
    status = tess_checkpoint_checksum(checkpoint, &listener, out, &err);
    cli_progress_clear(&h.bar);
    /* What is damaged has an identity of its own, which is none of the model's. */
    if (status == TESS_OK && h.damaged.tensor)
        status = tess_checkpoint_refuse_damage(checkpoint, &h.damaged, &err);
    if (status == TESS_OK) inspect_digests_take_weights(&h.digests, out);
    if (status == TESS_OK && !common->quiet && h.digests.n_recalled)
        inspect_digests_remark(&h.digests, "--ledger off");
    inspect_digests_end(&h.digests);
    tess_checkpoint_close(checkpoint);
    return status == TESS_OK ? -1 : cli_report(self, common, &err);
}
