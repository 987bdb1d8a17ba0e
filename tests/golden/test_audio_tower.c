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

/* The taps that the tower emits, in place. */
static test_tensors select_taps(const test_tensors *golden)
{
    static const char prefix[] = "tap.thinker.audio_tower";
    test_tensors taps = {calloc(golden->count, sizeof *taps.item), 0};
    for (size_t i = 0; i < golden->count; i++)
        if (!strncmp(golden->item[i].name, prefix, strlen(prefix))) taps.item[taps.count++] = golden->item[i];
    return taps;
}

/* ---- agreement with the original ---- */

static void run_subject(const subject *s, const test_tensors *golden, tess_rounding rounding,
                        const test_tensors *replacement, test_recording *recording)
{
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

static void check_float32(const subject *s)
{
    test_tensors golden;
    test_recording whole, isolated;
    test_tensors_read(s->f32, &golden);
    test_tensors taps = select_taps(&golden);
    run_subject(s, &golden, TESS_ROUND_NONE, NULL, &whole);
    assert_int_equal(whole.taps.count, taps.count);
    double worst = test_assert_agrees(&whole.taps, &taps, false);
    run_subject(s, &golden, TESS_ROUND_NONE, &taps, &isolated);
    double worst_isolated = test_assert_agrees(&isolated.taps, &taps, true);
    print_message("# %s: worst relative L2 %.3g, isolated %.3g\n", s->f32, worst, worst_isolated);
    assert_true(worst <= 5e-6);
    test_recording_release(&whole);
    test_recording_release(&isolated);
    free(taps.item);
    test_tensors_release(&golden);
}

static void test_float32(void **state)
{
    const subjects *list = *state;
    for (int i = 0; i < list->n; i++) check_float32(&list->item[i]);
}

static void check_bf16(const subject *s)
{
    test_tensors golden, truth;
    test_recording whole, isolated, as_f32;
    double mean, most;
    test_tensors_read(s->bf16, &golden);
    test_tensors_read(s->f32, &truth);
    test_tensors taps = select_taps(&golden);
    run_subject(s, &golden, TESS_ROUND_BF16, NULL, &whole);
    bool holds = test_holds_whole_run_bar(&whole.taps, &taps, &truth, &mean, &most);
    print_message("# %s: distance to float32 over the original's: mean %.3f, most %.3f\n", s->bf16, mean,
                  most);
    if (!holds) fail_msg("%s: mean ratio %.3f (0.87 to 1.15), most %.3f (2.5)", s->bf16, mean, most);
    run_subject(s, &golden, TESS_ROUND_BF16, &taps, &isolated);
    test_assert_isolated_bf16(&isolated.taps, &taps, s->bf16, false);
    run_subject(s, &golden, TESS_ROUND_NONE, NULL, &as_f32);
    assert_false(test_holds_whole_run_bar(&as_f32.taps, &taps, &truth, &mean, &most));
    test_recording_release(&whole);
    test_recording_release(&isolated);
    test_recording_release(&as_f32);
    free(taps.item);
    test_tensors_release(&golden);
    test_tensors_release(&truth);
}

static void test_bf16(void **state)
{
    const subjects *list = *state;
    int n = 0;
    for (int i = 0; i < list->n; i++) {
        if (!list->item[i].bf16[0]) continue;
        check_bf16(&list->item[i]);
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
