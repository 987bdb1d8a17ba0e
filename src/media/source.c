#include "media/source.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/whole_file.h"
#include "tessera/media.h"

static const char WHAT[] = "a media file";

static tess_status refuse_length(const char *name, uint64_t most_bytes, uint64_t found, bool is_more,
                                 tess_error *err)
{
    char expected[96];
    snprintf(expected, sizeof expected, "%s of at most %llu bytes", WHAT, (unsigned long long)most_bytes);
    return tess_refuse(err, name, "size", -1, expected, "%s%llu bytes", is_more ? "more than " : "",
                       (unsigned long long)found);
}

static tess_status refuse_empty(const char *name, tess_error *err)
{
    return tess_refuse(err, name, "", -1, WHAT, "nothing: it is empty");
}

static tess_status check_file(const char *path, tess_error *err)
{
    int fd;
    struct stat info;
    tess_status status = tess_regular_file_open(path, WHAT, &fd, &info, err);
    if (status != TESS_OK) return status;
    char head[TESS_LFS_POINTER_MOST_BYTES + 1];
    int failure;
    size_t n = tess_read_at(fd, 0, head, sizeof head, &failure);
    if (info.st_size == 0)
        status = refuse_empty(path, err);
    else if (failure)
        status = tess_fail_system(err, failure, path, (int64_t)n, "read");
    else
        status = tess_lfs_pointer_check(path, head, n, err);
    close(fd);
    return status;
}

/* Grows by half; the system moves large blocks without copying them. */
static tess_status grow(unsigned char **bytes, size_t *capacity, const char *name, tess_error *err)
{
    size_t wanted = *capacity ? *capacity + *capacity / 2 : 1 << 16;
    unsigned char *more = wanted > *capacity ? realloc(*bytes, wanted) : NULL;
    if (!more) return tess_fail(err, TESS_ENOMEM, "%s: no memory for %zu bytes", name, wanted);
    *bytes = more;
    *capacity = wanted;
    return TESS_OK;
}

static tess_status read_to_end(int fd, const char *name, uint64_t most_bytes, unsigned char **bytes,
                               size_t *n_byte, tess_error *err)
{
    size_t capacity = 0;
    for (*n_byte = 0;;) {
        if (*n_byte > most_bytes) return refuse_length(name, most_bytes, most_bytes, true, err);
        tess_status status = *n_byte == capacity ? grow(bytes, &capacity, name, err) : TESS_OK;
        if (status != TESS_OK) return status;
        ssize_t got = read(fd, *bytes + *n_byte, capacity - *n_byte);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return tess_fail_system(err, errno, name, (int64_t)*n_byte, "read");
        if (got == 0) return *n_byte ? TESS_OK : refuse_empty(name, err);
        *n_byte += (size_t)got;
    }
}

static tess_status hold(tess_status status, const char *name, unsigned char *bytes, size_t n_byte,
                        tess_source *out)
{
    if (status == TESS_OK)
        *out = (tess_source){.name = name, .data = bytes, .n_byte = n_byte, .owned = bytes};
    else
        free(bytes);
    return status;
}

static tess_status open_standard_input(uint64_t most_bytes, tess_source *out, tess_error *err)
{
    static const char name[] = "standard input";
    unsigned char *bytes = NULL;
    size_t n_byte;
    tess_status status = read_to_end(STDIN_FILENO, name, most_bytes, &bytes, &n_byte, err);
    return hold(status, name, bytes, n_byte, out);
}

