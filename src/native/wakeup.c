#define _GNU_SOURCE /* pipe2 */

#include "wakeup.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int wakeup_open(struct wakeup *wakeup)
{
    int ends[2];
    wakeup->readable.fd = wakeup->writable.fd = -1;
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) == -1)
        return -errno;
    int first = descriptor_open(&wakeup->readable, ends[0]);
    int second = descriptor_open(&wakeup->writable, ends[1]);
    return first < 0 ? first : second < 0 ? second : 0;
}

int wakeup_is_intact(const struct wakeup *wakeup)
{
    return descriptor_is_intact(&wakeup->readable)
        && descriptor_is_intact(&wakeup->writable);
}

void wakeup_signal(const struct wakeup *wakeup)
{
    /* A failure is EAGAIN: it is readable, and full. */
    if (descriptor_is_intact(&wakeup->writable)
        && write(wakeup->writable.fd, "", 1) == -1)
        return;
}

void wakeup_drain(const struct wakeup *wakeup)
{
    char signals[64];
    while (descriptor_is_intact(&wakeup->readable)
           && read(wakeup->readable.fd, signals, sizeof signals) == sizeof signals) {
    }
}

void wakeup_close(struct wakeup *wakeup)
{
    descriptor_close(&wakeup->writable);
    descriptor_close(&wakeup->readable);
}
