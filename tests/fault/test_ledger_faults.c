/* The ledger when things go wrong: killed in mid-write, no room to write, memory
 * refused, several at once, bytes damaged. */
#include "tessera/ledger.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "../support/fault.h"
#include "../support/ledger.h"

static const char *const path = test_ledger_path;
static tess_error err;

/* In a child: writes up to n runs and tells each number once its run is recorded. */
static _Noreturn void write_runs(int n, int tell)
{
    tess_ledger *ledger;
    tess_error reason;
    if (tess_ledger_open(path, TESS_LEDGER_WRITE, &ledger, &reason) != TESS_OK) {
        fprintf(stderr, "# %s\n", reason.message);
        _exit(2);
    }
    for (int i = 0; i < n; i++) {
        int64_t id;
        if (test_ledger_write_run(ledger, &id, &reason) != TESS_OK) {
            fprintf(stderr, "# %s\n", reason.message);
            _exit(3);
        }
        if (write(tell, &id, sizeof id) != sizeof id) _exit(4);
    }
    tess_ledger_close(ledger);
    _exit(0);
}

static pid_t start_writer(int n, int *told)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(ends[0]);
        write_runs(n, ends[1]);
    }
    close(ends[1]);
    *told = ends[0];
    return pid;
}

/* Killed at any moment, also while the file is made: it stays sound, and every run that was told is whole. */
static void test_killed(void **state)
{
    (void)state;
    unsigned seed = 20;
    int64_t n_told = 0;
    int n_cut = 0,
        n_round = getenv("TESS_SANITIZED") ? 21 : 60; /* spread alike; a sanitizer adds time only */
    for (int round = 0; round < n_round; round++) {
        int told, status;
        int64_t id;
        if (round % 3 == 0)
            test_ledger_start_anew(NULL), n_told = 0; /* in a third of them it has to be made */
        pid_t pid = start_writer(1000, &told);
        usleep((useconds_t)(rand_r(&seed) % (round % 3 ? 40000 : 12000)));
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
        int64_t last = 0;
        while (read(told, &id, sizeof id) == sizeof id) last = id, n_told++;
        close(told);
        tess_ledger *ledger; /* whoever opens it next recovers it */
        if (tess_ledger_open(path, TESS_LEDGER_WRITE, &ledger, &err) != TESS_OK) fail_msg("%s", err.message);
        tess_ledger_close(ledger);
        test_ledger_assert_sound(path);
        assert_int_equal(test_ledger_count_torn(path), 0);
        int64_t ended = test_ledger_ask(path, "SELECT count(*) FROM runs WHERE finish = 'stop'");
        assert_true(ended == n_told || ended == n_told + 1); /* one may have been recorded and not yet told */
        n_told = ended;
        n_cut += test_ledger_ask(path, "SELECT count(*) FROM runs WHERE finish IS NULL") > 0;
        if (last) assert_true(test_ledger_ask(path, "SELECT max(id) FROM runs") >= last);
    }
    print_message("%d of %d kills left a run that was begun and not ended\n", n_cut, n_round);
}

static void test_several_at_once(void **state)
{
    (void)state;
    enum { N = 3, RUNS = 100 };
    pid_t pid[N];
    int told[N], status;
    for (int i = 0; i < N; i++) pid[i] = start_writer(RUNS, &told[i]);
    for (int i = 0; i < N; i++) {
        assert_int_equal(waitpid(pid[i], &status, 0), pid[i]);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        close(told[i]);
    }
    test_ledger_assert_sound(path);
    assert_int_equal(test_ledger_count_torn(path), 0);
    assert_int_equal(test_ledger_ask(path, "SELECT count(*) FROM runs WHERE finish = 'stop'"), N * RUNS);
    assert_int_equal(test_ledger_ask(path, "SELECT count(*) FROM checkpoints"), 1);
}

