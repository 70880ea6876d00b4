#include "marker.h"

#include "calls.h"
#include "wakeup.h"

#include <stdio.h>
#include <string.h>

int marker_queue(int fd)
{
    char path[64];
    /* A watch of the user's would be replaced and removed: so this watches what only this
       function knows. */
    struct wakeup pipe;
    int wd = wakeup_open(&pipe);
    if (wd >= 0) {
        snprintf(path, sizeof path, "/proc/self/fd/%d", pipe.readable.fd);
        wd = call_add_watch(fd, path, IN_DELETE_SELF);
    }
    if (wd > 0)
        call_rm_watch(fd, wd);
    wakeup_close(&pipe);
    return wd;
}

ssize_t marker_remove(int wd, char *data, ssize_t size)
{
    ssize_t end = 0;
    while (end < size) {
        struct inotify_event event;
        memcpy(&event, data + end, sizeof event);
        ssize_t next = end + (ssize_t)sizeof event + (ssize_t)event.len;
        if (event.wd == wd) {
            memmove(data + end, data + next, (size_t)(size - next));
            return size - (next - end);
        }
        end = next;
    }
    return size;
}
