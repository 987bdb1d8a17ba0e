/* Small checkpoints to damage: written hollow by the synthetic tool, edited as JSON; or copied. */
#ifndef TESS_TESTS_HOLLOW_H
#define TESS_TESTS_HOLLOW_H

#include <jansson.h>
#include <stddef.h>

/* Creates a folder of a test's own; its name goes to out[SCRATCH_BYTES]. Fails the test if that is
 * impossible. */
void hollow_folder(char *out);
/* Removes it with the files in it. */
void hollow_remove(const char *folder);
/* Writes a hollow checkpoint of a configuration file as the folder, which is empty or not there. */
void hollow_write(const char *folder, const char *config, int n_shard);

/* Copies the files of a checkpoint into a folder, and sets rows of one of the copy's tensors to zero; n_row
 * 0: all. */
void hollow_copy(const char *model, const char *folder);
void hollow_zero_rows(const char *folder, const char *tensor, int first, int n_row);

/* "<folder>/<name>" into out[256]. */
void hollow_path(const char *folder, const char *name, char *out);
/* "model-00002-of-00003.safetensors". */
void hollow_shard_name(int shard, int n_shard, char *out);

json_t *hollow_load(const char *folder, const char *name);
/* Writes and takes the reference. */
void hollow_store(const char *folder, const char *name, json_t *root);

/* A shard's header as JSON, and writing it back: the data behind it become holes of their former length. */
json_t *hollow_load_header(const char *folder, const char *name);
void hollow_store_header(const char *folder, const char *name, json_t *header);

#endif
