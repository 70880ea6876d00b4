#define _GNU_SOURCE /* ppoll */

#include "wait.h"

#include "calls.h"
#include "fork.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define WAIT_LONGEST 86400000.0 /* milliseconds; then it reads the clock again */

/* Of all instances; under fork_lock. */
static struct wait *wait_list;
static struct instance *wait_spares;

static double wait_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static int wait_join(int epoll, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.fd = fd};
    return (int)call_result(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
}

/* Under fork_lock, as is wait_leave_spare(). */
static int wait_take_spare(struct instance *instance, struct wakeup *wakeup)
{
    if (!instance->has_spare)
        return 0;
    *wakeup = instance->spare;
    instance->has_spare = 0;
    if (instance->previous_spare)
        instance->previous_spare->next_spare = instance->next_spare;
    else
        wait_spares = instance->next_spare;
    if (instance->next_spare)
        instance->next_spare->previous_spare = instance->previous_spare;
    return 1;
}

static int wait_leave_spare(struct instance *instance, const struct wakeup *wakeup)
{
    if (!instance->takes_spare || instance->has_spare)
        return 0;
    instance->spare = *wakeup;
    instance->has_spare = 1;
    instance->previous_spare = NULL;
    instance->next_spare = wait_spares;
    if (wait_spares)
        wait_spares->previous_spare = instance;
    wait_spares = instance;
    return 1;
}

static void wait_drop_spare(struct instance *instance)
{
    struct wakeup spare;
    fork_lock_acquire();
    instance->takes_spare = 0;
    int taken = wait_take_spare(instance, &spare);
    fork_lock_release();
    if (taken)
        wakeup_close(&spare);
}

static int wait_open_wakeup(struct wait *wait, struct instance *instance)
{
    fork_lock_acquire();
    int taken = wait_take_spare(instance, &wait->wakeup);
    fork_lock_release();
    if (taken && wakeup_is_intact(&wait->wakeup))
        return 0;
    if (taken)
        wakeup_close(&wait->wakeup);
    return wakeup_open(&wait->wakeup);
}

static int wait_open_mounts(struct wait *wait, struct instance *instance, int epoll)
{
    if (atomic_load(&instance->mount_table) < 0)
        return 0;
    int fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
    /* Only a limit is an error. Without /proc, the wait is for the queue alone. */
    if (fd == -1 && errno != EMFILE && errno != ENFILE && errno != ENOMEM)
        return 0;
    int result = descriptor_open(&wait->mounts, fd);
    return result < 0 ? result : wait_join(epoll, fd, EPOLLPRI);
}

static int wait_open_epoll(struct wait *wait, struct instance *instance)
{
    int epoll = descriptor_open(&wait->epoll, epoll_create1(EPOLL_CLOEXEC));
    if (epoll < 0)
        return epoll;
    int result = wait_join(epoll, wait->wakeup.readable.fd, EPOLLIN);
    if (result >= 0)
        result = instance_join_epoll(instance, epoll);
    return result < 0 ? result : wait_open_mounts(wait, instance, epoll);
}

static void wait_close_epoll(struct wait *wait)
{
    descriptor_close(&wait->epoll);
    descriptor_close(&wait->mounts);
}

/* Open the descriptors of a wait, and list it for wakes. */
static int wait_enlist(struct wait *wait, struct instance *instance)
{
    int result = wait_open_wakeup(wait, instance);
    wait->epoll.fd = wait->mounts.fd = -1;
    wait->signalled = 0;
    if (result >= 0 && wait->with_epoll)
        result = wait_open_epoll(wait, instance);
    if (result < 0) {
        wait_close_epoll(wait);
        wakeup_close(&wait->wakeup);
        return result;
    }
    fork_lock_acquire();
    wait->instance = instance;
    wait->next = wait_list;
    wait_list = wait;
    wait->listed = 1;
    wait->woken |= instance->wake_kept;
    instance->wake_kept = 0;
    fork_lock_release();
    return 0;
}

int wait_begin(struct wait *wait, struct instance *instance, double milliseconds,
               int with_epoll)
{
    if (wait->instance)
        return 0;
    wait->woken = 0;
    wait->with_epoll = with_epoll;
    wait->deadline = milliseconds >= 0 ? wait_now() + milliseconds : -1;
    return wait_enlist(wait, instance);
}

static void wait_unlist(struct wait *wait)
{
    struct wait **link = &wait_list;
    while (*link != wait)
        link = &(*link)->next;
    *link = wait->next;
    wait->listed = 0;
}

