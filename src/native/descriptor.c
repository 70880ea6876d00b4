#include "descriptor.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

int descriptor_open(struct descriptor *descriptor, int fd)
{
    struct stat status;
    descriptor->fd = -1;
    if (fd == -1 || fstat(fd, &status) == -1)
        return -errno;
    descriptor->fd = fd;
    descriptor->mode = status.st_mode;
    descriptor->device = status.st_dev;
    descriptor->inode = status.st_ino;
    return fd;
}

int descriptor_is_intact(const struct descriptor *descriptor)
{
    struct stat status;
    return descriptor->fd != -1 && fstat(descriptor->fd, &status) == 0
        && descriptor->mode == status.st_mode && descriptor->device == status.st_dev
        && descriptor->inode == status.st_ino;
}

void descriptor_close(struct descriptor *descriptor)
{
    if (descriptor_is_intact(descriptor))
        close(descriptor->fd);
    descriptor->fd = -1;
}
