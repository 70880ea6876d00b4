/* A descriptor that is not known outside of this extension.  A program that closes
   all descriptors by number, as a daemon does, closes it too; then its number may
   become another file's.  So it is compared before it is used. */

#ifndef INOTIFY_CFFI_DESCRIPTOR_H
#define INOTIFY_CFFI_DESCRIPTOR_H

#include <sys/types.h>

struct descriptor {
    int fd; /* or -1 */
    mode_t mode;
    dev_t device;
    ino_t inode;
};

/* Own `fd`; -1 is the failure of the call that opened it.  Returns it, or -errno. */
int descriptor_open(struct descriptor *descriptor, int fd);
/* Whether the number is still the opened file, as far as fstat(2) shows it: all of
   the kernel's eventfds and epolls share one inode. */
int descriptor_is_intact(const struct descriptor *descriptor);
void descriptor_close(struct descriptor *descriptor);

#endif
