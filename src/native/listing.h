/* The names in a directory, one after another, without "." and "..". */

#ifndef INOTIFY_CFFI_LISTING_H
#define INOTIFY_CFFI_LISTING_H

#include <dirent.h>

/* Zeroed memory is a closed listing.  The open directory is always in it, so it can be
   closed wherever a signal handler raises. */
struct listing {
    DIR *directory;
    int failure; /* errno of opening it */
    char *name;  /* valid until the next call */
    int is_directory;
};

void listing_open(struct listing *listing, const char *path);
/* 1, or 0 after the last, or -errno, also of opening. */
int listing_next(struct listing *listing, int directories_only);
void listing_close(struct listing *listing);

#endif
