/* Where outputs go: files that appear whole, and what is written through – standard output, pipes, devices.
 */
#include "io/target.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "../support/scratch.h"

static char folder[SCRATCH_BYTES], path[SCRATCH_BYTES + 8];
static tess_error err;

static int make_folder(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    if (scratch_make_folder(folder, SCRATCH_ANYWHERE)) return -1;
    snprintf(path, sizeof path, "%s/out", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder);
}

static void must_hold(const char *expected)
{
    char bytes[64] = "";
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    assert_int_equal(fread(bytes, 1, sizeof bytes - 1, f), strlen(expected));
    fclose(f);
    assert_string_equal(bytes, expected);
}

static tess_target *open_target(const char *name)
{
    tess_target *target;
    if (tess_target_open(name, NULL, &target, &err) != TESS_OK) fail_msg("%s", err.message);
    return target;
}

static void put(tess_target *target, uint64_t offset, const char *text)
{
    if (tess_target_write(target, offset, text, strlen(text), &err) != TESS_OK) fail_msg("%s", err.message);
}

static void files_appear_whole(void **state)
{
    (void)state;
    scratch_write(path, "old", 3);
    tess_target *target = open_target(path);
    assert_true(tess_target_can_seek(target));
    assert_string_equal(tess_target_get_name(target), path);
    put(target, 0, "?? first, ");
    put(target, 10, "second");
    put(target, 0, "1.");
    assert_int_equal(tess_target_get_size(target), 16);
    must_hold("old");
    assert_int_equal(tess_target_commit(target, 13, &err), TESS_OK);
    must_hold("1. first, sec");

    target = open_target(path);
    put(target, 0, "never");
    tess_target_abandon(target);
    tess_target_abandon(NULL);
    must_hold("1. first, sec");
    unlink(path);
}

/* Standard output is lent to work() as a file opened with `flags`. */
static void with_output(int flags, void (*work)(void))
{
    fflush(stdout);
    int before = dup(STDOUT_FILENO), fd = open(path, flags);
    assert_true(before >= 0 && fd >= 0);
    dup2(fd, STDOUT_FILENO);
    close(fd);
    work();
    dup2(before, STDOUT_FILENO);
    close(before);
}

static bool could_seek;

static void speak(void)
{
    tess_target *target = open_target("-");
    could_seek = tess_target_can_seek(target);
    put(target, 0, "?bc");
    put(target, 3, "de");
    if (could_seek) put(target, 0, "a");
    assert_string_equal(tess_target_get_name(target), "standard output");
    assert_int_equal(tess_target_commit(target, 5, &err), TESS_OK);
    assert_int_equal(write(STDOUT_FILENO, " more", 5), 5); /* it stays open, and where it was */
}

static void standard_output_seeks_where_it_can(void **state)
{
    (void)state;
    scratch_write(path, "", 0);
    with_output(O_WRONLY, speak);
    assert_true(could_seek);
    must_hold("abcde more");
    scratch_write(path, "before ", 7);
    with_output(O_WRONLY | O_APPEND, speak);
    assert_false(could_seek);
    must_hold("before ?bcde more");
    unlink(path);
}

static void speak_behind(void)
{
    assert_int_equal(write(STDOUT_FILENO, "head ", 5), 5);
    speak();
}

static void standard_output_begins_where_it_is(void **state)
{
    (void)state;
    scratch_write(path, "", 0);
    with_output(O_WRONLY, speak_behind);
    must_hold("head abcde more");
    unlink(path);
}

static void pipes_are_written_through(void **state)
{
    (void)state;
    assert_int_equal(mkfifo(path, 0600), 0);
    int reader = open(path, O_RDONLY | O_NONBLOCK);
    char bytes[16] = "";
    tess_target *target = open_target(path);
    assert_false(tess_target_can_seek(target));
    put(target, 0, "now");
    assert_int_equal(read(reader, bytes, sizeof bytes), 3);
    assert_memory_equal(bytes, "now", 3);
    put(target, 3, "!");
    tess_target_abandon(target);
    assert_int_equal(read(reader, bytes, sizeof bytes), 1);
    assert_int_equal(read(reader, bytes, sizeof bytes), 0); /* the end: it is closed */

    target = open_target(path);
    close(reader);
    assert_int_equal(tess_target_write(target, 0, "lost", 4, &err), TESS_EIO);
    assert_int_equal(err.os_errno, EPIPE);
    assert_string_equal(err.file, path);
    assert_int_equal(tess_target_commit(target, 0, &err), TESS_OK);
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    assert_true(S_ISFIFO(info.st_mode)); /* it was not replaced */
    unlink(path);
}

static void answer_nothing(int number)
{
    (void)number;
}

static void a_signal_ends_waiting_for_a_reader(void **state)
{
    (void)state;
    assert_int_equal(mkfifo(path, 0600), 0);
    struct sigaction action = {.sa_handler = answer_nothing}, before;
    sigaction(SIGALRM, &action, &before);
    ualarm(20000, 20000);
    tess_target *target = NULL;
    assert_int_equal(tess_target_open(path, NULL, &target, &err), TESS_EINTERRUPTED);
    ualarm(0, 0);
    sigaction(SIGALRM, &before, NULL);
    assert_null(target);
    unlink(path);
}

