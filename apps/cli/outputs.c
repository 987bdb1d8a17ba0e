#include "cli/outputs.h"

#include <dirent.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/ledger.h"

void cli_folder_of(const char *path, char *out)
{
    char copy[PATH_MAX];
    snprintf(copy, sizeof copy, "%s", path);
    snprintf(out, PATH_MAX, "%s", dirname(copy));
}

static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

static bool are_same(const char *a, const char *b)
{
    struct stat of_a, of_b;
    return !stat(a, &of_a) && !stat(b, &of_b) && is_same(&of_a, &of_b);
}

static const char *name_in(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* A terminal or a pipe may be read and written. */
static bool can_be_lost(const char *path)
{
    struct stat there;
    return stat(path, &there) || S_ISREG(there.st_mode);
}

/* The same file, whatever the spelling, also where neither exists yet. */
static bool name_same_place(const char *a, const char *b)
{
    char folder_a[PATH_MAX], folder_b[PATH_MAX];
    if (are_same(a, b)) return can_be_lost(a);
    cli_folder_of(a, folder_a);
    cli_folder_of(b, folder_b);
    return are_same(folder_a, folder_b) && !strcmp(name_in(a), name_in(b));
}

/* Whether a file is one of those that a folder's names lead to, which may all be links. */
static bool is_in_folder(const char *path, const char *dir)
{
    struct stat wanted, there;
    bool is_found = false;
    DIR *folder = stat(path, &wanted) || !S_ISREG(wanted.st_mode) ? NULL : opendir(dir);
    const struct dirent *entry;
    while (folder && !is_found && (entry = readdir(folder)))
        is_found = !fstatat(dirfd(folder), entry->d_name, &there, 0) && is_same(&there, &wanted);
    if (folder) closedir(folder);
    return is_found;
}

int cli_output_check(const cli_command *self, const cli_common *common, const char *option,
                     const char *output, const char *const *others, size_t n, const char *model_dir)
{
    if (!output) return -1;
    for (size_t i = 0; i < n; i++)
        if (others[i] && name_same_place(output, others[i]))
            return cli_usage(self, common, "%s: %s is a file that this command uses otherwise; name another",
                             option, output);
    if (model_dir && is_in_folder(output, model_dir))
        return cli_usage(self, common, "%s: %s is a file of the model; name one outside its folder", option,
                         output);
    return -1;
}

static int check_medium(const cli_command *self, const cli_common *common, const char *option,
                        const char *output, const char *source, const char *folder)
{
    char path[PATH_MAX];
    if (!tess_source_is_path(source)) return -1;
    if (*source == '/') folder = NULL;
    int n = snprintf(path, sizeof path, "%s%s%s", folder ? folder : "", folder ? "/" : "", source);
    if (n < 0 || (size_t)n >= sizeof path) return -1; /* no file has such a name */
    const char *const others[] = {path};
    return cli_output_check(self, common, option, output, others, 1, NULL);
}

int cli_output_check_media(const cli_command *self, const cli_common *common, const char *option,
                           const char *output, const tess_conversation *talk, const char *folder)
{
    int code = -1;
    if (!output) return code;
    for (size_t i = 0; i < talk->count && code < 0; i++)
        for (size_t k = 0; k < talk->turn[i].n_content && code < 0; k++) {
            const tess_content *content = &talk->turn[i].content[k];
            if (content->kind != TESS_CONTENT_TEXT)
                code = check_medium(self, common, option, output, content->data, folder);
        }
    return code;
}

int cli_output_check_messages(const cli_command *self, const cli_common *common, const char *option,
                              const char *output, const char *messages, const char *golden)
{
    char folder[PATH_MAX];
    tess_conversation talk = {0};
    int code = -1;
    cli_folder_of(golden, folder);
    /* What are no messages is told by whoever needs them. */
    if (output && messages &&
        tess_conversation_parse(&talk, golden, messages, strlen(messages), NULL) == TESS_OK)
        code = cli_output_check_media(self, common, option, output, &talk, folder);
    tess_conversation_release(&talk);
    return code;
}

int cli_output_check_ledger(const cli_command *self, const cli_common *common, const char *option,
                            const char *output, const char *place)
{
    if (!output || (place && !strcmp(place, "off"))) return -1;
    char *const ledger = cli_ledger_find(place, false, NULL);
    const char *const others[] = {ledger};
    int code = cli_output_check(self, common, option, output, others, 1, NULL);
    free(ledger);
    return code;
}

int cli_output_check_standard(const cli_command *self, const cli_common *common, const char *option,
                              const char *output, const char *used_for)
{
    struct stat of_output, standard;
    if (!output || stat(output, &of_output) || fstat(STDOUT_FILENO, &standard)) return -1;
    if (!is_same(&of_output, &standard) || S_ISCHR(standard.st_mode)) return -1;
    return cli_usage(self, common, "%s: %s is standard output, which %s goes to; name another file, or -",
                     option, output, used_for);
}
