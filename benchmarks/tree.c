/* Trees for the benchmarks of `TreeWatcher`, and what C takes to watch one.

   tree build ROOT DIRECTORIES          each with 3 files, 3 levels deep
   tree watch ROOT                      prints how long that took, in ns
   tree write ROOT DIRECTORIES FILES    creates directories and files in each, at
                                        full speed */

#include <dirent.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MASK (IN_CREATE | IN_DELETE | IN_MOVE | IN_MODIFY | IN_ATTRIB \
              | IN_CLOSE_WRITE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)

static void check(int result, const char *what)
{
    if (result == -1) {
        perror(what);
        exit(1);
    }
}

static void make_directory(const char *path, long files)
{
    char file[PATH_MAX];
    check(mkdir(path, 0700), path);
    for (long i = 0; i < files; i++) {
        snprintf(file, sizeof file, "%s/f%06ld", path, i);
        check(mknod(file, S_IFREG | 0600, 0), file);
    }
}

static void build(const char *root, long directories)
{
    char path[PATH_MAX];
    for (long a = 0; directories > 0; a++) {
        int end = snprintf(path, sizeof path, "%s/a%05ld", root, a);
        make_directory(path, 3);
        directories--;
        for (int b = 0; b < 33 && directories > 0; b++) {
            int below = end + sprintf(path + end, "/b%03d", b);
            make_directory(path, 3);
            directories--;
            for (int c = 0; c < 29 && directories > 0; c++) {
                sprintf(path + below, "/c%03d", c);
                make_directory(path, 3);
                directories--;
            }
        }
    }
}

static void watch(int fd, char *path, size_t length)
{
    check(inotify_add_watch(fd, path, MASK), path);
    DIR *directory = opendir(path);
    check(directory ? 0 : -1, path);
    for (struct dirent *entry; (entry = readdir(directory));) {
        if (entry->d_type != DT_DIR || strcmp(entry->d_name, ".") == 0
            || strcmp(entry->d_name, "..") == 0)
            continue;
        size_t name = strlen(entry->d_name);
        check(length + name + 2 > PATH_MAX ? -1 : 0, "path too long");
        path[length] = '/';
        memcpy(path + length + 1, entry->d_name, name + 1);
        watch(fd, path, length + 1 + name);
        path[length] = '\0';
    }
    closedir(directory);
}

static int64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

int main(int count, char **arguments)
{
    char path[PATH_MAX];
    if (count == 4 && strcmp(arguments[1], "build") == 0)
        build(arguments[2], atol(arguments[3]));
    else if (count == 3 && strcmp(arguments[1], "watch") == 0) {
        size_t length = snprintf(path, sizeof path, "%s", arguments[2]);
        int64_t start = now();
        watch(inotify_init1(IN_CLOEXEC), path, length);
        printf("%lld\n", (long long)(now() - start));
    }
    else if (count == 5 && strcmp(arguments[1], "write") == 0)
        for (long i = 0; i < atol(arguments[3]); i++) {
            snprintf(path, sizeof path, "%s/d%d-%ld", arguments[2], getpid(), i);
            make_directory(path, atol(arguments[4]));
        }
    else
        return 2;
    return 0;
}
