/* The audio tower against the original's goldens, in both precisions, tap by tap. */
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "../support/agreement.h"
#include "../support/audio_towers.h"

/* ---- goldens ---- */

typedef struct subject {
    char model[96], f32[128], bf16[128]; /* bf16 "": there is none */
} subject;

enum { MAX_SUBJECTS = 64, TOWER_CASES = 12 };

typedef struct subjects {
    subject item[MAX_SUBJECTS];
    int n;
} subjects;

static void add_subject(subjects *list, const char *model, const char *f32, const char *bf16)
{
    struct stat info;
    assert_true(list->n < MAX_SUBJECTS);
    subject *s = &list->item[list->n++];
    snprintf(s->model, sizeof s->model, "%s", model);
    snprintf(s->f32, sizeof s->f32, "%s", f32);
    snprintf(s->bf16, sizeof s->bf16, "%s", stat(bf16, &info) ? "" : bf16);
}

static bool has_clips(const char *golden)
{
    test_tensors tensors;
    test_tensors_read(golden, &tensors);
    bool has = test_tensors_find(&tensors, "in.audio_feature_lengths") != NULL;
    test_tensors_release(&tensors);
    return has;
}

/* The goldens that match and have clips. Their folders end with "f32" or "bf16"; `model` NULL: the checkpoint
 * of folder X-f32 is X. */
static int add_matching(subjects *list, const char *pattern, const char *model)
{
    glob_t found;
    int before = list->n;
    if (glob(pattern, 0, NULL, &found)) return 0;
    for (size_t i = 0; i < found.gl_pathc; i++) {
        const char *f32 = found.gl_pathv[i], *suffix = strstr(f32, "f32/");
        char folder[96], bf16[128];
        snprintf(folder, sizeof folder, "%.*s", (int)(suffix - f32), f32);
        snprintf(bf16, sizeof bf16, "%sbf16/%s", folder, suffix + strlen("f32/"));
        folder[strlen(folder) - 1] = 0;
        if (has_clips(f32)) add_subject(list, model ? model : folder, f32, bf16);
    }
    globfree(&found);
    return list->n - before;
}

static void find_subjects(subjects *list)
{
    list->n = 0;
    assert_int_equal(add_matching(list, "tests/golden/audio_tower/f32/*.safetensors", "tests/golden/c"),
                     TOWER_CASES);
    add_matching(list, "tests/golden/[a-z]-f32/*.safetensors", NULL);
    if (test_shared_folder())
        assert_int_equal(add_matching(list, "../shared/golden/a-f32/*.safetensors", NULL), 3);
}

/* ---- agreement with the original ---- */

static void run_subject(const void *what, const test_tensors *golden, tess_rounding rounding,
                        const test_tensors *replacement, test_recording *recording)
{
    const subject *s = what;
    const test_tensor *windows = test_tensors_find(golden, "in.n_window_infer");
    const test_tower_options options = {.model = s->model,
                                        .rounding = rounding,
                                        .n_thread = 2,
                                        .n_window_infer = windows ? (int)windows->integers[0] : 0};
    test_audio_tower tower;
    test_clips clips;
    test_audio_tower_open(&options, &tower);
    test_clips_take(golden, &clips);
    test_recording_init(recording, replacement);
    test_audio_tower_run(&tower, &clips, recording);
    test_audio_tower_close(&tower);
}

static test_subject compared(const subject *s)
{
    return (test_subject){
        .f32 = s->f32, .bf16 = s->bf16, .taps = "tap.thinker.audio_tower", .run = run_subject, .what = s};
}

static void test_float32(void **state)
{
    const subjects *list = *state;
    for (int i = 0; i < list->n; i++) {
        const test_subject checked = compared(&list->item[i]);
        assert_true(test_check_float32(&checked) <= 5e-6);
    }
}

static void test_bf16(void **state)
{
    const subjects *list = *state;
    int n = 0;
    for (int i = 0; i < list->n; i++) {
        const test_subject checked = compared(&list->item[i]);
        if (!checked.bf16[0]) continue;
        test_check_bf16(&checked);
        n++;
    }
    assert_true(n >= TOWER_CASES);
}

static int find_goldens(void **state)
{
    static subjects list;
    find_subjects(&list);
    *state = &list;
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_float32),
        cmocka_unit_test(test_bf16),
    };
    return cmocka_run_group_tests(tests, find_goldens, NULL);
}