void wait_end(struct wait *wait, int reported)
{
    if (!wait->instance)
        return;
    int left = 0;
    wait_close_epoll(wait);
    fork_lock_acquire();
    if (wait->listed) {
        wait_unlist(wait);
        left = !wait->signalled && wait_leave_spare(wait->instance, &wait->wakeup);
        if (wait->woken && !reported)
            wait->instance->wake_kept = 1; /* it came too late for this wait */
    }
    fork_lock_release();
    wait->instance = NULL;
    if (!left)
        wakeup_close(&wait->wakeup);
}

void wait_drop(struct wait *wait) { wait_end(wait, 0); }

double wait_remaining(const struct wait *wait)
{
    if (wait->deadline < 0)
        return -1;
    double remaining = wait->deadline - wait_now();
    return remaining > 0 ? remaining : 0;
}

int wait_epoll_fd(const struct wait *wait) { return wait->epoll.fd; }

int wait_wakeup_fd(const struct wait *wait) { return wait->wakeup.readable.fd; }

static int wait_is_woken(const struct wait *wait)
{
    fork_lock_acquire();
    int woken = wait->woken;
    fork_lock_release();
    return woken;
}

/* Returns as ppoll(2); milliseconds below 0 are for ever. */
static int wait_ppoll(struct pollfd *files, nfds_t count, double milliseconds)
{
    /* No timer unless one is needed: stopping one costs as much as building an event. */
    if (milliseconds < 0)
        return (int)call_result(ppoll(files, count, NULL, NULL));
    if (milliseconds > WAIT_LONGEST)
        milliseconds = WAIT_LONGEST;
    time_t seconds = (time_t)(milliseconds / 1e3);
    /* Rounded up: a wait that ends early would only sleep again. */
    long nanoseconds = (long)((milliseconds - (double)seconds * 1e3) * 1e6) + 1;
    struct timespec timeout = {seconds, nanoseconds < 999999999 ? nanoseconds : 999999999};
    return (int)call_result(ppoll(files, count, &timeout, NULL));
}

/* After a sleep: drain the pipe, so that a later byte is noticed.  If it is readable
   without a signal, it was closed by its number meanwhile: it is opened again. */
static int wait_drain(struct wait *wait)
{
    int result = 0;
    fork_lock_acquire();
    int woken = wait->woken, signalled = wait->signalled;
    if (signalled)
        wakeup_drain(&wait->wakeup);
    else if (!wakeup_is_intact(&wait->wakeup)) {
        wakeup_close(&wait->wakeup);
        result = wakeup_open(&wait->wakeup);
    }
    wait->signalled = 0;
    fork_lock_release();
    return result < 0 ? result : woken ? WAIT_WOKEN : WAIT_RECHECK;
}

/* The result without sleeping; WAIT_READABLE if there is none yet. */
static int wait_state(struct wait *wait)
{
    if (!wait->instance)
        return -GUARD_CLOSED;
    if (wait_is_woken(wait))
        return WAIT_WOKEN;
    if (!wait->listed) { /* in a forked child, which continues it */
        int result = wait_enlist(wait, wait->instance);
        if (result < 0)
            return result;
        if (wait_is_woken(wait))
            return WAIT_WOKEN;
    }
    return wait_remaining(wait) == 0 ? WAIT_TIMED_OUT : WAIT_READABLE;
}

/* Note what poll(2) has reported of the mount table. */
static void wait_note_mounts(struct instance *instance, const struct pollfd *table)
{
    int fd = table->fd;
    if (table->revents & POLLPRI) {
        atomic_store(&instance->mounts_changed, 1);
        wait_recheck(instance); /* an exception may keep this thread from using it */
    } else if (table->revents)
        /* The program has closed it by its number. Each wait would end at once. */
        atomic_compare_exchange_strong(&instance->mount_table, &fd, -1);
}

void wait_for_mounts(struct instance *instance, int fd)
{
    atomic_store(&instance->mount_table, fd);
}

int wait_mounts_changed(struct instance *instance)
{
    struct pollfd table = {atomic_load(&instance->mount_table), POLLPRI, 0};
    if (table.fd >= 0 && !atomic_load(&instance->mounts_changed) && poll(&table, 1, 0) > 0)
        wait_note_mounts(instance, &table);
    return atomic_load(&instance->mounts_changed);
}

