/* Fuzzing what the store reads of a checkpoint's files: the first byte chooses what the rest is.
 *
 *   s  a safetensors file: opened or refused, the same with and without collecting; if opened, every tensor
 * lies in the file, after the one before it, is found by its name and can be read i  an index: loaded or
 * refused, the same with and without collecting; no shard has a path
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/checked.h"
#include "store/index.h"
#include "store/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int good, const char *what)
{
    if (good) return;
    fprintf(stderr, "fuzz_safetensors: %s\n", what);
    abort();
}

static void count_problem(void *arg, const tess_problem *problem)
{
    require(*problem->found && *problem->expected && *problem->message, "a problem without words");
    ++*(size_t *)arg;
}

static void check_tensors(const tess_safetensors *st)
{
    tess_file *file = tess_safetensors_get_file(st);
    uint64_t end = 0, file_size = tess_file_get_size(file);
    for (size_t i = 0; i < tess_safetensors_get_count(st); i++) {
        const tess_tensor *t = tess_safetensors_get(st, i);
        uint64_t n_byte = tess_dtype_bytes(t->dtype);
        bool is_empty = false;
        for (int k = 0; k < t->n_dim; k++) is_empty = is_empty || t->dim[k] == 0;
        for (int k = 0; k < t->n_dim && !is_empty; k++)
            require(tess_mul_u64(n_byte, t->dim[k], &n_byte), "overflow");
        require((is_empty ? 0 : n_byte) == t->n_byte, "bytes and shape");
        require(i == 0 || t->offset == end, "a gap or an overlap");
        end = t->offset + t->n_byte;
        require(end <= file_size, "beyond the end");
        require(tess_safetensors_find(st, t->name) == t, "not found by its name");
        void *window = aligned_alloc(TESS_IO_ALIGN, tess_window_bytes(t->n_byte) + TESS_IO_ALIGN);
        const void *bytes = NULL;
        require(window && tess_tensor_read_part(file, t, 0, t->n_byte, window, &bytes, NULL) == TESS_OK,
                "read");
        require((uintptr_t)bytes % tess_dtype_bytes(t->dtype) == 0, "alignment");
        free(window);
    }
    require(tess_safetensors_get_count(st) == 0 || end == file_size, "left over");
}

static void try_file(const char *path)
{
    tess_safetensors *strict = NULL, *collected = NULL;
    tess_error err;
    size_t n_problem = 0;
    const tess_problem_sink sink = {count_problem, &n_problem};
    tess_status status = tess_safetensors_open(path, TESS_DIRECT_OFF, &strict, &err);
    require(status == TESS_OK || (status == TESS_EINPUT && *err.message), "refused without a word");
    tess_status with_sink = tess_safetensors_open_part(path, TESS_DIRECT_OFF, 0, &sink, &collected, &err);
    require((status == TESS_OK) == (with_sink == TESS_OK && n_problem == 0),
            "collecting finds something else");
    if (strict) check_tensors(strict);
    tess_safetensors_close(strict);
    tess_safetensors_close(collected);
}

static void try_index(const char *path)
{
    tess_index strict = {0}, collected = {0};
    tess_error err;
    size_t n_problem = 0;
    const tess_problem_sink sink = {count_problem, &n_problem};
    tess_status status = tess_index_load(path, NULL, &strict, &err);
    require(status == TESS_OK || (status == TESS_EINPUT && *err.message), "refused without a word");
    tess_status with_sink = tess_index_load(path, &sink, &collected, &err);
    require((status == TESS_OK) == (with_sink == TESS_OK && n_problem == 0),
            "collecting finds something else");
    for (int i = 0; i < collected.n_shard; i++) require(!strchr(collected.shard_file[i], '/'), "a path");
    for (size_t i = 0; i < strict.n_entry; i++)
        require(strict.entry[i].shard >= 0 && strict.entry[i].shard < strict.n_shard &&
                    (i == 0 || strcmp(strict.entry[i - 1].name, strict.entry[i].name) < 0),
                "an entry");
    tess_index_release(&strict);
    tess_index_release(&collected);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1;
    static char path[64];
    if (fd < 0) fd = memfd_create("fuzz", MFD_CLOEXEC);
    require(fd >= 0, "no memory for a file");
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (size < 1) return 0;
    require(ftruncate(fd, 0) == 0 && pwrite(fd, data + 1, size - 1, 0) == (ssize_t)size - 1, "write");
    if (data[0] == 's') try_file(path);
    if (data[0] == 'i') try_index(path);
    return 0;
}
