#define _GNU_SOURCE /* d_type and syscall(), in every standard of the compiler */

#include "scan.h"

#include "calls.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* opendir(3) would add an fstat and an allocation for each directory, and for readdir(3)
   the ENOENT of a removed directory is the end of its names. */
#define DIRENTS_SIZE 65536

/* getdents64(2) fills in the struct dirent of 64-bit offsets. */
_Static_assert(sizeof((struct dirent *)0)->d_ino == 8
                   && sizeof((struct dirent *)0)->d_off == 8
                   && offsetof(struct dirent, d_name) == 19,
               "struct dirent is not what getdents64 fills in");

struct scan_call {
    struct scan *scan;
    struct instance *instance;
    const char *paths;
    uint32_t mask;
    int flags;
};

/* ---- entries ------------------------------------------------------------------ */

static int scan_grow(void *array, size_t size)
{
    void *grown = realloc(*(void **)array, size);
    if (!grown)
        return -ENOMEM;
    *(void **)array = grown;
    return 0;
}

static int scan_make_room(struct scan *scan, size_t entries)
{
    if (scan->count + entries <= scan->capacity)
        return 0;
    size_t capacity = scan->capacity ? scan->capacity * 2 : 64;
    if (capacity > INT32_MAX || scan_grow(&scan->parents, capacity * sizeof(int32_t))
        || scan_grow(&scan->wds, capacity * sizeof(int32_t))
        || scan_grow(&scan->results, capacity * sizeof(int32_t))
        || scan_grow(&scan->group_of, capacity * sizeof(int32_t))
        || scan_grow(&scan->group_end, capacity * sizeof(int32_t))
        || scan_grow(&scan->unscanned, capacity * sizeof(int32_t))
        || scan_grow(&scan->starts, capacity * sizeof(size_t)))
        return -ENOMEM;
    scan->capacity = capacity;
    return 0;
}

static int scan_add(struct scan *scan, int32_t parent, size_t start, int32_t result)
{
    if (scan_make_room(scan, 1))
        return -ENOMEM;
    scan->parents[scan->count] = parent;
    scan->wds[scan->count] = 0;
    scan->results[scan->count] = result;
    scan->starts[scan->count] = start;
    scan->count++;
    return 0;
}

static int scan_add_found(struct scan *scan, int32_t parent, const char *name,
                          int is_directory)
{
    size_t length = strlen(name), start = scan->names_size;
    if (start + length + 1 > scan->names_capacity) {
        size_t capacity = (start + length + 1) * 2 + 4096;
        if (scan_grow(&scan->names, capacity))
            return -ENOMEM;
        scan->names_capacity = capacity;
    }
    if (scan_add(scan, parent, start,
                 is_directory ? SCAN_NOT_REACHED : SCAN_NO_DIRECTORY))
        return -ENOMEM;
    memcpy(scan->names + start, name, length);
    scan->names[start + length] = '/';
    scan->names_size = start + length + 1;
    return 0;
}

/* Write the path of an entry so that it ends at `end`.  Returns its start, or NULL if it
   is too long for the kernel. */
static const char *scan_path(const struct scan_call *call, int32_t entry, char *path,
                             char *end)
{
    const struct scan *scan = call->scan;
    if (scan->parents[entry] < 0)
        return call->paths + scan->starts[entry];
    for (; scan->parents[entry] >= 0; entry = scan->parents[entry]) {
        size_t next = (size_t)entry + 1;
        size_t limit = next < scan->count ? scan->starts[next] : scan->names_size;
        size_t length = limit - scan->starts[entry];
        if ((size_t)(end - path) < length)
            return NULL;
        end -= length;
        memcpy(end, scan->names + scan->starts[entry], length);
    }
    const char *given = call->paths + scan->starts[entry];
    size_t length = strlen(given);
    if ((size_t)(end - path) < length + 1)
        return NULL;
    if (!length || given[length - 1] != '/')
        *--end = '/';
    return memcpy(end - length, given, length);
}

