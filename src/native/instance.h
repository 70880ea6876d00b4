/* An inotify instance that may be closed while it is used.  Every call holds the
   descriptor open until it returns, and returns -errno, or -GUARD_CLOSED. */

#ifndef INOTIFY_CFFI_INSTANCE_H
#define INOTIFY_CFFI_INSTANCE_H

#include "guard.h"
#include "wakeup.h"

#include <sys/types.h>

/* The size of the buffer hardly matters to the kernel (190 ns an event with 4 KiB,
   192 with 16, 185 with 256).  PyPy sets 64 KiB: fewer turns of its loop in Python
   save 5 % of a drain. */
#ifndef INSTANCE_READ_SIZE
#define INSTANCE_READ_SIZE 16384
#endif
/* read(2) stops only when the queue is empty or the next event does not fit, and
   no event is longer than 16 + 256 bytes: a shorter read emptied the queue. */
#define INSTANCE_SURELY_EMPTIED (INSTANCE_READ_SIZE - 272)

struct instance {
    struct guard guard;
    _Atomic int blocking; /* read(2) would wait: poll first */
    /* See wait_for_mounts(). */
    _Atomic int mount_table; /* a descriptor of /proc/self/mountinfo, or -1 */
    _Atomic int mounts_changed;
    /* The watch descriptor of the queued marker, or 0; changed under guard.lock. */
    _Atomic int marker;
    /* Under fork_lock: */
    int wake_kept;   /* a wake that found no wait */
    int has_spare;   /* `spare` is left from the last wait, for the next */
    int takes_spare; /* the instance is open, so a wait may leave its pipe */
    struct wakeup spare;
    struct instance *next_spare, *previous_spare;
};

struct queued {
    ssize_t size;      /* the bytes of one read; -errno if it failed */
    ssize_t remaining; /* the bytes that were queued and still are */
    char data[INSTANCE_READ_SIZE];
};

/* The descriptor, or -errno. */
int instance_open(struct instance *instance, int flags, int closefd);
void instance_close(struct instance *instance);
int instance_add_watch(struct instance *instance, const char *path, uint32_t mask);
int instance_rm_watch(struct instance *instance, int wd);
/* Take the queued events, as far as they fit; none if none is queued.  Never waits.
   `more`: a read that did not empty the queue came just before. */
void instance_read(struct instance *instance, struct queued *queued, int more);
/* Take only the first event; the others stay in the queue. */
void instance_read_one(struct instance *instance, struct queued *queued);
ssize_t instance_queued_bytes(struct instance *instance);
/* Events are kept in user space: make the descriptor readable, if it is not.  The reads
   of this process remove the marker. */
void instance_mark(struct instance *instance);
/* Whether a marker may be queued. */
int instance_is_marked(struct instance *instance);
int instance_join_epoll(struct instance *instance, int epoll);
int instance_never_block(struct instance *instance);

#endif
