/* inotify(7)'s system calls over a bare descriptor.  Each returns -errno and
   leaves errno alone: a signal handler could change that before Python reads it. */

#ifndef INOTIFY_CFFI_CALLS_H
#define INOTIFY_CFFI_CALLS_H

#include <errno.h>
#include <stdint.h>
#include <sys/inotify.h>
#include <sys/types.h>

#ifndef IN_MASK_CREATE /* Linux 4.18; not in the headers of glibc before 2.29 */
#define IN_MASK_CREATE 0x10000000
#endif

static inline ssize_t call_result(ssize_t result)
{
    return result == -1 ? -errno : result;
}

int call_init(void);
int call_init1(int flags);
int call_add_watch(int fd, const char *pathname, uint32_t mask);
int call_rm_watch(int fd, int wd);
ssize_t call_read(int fd, char *data, size_t size);
/* How many bytes are queued. */
ssize_t call_queued_bytes(int fd);

#endif