/* Files may not grow beyond a limit that rises from nothing: an error that says so, and no torn rows. */
static void test_no_room(void **state)
{
    (void)state;
    int n_failed = 0, n_done = 0;
    for (rlim_t limit = 0; limit <= 4000000; limit += limit < 90000    ? 3000
                                                      : limit < 400000 ? 20000
                                                                       : 600000) {
        int status;
        test_ledger_start_anew(NULL);
        fflush(stdout);
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            tess_ledger *ledger = NULL;
            int64_t id;
            const struct rlimit room = {limit, limit};
            signal(SIGXFSZ, SIG_IGN);
            setrlimit(RLIMIT_FSIZE, &room);
            tess_status outcome = tess_ledger_open(path, TESS_LEDGER_WRITE, &ledger, &err);
            for (int i = 0; i < 30 && outcome == TESS_OK; i++)
                outcome = test_ledger_write_run(ledger, &id, &err);
            if (ledger) tess_ledger_close(ledger);
            _exit(outcome == TESS_OK ? 0 : outcome == TESS_EIO && *err.message ? 1 : 2);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) < 2);
        n_failed += WEXITSTATUS(status) == 1;
        n_done += WEXITSTATUS(status) == 0;
        tess_ledger *ledger; /* with room again it goes on */
        if (tess_ledger_open(path, TESS_LEDGER_WRITE, &ledger, &err) != TESS_OK) fail_msg("%s", err.message);
        int64_t id;
        if (test_ledger_write_run(ledger, &id, &err) != TESS_OK) fail_msg("%s", err.message);
        tess_ledger_close(ledger);
        test_ledger_assert_sound(path);
        assert_int_equal(test_ledger_count_torn(path), 0);
    }
    print_message("%d limits stopped it, %d did not\n", n_failed, n_done);
    assert_true(n_failed > 20 && n_done > 0);
}

/* A disk that is full from the k-th write on, for every k, between SQLite and the system. */
static long writes_left;

static ssize_t write_if_room(int fd, const void *bytes, size_t n_byte, off_t offset)
{
    if (writes_left > 0) return writes_left--, pwrite(fd, bytes, n_byte, offset);
    errno = ENOSPC;
    return -1;
}

static void fill_disk_after(long n_write)
{
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
    writes_left = n_write;
    sqlite3_syscall_ptr call = n_write < 0 ? NULL : (sqlite3_syscall_ptr)write_if_room;
    assert_int_equal(vfs->xSetSystemCall(vfs, "pwrite64", call), SQLITE_OK);
    assert_int_equal(vfs->xSetSystemCall(vfs, "pwrite", call), SQLITE_OK);
}

static void test_full_disk(void **state)
{
    (void)state;
    enum { RUNS = 3 };
    tess_ledger *ledger;
    tess_status status = TESS_EIO;
    int64_t id;
    long k;
    for (k = 0; status != TESS_OK; k++) {
        int n_done = 0;
        test_ledger_start_anew(NULL);
        ledger = NULL;
        fill_disk_after(k);
        status = tess_ledger_open(path, TESS_LEDGER_WRITE, &ledger, &err);
        while (status == TESS_OK && n_done < RUNS) {
            status = test_ledger_write_run(ledger, &id, &err);
            n_done += status == TESS_OK;
        }
        if (status != TESS_OK && !strstr(err.message, "the disk is full"))
            fail_msg("write %ld: %s", k, err.message);
        if (status != TESS_OK) assert_int_equal(err.os_errno, ENOSPC);
        fill_disk_after(-1); /* there is room again: the same ledger goes on */
        if (!ledger) assert_int_equal(tess_ledger_open(path, TESS_LEDGER_WRITE, &ledger, &err), TESS_OK);
        assert_int_equal(test_ledger_write_run(ledger, &id, &err), TESS_OK);
        tess_ledger_close(ledger);
        test_ledger_assert_sound(path);
        assert_int_equal(test_ledger_count_torn(path), 0);
        assert_int_equal(test_ledger_ask(path, "SELECT count(*) FROM runs WHERE finish = 'stop'"),
                         n_done + 1);
    }
    print_message("full after 0 to %ld writes\n", k - 2);
    assert_true(k > 50);
}

