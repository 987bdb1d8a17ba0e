/* Threads that leave signals to others. */
#ifndef TESS_BASE_SIGNALS_H
#define TESS_BASE_SIGNALS_H

#include <pthread.h>
#include <signal.h>
#include <stddef.h>

/* Signals are for the threads of whoever uses the library: one that is started from here on inherits a mask
 * that blocks them, but for those that its own faults raise. *saved is to be set again. */
static inline void tess_signals_block(sigset_t *saved)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS};
    sigset_t blocked;
    sigfillset(&blocked);
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) sigdelset(&blocked, faults[i]);
    pthread_sigmask(SIG_SETMASK, &blocked, saved);
}

#endif
