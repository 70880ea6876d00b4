#include "instance.h"

#include "calls.h"
#include "marker.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

int instance_open(struct instance *instance, int flags, int closefd)
{
    int fd = call_init1(flags);
    guard_open(&instance->guard, fd, closefd);
    atomic_store(&instance->blocking, !(flags & IN_NONBLOCK));
    atomic_store(&instance->mount_table, -1);
    atomic_store(&instance->mounts_changed, 0);
    atomic_store(&instance->marker, 0);
    instance->wake_kept = 0;
    instance->takes_spare = fd >= 0;
    return fd;
}

void instance_close(struct instance *instance) { guard_close(&instance->guard); }

int instance_add_watch(struct instance *instance, const char *path, uint32_t mask)
{
    if (!guard_acquire(&instance->guard))
        return -GUARD_CLOSED;
    int wd = call_add_watch(instance->guard.fd, path, mask);
    guard_release(&instance->guard);
    return wd;
}

int instance_rm_watch(struct instance *instance, int wd)
{
    if (!guard_acquire(&instance->guard))
        return -GUARD_CLOSED;
    int result = call_rm_watch(instance->guard.fd, wd);
    guard_release(&instance->guard);
    return result;
}

/* FIONREAD costs less than poll(2) if the queue is short, but walks all of it
   (81 us for 16,000 events).  So the first read of a drain calls it, and gets the
   remaining bytes as well; the others call poll. */
static ssize_t instance_ready(int fd, int more)
{
    if (!more)
        return call_queued_bytes(fd);
    struct pollfd ready = {fd, POLLIN, 0};
    return call_result(poll(&ready, 1, 0));
}

int instance_is_marked(struct instance *instance)
{
    return atomic_load_explicit(&instance->marker, memory_order_relaxed) != 0;
}

/* Remove the marker from what was read; under guard.lock. */
static void instance_remove_marker(struct instance *instance, struct queued *queued,
                                   int emptied)
{
    if (queued->size < 0 && queued->size != -EAGAIN)
        return;
    ssize_t size = marker_remove(instance->marker, queued->data, queued->size);
    /* An overflow, or a reader in another process, may have taken it. */
    if (size < queued->size || emptied)
        atomic_store(&instance->marker, 0);
    queued->size = size;
}

void instance_mark(struct instance *instance)
{
    if (!guard_acquire(&instance->guard))
        return;
    pthread_mutex_lock(&instance->guard.lock);
    int fd = instance->guard.fd;
    if (!instance_is_marked(instance) || call_queued_bytes(fd) == 0) {
        int wd = marker_queue(fd);
        atomic_store(&instance->marker, wd > 0 ? wd : 0);
    }
    pthread_mutex_unlock(&instance->guard.lock);
    guard_release(&instance->guard);
}

/* The results go into memory, not to the caller: on PyPy a signal handler may
   raise before a result is stored, and the data is still found. */
void instance_read(struct instance *instance, struct queued *queued, int more)
{
    ssize_t ready = 0;
    queued->remaining = 0;
    if (!guard_acquire(&instance->guard)) {
        queued->size = -GUARD_CLOSED;
        return;
    }
    /* Otherwise another thread could take the event between the call and the read,
       and this thread would wait for the next one. */
    pthread_mutex_lock(&instance->guard.lock);
    int blocking = atomic_load_explicit(&instance->blocking, memory_order_relaxed);
    if (blocking)
        ready = queued->size = instance_ready(instance->guard.fd, more);
    if (ready > 0 || !blocking)
        queued->size = call_read(instance->guard.fd, queued->data, INSTANCE_READ_SIZE);
    ssize_t size = queued->size;
    if (instance_is_marked(instance))
        instance_remove_marker(instance, queued, size <= INSTANCE_SURELY_EMPTIED);
    pthread_mutex_unlock(&instance->guard.lock);
    if (queued->size == -EAGAIN || queued->size == -EINTR)
        queued->size = 0;
    if (size > INSTANCE_SURELY_EMPTIED) {
        if (more)
            queued->remaining = 1; /* perhaps 0: another read will show it */
        else if (ready > 0)
            /* Negative if more came between the call and the read. */
            queued->remaining = ready > size ? ready - size : 0;
        else
            queued->remaining = call_queued_bytes(instance->guard.fd);
    }
    guard_release(&instance->guard);
}

void instance_read_one(struct instance *instance, struct queued *queued)
{
    ssize_t ready = 1;
    queued->remaining = 0;
    if (!guard_acquire(&instance->guard)) {
        queued->size = -GUARD_CLOSED;
        return;
    }
    pthread_mutex_lock(&instance->guard.lock);
    if (atomic_load_explicit(&instance->blocking, memory_order_relaxed))
        ready = instance_ready(instance->guard.fd, 1);
    queued->size = ready < 0 ? ready : 0;
    /* If the first event does not fit, read(2) fails with EINVAL and takes nothing.  The
       smallest size that fits has no room for a second event.  The kernel pads names, so
       sizes are multiples of the size of an event without a name. */
    size_t step = sizeof(struct inotify_event);
    for (size_t size = step; ready > 0 && size <= step + 256; size += step) {
        queued->size = call_read(instance->guard.fd, queued->data, size);
        if (queued->size != -EINVAL)
            break;
    }
    if (instance_is_marked(instance))
        instance_remove_marker(instance, queued, 0);
    pthread_mutex_unlock(&instance->guard.lock);
    if (queued->size == -EAGAIN || queued->size == -EINTR)
        queued->size = 0;
    guard_release(&instance->guard);
}

ssize_t instance_queued_bytes(struct instance *instance)
{
    if (!guard_acquire(&instance->guard))
        return -GUARD_CLOSED;
    ssize_t bytes = call_queued_bytes(instance->guard.fd);
    guard_release(&instance->guard);
    return bytes;
}

int instance_join_epoll(struct instance *instance, int epoll)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = instance->guard.fd};
    if (!guard_acquire(&instance->guard))
        return -GUARD_CLOSED;
    int result = epoll_ctl(epoll, EPOLL_CTL_ADD, instance->guard.fd, &event);
    result = (int)call_result(result);
    guard_release(&instance->guard);
    return result;
}

int instance_never_block(struct instance *instance)
{
    if (!atomic_load_explicit(&instance->blocking, memory_order_relaxed))
        return 0;
    if (!guard_acquire(&instance->guard))
        return -GUARD_CLOSED;
    int flags = fcntl(instance->guard.fd, F_GETFL);
    if (flags != -1)
        flags = fcntl(instance->guard.fd, F_SETFL, flags | O_NONBLOCK);
    int result = (int)call_result(flags);
    if (result == 0)
        atomic_store(&instance->blocking, 0);
    guard_release(&instance->guard);
    return result;
}
