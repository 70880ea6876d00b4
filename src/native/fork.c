#include "fork.h"

#include "wait.h"

#include <pthread.h>

unsigned fork_generation;
static pthread_mutex_t fork_lock = PTHREAD_MUTEX_INITIALIZER;

void fork_lock_acquire(void) { pthread_mutex_lock(&fork_lock); }

void fork_lock_release(void) { pthread_mutex_unlock(&fork_lock); }

/* Runs before fork(2) returns, so before any code of the user.  A daemon cannot close
   the descriptors any more that this closes, and the child ends no wait of its parent. */
static void fork_in_child(void)
{
    fork_generation++;
    wait_lose_all();
    fork_lock_release();
}

__attribute__((constructor)) static void fork_register(void)
{
    pthread_atfork(fork_lock_acquire, fork_lock_release, fork_in_child);
}
