/* Playing while the caller computes: samples wait in a ring, from which a thread of its own feeds the device
 * in pieces of a twentieth of a second. Only that thread calls the device once it is open, so that no library
 * is called by two at a time, and stopping waits for nothing: what is queued is gone at once, and the thread
 * drops what the device holds after the piece it is at.
 *
 * Invariant, under the lock: n_taken <= n_queued <= n_taken + n_ring; of n_queued samples all but the last
 * n_queued - n_taken went to the device or were dropped.
 */
#include "tessera/sound.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/progress.h"
#include "base/signals.h"
#include "media/sound_device.h"
#include "media/sound_samples.h"

enum { SECONDS = 10, PIECE_PER_SECOND = 20, MOST_PIECE = TESS_PLAYER_MOST_RATE_HZ / PIECE_PER_SECOND };
enum { ASK_MS = 100 };

struct tess_player {
    tess_sound_device *device;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_closing;
    bool must_drop;  /* what the device holds */
    bool must_drain; /* somebody waits until the device is silent */
    bool is_silent;  /* the device holds nothing */
    uint64_t n_stop; /* times it was stopped, which ends waiting */
    uint64_t n_queued, n_taken;
    tess_status failure; /* of the device */
    tess_error error;    /* what it said */
    size_t n_ring, n_piece;
    int16_t ring[];
};

/* ---- the thread that plays ---- */

static void note_failure(tess_player *p, tess_status status, const tess_error *error)
{
    if (status == TESS_OK || p->failure != TESS_OK) return;
    p->failure = status;
    p->error = *error;
}

/* Each begins and ends with the lock, and lets go of it while the device works. */
static void drop_held(tess_player *p)
{
    tess_error error;
    p->must_drop = false;
    pthread_mutex_unlock(&p->lock);
    tess_status status = tess_sound_device_drop(p->device, &error);
    pthread_mutex_lock(&p->lock);
    note_failure(p, status, &error);
    p->is_silent = true;
}

static void play_piece(tess_player *p)
{
    int16_t piece[MOST_PIECE];
    tess_error error;
    size_t first = (size_t)(p->n_taken % p->n_ring), n = p->n_piece;
    if (n > p->n_queued - p->n_taken) n = (size_t)(p->n_queued - p->n_taken);
    if (n > p->n_ring - first) n = p->n_ring - first;
    memcpy(piece, p->ring + first, n * sizeof *piece);
    p->n_taken += n;
    p->is_silent = false;
    pthread_mutex_unlock(&p->lock);
    tess_status status = tess_sound_device_write(p->device, piece, n, &error);
    pthread_mutex_lock(&p->lock);
    note_failure(p, status, &error);
}

static void drain_held(tess_player *p)
{
    tess_error error;
    p->must_drain = false;
    pthread_mutex_unlock(&p->lock);
    tess_status status = tess_sound_device_drain(p->device, &error);
    pthread_mutex_lock(&p->lock);
    note_failure(p, status, &error);
    p->is_silent = true;
}

