/* An event that makes the kernel's queue readable, while events are kept in user space.

   It is the IN_IGNORED of a watch that is added and removed at once.  Watch descriptors
   are not reused (the kernel counts up to 2^31 first), so it is recognised by its own. */

#ifndef INOTIFY_CFFI_MARKER_H
#define INOTIFY_CFFI_MARKER_H

#include <sys/types.h>

/* Queue a marker.  Returns its watch descriptor, which is positive, or -errno: there are
   no more descriptors or watches. */
int marker_queue(int fd);
/* Remove it from the bytes of a read; returns how many remain. */
ssize_t marker_remove(int wd, char *data, ssize_t size);

#endif
