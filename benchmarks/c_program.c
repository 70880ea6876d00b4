/* The physical limit: what inotify(7) costs a C program that knows how many
   events to expect, reads them into a buffer of its own and looks at every
   field and every byte of every name.

   c_program DIRECTORY [FD]   answers questions; FD asks the writer for an event
   c_program --write FILE     the writer: an event for each byte of its input
   c_program --spin CORE      keeps a core awake, SCHED_IDLE, until its parent ends
   c_program --start          opens an instance and ends
   c_program --build ROOT DIRECTORIES       each with 3 files, 3 levels deep
   c_program --watch ROOT                   prints how long that took, in ns
   c_program --fill ROOT DIRECTORIES FILES  creates directories, and files in each */

#define _GNU_SOURCE /* sched_setaffinity */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
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

/* What an empty pair of now() costs; it is subtracted from each time. */
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
    void (*run)(const long *numbers);
};

static void answer(double nanoseconds) { printf("%.1f ", nanoseconds); }

#define WRITER_PAUSE 300000 /* ns: the reader is asleep by then */
#define SURELY_ASLEEP 50000

static char buffer[65536] __attribute__((aligned(8)));
static uint64_t seen; /* so that the compiler leaves nothing out */
static int go = -1;

static int open_instance(uint32_t mask)
{
    int fd = inotify_init1(IN_CLOEXEC);
    if (fd == -1 || inotify_add_watch(fd, watched, mask) == -1)
        fail("inotify");
    return fd;
}

static long walk(const char *data, ssize_t size)
{
    long events = 0;
    for (const char *at = data; at < data + size; events++) {
        struct inotify_event header;
        memcpy(&header, at, sizeof header);
        at += sizeof header;
        seen += (uint64_t)header.wd + header.mask + header.cookie;
        if (header.len)
            seen += strnlen(at, header.len);
        at += header.len;
    }
    return events;
}

static void read_batch(int fd, long batch)
{
    while (batch > 0) {
        ssize_t size = read(fd, buffer, sizeof buffer);
        if (size <= 0)
            fail("read");
        batch -= walk(buffer, size);
    }
}

/* drain BATCH LOOPS: ns a drain */
static void drain(const long *numbers)
{
    int fd = open_instance(IN_CREATE);
    int64_t total = 0, cost = cost_of_now();
    for (long i = 0; i < numbers[1]; i++) {
        create_files(numbers[0]);
        int64_t start = now();
        read_batch(fd, numbers[0]);
        total += now() - start - cost;
    }
    close(fd);
    answer((double)total / numbers[1]);
}

static int open_file(void)
{
    static char path[4096];
    snprintf(path, sizeof path, "%s/written1", watched);
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file == -1)
        fail("open");
    return file;
}

/* one LOOPS: ns a read */
static void one(const long *numbers)
{
    int file = open_file(), fd = open_instance(IN_MODIFY);
    int64_t total = 0, cost = cost_of_now();
    for (long i = 0; i < numbers[0]; i++) {
        if (pwrite(file, "x", 1, 0) != 1)
            fail("pwrite");
        int64_t start = now();
        read_batch(fd, 1);
        total += now() - start - cost;
    }
    close(fd);
    close(file);
    answer((double)total / numbers[0]);
}

/* add LOOPS: ns for watching again what is watched */
static void add(const long *numbers)
{
    int fd = open_instance(IN_CREATE);
    int64_t start = now();
    for (long i = 0; i < numbers[0]; i++)
        seen += inotify_add_watch(fd, watched, IN_CREATE);
    answer((double)(now() - start) / numbers[0]);
    close(fd);
}

/* wake SAMPLES: ns from the write to the end of the read that waited for it */
static void wake(const long *numbers)
{
    int file = open_file(), fd = open_instance(IN_MODIFY);
    for (long i = 0; i < numbers[0];) {
        int64_t sent;
        if (write(go, "x", 1) != 1)
            fail("write");
        int64_t entered = now();
        read_batch(fd, 1);
        int64_t woken = now();
        if (pread(file, &sent, sizeof sent, 0) != sizeof sent)
            fail("pread");
        if (sent - entered > SURELY_ASLEEP) {
            answer((double)(woken - sent));
            i++;
        }
    }
    close(fd);
    close(file);
}

