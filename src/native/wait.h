/* Waiting for an instance, and ending that from elsewhere: from another thread, from
   a task, from the handler of a signal.

   Each wait has a pipe of its own, so none can take what was meant for another.  One
   is left to the next wait, until the instance is closed: to close it would cost a
   quarter of the time in which a wait ends (2 of 8 us).  A wait of an event loop has
   an epoll as well, which joins the instance and the pipe: one descriptor to register
   with the loop.  That one is closed when the wait ends.

   What waits do to each other is done under fork_lock.  Handlers written in Python
   do not run inside of a C function, so none can find it held by its own thread. */

#ifndef INOTIFY_CFFI_WAIT_H
#define INOTIFY_CFFI_WAIT_H

#include "descriptor.h"
#include "instance.h"
#include "wakeup.h"

/* What a wait came to; or -errno, or -GUARD_CLOSED. */
#define WAIT_TIMED_OUT 0
#define WAIT_READABLE 1
#define WAIT_WOKEN 2
#define WAIT_RECHECK 3 /* something was kept for who reads next */

/* Zeroed memory is a wait that did not begin. */
struct wait {
    struct instance *instance; /* NULL before the begin and after the end */
    struct wait *next;
    int listed;
    int woken;
    int signalled; /* there is something in `wakeup` */
    int with_epoll;
    double deadline; /* milliseconds of CLOCK_MONOTONIC; negative: never */
    struct wakeup wakeup;
    struct descriptor epoll;
};

/* Begin to wait, for so many milliseconds at most; a negative number is for ever.  It
   is woken already where a wake was kept for it.  Returns 0, or -errno. */
int wait_begin(struct wait *wait, struct instance *instance, double milliseconds,
               int with_epoll);
/* End a wait.  `reported`: whoever waited has learnt that it was woken; if not, a
   wake that came is kept for the next wait.  Ending it twice does nothing. */
void wait_end(struct wait *wait, int reported);
/* End a wait that was dropped. */
void wait_drop(struct wait *wait);

/* Sleep until there is something to do.  -EINTR: run the handlers of signals, and
   call it again (PEP 475). */
int wait_poll(struct wait *wait);
/* Sleep for so many milliseconds, whatever the instance has, or until it is woken.
   Subtracts from them the time that went by, as -EINTR needs it. */
int wait_gather(struct wait *wait, double *milliseconds);
/* What it has come to by now, but for WAIT_READABLE, which the caller looks for: for
   an event loop, which does the sleeping. */
int wait_check(struct wait *wait);
/* Milliseconds; negative: for ever. */
double wait_remaining(const struct wait *wait);
/* For an event loop: readable when there is an event, or wait_check() has news. */
int wait_epoll_fd(const struct wait *wait);
/* For an event loop: readable when wait_check() has news. */
int wait_wakeup_fd(const struct wait *wait);

/* End all waits for the instance; where there is none, keep that for the next. */
void wait_wake(struct instance *instance);
/* Let all waits for the instance see whether there is something for them. */
void wait_recheck(struct instance *instance);
/* Close the instance: all waits for it come to -GUARD_CLOSED. */
void wait_close_instance(struct instance *instance);
/* Close the instance, whose memory goes: only waits that were dropped are left. */
void wait_drop_instance(struct instance *instance);
/* How many waits there are. */
int wait_count(struct instance *instance);
/* In a forked child: no wait of the parent is one of the child; it closes their
   descriptors, and those that were left to the next wait.  The wait of the thread that forked begins again at its next call. */
void wait_lose_all(void);

#endif