int wait_take_mounts_changed(struct instance *instance)
{
    wait_mounts_changed(instance);
    return atomic_exchange(&instance->mounts_changed, 0);
}

int wait_poll(struct wait *wait)
{
    int state = wait_state(wait);
    if (state != WAIT_READABLE)
        return state;
    struct instance *instance = wait->instance;
    struct guard *guard = &instance->guard;
    if (!guard_acquire(guard))
        return -GUARD_CLOSED;
    struct pollfd files[] = {{guard->fd, POLLIN, 0},
                             {wait->wakeup.readable.fd, POLLIN, 0},
                             {atomic_load(&instance->mount_table), POLLPRI, 0}};
    int result = 1;
    if (!atomic_load(&instance->mounts_changed))
        result = wait_ppoll(files, 3, wait_remaining(wait));
    guard_release(guard);
    if (result > 0 && files[2].revents)
        wait_note_mounts(instance, &files[2]);
    if (result > 0 && files[1].revents)
        return wait_drain(wait);
    if (result > 0)
        return WAIT_READABLE;
    return result < 0 ? result : wait_remaining(wait) == 0 ? WAIT_TIMED_OUT : WAIT_RECHECK;
}

int wait_gather(struct wait *wait, double *milliseconds)
{
    double end = wait_now() + *milliseconds;
    while (*milliseconds > 0) {
        int state = wait_state(wait);
        if (state != WAIT_READABLE && state != WAIT_TIMED_OUT)
            return state;
        struct guard *guard = &wait->instance->guard;
        if (!guard_acquire(guard))
            return -GUARD_CLOSED;
        struct pollfd file = {wait->wakeup.readable.fd, POLLIN, 0};
        int result = wait_ppoll(&file, 1, *milliseconds);
        guard_release(guard);
        *milliseconds = end - wait_now();
        if (result < 0)
            return result;
        if (result > 0 && wait_drain(wait) == WAIT_WOKEN)
            return WAIT_WOKEN;
    }
    return WAIT_TIMED_OUT;
}

int wait_check(struct wait *wait)
{
    int state = wait_state(wait);
    if (state != WAIT_READABLE)
        return state;
    if (!guard_acquire(&wait->instance->guard))
        return -GUARD_CLOSED;
    guard_release(&wait->instance->guard);
    return wait_drain(wait);
}

/* Under fork_lock. */
static void wait_signal(struct wait *wait)
{
    if (!wait->signalled)
        wakeup_signal(&wait->wakeup);
    wait->signalled = 1;
}

void wait_wake(struct instance *instance)
{
    int found = 0;
    fork_lock_acquire();
    for (struct wait *wait = wait_list; wait; wait = wait->next) {
        if (wait->instance != instance)
            continue;
        found = wait->woken = 1;
        wait_signal(wait);
    }
    if (!found)
        instance->wake_kept = 1;
    fork_lock_release();
}

void wait_close_instance(struct instance *instance)
{
    instance_close(instance);
    wait_recheck(instance); /* guard_acquire() fails from here on */
    wait_drop_spare(instance);
}

void wait_drop_instance(struct instance *instance)
{
    instance_close(instance);
    wait_drop_spare(instance);
    fork_lock_acquire();
    for (struct wait **link = &wait_list, *wait; (wait = *link);) {
        if (wait->instance != instance) {
            link = &wait->next;
            continue;
        }
        *link = wait->next;
        wait->listed = 0;
        wait->instance = NULL;
        wait_close_epoll(wait);
        wakeup_close(&wait->wakeup);
    }
    fork_lock_release();
}

void wait_recheck(struct instance *instance)
{
    fork_lock_acquire();
    for (struct wait *wait = wait_list; wait; wait = wait->next)
        if (wait->instance == instance)
            wait_signal(wait);
    fork_lock_release();
}

int wait_count(struct instance *instance)
{
    int count = 0;
    fork_lock_acquire();
    for (struct wait *wait = wait_list; wait; wait = wait->next)
        count += wait->instance == instance;
    fork_lock_release();
    return count;
}

void wait_lose_all(void)
{
    for (struct wait *wait = wait_list; wait; wait = wait->next) {
        wait->listed = 0;
        wait_close_epoll(wait);
        wakeup_close(&wait->wakeup);
    }
    wait_list = NULL;
    for (struct instance *instance = wait_spares; instance;
         instance = instance->next_spare) {
        instance->has_spare = 0;
        wakeup_close(&instance->spare);
    }
    wait_spares = NULL;
}
