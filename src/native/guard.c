#include "guard.h"

#include "fork.h"

#include <unistd.h>

#define GUARD_OPEN 0x80000000u

void guard_open(struct guard *guard, int fd, int closefd)
{
    guard->fd = fd;
    guard->closefd = closefd;
    pthread_mutex_init(&guard->lock, NULL);
    atomic_store(&guard->fork_generation, fork_generation);
    atomic_store(&guard->users, fd < 0 ? 0 : GUARD_OPEN);
}

/* A forked child inherits the count, and perhaps the locked lock, of threads that it
   does not have.  In POSIX, only initialising the lock again unlocks it. */
static void guard_forget_other_threads(struct guard *guard)
{
    fork_lock_acquire();
    if (atomic_load(&guard->fork_generation) != fork_generation) {
        uint32_t users = atomic_load(&guard->users);
        if (users && !(users & GUARD_OPEN) && guard->closefd)
            close(guard->fd); /* the thread that would have closed it is missing */
        atomic_store(&guard->users, users & GUARD_OPEN);
        pthread_mutex_init(&guard->lock, NULL);
        atomic_store(&guard->fork_generation, fork_generation);
    }
    fork_lock_release();
}

int guard_acquire(struct guard *guard)
{
    if (atomic_load(&guard->fork_generation) != fork_generation)
        guard_forget_other_threads(guard);
    uint32_t users = atomic_load_explicit(&guard->users, memory_order_relaxed);
    do {
        if (!(users & GUARD_OPEN))
            return 0;
    } while (!atomic_compare_exchange_weak_explicit(&guard->users, &users, users + 1,
                                                    memory_order_acquire,
                                                    memory_order_relaxed));
    return 1;
}

void guard_release(struct guard *guard)
{
    if (atomic_fetch_sub(&guard->users, 1) == 1 && guard->closefd)
        close(guard->fd);
}

void guard_close(struct guard *guard)
{
    if (guard_acquire(guard)) {
        atomic_fetch_and(&guard->users, ~GUARD_OPEN);
        guard_release(guard);
    }
}
