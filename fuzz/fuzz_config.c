/* Fuzzing config.json: refused by name, or accepted with sizes that no later arithmetic can overflow. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/json.h"
#include "model/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Enough to reach every kind of tensor; a legal configuration may imply millions. */
enum { MOST_ENTRIES = 4000 };

static void require(int good, const char *what)
{
    if (good) return;
    fprintf(stderr, "fuzz_config: %s\n", what);
    abort();
}

static tess_status check_entry(void *arg, const tess_manifest_entry *entry)
{
    int *n = arg;
    uint64_t n_byte = 2;
    require(entry->n_dim >= 1 && entry->n_dim <= TESS_MAX_DIM, "axes");
    for (int i = 0; i < entry->n_dim; i++) {
        require(entry->dim[i] >= 1, "an empty axis");
        require(tess_mul_u64(n_byte, entry->dim[i], &n_byte) && n_byte < (uint64_t)1 << 62, "overflow");
    }
    require(tess_component_of(entry->name) == entry->component, "component");
    return ++*n == MOST_ENTRIES ? TESS_EINTERRUPTED : TESS_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static tess_config config;
    json_t *root = NULL;
    tess_error err;
    int n_entry = 0;
    tess_status status = tess_json_parse("config.json", 0, (const char *)data, size, &root, &err);
    if (status == TESS_OK) status = tess_config_parse("config.json", root, &config, &err);
    require(status == TESS_OK || (status == TESS_EINPUT && *err.found && *err.expected),
            "refused without a word");
    if (status == TESS_OK) {
        status = tess_manifest_visit(&config, check_entry, &n_entry);
        require(status == TESS_OK || status == TESS_EINTERRUPTED, "manifest");
        require(config.thinker.text.d_head % 2 == 0 &&
                    config.thinker.text.n_head % config.thinker.text.n_kv_head == 0,
                "heads");
    }
    json_decref(root);
    return 0;
}
