/* synthetic: writes checkpoints of any depth and size in the published layout, hollow or filled; see its
 * --help and docs/SYNTHETIC.md.
 *
 * All of it is written into DIR.PID.part, which becomes DIR at the end.
 */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/system.h"
#include "options.h"
#include "shards.h"
#include "store/index.h"

static volatile sig_atomic_t interrupted; /* a signal asked to stop */

static void note_interrupt(int signal_number)
{
    (void)signal_number;
    interrupted = 1;
}

static bool was_interrupted(void)
{
    return interrupted;
}

static void catch_signals(void)
{
    struct sigaction note = {.sa_handler = note_interrupt, .sa_flags = SA_RESTART},
                     ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGINT, &note, NULL);
    sigaction(SIGTERM, &note, NULL);
    sigaction(SIGHUP, &note, NULL);
    sigaction(SIGXFSZ, &ignore, NULL); /* the write fails instead */
}

static bool draws_progress;

static void draw_progress(uint64_t done, uint64_t total, double seconds)
{
    static double drawn;
    if (!draws_progress || (seconds < drawn + 0.1 && done < total)) return;
    drawn = seconds;
    fprintf(stderr, "\r\033[Ksynthetic: %.1f of %.1f GB, %.2f GB/s", (double)done / 1e9, (double)total / 1e9,
            (double)done / 1e9 / seconds);
    fflush(stderr);
}

static void clear_progress(void)
{
    if (draws_progress) fputs("\r\033[K", stderr);
}

/* Nothing may stand where the checkpoint will; an empty folder may. */
static tess_status check_free(const char *folder, tess_error *err)
{
    DIR *dir = opendir(folder);
    if (!dir) {
        if (errno != ENOENT && errno != ENOTDIR) return tess_fail_system(err, errno, folder, -1, "open");
        struct stat info;
        if (lstat(folder, &info)) /* a link that leads nowhere is there */
            return errno == ENOENT ? TESS_OK : tess_fail_system(err, errno, folder, -1, "look at");
        return tess_refuse(err, folder, "", -1, "no such name, or an empty folder",
                           S_ISLNK(info.st_mode) ? "a link" : "a file");
    }
    const struct dirent *entry;
    bool is_empty = true;
    while ((entry = readdir(dir)))
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..")) is_empty = false;
    closedir(dir);
    return is_empty ? TESS_OK
                    : tess_refuse(err, folder, "", -1, "no such name, or an empty folder", "files in it");
}

/* Removes a folder of plain files. */
static void remove_folder(const char *folder)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry;
    while (dir && (entry = readdir(dir))) {
        char path[4096];
        snprintf(path, sizeof path, "%.3500s/%s", folder, entry->d_name);
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..")) unlink(path);
    }
    if (dir) closedir(dir);
    rmdir(folder);
}

/* As asked for, or as many as the size of one needs. */
static tess_status count_shards(const synthetic_options *o, uint64_t total_bytes, int *out, tess_error *err)
{
    uint64_t n = o->n_shard ? (uint64_t)o->n_shard : (total_bytes + o->shard_bytes - 1) / o->shard_bytes;
    if (n > TESS_MAX_SHARDS)
        return tess_fail(err, TESS_EUSAGE, "--shard-bytes: more than %d shards would come of it",
                         TESS_MAX_SHARDS);
    *out = (int)n;
    return TESS_OK;
}

typedef struct run {
    const synthetic_options *options;
    const char *folder; /* the temporary one */
    json_t *root;
    tess_config config;
    synthetic_weights *weights;
    synthetic_layout layout;
} run;

