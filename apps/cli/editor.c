#include "cli/editor.h"

#include <errno.h>
#include <fcntl.h>
#include <histedit.h>
#include <langinfo.h>
#include <limits.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <wchar.h>

#include "base/error.h"

struct cli_editor {
    EditLine *el;
    History *history;
    const char *path; /* of the history, NULL: none is kept */
    bool has_paste;   /* the terminal marks pasted text */
    bool has_next;    /* next was read and is still to be looked at */
    char next;
};

/* ---- signals while a line is read ---------------------------------------------------------------------- */

/* The library's own handlers send what they get to the whole process group, so it is given none. */
static const int heard[] = {SIGINT, SIGWINCH, SIGTSTP, SIGTERM, SIGHUP, SIGQUIT};
enum { HEARD_INT, HEARD_WINCH, HEARD_TSTP, HEARD_TERM, HEARD_HUP, HEARD_QUIT, N_HEARD };
static volatile sig_atomic_t arrived[N_HEARD];

static void note_signal(int number)
{
    for (int i = 0; i < N_HEARD; i++)
        if (heard[i] == number) arrived[i] = 1;
}

static void hear_signals(struct sigaction saved[N_HEARD])
{
    /* A write of the library is not to fail of them: it would be lost, and held against standard output. */
    struct sigaction action = {.sa_handler = note_signal, .sa_flags = SA_RESTART};
    for (int i = 0; i < N_HEARD; i++) {
        arrived[i] = 0;
        sigaction(heard[i], &action, &saved[i]);
    }
}

static void mark_pastes(const cli_editor *e, bool on)
{
    if (!e->has_paste) return;
    fputs(on ? "\033[?2004h" : "\033[?2004l", stdout);
    fflush(stdout);
}

/* Ctrl-Z: stops as if nobody had listened, with the terminal as it was. */
static void stop_process(cli_editor *e)
{
    struct sigaction as_usual = {.sa_handler = SIG_DFL}, ours;
    sigset_t stop, saved;
    sigemptyset(&stop);
    sigaddset(&stop, SIGTSTP);
    mark_pastes(e, false);
    el_set(e->el, EL_PREP_TERM, 0);
    sigaction(SIGTSTP, &as_usual, &ours);
    raise(SIGTSTP);
    sigprocmask(SIG_UNBLOCK, &stop, &saved); /* here it stops */
    sigprocmask(SIG_SETMASK, &saved, NULL);
    sigaction(SIGTSTP, &ours, NULL);
    el_set(e->el, EL_PREP_TERM, 1);
    mark_pastes(e, true);
    el_set(e->el, EL_REFRESH);
}

/* Acts on what arrived; false if no more is to be read. */
static bool heed_signals(cli_editor *e)
{
    if (arrived[HEARD_WINCH]) {
        arrived[HEARD_WINCH] = 0;
        el_resize(e->el);
        el_set(e->el, EL_REFRESH);
    }
    if (arrived[HEARD_TSTP]) {
        arrived[HEARD_TSTP] = 0;
        stop_process(e);
    }
    return !arrived[HEARD_INT] && !arrived[HEARD_TERM] && !arrived[HEARD_HUP] && !arrived[HEARD_QUIT];
}

/* ---- characters ---------------------------------------------------------------------------------------- */

/* One byte from the terminal; signals arrive only while it is waited for. Returns 1, 0 at the end, or -1. */
static int read_byte(cli_editor *e, char *byte)
{
    sigset_t blocked, saved;
    struct pollfd terminal = {.fd = STDIN_FILENO, .events = POLLIN};
    ssize_t n = -1;
    sigemptyset(&blocked);
    for (int i = 0; i < N_HEARD; i++) sigaddset(&blocked, heard[i]);
    sigprocmask(SIG_BLOCK, &blocked, &saved);
    while (heed_signals(e)) {
        if (ppoll(&terminal, 1, NULL, &saved) < 0) {
            if (errno == EINTR) continue;
            break;
        }
        n = read(STDIN_FILENO, byte, 1);
        if (n >= 0 || errno != EINTR) break;
    }
    sigprocmask(SIG_SETMASK, &saved, NULL);
    return n < 0 ? -1 : (int)n;
}

/* One character; bytes that are none become U+FFFD. A byte that breaks a character off may be Enter, or begin
 * the mark that ends a paste. */
static int read_character(EditLine *el, wchar_t *out)
{
    cli_editor *e;
    mbstate_t state = {0};
    el_get(el, EL_CLIENTDATA, &e);
    for (bool is_begun = false;; is_begun = true) {
        int n = e->has_next ? 1 : read_byte(e, &e->next);
        e->has_next = false;
        if (n != 1) return n;
        size_t used = mbrtowc(out, &e->next, 1, &state);
        if (used == (size_t)-2) continue; /* more of its bytes are to come */
        if (used != (size_t)-1) return 1;
        *out = L'\xfffd';
        e->has_next = is_begun;
        return 1;
    }
}

