/* For forked children: how many forks led to this process, and one lock that no
   missing thread holds in a child. */

#ifndef INOTIFY_CFFI_FORK_H
#define INOTIFY_CFFI_FORK_H

/* The number of forks between the first process and this one.  It changes only in a
   child that has one thread, so it is read without a lock. */
extern unsigned fork_generation;

/* The thread that forks holds it during fork(2), so in the child no missing thread
   holds it.  Hold it for a moment only, and call nothing that may fork. */
void fork_lock_acquire(void);
void fork_lock_release(void);

#endif
