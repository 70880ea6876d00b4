/* Scanning: directories are watched and then listed, many in one call. */

#ifndef INOTIFY_CFFI_SCAN_H
#define INOTIFY_CFFI_SCAN_H

#include "instance.h"

#include <stddef.h>
#include <stdint.h>

/* Flags of scan_run. */
#define SCAN_ONLY_DIRECTORIES 1 /* leave out the names of everything else */
#define SCAN_DESCEND 2          /* scan the directories that are found, too */
#define SCAN_FOLLOW 4           /* a given path may end in a symbolic link */

/* What a result is beside 0, watched and listed, and an errno. */
#define SCAN_NOT_REACHED (-1) /* a directory that was not scanned */
#define SCAN_NO_DIRECTORY (-2)

/* Zeroed memory is an empty one.  Entries are the given directories, and then what
   was found in them and, when it descends, below.  What was found in one directory
   is a group: entries that follow each other.  Directories without any have none. */
struct scan {
    size_t given;
    size_t count;       /* of all entries */
    int32_t *wds;       /* the watch of each; 0 where it has none */
    int32_t *results;   /* 0, an errno, GUARD_CLOSED, or one of those above */
    size_t groups;      /* how many there are; the first begins at `given` */
    int32_t *group_of;  /* the directory of each group, as the index of an entry */
    int32_t *group_end; /* where each group ends */
    char *names;        /* without those of the given ones; a '/' ends each */
    size_t names_size;
    /* For scan.c alone: */
    int32_t *parents;   /* the directory of each entry; -1 for the given ones */
    size_t *starts;     /* where each name starts */
    int32_t *unscanned; /* what is still to be scanned, the next one last */
    size_t unscanned_count;
    size_t capacity, names_capacity;
    char *dirents;
};

/* Watch each directory through `instance`, then list it.  Whatever fails concerns
   one entry, and what was found in it before is left out; when the means fail (a
   limit, memory, a closed instance), or a signal interrupts, it ends early.

   `paths`: of the given directories, each ended by a NUL; `size`: of them all.
   `limit`: how many directories to scan at most.
   `nanoseconds`: after how long to begin no further one; one is scanned always.

   Returns 0 or -ENOMEM. */
int scan_run(struct scan *scan, struct instance *instance, const char *paths,
             size_t size, uint32_t mask, int flags, size_t limit, int64_t nanoseconds);
/* Free the memory; the scan is then an empty one. */
void scan_free(struct scan *scan);

#endif
