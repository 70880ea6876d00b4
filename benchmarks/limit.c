/* The physical limit: what inotify(7) costs a C program that knows how many
   events to expect, reads them into a buffer of its own and looks at every
   field and every byte of every name.

   limit DIRECTORY [FD]   answers questions; FD asks the writer for an event
   limit --write FILE     the writer: an event for each byte of its input
   limit --start          opens an instance and ends */

#include "serve.h"

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
    tell((double)total / numbers[1]);
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
    tell((double)total / numbers[0]);
}

/* parse BATCH SIZE_OF_RECORD LOOPS: ns a buffer */
static void parse(const long *numbers)
{
    long size = numbers[0] * numbers[1];
    char *data = calloc(1, size);
    for (char *at = data; data && at < data + size; at += numbers[1]) {
        struct inotify_event header = {1, IN_CREATE, 0, numbers[1] - sizeof header};
        memcpy(at, &header, sizeof header);
        if (header.len)
            memset(at + sizeof header, 'n', header.len - 1);
    }
    int64_t total = 0, cost = cost_of_now();
    for (long i = 0; data && i < numbers[2]; i++) {
        int64_t start = now();
        walk(data, size);
        total += now() - start - cost;
    }
    free(data);
    tell((double)total / numbers[2]);
}

/* add LOOPS: ns for watching again what is watched */
static void add(const long *numbers)
{
    int fd = open_instance(IN_CREATE);
    int64_t start = now();
    for (long i = 0; i < numbers[0]; i++)
        seen += inotify_add_watch(fd, watched, IN_CREATE);
    tell((double)(now() - start) / numbers[0]);
    close(fd);
}

/* add-and-remove LOOPS: ns for watching something and leaving it again */
static void add_and_remove(const long *numbers)
{
    int fd = inotify_init1(IN_CLOEXEC);
    int64_t start = now();
    for (long i = 0; i < numbers[0]; i++)
        if (inotify_rm_watch(fd, inotify_add_watch(fd, watched, IN_CREATE)) == -1)
            fail("inotify_rm_watch");
    tell((double)(now() - start) / numbers[0]);
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
            tell((double)(woken - sent));
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

int main(int count, char **arguments)
{
    static const struct command commands[] = {
        {"drain", drain}, {"one", one},
        {"parse", parse}, {"add", add},
        {"wake", wake},   {"add-and-remove", add_and_remove},
        {NULL, NULL},
    };
    if (count == 3 && strcmp(arguments[1], "--write") == 0)
        return write_when_asked(arguments[2]);
    if (count == 2 && strcmp(arguments[1], "--start") == 0)
        return inotify_init1(IN_CLOEXEC) == -1;
    if (count < 2)
        return 2;
    watched = arguments[1];
    if (count > 2)
        go = atoi(arguments[2]);
    return serve(commands);
}