/* ---- one directory --------------------------------------------------------------- */

/* 1 or 0, or -errno. */
static int scan_is_directory(int fd, const struct dirent *dirent)
{
    struct stat status;
    if (dirent->d_type != DT_UNKNOWN) /* not every file system has the type */
        return dirent->d_type == DT_DIR;
    if (fstatat(fd, dirent->d_name, &status, AT_SYMLINK_NOFOLLOW) == -1)
        return errno == ENOENT ? 0 : -errno;
    return S_ISDIR(status.st_mode);
}

static int scan_add_dirent(const struct scan_call *call, int32_t entry, int fd,
                           const struct dirent *dirent)
{
    const char *name = dirent->d_name;
    if (!strcmp(name, ".") || !strcmp(name, ".."))
        return 0;
    int is_directory = scan_is_directory(fd, dirent);
    if (is_directory < 0)
        return is_directory;
    if (!is_directory && call->flags & SCAN_ONLY_DIRECTORIES) {
        call->scan->left_out = 1;
        return 0;
    }
    return scan_add_found(call->scan, entry, name, is_directory);
}

/* Add the names in an open directory.  Returns 0 or -errno. */
static int scan_read(const struct scan_call *call, int32_t entry, int fd)
{
    char *dirents = call->scan->dirents;
    for (;;) {
        ssize_t size = syscall(SYS_getdents64, fd, dirents, DIRENTS_SIZE);
        if (size <= 0)
            return size == 0 ? 0 : -errno;
        for (ssize_t offset = 0; offset < size;) {
            const struct dirent *dirent = (const void *)(dirents + offset);
            int result = scan_add_dirent(call, entry, fd, dirent);
            if (result < 0)
                return result;
            offset += dirent->d_reclen;
        }
    }
}

static int scan_list(const struct scan_call *call, int32_t entry, const char *path,
                     int no_link)
{
    struct scan *scan = call->scan;
    size_t count = scan->count, names_size = scan->names_size;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | (no_link ? O_NOFOLLOW : 0));
    if (fd == -1)
        return -errno;
    int result = scan_read(call, entry, fd);
    close(fd);
    if (result < 0) {
        scan->count = count;
        scan->names_size = names_size;
    }
    return result;
}

/* Watch and list a directory.  Returns 0 or -errno. */
static int scan_directory(const struct scan_call *call, int32_t entry)
{
    char buffer[PATH_MAX];
    struct scan *scan = call->scan;
    int no_link = scan->parents[entry] >= 0 || !(call->flags & SCAN_FOLLOW);
    const char *path = scan_path(call, entry, buffer, buffer + PATH_MAX);
    if (!path)
        return -ENAMETOOLONG;
    buffer[PATH_MAX - 1] = '\0'; /* not '/', which would let a link be followed */
    int wd = instance_add_watch(call->instance, path,
                                call->mask | IN_ONLYDIR | (no_link ? IN_DONT_FOLLOW : 0));
    if (wd < 0)
        return wd;
    scan->wds[entry] = wd;
    return scan_list(call, entry, path, no_link);
}

/* ---- all of them ---------------------------------------------------------------- */