static int write_when_asked(const char *path)
{
    const struct timespec pause = {0, WRITER_PAUSE};
    int file = open(path, O_RDWR | O_CREAT, 0600);
    char byte;
    while (read(STDIN_FILENO, &byte, 1) == 1) {
        nanosleep(&pause, NULL);
        int64_t sent = now();
        if (pwrite(file, &sent, sizeof sent, 0) != sizeof sent)
            fail(path);
    }
    return 0;
}

#define MASK (IN_CREATE | IN_DELETE | IN_MOVE | IN_MODIFY | IN_ATTRIB \
              | IN_CLOSE_WRITE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)

static void make_directory(const char *path, long files)
{
    char file[PATH_MAX];
    if (mkdir(path, 0700) == -1)
        fail(path);
    for (long i = 0; i < files; i++) {
        snprintf(file, sizeof file, "%s/f%06ld", path, i);
        if (mknod(file, S_IFREG | 0600, 0) == -1)
            fail(file);
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
    DIR *directory = opendir(path);
    if (!directory || inotify_add_watch(fd, path, MASK) == -1)
        fail(path);
    for (struct dirent *entry; (entry = readdir(directory));) {
        if (entry->d_type != DT_DIR || strcmp(entry->d_name, ".") == 0
            || strcmp(entry->d_name, "..") == 0)
            continue;
        size_t name = strlen(entry->d_name);
        if (length + name + 2 > PATH_MAX)
            fail(path);
        path[length] = '/';
        memcpy(path + length + 1, entry->d_name, name + 1);
        watch(fd, path, length + 1 + name);
        path[length] = '\0';
    }
    closedir(directory);
}

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
        command->run(numbers);
        puts("");
        fflush(stdout);
    }
    create_files(0);
    return 0;
}

/* A core that sleeps wakes up late, by as much as it slept deeply: that is the
   machine's time.  Any other process takes the core from SCHED_IDLE at once. */
static int spin(int core)
{
    struct sched_param none = {0};
    cpu_set_t cores;
    pid_t parent = getppid();
    CPU_ZERO(&cores);
    CPU_SET(core, &cores);
    if (sched_setaffinity(0, sizeof cores, &cores) || sched_setscheduler(0, SCHED_IDLE, &none))
        return 1;
    while (getppid() == parent)
        for (volatile int i = 0; i < 1000000; i++) {
        }
    return 0;
}

int main(int count, char **arguments)
{
    static const struct command commands[] = {
        {"drain", drain}, {"one", one},   {"add", add}, {"wake", wake}, {NULL, NULL},
    };
    if (count == 3 && strcmp(arguments[1], "--write") == 0)
        return write_when_asked(arguments[2]);
    if (count == 3 && strcmp(arguments[1], "--spin") == 0)
        return spin(atoi(arguments[2]));
    if (count == 2 && strcmp(arguments[1], "--start") == 0)
        return inotify_init1(IN_CLOEXEC) == -1;
    if (count == 4 && strcmp(arguments[1], "--build") == 0)
        return build(arguments[2], atol(arguments[3])), 0;
    if (count == 3 && strcmp(arguments[1], "--watch") == 0) {
        char path[PATH_MAX];
        size_t length = snprintf(path, sizeof path, "%s", arguments[2]);
        int64_t start = now();
        watch(inotify_init1(IN_CLOEXEC), path, length);
        return printf("%lld\n", (long long)(now() - start)) < 0;
    }
    if (count == 5 && strcmp(arguments[1], "--fill") == 0) {
        for (long i = 0; i < atol(arguments[3]); i++) {
            char path[PATH_MAX];
            snprintf(path, sizeof path, "%s/d%d-%ld", arguments[2], getpid(), i);
            make_directory(path, atol(arguments[4]));
        }
        return 0;
    }
    if (count < 2)
        return 2;
    watched = arguments[1];
    if (count > 2)
        go = atoi(arguments[2]);
    return serve(commands);
}
