#include "hollow.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "scratch.h"

void hollow_folder(char *out)
{
    assert_int_equal(scratch_make_folder(out, SCRATCH_ANYWHERE), 0);
}

void hollow_remove(const char *folder)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry;
    while (dir && (entry = readdir(dir))) {
        char path[512];
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (entry->d_name[0] != '.') unlink(path);
    }
    if (dir) closedir(dir);
    rmdir(folder);
}

void hollow_write(const char *folder, const char *config, int n_shard)
{
    const char *build = getenv("TESS_BUILD");
    char command[512];
    hollow_remove(folder); /* what another test left there */
    snprintf(command, sizeof command, "%s/synthetic --config %s --shards %d --out %s > /dev/null",
             build ? build : "build/release-gcc", config, n_shard, folder);
    assert_int_equal(system(command), 0);
}

void hollow_path(const char *folder, const char *name, char *out)
{
    snprintf(out, 256, "%s/%s", folder, name);
}

void hollow_shard_name(int shard, int n_shard, char *out)
{
    snprintf(out, 64, "model-%05d-of-%05d.safetensors", shard, n_shard);
}

json_t *hollow_load(const char *folder, const char *name)
{
    char path[256];
    hollow_path(folder, name, path);
    json_t *root = json_load_file(path, 0, NULL);
    assert_non_null(root);
    return root;
}

void hollow_store(const char *folder, const char *name, json_t *root)
{
    char path[256];
    hollow_path(folder, name, path);
    assert_int_equal(json_dump_file(root, path, JSON_COMPACT), 0);
    json_decref(root);
}

static uint64_t header_length(FILE *f)
{
    unsigned char raw[8];
    uint64_t n = 0;
    assert_int_equal(fread(raw, 1, 8, f), 8);
    for (int i = 0; i < 8; i++) n |= (uint64_t)raw[i] << (8 * i);
    return n;
}

json_t *hollow_load_header(const char *folder, const char *name)
{
    char path[256];
    hollow_path(folder, name, path);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    size_t n = header_length(f);
    char *text = malloc(n);
    assert_non_null(text);
    assert_int_equal(fread(text, 1, n, f), n);
    fclose(f);
    json_t *header = json_loadb(text, n, 0, NULL);
    assert_non_null(header);
    free(text);
    return header;
}

void hollow_store_header(const char *folder, const char *name, json_t *header)
{
    char path[256];
    struct stat info;
    hollow_path(folder, name, path);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    assert_int_equal(stat(path, &info), 0);
    uint64_t data = (uint64_t)info.st_size - 8 - header_length(f);
    fclose(f);
    char *text = json_dumps(header, JSON_COMPACT);
    assert_non_null(text);
    size_t n = (strlen(text) + 7) / 8 * 8;
    f = fopen(path, "wb");
    assert_non_null(f);
    for (int i = 0; i < 8; i++) putc((int)(n >> (8 * i) & 0xff), f);
    fprintf(f, "%-*s", (int)n, text);
    fflush(f);
    assert_int_equal(ftruncate(fileno(f), (off_t)(8 + n + data)), 0);
    assert_int_equal(fclose(f), 0);
    free(text);
    json_decref(header);
}

void hollow_copy(const char *model, const char *folder)
{
    char command[256];
    snprintf(command, sizeof command, "cp %s/* %s", model, folder);
    assert_int_equal(system(command), 0);
}

void hollow_zero_rows(const char *folder, const char *tensor, int first, int n_row)
{
    char path[256];
    json_t *index = hollow_load(folder, "model.safetensors.index.json");
    const char *shard = json_string_value(json_object_get(json_object_get(index, "weight_map"), tensor));
    if (!shard) fail_msg("%s has no tensor %s", folder, tensor);
    json_t *header = hollow_load_header(folder, shard);
    const json_t *entry = json_object_get(header, tensor), *offsets = json_object_get(entry, "data_offsets");
    size_t begin = (size_t)json_integer_value(json_array_get(offsets, 0)),
           n = (size_t)json_integer_value(json_array_get(offsets, 1)) - begin,
           row = n / (size_t)json_integer_value(json_array_get(json_object_get(entry, "shape"), 0));
    if (n_row) n = (size_t)n_row * row;
    char *zeros = calloc(n, 1);
    assert_non_null(zeros);
    hollow_path(folder, shard, path);
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    size_t data = 8 + header_length(f);
    assert_int_equal(fseek(f, (long)(data + begin + (size_t)first * row), SEEK_SET), 0);
    assert_int_equal(fwrite(zeros, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
    free(zeros);
    json_decref(header);
    json_decref(index);
}