/* Every allocation of our own fails once. */
static void test_no_memory(void **state)
{
    (void)state;
    int n_failed = 0;
    for (long k = 1;; k++) {
        tess_ledger *ledger = NULL;
        tess_routing *routing = NULL;
        tess_ledger_checkpoint checkpoint;
        fault_alloc_at(k);
        tess_status status = tess_ledger_open(path, TESS_LEDGER_WRITE, &ledger, &err);
        if (status == TESS_OK)
            status = tess_ledger_note_checkpoint(ledger, "demo/checkpoint", &checkpoint, &err);
        if (status == TESS_OK) status = tess_routing_new("demo/checkpoint", &routing, &err);
        bool reached = fault_alloc_end();
        tess_routing_free(routing);
        tess_ledger_close(ledger);
        if (!reached) break;
        if (status == TESS_OK) continue; /* a system call did without it */
        assert_int_equal(status, TESS_ENOMEM);
        n_failed++;
    }
    assert_true(n_failed >= 3);
    test_ledger_assert_sound(path);
}

static bool count_row(void *context, const tess_ledger_value *value, int n_value)
{
    (void)value;
    (void)n_value;
    ++*(int *)context;
    return true;
}

/* Whatever bytes are damaged: an error or rows, and never more than that. */
static void test_damaged(void **state)
{
    (void)state;
    tess_ledger *ledger;
    int64_t id;
    assert_int_equal(tess_ledger_open(path, TESS_LEDGER_WRITE, &ledger, &err), TESS_OK);
    for (int i = 0; i < 5; i++) assert_int_equal(test_ledger_write_run(ledger, &id, &err), TESS_OK);
    tess_ledger_close(ledger);
    size_t size;
    int n_refused = 0, n_opened = 0;
    unsigned char *bytes = test_file_read(path, &size);
    unsigned seed = 1;
    for (int round = 0; round < 200; round++) {
        unsigned char *damaged = malloc(size);
        memcpy(damaged, bytes, size);
        size_t n = size;
        if (round % 4 == 0) n = (size_t)rand_r(&seed) % size;
        /* The first page says what the file is; half of the rounds leave it alone. */
        size_t from = round % 2 ? 4096 : 0;
        for (int k = 0; k < 40; k++)
            damaged[from + (size_t)rand_r(&seed) % (size - from)] ^= (unsigned char)rand_r(&seed);
        memset(damaged + from + (size_t)rand_r(&seed) % (size - from - 512), rand_r(&seed) & 255, 512);
        test_ledger_start_anew(NULL);
        test_file_write(path, damaged, n);
        free(damaged);
        tess_status status = tess_ledger_open(path, TESS_LEDGER_WRITE, &ledger, &err);
        int n_row = 0;
        n_opened += status == TESS_OK;
        if (status == TESS_OK) {
            status = tess_ledger_read(ledger, TESS_LEDGER_ENTRIES, 0, count_row, &n_row, &err);
            if (status == TESS_OK) status = test_ledger_write_run(ledger, &id, &err);
            tess_ledger_close(ledger);
        }
        n_refused += status != TESS_OK;
        if (status != TESS_OK) assert_int_not_equal(strlen(err.message), 0);
    }
    print_message("%d of 200 damaged files could be opened, %d were refused sooner or later\n", n_opened,
                  n_refused);
    assert_true(n_opened > 10 && n_refused > 100);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_killed, test_ledger_start_anew),
        cmocka_unit_test_setup(test_several_at_once, test_ledger_start_anew),
        cmocka_unit_test_setup(test_no_room, test_ledger_start_anew),
        cmocka_unit_test_setup(test_full_disk, test_ledger_start_anew),
        cmocka_unit_test_setup(test_no_memory, test_ledger_start_anew),
        cmocka_unit_test_setup(test_damaged, test_ledger_start_anew),
    };
    return cmocka_run_group_tests(tests, test_ledger_make_folder, test_ledger_remove_folder);
}
