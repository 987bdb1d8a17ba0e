/* Fuzzing the tokenizer: the first byte chooses what the rest is.
 *
 *   t  a text: encodes and decodes it; without added tokens its NFC must come back
 *   i  token ids, two bytes each: a stream must give what decoding at once gives
 *   v m c  vocab.json, merges.txt, tokenizer_config.json, the other two being good ones: opened or refused
 *   j  tokenizer.json, likewise
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/utf8.h"
#include "tessera/tokenizer.h"
#include "text/normalize.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char good_folder[] = "tests/golden/text";
enum { N_GOOD = 3 };
static const char *const names[] = {"vocab.json", "merges.txt", "tokenizer_config.json", "tokenizer.json"};
static const char kinds[] = "vmcj";

static void require(int good, const char *what)
{
    if (good) return;
    fprintf(stderr, "fuzz_tokenizer: %s\n", what);
    abort();
}

static const tess_tokenizer *get_tokenizer(void)
{
    static tess_tokenizer *tokenizer;
    if (!tokenizer) require(tess_tokenizer_open(good_folder, &tokenizer, NULL) == TESS_OK, "no tokenizer");
    return tokenizer;
}

static void try_text(const char *text, size_t n)
{
    const tess_tokenizer *t = get_tokenizer();
    tess_ids ids = {0};
    tess_text back = {0}, nfc = {0};
    tess_error err;
    bool valid = tess_utf8_find_invalid((const uint8_t *)text, n) == n;
    require(tess_tokenizer_encode(t, text, n, 0, &ids, &err) == (valid ? TESS_OK : TESS_EINPUT), "encode");
    ids.count = 0;
    if (valid) {
        require(tess_tokenizer_encode(t, text, n, TESS_ENCODE_PLAIN, &ids, &err) == TESS_OK, "encode plain");
        require(tess_tokenizer_decode(t, ids.data, ids.count, 0, &back, &err) == TESS_OK, "decode");
        require(tess_nfc_append((const uint8_t *)text, n, &nfc, &err) == TESS_OK, "normalise");
        require(back.count == nfc.count && (!n || !memcmp(back.data, nfc.data, nfc.count)), "not the NFC");
    }
    tess_ids_release(&ids);
    tess_text_release(&back);
    tess_text_release(&nfc);
}

static void try_ids(const uint8_t *data, size_t n)
{
    const tess_tokenizer *t = get_tokenizer();
    tess_text whole = {0}, stream = {0};
    tess_ids ids = {0};
    tess_detokenizer *d;
    const char *piece;
    size_t n_piece;
    require(tess_ids_reserve(&ids, n / 2, NULL) == TESS_OK, "memory");
    for (size_t i = 0; i + 1 < n; i += 2) ids.data[ids.count++] = data[i] | data[i + 1] % 4 << 8;
    require(tess_detokenizer_new(t, TESS_DECODE_SKIP_UNKNOWN, &d, NULL) == TESS_OK, "memory");
    for (size_t i = 0; i < ids.count; i++) {
        require(tess_detokenizer_push(d, ids.data[i], &piece, &n_piece, NULL) == TESS_OK, "push");
        require(tess_utf8_find_invalid((const uint8_t *)piece, n_piece) == n_piece, "a broken character");
        require(tess_text_append(&stream, piece, n_piece, NULL) == TESS_OK, "memory");
    }
    tess_detokenizer_flush(d, &piece, &n_piece);
    require(tess_text_append(&stream, piece, n_piece, NULL) == TESS_OK, "memory");
    require(tess_tokenizer_decode(t, ids.data, ids.count, TESS_DECODE_SKIP_UNKNOWN, &whole, NULL) == TESS_OK,
            "decode");
    require(whole.count == stream.count && !memcmp(whole.data, stream.data, whole.count),
            "stream and whole differ");
    tess_detokenizer_free(d);
    tess_ids_release(&ids);
    tess_text_release(&whole);
    tess_text_release(&stream);
}

static char folder[64];

static void write_file(const char *name, const void *content, size_t n)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    require(f && fwrite(content, 1, n, f) == n && !fclose(f), "cannot write a file");
}

static void remove_folder(void)
{
    for (int i = 0; i < N_GOOD + 1; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    rmdir(folder);
}

/* A folder with the good small files; they are read once. */
static void write_good_files(void)
{
    static char *content[N_GOOD];
    static size_t n[N_GOOD];
    if (!*folder) {
        strcpy(folder, "/tmp/tess-fuzz-XXXXXX");
        require(mkdtemp(folder) != NULL, "no folder");
        atexit(remove_folder);
    }
    for (int i = 0; i < N_GOOD; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s", good_folder, names[i]);
        FILE *f = content[i] ? NULL : fopen(path, "rb");
        if (f) {
            content[i] = malloc(1 << 16);
            require(content[i] != NULL, "memory");
            n[i] = fread(content[i], 1, 1 << 16, f);
            fclose(f);
        }
        write_file(names[i], content[i], n[i]);
    }
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, names[N_GOOD]);
    unlink(path);
}

static void try_file(int which, const uint8_t *data, size_t n)
{
    write_good_files();
    write_file(names[which], data, n);
    tess_tokenizer *t;
    tess_error err = {0};
    if (tess_tokenizer_open(folder, &t, &err) != TESS_OK) {
        require(err.message[0] != 0, "a refusal without a word");
        return;
    }
    tess_ids ids = {0};
    static const char text[] = "The capital <|im_start|>e\u0301 12";
    require(tess_tokenizer_encode(t, text, sizeof text - 1, 0, &ids, &err) == TESS_OK, "encode");
    tess_ids_release(&ids);
    tess_tokenizer_close(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size) return 0;
    const char *kind = data[0] ? strchr(kinds, data[0]) : NULL;
    if (data[0] == 't') try_text((const char *)data + 1, size - 1);
    if (data[0] == 'i') try_ids(data + 1, size - 1);
    if (kind) try_file((int)(kind - kinds), data + 1, size - 1);
    return 0;
}
