/* What the C programs share: a clock, files to create, and a loop that answers
   each line of the input, a command and up to three numbers, with times in
   nanoseconds. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char *watched; /* the directory */

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static int64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

/* What an empty pair of now() costs; each time that is told is less by it. */
static int64_t cost_of_now(void)
{
    int64_t least = INT64_MAX;
    for (int i = 0; i < 1000; i++) {
        int64_t start = now();
        int64_t cost = now() - start;
        if (cost < least)
            least = cost;
    }
    return least;
}

static const char *path_of(long number)
{
    static char path[4096];
    snprintf(path, sizeof path, "%s/f%07ld", watched, number);
    return path;
}

/* Files are created, after those of the last time are gone: `batch` events. */
static void create_files(long batch)
{
    static long created;
    while (created)
        if (unlink(path_of(--created)) == -1)
            fail("unlink");
    for (; created < batch; created++)
        if (mknod(path_of(created), S_IFREG | 0600, 0) == -1)
            fail("mknod");
}

struct command {
    const char *name;
    void (*answer)(const long *numbers);
};

static void tell(double nanoseconds) { printf("%.1f ", nanoseconds); }

static int serve(const struct command *commands)
{
    char line[256], name[32];
    while (fgets(line, sizeof line, stdin)) {
        long numbers[3] = {0, 0, 0};
        const struct command *command = commands;
        if (sscanf(line, "%31s %ld %ld %ld", name, numbers, numbers + 1, numbers + 2) < 1)
            continue;
        while (command->name && strcmp(command->name, name) != 0)
            command++;
        if (!command->name)
            return 2;
        command->answer(numbers);
        puts("");
        fflush(stdout);
    }
    create_files(0);
    return 0;
}
