#define _GNU_SOURCE /* dup3 */

#include "wakeup.h"

#include "calls.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

static int wakeup_eventfd(void)
{
    return (int)call_result(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
}

int wakeup_open(struct wakeup *wakeup)
{
    int fd = wakeup_eventfd();
    guard_open(&wakeup->guard, fd, 1);
    return fd;
}

int wakeup_renew(struct wakeup *wakeup)
{
    if (!guard_acquire(&wakeup->guard))
        return 0;
    int fd = wakeup_eventfd();
    int result = fd;
    if (fd >= 0) {
        result = (int)call_result(dup3(fd, wakeup->guard.fd, O_CLOEXEC));
        close(fd);
    }
    guard_release(&wakeup->guard);
    return result;
}

void wakeup_close(struct wakeup *wakeup) { guard_close(&wakeup->guard); }

void wakeup_signal(struct wakeup *wakeup)
{
    if (guard_acquire(&wakeup->guard)) {
        (void)eventfd_write(wakeup->guard.fd, 1); /* EAGAIN: it is readable already */
        guard_release(&wakeup->guard);
    }
}

void wakeup_drain(struct wakeup *wakeup)
{
    eventfd_t signals;
    if (guard_acquire(&wakeup->guard)) {
        (void)eventfd_read(wakeup->guard.fd, &signals);
        guard_release(&wakeup->guard);
    }
}
