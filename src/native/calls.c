#include "calls.h"

#include <sys/ioctl.h>
#include <unistd.h>

int call_init(void) { return (int)call_result(inotify_init()); }

int call_init1(int flags) { return (int)call_result(inotify_init1(flags)); }

int call_add_watch(int fd, const char *pathname, uint32_t mask)
{
    return (int)call_result(inotify_add_watch(fd, pathname, mask));
}

int call_rm_watch(int fd, int wd)
{
    return (int)call_result(inotify_rm_watch(fd, wd));
}

ssize_t call_read(int fd, char *data, size_t size)
{
    return call_result(read(fd, data, size));
}

ssize_t call_queued_bytes(int fd)
{
    int bytes = 0;
    return ioctl(fd, FIONREAD, &bytes) == -1 ? -errno : bytes;
}
