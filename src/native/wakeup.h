/* An eventfd that ends a wait. */

#ifndef INOTIFY_CFFI_WAKEUP_H
#define INOTIFY_CFFI_WAKEUP_H

#include "guard.h"

struct wakeup {
    struct guard guard;
};

/* The descriptor, or -errno. */
int wakeup_open(struct wakeup *wakeup);
/* In a forked child: give the number, which a wait goes on with, to an eventfd
   that is not the parent's as well.  Returns -errno, or 0 or more. */
int wakeup_renew(struct wakeup *wakeup);
void wakeup_close(struct wakeup *wakeup);
void wakeup_signal(struct wakeup *wakeup);
void wakeup_drain(struct wakeup *wakeup);

#endif
