/* Waiting for an instance, and ending a wait from another thread, a task or a signal
   handler.

   Each wait has a pipe of its own, so no wait can take the byte of another.  One pipe is
   kept for the next wait, until the instance is closed: closing it would cost a quarter
   of the time in which a wait ends (2 of 8 us).  A wait of an event loop also has an
   epoll, which joins the instance and the pipe: one descriptor to register with the loop.
   That is closed when the wait ends.

   Waits affect each other only under fork_lock.  Handlers written in Python do not run
   inside a C function, so no handler can find it held by its own thread. */

#ifndef INOTIFY_CFFI_WAIT_H
#define INOTIFY_CFFI_WAIT_H

#include "descriptor.h"
#include "instance.h"
#include "wakeup.h"

/* Results of a wait; or -errno, or -GUARD_CLOSED. */
#define WAIT_TIMED_OUT 0
#define WAIT_READABLE 1
#define WAIT_WOKEN 2
#define WAIT_RECHECK 3 /* events were kept for the next read */

/* Zeroed memory is a wait that did not begin. */
struct wait {
    struct instance *instance; /* NULL before the begin and after the end */
    struct wait *next;
    int listed;
    int woken;
    int signalled; /* a byte is in `wakeup` */
    int with_epoll;
    double deadline; /* milliseconds of CLOCK_MONOTONIC; negative: never */
    struct wakeup wakeup;
    struct descriptor epoll;
    struct descriptor mounts; /* in the epoll: /proc/self/mountinfo */
};

/* Begin to wait, at most for `milliseconds`; a negative number is for ever.  If a wake
   was kept, the wait is woken already.  Returns 0, or -errno. */
int wait_begin(struct wait *wait, struct instance *instance, double milliseconds,
               int with_epoll);
/* End a wait.  `reported`: the waiting code knows that it was woken; if not, a wake that
   came is kept for the next wait.  Ending it twice does nothing. */
void wait_end(struct wait *wait, int reported);
/* End a wait whose memory is freed. */
void wait_drop(struct wait *wait);

/* Sleep until the wait has a result.  -EINTR: run the handlers of signals, and call it
   again (PEP 475). */
int wait_poll(struct wait *wait);
/* Sleep for `milliseconds`, even if events are queued, or until the wait is woken.
   Subtracts the elapsed time from them, for another call after -EINTR. */
int wait_gather(struct wait *wait, double *milliseconds);
/* The present result, for an event loop, which sleeps itself.  The caller checks for
   WAIT_READABLE. */
int wait_check(struct wait *wait);
/* Milliseconds; negative: for ever. */
double wait_remaining(const struct wait *wait);
/* For an event loop: readable at an event, or if wait_check() has another result. */
int wait_epoll_fd(const struct wait *wait);
/* For an event loop: readable if wait_check() has another result. */
int wait_wakeup_fd(const struct wait *wait);

/* Let a change of the mount table end the waits, as an event does: it is not in the
   queue.  `fd` is open on /proc/self/mountinfo; with -1, end no more waits for it, so
   that the caller may close it.

   poll(2) reports a change once for each open file, whoever asks (mounts_poll() in
   fs/proc_namespace.c).  So who sees the change in `fd` notes it in the instance at
   once; and each epoll has a file of its own, since a loop that polls the epoll would
   take the report and tell nobody. */
void wait_for_mounts(struct instance *instance, int fd);
/* Whether the mount table has changed since wait_take_mounts_changed(). */
int wait_mounts_changed(struct instance *instance);
/* The same, and forget it. */
int wait_take_mounts_changed(struct instance *instance);

/* End all waits for the instance; if there is none, keep the wake for the next. */
void wait_wake(struct instance *instance);
/* Make all waits for the instance check whether there are kept events. */
void wait_recheck(struct instance *instance);
/* Close the instance: the result of all its waits is -GUARD_CLOSED. */
void wait_close_instance(struct instance *instance);
/* Close the instance before its memory is freed: no code waits any more. */
void wait_drop_instance(struct instance *instance);
/* The number of waits. */
int wait_count(struct instance *instance);
/* In a forked child: forget all waits of the parent, and close their descriptors and
   those that were kept for the next wait.  The wait of the thread that forked begins
   again at its next call. */
void wait_lose_all(void);

#endif
