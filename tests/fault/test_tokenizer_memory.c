/* Every allocation of opening, encoding and decoding fails once: TESS_ENOMEM each time, nothing leaked,
 * outputs as before. This program's malloc family stands in front of the C library's; sanitizers bring their
 * own, so under them the test says it is skipped. */
#include <errno.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tessera/chat.h"
#include "tessera/tokenizer.h"

#if defined __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED
#endif
#endif
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define SANITIZED
#endif

#ifdef SANITIZED
static void fails_without_leaks(void **state)
{
    (void)state;
    skip();
}
#define fails_with_one_file fails_without_leaks
#else
static const char *folder = "tests/golden/text";

static struct {
    bool on;
    long n_call, fail_at; /* this call fails, counted from 1; 0: none */
    long n_live;          /* blocks taken while on and not given back */
} plan;

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *old, size_t size);
void __libc_free(void *block);

static bool fails(void)
{
    if (!plan.on || ++plan.n_call != plan.fail_at) return false;
    errno = ENOMEM;
    return true;
}

static void *count(void *block)
{
    if (block && plan.on) plan.n_live++;
    return block;
}

void *malloc(size_t size)
{
    return fails() ? NULL : count(__libc_malloc(size));
}

void *calloc(size_t n, size_t size)
{
    return fails() ? NULL : count(__libc_calloc(n, size));
}

void *realloc(void *old, size_t size)
{
    if (fails()) return NULL;
    return old ? __libc_realloc(old, size) : count(__libc_realloc(old, size));
}

void free(void *block)
{
    if (block && plan.on) plan.n_live--;
    __libc_free(block);
}

/* Opens, encodes text with marks and a long word, renders a chat, decodes. `ids` and `text` begin with one
 * item. */
static tess_status use(tess_ids *ids, tess_text *text, tess_error *err)
{
    static char long_text[] =
        "e\u0301\u0323 <|im_start|> The capital of France ....................................."
        "................................................. \u0928\u093c";
    tess_tokenizer *t = NULL;
    tess_message hi = {.role = "user", .content = long_text, .n_content = sizeof long_text - 1};
    tess_status status = tess_tokenizer_open(folder, &t, err);
    if (status == TESS_OK) status = tess_chat_encode(t, &hi, 1, TESS_CHAT_GENERATE, ids, err);
    if (status == TESS_OK) status = tess_tokenizer_decode(t, ids->data, ids->count, 0, text, err);
    tess_tokenizer_close(t);
    return status;
}

/* One run in which allocation `fail_at` fails; returns false if there are fewer. */
static bool run(long fail_at)
{
    tess_ids ids = {0};
    tess_text text = {0};
    tess_error err = {0};
    plan.n_call = plan.n_live = 0;
    plan.fail_at = fail_at;
    plan.on = true;
    tess_status status = use(&ids, &text, &err);
    long n_call = plan.n_call;
    if (status != TESS_OK && text.data) assert_int_equal(text.count, 0);
    tess_ids_release(&ids);
    tess_text_release(&text);
    plan.on = false;
    assert_int_equal(plan.n_live, 0);
    if (fail_at && n_call >= fail_at) {
        /* Where the C library or libcrypto go on without the block, the call may still end well. */
        if (status != TESS_OK) {
            if (status != TESS_ENOMEM) fail_msg("%ld: %s", fail_at, err.message);
            assert_true(err.message[0]);
        }
        return true;
    }
    assert_int_equal(status, TESS_OK);
    return false;
}

static void fails_without_leaks(void **state)
{
    (void)state;
    run(0); /* one-time allocations of the libraries */
    plan.n_live = 0;
    long n = 1;
    /* jansson allocates for every token; those are alike, so beyond the first and last hundreds every 37th is
     * tried. */
    run(0);
    long total = plan.n_call;
    for (; n <= total; n += n < 300 || n > total - 300 ? 1 : 37) assert_true(run(n));
    assert_false(run(total + 1));
    printf("# %ld allocations\n", total);
}

static void *allocate_unfailing(size_t size)
{
    return count(__libc_malloc(size));
}

/* tokenizer.json is parsed in small pieces, and jansson 2.14 aborts when the buffer of a string with escapes
 * cannot grow: here only allocations of our own fail. What they ask for beforehand is among them. */
static void fails_with_one_file(void **state)
{
    folder = "tests/golden/text/saved";
    json_set_alloc_funcs(allocate_unfailing, free);
    fails_without_leaks(state);
    json_set_alloc_funcs(malloc, free);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(fails_without_leaks),
                                       cmocka_unit_test(fails_with_one_file)};
    return cmocka_run_group_tests_name("tokenizer_memory", tests, NULL, NULL);
}
