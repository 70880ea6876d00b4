/* A descriptor that may be closed while system calls use it.  The last of these calls
   closes it, so its number does not become another file's during a call. */

#ifndef INOTIFY_CFFI_GUARD_H
#define INOTIFY_CFFI_GUARD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

/* A call returns this, negative, instead of -errno if the guard is closed; no errno is
   as large (MAX_ERRNO is 4095). */
#define GUARD_CLOSED 4096

/* Zeroed memory is a closed guard: it may be dropped before it was opened. */
struct guard {
    int fd;
    int closefd;
    _Atomic unsigned fork_generation; /* the process that `users` belongs to */
    _Atomic uint32_t users;           /* the present calls, and GUARD_OPEN */
    pthread_mutex_t lock;             /* for the owner's reads of `fd` */
};

/* Guard `fd`; a negative one leaves it closed. */
void guard_open(struct guard *guard, int fd, int closefd);
/* Returns 0 if it is closed; otherwise call guard_release() afterwards. */
int guard_acquire(struct guard *guard);
void guard_release(struct guard *guard);
void guard_close(struct guard *guard);

#endif
