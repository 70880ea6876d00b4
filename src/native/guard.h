/* A descriptor that may be closed while system calls use it: the last call that
   leaves closes it, so its number is not another file's while a call is inside. */

#ifndef INOTIFY_CFFI_GUARD_H
#define INOTIFY_CFFI_GUARD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

/* What a call returns instead of -errno when the guard is closed; no errno is as
   large (MAX_ERRNO is 4095). */
#define GUARD_CLOSED 4096

/* Zeroed memory is a closed guard: it may be dropped before it was opened. */
struct guard {
    int fd;
    int closefd;
    _Atomic unsigned fork_generation; /* the process that `users` is of */
    _Atomic uint32_t users;           /* calls inside, and GUARD_OPEN */
    pthread_mutex_t lock;             /* for what the owner does with `fd` */
};

/* Guard `fd`; a negative one leaves it closed. */
void guard_open(struct guard *guard, int fd, int closefd);
/* Returns 0 when it is closed; else guard_release() has to follow. */
int guard_acquire(struct guard *guard);
void guard_release(struct guard *guard);
void guard_close(struct guard *guard);

#endif
