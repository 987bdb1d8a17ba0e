/* The bank: bytes as in the file, leases that hold, quotas that keep a cycle from missing every time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../support/banks.h"
#include "io/file.h"
#include "model/code2wav_weights.h"
#include "store/bank.h"

#define MODEL "tests/golden/c"
enum { GROUP = 12 };

typedef struct fixture {
    tess_config config;
    tess_store *store;
    tess_decoder_weights weights;
    tess_arena arena;
    tess_bank bank;
} fixture;

static void open_bank(fixture *f, int n_slot, int n_lease)
{
    tess_error err;
    *f = (fixture){0};
    assert_int_equal(tess_config_load(MODEL, &f->config, &err), TESS_OK);
    assert_int_equal(tess_store_open(MODEL, TESS_DIRECT_AUTO, &f->store, &err), TESS_OK);
    const tess_decoder_config *c = &f->config.thinker.text;
    assert_int_equal(c->n_expert, GROUP);
    const tess_block_sizes blocks = {4096, 4096};
    assert_int_equal(
        tess_decoder_weights_find(f->store, &f->config, TESS_COMPONENT_TEXT, &blocks, &f->weights, &err),
        TESS_OK);
    tess_bank_layout layout = {.weight = f->weights.expert,
                               .n_segment = c->n_layer * c->n_expert,
                               .n_weight = TESS_EXPERT_WEIGHTS,
                               .group_size = c->n_expert,
                               .n_slot = n_slot,
                               .n_lease = n_lease};
    test_bank_lay_out(&f->bank, f->store, &layout, &f->arena);
}

static void close_bank(fixture *f)
{
    tess_arena_release(&f->arena);
    tess_decoder_weights_release(&f->weights);
    tess_store_close(f->store);
}

static const tess_matrix *lease(fixture *f, int segment)
{
    return test_bank_lease(&f->bank, segment);
}

static void assert_bytes(fixture *f, int segment, const tess_matrix *part)
{
    tess_error err;
    for (int i = 0; i < TESS_EXPERT_WEIGHTS; i++) {
        const tess_weight *p = &f->weights.expert[segment * TESS_EXPERT_WEIGHTS + i];
        if (!p->n_byte) {
            assert_null(part[i].bytes);
            continue;
        }
        unsigned char *bytes = malloc(p->n_byte);
        assert_int_equal(
            tess_file_read(tess_store_get_file(f->store, p->file), p->offset, bytes, p->n_byte, &err),
            TESS_OK);
        assert_memory_equal(bytes, part[i].bytes, p->n_byte);
        assert_true(part[i].n_row * part[i].n_col * sizeof(uint16_t) == p->n_byte);
        free(bytes);
    }
}

/* Every segment, straddling ones included, through few slots: the bytes are always the file's. */
static void test_bytes(void **state)
{
    (void)state;
    fixture f;
    open_bank(&f, 3, 3);
    bool straddles = false;
    for (int round = 0; round < 2; round++)
        for (int s = 0; s < f.bank.layout.n_segment; s++) {
            assert_bytes(&f, s, lease(&f, s));
            tess_bank_release(&f.bank, s);
            const tess_weight *p = &f.weights.expert[s * TESS_EXPERT_WEIGHTS];
            straddles |= p[0].file != p[1].file || p[0].file != p[2].file;
        }
    assert_true(straddles);
    close_bank(&f);
}

static void test_leased_stays(void **state)
{
    (void)state;
    fixture f;
    open_bank(&f, 3, 3);
    const tess_matrix *first = lease(&f, 0), *second = lease(&f, GROUP);
    for (int s = 1; s < f.bank.layout.n_segment; s++) {
        if (s == GROUP) continue;
        lease(&f, s);
        tess_bank_release(&f.bank, s);
    }
    assert_true(tess_bank_is_resident(&f.bank, 0) && tess_bank_is_resident(&f.bank, GROUP));
    assert_bytes(&f, 0, first);
    assert_bytes(&f, GROUP, second);
    assert_ptr_equal(lease(&f, 0), first); /* a second lease of the same: a hit, counted */
    tess_bank_release(&f.bank, 0);
    tess_bank_release(&f.bank, 0);
    tess_bank_release(&f.bank, GROUP);
    close_bank(&f);
}

/* Decoding asks every layer in turn for the same experts. With room for two a layer and a spare, two of each
 * layer's three hit; a global LRU of the same size would hit none. */
static void test_quota_beats_cycle(void **state)
{
    (void)state;
    fixture f;
    open_bank(&f, 1, 1);
    int n_layer = f.config.thinker.text.n_layer;
    close_bank(&f);
    open_bank(&f, 2 * n_layer + 3, 3);
    assert_int_equal(f.bank.quota, 2);
    for (int round = 0; round < 10; round++)
        for (int layer = 0; layer < n_layer; layer++)
            for (int e = 0; e < 2; e++) {
                lease(&f, layer * GROUP + e);
                tess_bank_release(&f.bank, layer * GROUP + e);
            }
    assert_int_equal(f.bank.n_miss, 2 * n_layer);
    /* one layer gone wild does not cost the others their experts */
    for (int e = 0; e < GROUP; e++) {
        lease(&f, e);
        tess_bank_release(&f.bank, e);
    }
    for (int layer = 1; layer < n_layer; layer++)
        for (int e = 0; e < 2; e++) assert_true(tess_bank_is_resident(&f.bank, layer * GROUP + e));
    close_bank(&f);
}

/* With a slot of its own for every segment, a bank of parts that differ in size takes little more than they
 * have, and lends the same bytes. */
static void test_fitted(void **state)
{
    (void)state;
    fixture f;
    tess_code2wav_weights parts;
    tess_error err;
    open_bank(&f, 1, 1);
    assert_int_equal(tess_code2wav_weights_find(f.store, &f.config, 4096, &parts, &err), TESS_OK);
    tess_bank_layout few = tess_code2wav_part_bank(&parts, 1),
                     all = tess_code2wav_part_bank(&parts, parts.n_part);
    tess_bank bank, lender;
    tess_arena one = tess_arena_measure(), whole = tess_arena_measure(), memory;
    tess_bank_init(&bank, f.store, &few, &one);
    tess_bank_init(&bank, f.store, &all, &whole);
    assert_true(whole.used < (uint64_t)parts.n_part * bank.slot_bytes / 2);
    assert_int_equal(tess_arena_reserve(whole.used + one.used, &memory, &err), TESS_OK);
    tess_bank_init(&bank, f.store, &all, &memory);
    tess_bank_init(&lender, f.store, &few, &memory);
    for (int round = 0; round < 2; round++)
        for (int s = 0; s < parts.n_part; s++) {
            const tess_matrix *a, *b;
            assert_int_equal(tess_bank_lease(&bank, s, &a, &err), TESS_OK);
            assert_int_equal(tess_bank_lease(&lender, s, &b, &err), TESS_OK);
            for (int i = 0; i < TESS_CODE2WAV_PART_WEIGHTS; i++)
                if (b[i].bytes) assert_memory_equal(a[i].bytes, b[i].bytes, b[i].n_row * b[i].n_col * 2);
            tess_bank_release(&bank, s);
            tess_bank_release(&lender, s);
        }
    assert_int_equal(bank.n_miss, parts.n_part);
    assert_int_equal(lender.n_miss, 2 * parts.n_part);
    tess_arena_release(&memory);
    tess_code2wav_weights_release(&parts);
    close_bank(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fitted),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_leased_stays),
        cmocka_unit_test(test_quota_beats_cycle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