/* ---- pasted text --------------------------------------------------------------------------------------- */

typedef struct pasted {
    wchar_t *text;
    size_t n, capacity;
} pasted;

static bool append_character(pasted *p, wchar_t c)
{
    if (p->n + 1 >= p->capacity) {
        size_t wanted = p->capacity ? 2 * p->capacity : 256;
        wchar_t *grown = realloc(p->text, wanted * sizeof *grown);
        if (!grown) return false;
        p->text = grown;
        p->capacity = wanted;
    }
    p->text[p->n++] = c;
    p->text[p->n] = 0;
    return true;
}

/* Terminals send the ends of pasted lines as carriage returns; a NUL would end the text. */
static void clean_pasted(pasted *p)
{
    size_t n = 0;
    for (size_t i = 0; i < p->n; i++) {
        wchar_t c = p->text[i];
        if (c == L'\r' && p->text[i + 1] == L'\n') continue;
        if (c) p->text[n++] = c == L'\r' ? L'\n' : c;
    }
    p->n = n;
    p->text[n] = 0;
}

/* What stands between the terminal's marks joins the line as it is: nothing in it is a command. */
static unsigned char insert_pasted(EditLine *el, int key)
{
    static const wchar_t end[] = L"\033[201~";
    enum { N_END = sizeof end / sizeof end[0] - 1 };
    pasted p = {0};
    wchar_t c;
    bool is_whole = false, has_memory = true;
    (void)key;
    while (!is_whole && has_memory && el_wgetc(el, &c) == 1) {
        has_memory = append_character(&p, c);
        is_whole = p.n >= N_END && !wmemcmp(p.text + p.n - N_END, end, N_END);
    }
    if (is_whole) {
        p.n -= N_END;
        p.text[p.n] = 0;
        clean_pasted(&p);
        is_whole = p.n == 0 || el_winsertstr(el, p.text) == 0;
    }
    free(p.text);
    return is_whole ? CC_REFRESH : CC_ERROR;
}

static unsigned char insert_newline(EditLine *el, int key)
{
    (void)key;
    return el_winsertstr(el, L"\n") == 0 ? CC_REFRESH : CC_ERROR;
}

/* The library's own changes the terminal for one character, and gets a newline as a carriage return. */
static unsigned char insert_next(EditLine *el, int key)
{
    wchar_t text[2] = {0};
    (void)key;
    if (el_wgetc(el, &text[0]) != 1 || !text[0]) return CC_ERROR;
    if (*text == L'\r') *text = L'\n';
    return el_winsertstr(el, text) == 0 ? CC_REFRESH : CC_ERROR;
}

/* ---- opening ------------------------------------------------------------------------------------------- */

/* Only LC_CTYPE: numbers keep their decimal point. What is typed is UTF-8 whatever the environment says, as
 * containers say "C". */
static bool set_utf8(void)
{
    setlocale(LC_CTYPE, "");
    if (!strcmp(nl_langinfo(CODESET), "UTF-8")) return true;
    return setlocale(LC_CTYPE, "C.UTF-8") && !strcmp(nl_langinfo(CODESET), "UTF-8");
}

static char *get_prompt(EditLine *el)
{
    static char prompt[] = "> ";
    (void)el;
    return prompt;
}

static void bind_keys(EditLine *el)
{
    el_set(el, EL_EDITOR, "emacs");
    el_wset(el, EL_ADDFN, L"tessera-paste", L"Inserts pasted text", insert_pasted);
    el_wset(el, EL_ADDFN, L"tessera-newline", L"Begins a new line", insert_newline);
    el_wset(el, EL_ADDFN, L"tessera-next", L"Inserts the next character", insert_next);
    el_source(el, NULL);
    /* Characters as they come: else a pasted "\r\n" would be two ends of lines. */
    el_set(el, EL_SETTY, "-d", "-icrnl", "-inlcr", NULL);
    el_set(el, EL_BIND, "\\e[200~", "tessera-paste", NULL);
    el_set(el, EL_BIND, "\\e\\r", "tessera-newline", NULL);
    el_set(el, EL_BIND, "\\e\\n", "tessera-newline", NULL);
    el_set(el, EL_BIND, "^I", "ed-insert", NULL);
    el_set(el, EL_BIND, "^V", "tessera-next", NULL);
}

bool cli_editor_may_keep(const char *path)
{
    static const char begin[] = "_HiStOrY_V2_\n"; /* of the library's files */
    char head[sizeof begin - 1];
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat info;
    if (fd < 0) return true;
    bool is_file = !fstat(fd, &info) && S_ISREG(info.st_mode) && info.st_size > 0;
    ssize_t n = is_file ? read(fd, head, sizeof head) : 0;
    close(fd);
    return !is_file || (n == (ssize_t)sizeof head && !memcmp(head, begin, sizeof head));
}

