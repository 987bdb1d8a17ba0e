/* The frame all commands share: option tables, help, exit codes, errors as text and JSON, interruption.
 *
 * A command is one file apps/commands/cmd_NAME.c that exports one cli_command; apps/main.c lists them.
 */
#ifndef TESS_APPS_CLI_CLI_H
#define TESS_APPS_CLI_CLI_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "tessera.h"

enum {
    CLI_DONE = 0,
    CLI_DIFFERENT = 1,
    CLI_USAGE = 2,
    CLI_INPUT = 3,
    CLI_SYSTEM = 4,
    CLI_BUDGET = 5,
    CLI_INTERRUPTED = 130
};

/* What there is about a command, and is explained in its help. */
typedef enum cli_feature {
    CLI_HAS_PROGRESS = 1,   /* a bar: --progress */
    CLI_HAS_REMARKS = 2,    /* remarks on standard error: --quiet */
    CLI_HAS_DIFFERENCE = 4, /* exit code 1 */
    CLI_HAS_BUDGET = 8,     /* exit code 5 */
} cli_feature;

enum { CLI_MOST_EXAMPLES = 6 };

typedef struct cli_command cli_command;
struct cli_command {
    const char *name;
    const char *summary;                                        /* one line for `tessera --help` */
    const char *arguments;                                      /* "[options] DIR" for the usage line */
    unsigned has;                                               /* bits of cli_feature */
    const char *examples[CLI_MOST_EXAMPLES];                    /* whole command lines; at least two */
    int (*run)(const cli_command *self, int argc, char **argv); /* argv[0] is the command's name */
    const char *notes; /* lines of the help behind the options, with a heading; NULL: none */
};

typedef enum cli_kind {
    CLI_FLAG,      /* bool, set to true */
    CLI_TEXT,      /* const char * */
    CLI_NAME,      /* const char *, of a file or folder: not empty */
    CLI_MAYBE,     /* the same behind "=", or "" without a value: argument in the help is "[=DIR]" */
    CLI_COUNT,     /* int, 0 or more */
    CLI_SOME,      /* int, 1 or more: 0 is the library's word for its default, and nobody's wish */
    CLI_THREADS,   /* likewise, at most TESS_POOL_MAX_THREADS */
    CLI_U64,       /* uint64_t */
    CLI_SIZE,      /* uint64_t bytes: 512MiB, 8GiB, 1.5GB, 12g (binary), plain bytes; units in any case */
    CLI_NUMBER,    /* double, finite */
    CLI_LIST,      /* cli_list * of texts that are not empty; repeatable, as the next and no other kind */
    CLI_MARKED,    /* the same, of several options: name and value by turns, in the order given */
    CLI_ELSEWHERE, /* another command's: not shown in the help, refused by name; target is not used, help says
                      what is done instead here */
} cli_kind;

typedef struct cli_list {
    const char **item;
    size_t count;
} cli_list;

/* `target` holds the default before parsing and the value after; `argument` is the word in the help text
 * (NULL for a flag); `help` says what it does and its default. Without a help an option is taken, as every
 * command takes it, but changes nothing here and is not offered. */
typedef struct cli_option {
    const char *name;
    cli_kind kind;
    void *target;
    const char *argument, *help;
} cli_option;

/* Options that every command takes. */
typedef struct cli_common {
    bool json, quiet;
    const char *progress; /* auto, always, never */
} cli_common;
#define CLI_COMMON_DEFAULT ((cli_common){.progress = "auto"})

/* Parses argv against the command's own options and the common ones. Positional words are left in
 * *words, *n_word (pointing into argv). Returns -1 to go on, or the exit code to end with (0 after --help;
 * 2 after a message about wrong usage). */
int cli_parse(const cli_command *self, const cli_option *options, size_t n_option, cli_common *common,
              int argc, char **argv, char ***words, int *n_word);

