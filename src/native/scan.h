/* Scanning: one call watches many directories, and then lists each. */

#ifndef INOTIFY_CFFI_SCAN_H
#define INOTIFY_CFFI_SCAN_H

#include "instance.h"

#include <stddef.h>
#include <stdint.h>

/* Flags of scan_run. */
#define SCAN_ONLY_DIRECTORIES 1 /* leave out the names of everything else */
#define SCAN_DESCEND 2          /* scan the directories that are found, too */
#define SCAN_FOLLOW 4           /* a given path may end in a symbolic link */

/* Results besides 0 (watched and listed) and an errno. */
#define SCAN_NOT_REACHED (-1) /* a directory that was not scanned */
#define SCAN_NO_DIRECTORY (-2)

/* Zeroed memory is an empty scan.  Entries are the given directories, and then the names
   in them and, with SCAN_DESCEND, below.  The names in one directory are a group: entries
   that follow each other.  An empty directory has no group. */
struct scan {
    size_t given;
    size_t count;       /* of all entries */
    int32_t *wds;       /* the watch of each; 0 where it has none */
    int32_t *results;   /* 0, an errno, GUARD_CLOSED, or one of those above */
    size_t groups;      /* their number; the first begins at `given` */
    int32_t *group_of;  /* the directory of each group, as the index of an entry */
    int32_t *group_end; /* where each group ends */
    char *names;        /* without those of the given ones; a '/' ends each */
    size_t names_size;
    int left_out;       /* whether SCAN_ONLY_DIRECTORIES has left out any name */
    /* For scan.c alone: */
    int32_t *parents;   /* the directory of each entry; -1 for the given ones */
    size_t *starts;     /* where each name starts */
    int32_t *unscanned; /* the directories still to be scanned, the next one last */
    size_t unscanned_count;
    size_t capacity, names_capacity;
    char *dirents;
};

/* Watch each directory through `instance`, then list it.  A failure concerns one entry;
   then the names found in it are left out.  At a failure that concerns all (a limit,
   memory, a closed instance), or a signal, it ends early.

   `paths`: the given directories, each ended by a NUL; `size`: of all together.
   `limit`: the largest number of directories to scan.
   `nanoseconds`: the time after which no further directory is begun; the first is
   always scanned.

   Returns 0 or -ENOMEM. */
int scan_run(struct scan *scan, struct instance *instance, const char *paths,
             size_t size, uint32_t mask, int flags, size_t limit, int64_t nanoseconds);
/* Watch each directory that an absolute path leads through, the topmost first.  Each is
   watched twice: if both calls return the same watch, the path led there while it was
   watched.  It ends at the first one that is not a directory, may not be watched or has
   changed meanwhile.

   `path`: without links, dots, and slashes that mean nothing.
   `mask`: for all of them; `last_mask`: for the last one.

   The entries are the watches that were added: with the result 0 in the order of the
   path; then, with EAGAIN, those of a directory whose path has changed.

   Returns 0 or -ENOMEM. */
int scan_way(struct scan *scan, struct instance *instance, const char *path,
             uint32_t mask, uint32_t last_mask);
/* Free the memory; the scan is then an empty one. */
void scan_free(struct scan *scan);

#endif
