/* The compiled half of being stoppable: `guarded` is the read that
   INotify.read() calls; `bare` is the same without the count of users that
   keeps the descriptor open, and without the lock that makes poll and read one
   step.

   stop_cost DIRECTORY */

#define _GNU_SOURCE /* dup3(2) */
#define PYPY_VERSION "none: leave out what needs Python.h"
#define _GNU_SOURCE
#include "../src/native/calls.c"
#include "../src/native/fork.c"
#include "../src/native/guard.c"
#include "../src/native/instance.c"
#include "serve.h"

static struct instance instance;
static struct queued queued;

static void read_guarded(void) { instance_read(&instance, &queued, 0); }

static void read_bare(void)
{
    ssize_t ready = queued.size = bytes_ready(instance.guard.fd, 0);
    queued.rest = 0;
    if (ready > 0)
        queued.size = read_queue(instance.guard.fd, queued.data, READ_SIZE);
    if (queued.size > SURELY_EMPTIED)
        queued.rest = ready - queued.size;
}

static void time_reads(void (*read_all)(void), long batch, long loops)
{
    int64_t total = 0, cost = cost_of_now();
    if (instance_open(&instance, IN_CLOEXEC, 1) < 0
        || add_watch(instance.guard.fd, watched, IN_CREATE) < 0)
        fail("inotify");
    for (long i = 0; i < loops; i++) {
        create_files(batch);
        int64_t start = now();
        read_all();
        total += now() - start - cost;
        if (queued.size <= 0 || queued.rest)
            fail("read");
    }
    instance_close(&instance);
    tell((double)total / loops);
}

/* guarded BATCH LOOPS, bare BATCH LOOPS: ns a read */
static void guarded(const long *numbers)
{
    time_reads(read_guarded, numbers[0], numbers[1]);
}

static void bare(const long *numbers)
{
    time_reads(read_bare, numbers[0], numbers[1]);
}

int main(int count, char **arguments)
{
    static const struct command commands[] = {
        {"guarded", guarded},
        {"bare", bare},
        {NULL, NULL},
    };
    if (count != 2)
        return 2;
    watched = arguments[1];
    return serve(commands);
}