static void *play(void *arg)
{
    tess_player *p = arg;
    pthread_mutex_lock(&p->lock);
    while (!p->is_closing) {
        if (p->failure != TESS_OK)
            pthread_cond_wait(&p->changed, &p->lock);
        else if (p->must_drop)
            drop_held(p);
        else if (p->n_taken < p->n_queued)
            play_piece(p);
        else if (p->must_drain && !p->is_silent)
            drain_held(p);
        else {
            pthread_cond_wait(&p->changed, &p->lock);
            continue;
        }
        pthread_cond_broadcast(&p->changed);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

/* ---- opening and closing ---- */

static tess_status start(tess_player *p, tess_error *err)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    sigset_t saved;
    tess_signals_block(&saved);
    int failed = pthread_create(&p->thread, NULL, play, p);
    pthread_sigmask(SIG_SETMASK, &saved, NULL);
    return failed ? tess_fail_system(err, failed, "thread", -1, "start") : TESS_OK;
}

static void release(tess_player *p)
{
    pthread_cond_destroy(&p->changed);
    pthread_mutex_destroy(&p->lock);
    tess_sound_device_close(p->device);
    free(p);
}

tess_status tess_player_open(int rate_hz, tess_player **out, tess_error *err)
{
    if (rate_hz < TESS_PLAYER_LEAST_RATE_HZ || rate_hz > TESS_PLAYER_MOST_RATE_HZ)
        return tess_refuse_option(err, "rate_hz", "8000 to 192000", "%d", rate_hz);
    size_t n_ring = (size_t)rate_hz * SECONDS;
    tess_player *p = calloc(1, sizeof *p + n_ring * sizeof *p->ring);
    if (!p) return tess_fail(err, TESS_ENOMEM, "no memory to play sound");
    p->n_ring = n_ring;
    p->n_piece = (size_t)rate_hz / PIECE_PER_SECOND;
    p->is_silent = true;
    tess_status status = tess_sound_device_open(rate_hz, &p->device, err);
    if (status != TESS_OK) {
        free(p);
        return status;
    }
    status = start(p, err);
    if (status != TESS_OK)
        release(p);
    else
        *out = p;
    return status;
}

const char *tess_player_get_system(const tess_player *p)
{
    return tess_sound_device_get_name(p->device);
}

void tess_player_stop(tess_player *p)
{
    pthread_mutex_lock(&p->lock);
    p->n_taken = p->n_queued;
    p->must_drop = true;
    p->n_stop++;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
}

void tess_player_close(tess_player *p)
{
    if (!p) return;
    pthread_mutex_lock(&p->lock);
    p->is_closing = true;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
    pthread_join(p->thread, NULL);
    release(p);
}

/* ---- waiting for it ---- */

/* With the lock: waits for a change, but not for long, and asks whether to go on. */
static tess_status wait_a_little(tess_player *p, uint64_t n_stop, const tess_progress *progress,
                                 tess_error *err)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += ASK_MS * 1000000L;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    pthread_cond_timedwait(&p->changed, &p->lock, &until);
    uint64_t n_taken = p->n_taken, n_queued = p->n_queued;
    pthread_mutex_unlock(&p->lock); /* who is told may stop it */
    tess_status status = tess_progress_tell(progress, TESS_ACTIVITY_PLAYING, n_taken, n_queued, err);
    pthread_mutex_lock(&p->lock);
    if (status == TESS_OK && p->n_stop != n_stop)
        status = tess_fail(err, TESS_EINTERRUPTED, "playing was stopped");
    return status;
}

static tess_status check_device(const tess_player *p, tess_error *err)
{
    if (p->failure != TESS_OK && err) *err = p->error;
    return p->failure;
}

/* With the lock: queues what there is room for, up to the ring's end; returns how many. */
static size_t queue_some(tess_player *p, const float *samples, size_t n)
{
    size_t first = (size_t)(p->n_queued % p->n_ring), room = p->n_ring - (size_t)(p->n_queued - p->n_taken);
    if (n > room) n = room;
    if (n > p->n_ring - first) n = p->n_ring - first;
    tess_samples_to_int16(samples, n, p->ring + first);
    p->n_queued += n;
    if (n) pthread_cond_broadcast(&p->changed);
    return n;
}

tess_status tess_player_write(tess_player *p, const float *samples, size_t n, const tess_progress *progress,
                              tess_error *err)
{
    tess_status status = tess_samples_check("player", samples, n, 0, err);
    if (status != TESS_OK) return status;
    pthread_mutex_lock(&p->lock);
    uint64_t n_stop = p->n_stop;
    status = check_device(p, err);
    while (status == TESS_OK && n) {
        size_t done = queue_some(p, samples, n);
        samples += done;
        n -= done;
        if (!done) status = wait_a_little(p, n_stop, progress, err);
        if (status == TESS_OK) status = check_device(p, err);
    }
    pthread_mutex_unlock(&p->lock);
    return status;
}

tess_status tess_player_drain(tess_player *p, const tess_progress *progress, tess_error *err)
{
    pthread_mutex_lock(&p->lock);
    uint64_t n_stop = p->n_stop;
    tess_status status = check_device(p, err);
    p->must_drain = true;
    pthread_cond_broadcast(&p->changed);
    while (status == TESS_OK && (p->n_taken < p->n_queued || !p->is_silent)) {
        status = wait_a_little(p, n_stop, progress, err);
        if (status == TESS_OK) status = check_device(p, err);
    }
    p->must_drain = false;
    pthread_mutex_unlock(&p->lock);
    return status;
}