static int n_asked;

static bool stop_when_asked_thrice(void *context, tess_activity activity, uint64_t done, uint64_t total)
{
    (void)done;
    (void)total;
    assert_int_equal(activity, TESS_ACTIVITY_WAITING);
    assert_null(context);
    return ++n_asked < 3;
}

static const tess_progress thrice = {stop_when_asked_thrice, NULL};

static void who_watches_ends_waiting_for_a_reader(void **state)
{
    (void)state;
    assert_int_equal(mkfifo(path, 0600), 0);
    tess_target *target = NULL;
    n_asked = 0;
    assert_int_equal(tess_target_open(path, &thrice, &target, &err), TESS_EINTERRUPTED);
    assert_int_equal(n_asked, 3);
    assert_null(target);
    unlink(path);
}

/* Both a named pipe and standard output, which waits in the system. */
static void who_watches_ends_waiting_for_room(void **state)
{
    (void)state;
    static const char bytes[200000];
    assert_int_equal(mkfifo(path, 0600), 0);
    int reader = open(path, O_RDONLY | O_NONBLOCK);
    tess_target *target;
    n_asked = 0;
    assert_int_equal(tess_target_open(path, &thrice, &target, &err), TESS_OK);
    assert_int_equal(tess_target_write(target, 0, bytes, sizeof bytes, &err), TESS_EINTERRUPTED);
    assert_int_equal(n_asked, 3);
    assert_true(tess_target_get_size(target) > 0 && tess_target_get_size(target) < sizeof bytes);
    assert_int_equal(tess_target_commit(target, 0, &err), TESS_OK);
    close(reader);
    unlink(path);

    int ends[2], before = dup(STDOUT_FILENO);
    assert_int_equal(pipe(ends), 0);
    fflush(stdout);
    dup2(ends[1], STDOUT_FILENO);
    n_asked = 0;
    tess_status opened = tess_target_open("-", &thrice, &target, &err);
    tess_status written =
        opened == TESS_OK ? tess_target_write(target, 0, bytes, sizeof bytes, &err) : opened;
    tess_target_abandon(target);
    dup2(before, STDOUT_FILENO);
    close(before);
    close(ends[0]);
    close(ends[1]);
    assert_int_equal(written, TESS_EINTERRUPTED);
    assert_int_equal(n_asked, 3);
}

/* A pipe that does not wait: the rest goes out when there is room. */
static void pipes_that_do_not_wait(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
    static char bytes[200000], got[200000];
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (char)(i * 7 % 251);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        tess_target *target;
        _exit(tess_target_open("-", NULL, &target, NULL) ||
              tess_target_write(target, 0, bytes, sizeof bytes, NULL) ||
              tess_target_commit(target, sizeof bytes, NULL));
    }
    close(ends[1]);
    fcntl(ends[0], F_SETFL, 0);
    size_t n = 0;
    for (ssize_t more; (more = read(ends[0], got + n, sizeof got - n)) > 0 && n < sizeof got;
         n += (size_t)more)
        if (n == 0) usleep(30000);
    close(ends[0]);
    int status;
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
    assert_int_equal(n, sizeof bytes);
    assert_memory_equal(bytes, got, n);
}

static void devices_are_written_through(void **state)
{
    (void)state;
    tess_target *target = open_target("/dev/full");
    assert_false(tess_target_can_seek(target));
    assert_int_equal(tess_target_write(target, 0, "x", 1, &err), TESS_EIO);
    assert_int_equal(err.os_errno, ENOSPC);
    tess_target_abandon(target);
    target = open_target("/dev/null");
    put(target, 0, "x");
    assert_int_equal(tess_target_commit(target, 1, &err), TESS_OK);
}

static void refuses_at_once(void **state)
{
    (void)state;
    tess_target *target = NULL;
    assert_int_equal(tess_target_open("", NULL, &target, &err), TESS_EUSAGE);
    assert_int_equal(tess_target_open(folder, NULL, &target, &err), TESS_EUSAGE);
    assert_int_equal(tess_target_open("/no/such/folder/out", NULL, &target, &err), TESS_EIO);
    assert_int_equal(err.os_errno, ENOENT);
    assert_int_equal(tess_target_open("/proc/version/out", NULL, &target, &err), TESS_EIO);
    assert_null(target);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_appear_whole),
        cmocka_unit_test(standard_output_seeks_where_it_can),
        cmocka_unit_test(standard_output_begins_where_it_is),
        cmocka_unit_test(pipes_are_written_through),
        cmocka_unit_test(a_signal_ends_waiting_for_a_reader),
        cmocka_unit_test(who_watches_ends_waiting_for_a_reader),
        cmocka_unit_test(who_watches_ends_waiting_for_room),
        cmocka_unit_test(pipes_that_do_not_wait),
        cmocka_unit_test(devices_are_written_through),
        cmocka_unit_test(refuses_at_once),
    };
    return cmocka_run_group_tests_name("target", tests, make_folder, remove_folder);
}