/* A device, as /dev/null, is neither read, which may have no end, nor replaced. */
static bool can_keep_history(const char *path)
{
    struct stat info;
    return stat(path, &info) || S_ISREG(info.st_mode) || S_ISDIR(info.st_mode);
}

cli_editor *cli_editor_open(const char *history_path)
{
    const char *terminal = getenv("TERM");
    HistEvent event;
    cli_editor *e = set_utf8() ? calloc(1, sizeof *e) : NULL;
    if (!e) return NULL;
    e->has_paste = terminal && *terminal && strcmp(terminal, "dumb") != 0;
    e->path = history_path && can_keep_history(history_path) ? history_path : NULL;
    e->el = el_init("tessera", stdin, stdout, stderr);
    e->history = history_init();
    if (!e->el || !e->history) {
        cli_editor_close(e);
        return NULL;
    }
    el_set(e->el, EL_CLIENTDATA, e);
    el_set(e->el, EL_SIGNAL, 0);
    el_set(e->el, EL_PROMPT, get_prompt);
    el_set(e->el, EL_GETCFN, read_character);
    history(e->history, &event, H_SETSIZE, CLI_EDITOR_MAX_ENTRIES);
    history(e->history, &event, H_SETUNIQUE, 1);
    if (e->path) history(e->history, &event, H_LOAD, e->path);
    el_set(e->el, EL_HIST, history, e->history);
    bind_keys(e->el);
    return e;
}

void cli_editor_close(cli_editor *e)
{
    if (!e) return;
    if (e->history) history_end(e->history);
    if (e->el) el_end(e->el);
    free(e);
}

/* ---- reading ------------------------------------------------------------------------------------------- */

cli_typed cli_editor_read(cli_editor *e, const char **line, size_t *n_byte)
{
    struct sigaction saved[N_HEARD];
    int n = 0;
    hear_signals(saved);
    e->has_next = false;
    /* Before anything is shown: a key pressed between the two would be the terminal's, not the editor's. */
    el_set(e->el, EL_PREP_TERM, 1);
    mark_pastes(e, true);
    *line = el_gets(e->el, &n);
    mark_pastes(e, false);
    for (int i = 0; i < N_HEARD; i++) sigaction(heard[i], &saved[i], NULL);
    for (int i = HEARD_TERM; i <= HEARD_QUIT; i++)
        if (arrived[i]) raise(heard[i]);
    if (arrived[HEARD_INT] || !*line || n <= 0) putchar('\n');
    fflush(stdout);
    if (arrived[HEARD_INT]) return CLI_TYPED_NOTHING;
    if (!*line || n <= 0) return CLI_TYPED_END;
    *n_byte = strlen(*line);
    while (*n_byte > 0 && (*line)[*n_byte - 1] == '\n') --*n_byte;
    return CLI_TYPED_LINE;
}

bool cli_editor_is_end_typed(void)
{
    /* To a terminal that collects lines, Ctrl-D alone makes one that can be read and holds no bytes. */
    struct pollfd terminal = {.fd = STDIN_FILENO, .events = POLLIN};
    int n_byte = 0;
    return poll(&terminal, 1, 0) > 0 && ioctl(STDIN_FILENO, FIONREAD, &n_byte) == 0 && n_byte == 0;
}

/* ---- history ------------------------------------------------------------------------------------------- */

/* Into a new file, whose name `path` becomes. Returns 0 or an errno. */
static int write_history(cli_editor *e, char *path)
{
    HistEvent event;
    int fd = mkstemp(path);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
    if (!file) {
        int failed = errno;
        if (fd >= 0) close(fd);
        return failed;
    }
    int failed = history(e->history, &event, H_SAVE_FP, file) < 0 || ferror(file) ? EIO : 0;
    if (fclose(file) && !failed) failed = errno;
    return failed;
}

tess_status cli_editor_remember(cli_editor *e, const char *line, tess_error *err)
{
    HistEvent event;
    char linked[PATH_MAX], path[PATH_MAX + sizeof ".XXXXXX"];
    if (strlen(line) > CLI_EDITOR_MAX_ENTRY_BYTES) return TESS_OK;
    history(e->history, &event, H_ENTER, line);
    if (!e->path) return TESS_OK;
    const char *target = realpath(e->path, linked) ? linked : e->path; /* a symbolic link stays */
    snprintf(path, sizeof path, "%s.XXXXXX", target);
    int failed = write_history(e, path);
    if (!failed && rename(path, target)) failed = errno;
    if (!failed) return TESS_OK;
    unlink(path);
    return tess_fail_system(err, failed, e->path, -1, "write");
}