static int digit_of(char c)
{
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static bool is_blank(char c)
{
    return c == '\n' || c == '\r' || c == ' ' || c == '\t';
}

/* Base64 as RFC 4648 has it, with blanks anywhere; padding may be left away as a whole. Offsets count from
 * `url`. */
static tess_status decode_base64(const char *name, const char *url, const char *text, unsigned char *out,
                                 size_t *n_byte, tess_error *err)
{
    uint32_t bits = 0;
    size_t n_digit = 0, n_pad = 0, n = 0;
    for (const char *p = text; *p; p++) {
        if (is_blank(*p)) continue;
        int digit = digit_of(*p);
        if (*p == '=' && n_pad < 2) {
            n_pad++;
            continue;
        }
        if (digit < 0 || n_pad)
            return tess_refuse(err, name, "", p - url, n_pad ? "nothing behind '='" : "a digit of base64",
                               (unsigned char)*p >= ' ' && *p < 127 ? "'%c'" : "the byte %u",
                               (unsigned char)*p);
        bits = bits << 6 | (uint32_t)digit;
        if (++n_digit % 4) continue;
        out[n++] = (unsigned char)(bits >> 16);
        out[n++] = (unsigned char)(bits >> 8);
        out[n++] = (unsigned char)bits;
    }
    size_t rest = n_digit % 4;
    bool is_whole = rest != 1 && (n_pad == 0 || (n_pad + rest == 4));
    uint32_t left_over = rest == 2 ? bits & 0xf : rest == 3 ? bits & 3 : 0;
    if (!is_whole || left_over)
        return tess_refuse(err, name, "", -1, "base64 of whole bytes", "%zu digits and %zu times '='%s",
                           n_digit, n_pad, left_over ? " with bits left over" : "");
    if (rest == 2) out[n++] = (unsigned char)(bits >> 4);
    if (rest == 3) {
        out[n++] = (unsigned char)(bits >> 10);
        out[n++] = (unsigned char)(bits >> 2);
    }
    *n_byte = n;
    return n ? TESS_OK : refuse_empty(name, err);
}

static tess_status open_data_url(const char *url, uint64_t most_bytes, tess_source *out, tess_error *err)
{
    static const char name[] = "data URL", mark[] = ";base64";
    const char *comma = strchr(url, ',');
    size_t n_mark = sizeof mark - 1;
    if (!comma || (size_t)(comma - url) < n_mark || strncasecmp(comma - n_mark, mark, n_mark) != 0)
        return tess_refuse(err, name, "", -1, "\"data:TYPE;base64,BYTES\"", "%.*s",
                           comma ? (int)(comma - url > 100 ? 100 : comma - url + 1) : 5, url);
    size_t most = strlen(comma + 1) / 4 * 3 + 3;
    unsigned char *bytes = malloc(most);
    if (!bytes) return tess_fail(err, TESS_ENOMEM, "%s: no memory for %zu bytes", name, most);
    size_t n_byte = 0;
    tess_status status = decode_base64(name, url, comma + 1, bytes, &n_byte, err);
    if (status == TESS_OK && n_byte > most_bytes)
        status = refuse_length(name, most_bytes, n_byte, false, err);
    return hold(status, name, bytes, n_byte, out);
}

/* "scheme://…": what is elsewhere is not fetched. A file of such a name can be given as "./…". */
static bool is_url(const char *text)
{
    size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
    return n > 1 && !strncmp(text + n, "://", 3);
}

static bool is_data_url(const char *text)
{
    return !strncasecmp(text, "data:", 5);
}

bool tess_source_is_path(const char *source)
{
    return strcmp(source, "-") && !is_data_url(source);
}

tess_status tess_source_open(const char *text, uint64_t most_bytes, tess_source *out, tess_error *err)
{
    if (is_url(text))
        return tess_refuse(err, text, "", -1, "the path of a file: nothing is fetched", "a URL");
    if (!strcmp(text, "-")) return open_standard_input(most_bytes, out, err);
    if (is_data_url(text)) return open_data_url(text, most_bytes, out, err);
    tess_status status = check_file(text, err);
    if (status == TESS_OK) *out = (tess_source){.name = text, .path = text};
    return status;
}

void tess_source_release(tess_source *source)
{
    free(source->owned);
    *source = (tess_source){0};
}

tess_status tess_source_reader_open(const tess_source *source, tess_source_reader *out, tess_error *err)
{
    int fd = -1;
    uint64_t n_byte = source->n_byte;
    if (source->path) {
        struct stat info;
        tess_status status = tess_regular_file_open(source->path, WHAT, &fd, &info, err);
        if (status != TESS_OK) return status;
        n_byte = (uint64_t)info.st_size;
    }
    *out = (tess_source_reader){source, fd, n_byte};
    if (n_byte) return TESS_OK;
    tess_source_reader_close(out);
    return refuse_empty(source->name, err);
}

void tess_source_reader_close(tess_source_reader *reader)
{
    if (reader->fd >= 0) close(reader->fd);
    reader->fd = -1;
}

int64_t tess_source_reader_read(const tess_source_reader *reader, uint64_t offset, void *out, size_t n)
{
    if (offset >= reader->n_byte) return 0;
    if (n > reader->n_byte - offset) n = (size_t)(reader->n_byte - offset);
    if (reader->fd < 0) {
        memcpy(out, (const char *)reader->source->data + offset, n);
        return (int64_t)n;
    }
    int failure;
    n = tess_read_at(reader->fd, offset, out, n, &failure);
    if (!failure) return (int64_t)n;
    errno = failure;
    return -1;
}

tess_status tess_source_reader_load(const tess_source_reader *reader, size_t n_pad, const uint8_t **data,
                                    void **owned, tess_error *err)
{
    const tess_source *source = reader->source;
    *owned = NULL;
    if (reader->fd < 0 && n_pad == 0) {
        *data = source->data;
        return TESS_OK;
    }
    uint64_t n_byte = reader->n_byte;
    uint8_t *bytes = n_byte < SIZE_MAX - n_pad ? malloc((size_t)n_byte + n_pad) : NULL;
    if (!bytes)
        return tess_fail(err, TESS_ENOMEM, "%s: no memory for %llu bytes", source->name,
                         (unsigned long long)n_byte);
    int64_t n = tess_source_reader_read(reader, 0, bytes, (size_t)n_byte);
    if (n != (int64_t)n_byte) {
        tess_status status = n < 0 ? tess_fail_system(err, errno, source->name, -1, "read")
                                   : tess_refuse(err, source->name, "", n, "as many bytes as when opened",
                                                 "the end of a file that has shrunk");
        free(bytes);
        return status;
    }
    memset(bytes + n_byte, 0, n_pad);
    *data = *owned = bytes;
    return TESS_OK;
}