/* Speech comes with any of its three components. */
static tess_status prepare(run *r, tess_error *err)
{
    const synthetic_options *o = r->options;
    sidecar_change change = {.n_layer = o->n_layer, .with_speech = -1};
    if (!o->names_all)
        change.with_speech = o->named[TESS_COMPONENT_TALKER] || o->named[TESS_COMPONENT_CODE_PREDICTOR] ||
                             o->named[TESS_COMPONENT_CODE2WAV];
    bool is_filled[TESS_N_COMPONENT];
    for (int i = 0; i < TESS_N_COMPONENT; i++) is_filled[i] = o->is_filled && o->named[i];
    tess_status status = sidecar_config(o->config, &change, &r->root, &r->config, err);
    int n_shard = 0;
    if (status == TESS_OK) status = count_shards(o, layout_total_bytes(&r->config), &n_shard, err);
    if (status != TESS_OK) return status;
    r->weights = weights_new(&r->config, &o->weights);
    if (!r->weights) return tess_fail(err, TESS_ENOMEM, "no memory for the tables of weights");
    return layout_make(&r->config, r->weights, is_filled, n_shard, &r->layout, err);
}

static tess_status write_files(run *r, tess_error *err)
{
    const synthetic_options *o = r->options;
    if (mkdir(r->folder, 0777)) return tess_fail_system(err, errno, r->folder, -1, "make the folder");
    tess_status status =
        sidecar_write(r->folder, r->root, &r->config, r->layout.index, r->layout.index_bytes, err);
    if (status == TESS_OK && o->tokenizer) status = sidecar_copy_tokenizer(o->tokenizer, r->folder, err);
    if (status == TESS_OK)
        status =
            shards_write(r->folder, &r->layout, r->weights, o->n_thread, was_interrupted, draw_progress, err);
    clear_progress();
    if (status == TESS_OK && interrupted) status = tess_fail(err, TESS_EINTERRUPTED, "interrupted");
    if (status == TESS_OK && rename(r->folder, o->out))
        status = tess_fail_system(err, errno, o->out, -1, "give the finished checkpoint its name");
    if (status != TESS_OK) remove_folder(r->folder);
    return status;
}

static int report(const tess_error *err)
{
    fprintf(stderr, "synthetic: %s\n", err->message);
    switch (err->status) {
    case TESS_EUSAGE:
        return 2;
    case TESS_EINPUT:
    case TESS_EUNSUPPORTED:
        return 3;
    case TESS_EINTERRUPTED:
        return 130;
    default:
        return 4;
    }
}

static void say_done(const run *r, double seconds)
{
    const synthetic_layout *l = &r->layout;
    printf("%zu tensors, %" PRIu64 " bytes, %d shard%s in %s", l->n_tensor, l->total_bytes, l->n_shard,
           l->n_shard == 1 ? "" : "s", r->options->out);
    if (l->filled_bytes)
        printf(": %" PRIu64 " bytes of weights in %.1f s, %.2f GB/s", l->filled_bytes, seconds,
               (double)l->filled_bytes / 1e9 / seconds);
    putchar('\n');
}

int main(int argc, char **argv)
{
    synthetic_options o;
    int code = options_parse(argc, argv, &o);
    if (code >= 0) return code;
    char out[MAX_PATH_BYTES], folder[MAX_PATH_BYTES + 32];
    snprintf(out, sizeof out, "%s", o.out);
    for (size_t n = strlen(out); n > 1 && out[n - 1] == '/'; n--) out[n - 1] = 0;
    o.out = out;
    snprintf(folder, sizeof folder, "%s.%ld.part", out, (long)getpid());
    catch_signals();
    draws_progress = isatty(STDERR_FILENO);
    static run r;
    r.options = &o;
    r.folder = folder;
    tess_error err;
    double started = tess_system_seconds();
    tess_status status = check_free(out, &err);
    if (status == TESS_OK) status = prepare(&r, &err);
    if (status == TESS_OK) status = write_files(&r, &err);
    code = 0;
    if (status == TESS_OK)
        say_done(&r, tess_system_seconds() - started);
    else
        code = report(&err);
    layout_release(&r.layout);
    weights_free(r.weights);
    json_decref(r.root);
    return code;
}
