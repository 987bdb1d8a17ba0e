/* JPEG by libjpeg-turbo with its defaults, as Pillow uses it: the exact integer DCT, "fancy" upsampling. What
 * libjpeg would make up where data are missing or damaged is refused.
 */
#include <setjmp.h>
#include <stdio.h>

#include "media/image_decoders.h"
#include "media/libraries.h"

#include <jerror.h>

/* More scans than any picture has, each of them over the whole of it, are an attack on time. */
enum { MOST_SCANS = 200 };

/* All that must outlive a jump out of libjpeg. */
typedef struct decoding {
    struct jpeg_error_mgr errors; /* first: libjpeg hands out its address */
    struct jpeg_progress_mgr progress;
    struct jpeg_decompress_struct info;
    tess_jpeg_library lib;
    jmp_buf refused;
    char reason[JMSG_LENGTH_MAX];
} decoding;

static _Noreturn void refuse(j_common_ptr info)
{
    decoding *d = (decoding *)info->err;
    info->err->format_message(info, d->reason);
    longjmp(d->refused, 1);
}

/* Warnings that concern no pixel, which Pillow passes over too. */
static bool is_harmless(int code)
{
    return code == JWRN_ADOBE_XFORM || code == JWRN_JFIF_MAJOR || code == JWRN_EXTRANEOUS_DATA ||
           code == JWRN_BOGUS_PROGRESSION;
}

static void hear_message(j_common_ptr info, int level)
{
    if (level < 0 && !is_harmless(info->err->msg_code)) refuse(info);
}

static void watch_scans(j_common_ptr info)
{
    decoding *d = (decoding *)info->err;
    if (d->info.input_scan_number <= MOST_SCANS) return;
    snprintf(d->reason, sizeof d->reason, "more than %d scans", MOST_SCANS);
    longjmp(d->refused, 1);
}

/* Behind the file's last byte stands the marker of the end: where only that is missing, as Pillow allows, no
 * pixel is; where more is, the decoder says that it came too early. */
static boolean end_quietly(j_decompress_ptr info)
{
    static const JOCTET end[] = {0xff, JPEG_EOI};
    info->src->next_input_byte = end;
    info->src->bytes_in_buffer = sizeof end;
    return TRUE;
}

static void spread_grey(uint8_t *rgb, int width)
{
    for (int x = width - 1; x >= 0; x--) rgb[3 * x] = rgb[3 * x + 1] = rgb[3 * x + 2] = rgb[x];
}

/* Pillow takes every JPEG of four colours as Adobe writes them, inverted, and turns them to RGB without a
 * profile: white's share is taken away, rounded as Pillow rounds. */
static void mix_inks(const uint8_t *inverted, uint8_t *rgb, int width)
{
    for (int x = 0; x < width; x++, inverted += 4, rgb += 3)
        for (int c = 0; c < 3; c++) {
            unsigned white = inverted[3], ink = (255u - inverted[c]) * white + 128;
            rgb[c] = (uint8_t)(white - ((ink + (ink >> 8)) >> 8));
        }
}

static void read_rows(decoding *d, tess_rows *rows, uint8_t *inks)
{
    for (int y = 0; y < rows->height; y++) {
        uint8_t *rgb = tess_rows_get(rows, y);
        JSAMPROW row = d->info.out_color_components == 4 ? inks : rgb;
        d->lib.jpeg_read_scanlines(&d->info, &row, 1);
        if (d->info.out_color_components == 1) spread_grey(rgb, rows->width);
        if (d->info.out_color_components == 4) mix_inks(inks, rgb, rows->width);
        tess_rows_put(rows, y);
    }
}

static bool decode(decoding *d, const tess_image_bytes *file, tess_rows *rows)
{
    if (setjmp(d->refused)) return false;
    d->lib.jpeg_CreateDecompress(&d->info, JPEG_LIB_VERSION, sizeof d->info);
    d->info.progress = &d->progress;
    d->lib.jpeg_mem_src(&d->info, file->data, (unsigned long)file->n_byte);
    /* Of a picture in several scans a whole one may be missing, and nothing would tell. */
    if (file->header->decoder_bytes == 0) d->info.src->fill_input_buffer = end_quietly;
    d->lib.jpeg_read_header(&d->info, TRUE);
    if ((int)d->info.image_width != rows->width || (int)d->info.image_height != rows->height) {
        snprintf(d->reason, sizeof d->reason, "a second size, of %u x %u pixels", d->info.image_width,
                 d->info.image_height);
        return false;
    }
    d->lib.jpeg_start_decompress(&d->info);
    /* libjpeg's own memory, which goes with the rest of it. */
    uint8_t *inks = d->info.mem->alloc_small((j_common_ptr)&d->info, JPOOL_IMAGE, 4 * (size_t)rows->width);
    read_rows(d, rows, inks);
    d->lib.jpeg_finish_decompress(&d->info);
    return true;
}

tess_status tess_jpeg_decode(const tess_image_bytes *file, tess_rows *rows, tess_error *err)
{
    decoding d = {.reason = ""};
    tess_status status = tess_jpeg_library_open(&d.lib, err);
    if (status != TESS_OK) return status;
    d.info.err = d.lib.jpeg_std_error(&d.errors);
    d.errors.error_exit = refuse;
    d.errors.emit_message = hear_message;
    d.progress.progress_monitor = watch_scans;
    bool is_good = decode(&d, file, rows);
    bool is_full = d.errors.msg_code == JERR_OUT_OF_MEMORY;
    d.lib.jpeg_destroy_decompress(&d.info);
    if (is_good) return TESS_OK;
    if (is_full) return tess_fail(err, TESS_ENOMEM, "%s: no memory to decode it", file->name);
    return tess_refuse(err, file->name, "", -1, "a whole JPEG picture", "%s", d.reason);
}
