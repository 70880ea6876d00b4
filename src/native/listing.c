#define _GNU_SOURCE /* d_type, in every standard of the compiler */

#include "listing.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

void listing_open(struct listing *listing, const char *path)
{
    listing->directory = opendir(path);
    listing->failure = listing->directory ? 0 : errno;
}

/* 1 or 0, or -errno. */
static int listing_is_directory(DIR *directory, const struct dirent *entry)
{
    struct stat status;
    if (entry->d_type != DT_UNKNOWN) /* not every file system has the type */
        return entry->d_type == DT_DIR;
    if (fstatat(dirfd(directory), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == -1)
        return errno == ENOENT ? 0 : -errno;
    return S_ISDIR(status.st_mode);
}

int listing_next(struct listing *listing, int directories_only)
{
    struct dirent *entry;
    if (!listing->directory)
        return -listing->failure;
    while (errno = 0, entry = readdir(listing->directory)) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
            continue;
        int is_directory = listing_is_directory(listing->directory, entry);
        if (is_directory < 0)
            return is_directory;
        listing->name = entry->d_name;
        listing->is_directory = is_directory;
        if (is_directory || !directories_only)
            return 1;
    }
    return -errno;
}

void listing_close(struct listing *listing)
{
    if (listing->directory)
        closedir(listing->directory);
    listing->directory = NULL;
}