static int64_t scan_clock(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

/* Whether a failure would concern every other directory, too. */
static int scan_ends_with(int result)
{
    switch (result) {
    case -EINTR: /* Python runs the handler of the signal */
    case -EMFILE:
    case -ENFILE:
    case -ENOMEM:
    case -ENOSPC:
    case -GUARD_CLOSED:
        return 1;
    default:
        return 0;
    }
}

static void scan_forget(struct scan *scan)
{
    scan->given = scan->count = scan->names_size = 0;
    scan->groups = scan->unscanned_count = 0;
    scan->left_out = 0;
}

static int scan_begin(struct scan *scan, const char *paths, size_t size)
{
    scan_forget(scan);
    if (!scan->dirents && !(scan->dirents = malloc(DIRENTS_SIZE)))
        return -ENOMEM;
    for (size_t start = 0; start < size;) {
        const char *end = memchr(paths + start, '\0', size - start);
        if (!end)
            break;
        if (scan_add(scan, -1, start, SCAN_NOT_REACHED))
            return -ENOMEM;
        start = (size_t)(end - paths) + 1;
    }
    scan->given = scan->count;
    return 0;
}

static void scan_add_group(struct scan *scan, int32_t directory, size_t first)
{
    if (scan->count == first)
        return;
    scan->group_of[scan->groups] = directory;
    scan->group_end[scan->groups] = (int32_t)scan->count;
    scan->groups++;
}

/* The first one is to be scanned first. */
static void scan_push(struct scan *scan, size_t first)
{
    for (size_t entry = scan->count; entry-- > first;)
        if (scan->results[entry] == SCAN_NOT_REACHED)
            scan->unscanned[scan->unscanned_count++] = (int32_t)entry;
}

int scan_run(struct scan *scan, struct instance *instance, const char *paths,
             size_t size, uint32_t mask, int flags, size_t limit, int64_t nanoseconds)
{
    struct scan_call call = {scan, instance, paths, mask, flags};
    int64_t end = scan_clock() + nanoseconds;
    if (scan_begin(scan, paths, size))
        return -ENOMEM;
    scan_push(scan, 0);
    while (scan->unscanned_count && limit--) {
        int32_t entry = scan->unscanned[--scan->unscanned_count];
        size_t first = scan->count;
        int result = scan_directory(&call, entry);
        scan->results[entry] = -result;
        scan_add_group(scan, entry, first);
        if (scan_ends_with(result))
            break;
        if (flags & SCAN_DESCEND)
            scan_push(scan, first);
        if (scan_clock() >= end)
            break;
    }
    return 0;
}

/* Watch a path, and verify that it still leads there.  Returns whether it does. */
static int scan_step(struct scan *scan, struct instance *instance, const char *path,
                     uint32_t mask)
{
    int wd = instance_add_watch(instance, path, mask);
    if (wd < 0)
        return 0;
    int again = instance_add_watch(instance, path, mask);
    int32_t result = again == wd ? 0 : EAGAIN;
    scan->wds[scan->count] = wd;
    scan->results[scan->count++] = result;
    if (result && again > 0) {
        scan->wds[scan->count] = again;
        scan->results[scan->count++] = result;
    }
    return !result;
}

int scan_way(struct scan *scan, struct instance *instance, const char *path,
             uint32_t mask, uint32_t last_mask)
{
    char buffer[PATH_MAX];
    size_t length = strlen(path);
    scan_forget(scan);
    if (length >= sizeof buffer)
        return 0;
    memcpy(buffer, path, length + 1);
    int leads_on = length > 1;
    for (size_t end = 1; leads_on && end <= length; end++) {
        if (path[end] != '/' && path[end] != '\0')
            continue;
        /* Before the watches are added: without memory, none may be left behind. */
        if (scan_make_room(scan, 2))
            return -ENOMEM;
        buffer[end] = '\0';
        leads_on = scan_step(scan, instance, buffer, end < length ? mask : last_mask);
        buffer[end] = path[end];
    }
    return 0;
}

/* From so many entries on, what a scan needed for a while is a megabyte. */
#define SCAN_IS_BIG 8192

void scan_free(struct scan *scan)
{
    size_t capacity = scan->capacity;
    free(scan->parents);
    free(scan->wds);
    free(scan->results);
    free(scan->group_of);
    free(scan->group_end);
    free(scan->names);
    free(scan->starts);
    free(scan->unscanned);
    free(scan->dirents);
    memset(scan, 0, sizeof *scan);
#ifdef __GLIBC__
    /* The lists that Python had of it are free as well, between what is kept.  Without
       this, a directory with 100,000 others keeps 10 % more memory. */
    if (capacity >= SCAN_IS_BIG)
        malloc_trim(0);
#else
    (void)capacity;
#endif
}
