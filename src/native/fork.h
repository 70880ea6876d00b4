/* What a forked child has to know: how often it was forked off, and one lock that
   no other thread holds in it. */

#ifndef INOTIFY_CFFI_FORK_H
#define INOTIFY_CFFI_FORK_H

/* How often this process was forked off, and those before it.  It changes only in
   a child that has one thread, so it is read without a lock. */
extern unsigned fork_generation;

/* Held during fork(2) by the thread that forks, so never by one that is missing in
   the child.  Hold it for a moment only, and call nothing that may fork. */
void fork_lock_acquire(void);
void fork_lock_release(void);

#endif
