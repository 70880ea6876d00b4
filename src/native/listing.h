/* The names in a directory but "." and "..", one after another. */

#ifndef INOTIFY_CFFI_LISTING_H
#define INOTIFY_CFFI_LISTING_H

#include <dirent.h>

/* Zeroed memory is a closed one: what was opened is in it, wherever a signal
   handler raises, and can be closed. */
struct listing {
    DIR *directory;
    int failure; /* errno of opening it */
    char *name;  /* until the next is asked for */
    int is_directory;
};

void listing_open(struct listing *listing, const char *path);
/* 1, or 0 after the last, or -errno, that of opening included. */
int listing_next(struct listing *listing, int directories_only);
void listing_close(struct listing *listing);

#endif
