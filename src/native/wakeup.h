/* A pipe that ends a sleep.  An eventfd would need one descriptor less.  But a pipe has
   an inode of its own, so it can be distinguished from another file that has its number
   now (see descriptor.h). */

#ifndef INOTIFY_CFFI_WAKEUP_H
#define INOTIFY_CFFI_WAKEUP_H

#include "descriptor.h"

struct wakeup {
    struct descriptor readable;
    struct descriptor writable;
};

/* 0, or -errno. */
int wakeup_open(struct wakeup *wakeup);
int wakeup_is_intact(const struct wakeup *wakeup);
void wakeup_signal(const struct wakeup *wakeup);
void wakeup_drain(const struct wakeup *wakeup);
void wakeup_close(struct wakeup *wakeup);

#endif
