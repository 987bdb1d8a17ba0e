/* Growing lists of ids and bytes. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "tessera/tokenizer.h"

/* Room for `count + more` items of `size` bytes, at least half as much again as before. */
static void *grow(void *data, size_t size, size_t count, size_t more, size_t *capacity)
{
    if (more > SIZE_MAX / size / 2 - count) return NULL;
    size_t wanted = *capacity + *capacity / 2;
    if (wanted < count + more) wanted = count + more;
    void *bigger = realloc(data, wanted * size);
    if (bigger) *capacity = wanted;
    return bigger;
}

tess_status tess_ids_reserve(tess_ids *ids, size_t more, tess_error *err)
{
    if (more <= ids->capacity - ids->count) return TESS_OK;
    int32_t *data = grow(ids->data, sizeof *data, ids->count, more, &ids->capacity);
    if (!data) return tess_fail(err, TESS_ENOMEM, "no memory for %zu token ids", ids->count + more);
    ids->data = data;
    return TESS_OK;
}

void tess_ids_release(tess_ids *ids)
{
    free(ids->data);
    *ids = (tess_ids){0};
}

tess_status tess_text_append(tess_text *text, const char *bytes, size_t n_bytes, tess_error *err)
{
    if (!text->data || n_bytes >= text->capacity - text->count) {
        char *data = grow(text->data, 1, text->count, n_bytes + 1, &text->capacity);
        if (!data) return tess_fail(err, TESS_ENOMEM, "no memory for %zu bytes of text", n_bytes);
        text->data = data;
    }
    if (n_bytes) memcpy(text->data + text->count, bytes, n_bytes);
    text->count += n_bytes;
    text->data[text->count] = 0;
    return TESS_OK;
}

void tess_text_release(tess_text *text)
{
    free(text->data);
    *text = (tess_text){0};
}
