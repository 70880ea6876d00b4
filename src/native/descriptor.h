/* A descriptor that nobody outside of this extension knows of.  Who closes all
   descriptors by number, as a daemon does, closes it too, and its number may be
   another file's from then on: so it is compared before it is used. */

#ifndef INOTIFY_CFFI_DESCRIPTOR_H
#define INOTIFY_CFFI_DESCRIPTOR_H

#include <sys/types.h>

struct descriptor {
    int fd; /* or -1 */
    mode_t mode;
    dev_t device;
    ino_t inode;
};

/* Own `fd`, or nothing where it is -1.  Returns it, or -errno of what opened it. */
int descriptor_open(struct descriptor *descriptor, int fd);
/* Whether the number is still what was opened, as far as fstat(2) tells: the
   kernel's eventfds and epolls have one inode among them. */
int descriptor_is_intact(const struct descriptor *descriptor);
void descriptor_close(struct descriptor *descriptor);

#endif