/* Wrong usage found after parsing: prints the sentence and a hint at --help, returns 2. */
int cli_usage(const cli_command *self, const cli_common *common, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Which of some words, ended by NULL, an option's value is. Returns -1, or the exit code of wrong usage. */
int cli_choose(const cli_command *self, const cli_common *common, const char *option, const char *value,
               const char *const *words, int *out);

/* The same for --direct. */
int cli_choose_direct(const cli_command *self, const cli_common *common, const char *value, tess_direct *out);

/* A word that the command does not take; `place` says where such a word goes ("the question goes after
 * --prompt"). A folder is taken for a checkpoint whose --model was forgotten. Returns 2. */
int cli_unexpected_word(const cli_command *self, const cli_common *common, const char *word,
                        const char *place);

/* Refuses words that name files or folders (`what`: "a file") and are empty, as an unset variable of a shell
 * is. Returns -1 or an exit code. */
int cli_check_names(const cli_command *self, const cli_common *common, const char *what, char **words,
                    int n_word);

/* Input that was refused without the name of its file was that of `file`. */
void cli_name_file(tess_error *err, const char *file);

/* Prints an error (as JSON on standard output with --json, always as text on standard error) and returns
 * the exit code that belongs to its status. */
int cli_report(const cli_command *self, const cli_common *common, const tess_error *err);

/* The same, with the error as a further member of `object`, which it takes; NULL without --json. */
int cli_report_with(const cli_command *self, const cli_common *common, const tess_error *err, json_t *object);

/* The error in the words of the command line: the library names members of its structs, a user knows options.
 */
tess_error cli_translate(const tess_error *err);

/* Notes in an error about the memory of media that what it tells is not all: a model comes on top. */
void cli_say_media_first(tess_error *err);

/* A value as compact JSON on standard output, safe on a terminal. */
void cli_write_json(const json_t *value, size_t flags);
/* Prints one JSON object and a newline on standard output; takes the reference. */
void cli_print_json(json_t *object);
/* A JSON text; bytes that are no UTF-8 become U+FFFD. */
json_t *cli_text(const char *text, size_t n_byte);
json_t *cli_text_or_null(const char *text); /* to its end; null if it is empty */
/* A JSON number, null where it is not finite. */
json_t *cli_number(double value);

/* Names and sentences that hold them are safe on a terminal, and on one line, when their control characters
 * and broken bytes are spelled out. Writes at most size bytes. */
void cli_escape(const char *text, size_t n_byte, char *out, size_t size);
/* The same to the end of `text`; returns out. CLI_SAFE: into an unnamed buffer that lives as long as the
 * block. */
const char *cli_escaped(const char *text, char *out, size_t size);
#define CLI_SAFE(text) cli_escaped(text, (char[512]){0}, 512)

/* A sentence on standard error after "tessera COMMAND: ", escaped. */
void cli_remark(const cli_command *self, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A model's text: as it is into files and pipes; on a terminal newlines and tabs stay, other control
 * characters are spelled out. False if it cannot be written. */
bool cli_write_text(FILE *out, const char *text, size_t n_byte);

/* The remark that a file is not read directly. */
void cli_remark_buffered(const cli_command *self, const char *path);

/* "12.3 GiB" and the like. */
void cli_format_bytes(uint64_t bytes, char *out, size_t size);

/* Reads all of standard input (caller frees), saying so on a terminal. Returns 0 or an exit code after a
 * message. */
int cli_read_input(const cli_command *self, const cli_common *common, char **out, size_t *size);

/* From now on Ctrl-C sets a flag instead of ending the process; while the flag is set a further one ends it,
 * unless it comes at once with the first. Unfinished outputs are removed even then. */
void cli_catch_interrupt(const cli_common *common);
/* Such an end removes this folder, of not more than PATH_MAX bytes, with the files in it as well. */
void cli_interrupt_owns(const char *folder);
/* For a command that writes files, which must not stay where they are not finished: SIGTERM and SIGHUP set
 * the flag as well, any number of times; SIGQUIT ends the process as ever, and removes them. */
void cli_catch_termination(void);
/* For one that goes on after Ctrl-C: all three end the process as ever, and remove them. */
void cli_tidy_at_termination(void);
/* Between on and off, the signals that are caught end a read or a write that waits; else nothing that waits.
 */
void cli_interrupt_waits(bool on);
/* The end of a command whose output nobody took: says that it was interrupted, unless the exit code that it
 * has shows that this is said, or --quiet was given. Returns 130. */
int cli_interrupt_end(int code);
bool cli_interrupted(void);
void cli_clear_interrupt(void);

#endif
