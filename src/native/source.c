/* The compiled half of inotify_cffi: system calls that survive a close() in
   another thread, the names in a directory, and, on CPython, the step from the
   kernel's bytes to Python objects.  Nothing here knows of trees, waits or Python
   threads. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pattern.h"

#ifndef IN_MASK_CREATE /* Linux 4.18; not in the headers of glibc before 2.29 */
#define IN_MASK_CREATE 0x10000000
#endif

/* The size of a buffer hardly matters to the kernel (190 ns an event with
   4 KiB, 192 with 16, 185 with 256).  On CPython it has to fit the stack of a
   thread under musl (128 KiB) beside everything else; on PyPy it belongs to the
   instance, and fewer turns of the loop in Python save 5 % of a drain. */
#ifdef PYPY_VERSION
#define READ_SIZE 65536
#else
#define READ_SIZE 16384
#endif
/* read(2) stops only when the queue is empty or the next event does not fit,
   and no event is longer than 16 + 256 bytes: a shorter read emptied it. */
#define SURELY_EMPTIED (READ_SIZE - 272)

#define CLOSED 4096 /* no errno is as large (MAX_ERRNO is 4095) */
#define OPEN 0x80000000u

static ssize_t result_or_errno(ssize_t result)
{
    return result == -1 ? -errno : result;
}

static int init(void) { return (int)result_or_errno(inotify_init()); }

static int init1(int flags) { return (int)result_or_errno(inotify_init1(flags)); }

static int add_watch(int fd, const char *pathname, uint32_t mask)
{
    return (int)result_or_errno(inotify_add_watch(fd, pathname, mask));
}

static int rm_watch(int fd, int wd)
{
    return (int)result_or_errno(inotify_rm_watch(fd, wd));
}

static ssize_t read_queue(int fd, char *data, size_t size)
{
    return result_or_errno(read(fd, data, size));
}

static ssize_t queued_bytes(int fd)
{
    int bytes = 0;
    return ioctl(fd, FIONREAD, &bytes) == -1 ? -errno : bytes;
}

/* ---- a descriptor and its users ---------------------------------------- */

/* Zeroed memory is a closed one: it may be dropped before it was opened. */
struct guard {
    int fd;
    int closefd;
    unsigned forks; /* the process that `users` is of */
    uint32_t users; /* calls inside; and OPEN until it is closed */
};

/* A forked child inherits the counts and locks of threads that it has not.
   The first call in the child puts them right. */
static unsigned forks;
static pthread_mutex_t putting_right = PTHREAD_MUTEX_INITIALIZER;

static void before_fork(void) { pthread_mutex_lock(&putting_right); }
static void in_parent(void) { pthread_mutex_unlock(&putting_right); }
static void in_child(void)
{
    forks++;
    pthread_mutex_init(&putting_right, NULL);
}

__attribute__((constructor)) static void count_forks(void)
{
    pthread_atfork(before_fork, in_parent, in_child);
}

static void guard_open(struct guard *guard, int fd, int closefd)
{
    guard->fd = fd;
    guard->closefd = closefd;
    guard->forks = forks;
    guard->users = fd < 0 ? 0 : OPEN;
}

static void forget_other_threads(struct guard *guard, pthread_mutex_t *lock)
{
    pthread_mutex_lock(&putting_right);
    if (guard->forks != forks) {
        if (guard->users && !(guard->users & OPEN) && guard->closefd)
            close(guard->fd); /* the one who would have is not here */
        guard->users &= OPEN;
        if (lock)
            pthread_mutex_init(lock, NULL);
        __atomic_store_n(&guard->forks, forks, __ATOMIC_RELEASE);
    }
    pthread_mutex_unlock(&putting_right);
}

static int enter(struct guard *guard, pthread_mutex_t *lock)
{
    if (__atomic_load_n(&guard->forks, __ATOMIC_ACQUIRE) != forks)
        forget_other_threads(guard, lock);
    uint32_t users = __atomic_load_n(&guard->users, __ATOMIC_RELAXED);
    do {
        if (!(users & OPEN))
            return 0;
    } while (!__atomic_compare_exchange_n(&guard->users, &users, users + 1, 1,
                                          __ATOMIC_ACQUIRE, __ATOMIC_RELAXED));
    return 1;
}

static void leave(struct guard *guard)
{
    if (__atomic_sub_fetch(&guard->users, 1, __ATOMIC_ACQ_REL) == 0
        && guard->closefd)
        close(guard->fd);
}

/* Whoever is inside last closes the descriptor: its number is not given to
   another file while a system call may still use it. */
static void guard_close(struct guard *guard, pthread_mutex_t *lock)
{
    if (enter(guard, lock)) {
        __atomic_and_fetch(&guard->users, ~OPEN, __ATOMIC_ACQ_REL);
        leave(guard);
    }
}

/* ---- an instance -------------------------------------------------------- */

struct instance {
    struct guard guard;
    int blocking;            /* read(2) would wait: ask first */
    pthread_mutex_t reading; /* asking, reading and counting as one step */
    long long reads;         /* how many have taken something */
};

static int instance_enter(struct instance *instance)
{
    return enter(&instance->guard, &instance->reading);
}

static int instance_open(struct instance *instance, int flags, int closefd)
{
    int fd = init1(flags);
    guard_open(&instance->guard, fd, closefd);
    instance->blocking = !(flags & IN_NONBLOCK);
    pthread_mutex_init(&instance->reading, NULL);
    return fd;
}

static void instance_close(struct instance *instance)
{
    guard_close(&instance->guard, &instance->reading);
}

static int instance_add_watch(struct instance *instance, const char *path, uint32_t mask)
{
    if (!instance_enter(instance))
        return -CLOSED;
    int wd = add_watch(instance->guard.fd, path, mask);
    leave(&instance->guard);
    return wd;
}

static int instance_rm_watch(struct instance *instance, int wd)
{
    if (!instance_enter(instance))
        return -CLOSED;
    int result = rm_watch(instance->guard.fd, wd);
    leave(&instance->guard);
    return result;
}

struct queued {
    ssize_t size;
    ssize_t rest;
    long long number;
    char data[READ_SIZE];
};

/* FIONREAD costs less than poll(2) while the queue is short, and walks all of
   it when it is long (81 us for 16,000 events): so the first read of a drain
   asks it, and gets to know the rest as well, and the others ask poll. */
static ssize_t bytes_ready(int fd, int more)
{
    if (!more)
        return queued_bytes(fd);
    struct pollfd ready = {fd, POLLIN, 0};
    return result_or_errno(poll(&ready, 1, 0));
}

/* What is queued, as far as it fits; nothing when nothing is.  Never waits.
   The results go into memory, not to the caller: on PyPy a signal handler may
   raise before a result is stored, and the data is still found. */
static void instance_read(struct instance *instance, struct queued *queued, int more)
{
    ssize_t ready = 0;
    queued->rest = 0;
    if (!instance_enter(instance)) {
        queued->size = -CLOSED;
        return;
    }
    /* Between asking and reading another thread could take what the one saw,
       and the other would wait for the next event; between reading and counting
       one could read later and be counted before. */
    pthread_mutex_lock(&instance->reading);
    int blocking = __atomic_load_n(&instance->blocking, __ATOMIC_RELAXED);
    if (blocking)
        ready = queued->size = bytes_ready(instance->guard.fd, more);
    if (ready > 0 || !blocking)
        queued->size = read_queue(instance->guard.fd, queued->data, READ_SIZE);
    if (queued->size > 0)
        queued->number = ++instance->reads;
    pthread_mutex_unlock(&instance->reading);
    if (queued->size == -EAGAIN || queued->size == -EINTR)
        queued->size = 0;
    if (queued->size > SURELY_EMPTIED) {
        if (more)
            queued->rest = 1; /* or none: another read will tell */
        else if (ready > 0)
            /* Less than nothing where more came between asking and reading. */
            queued->rest = ready > queued->size ? ready - queued->size : 0;
        else
            queued->rest = queued_bytes(instance->guard.fd);
    }
    leave(&instance->guard);
}

static ssize_t instance_queued_bytes(struct instance *instance)
{
    if (!instance_enter(instance))
        return -CLOSED;
    ssize_t bytes = queued_bytes(instance->guard.fd);
    leave(&instance->guard);
    return bytes;
}

static int instance_join_epoll(struct instance *instance, int epoll)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = instance->guard.fd};
    if (!instance_enter(instance))
        return -CLOSED;
    int result = epoll_ctl(epoll, EPOLL_CTL_ADD, instance->guard.fd, &event);
    result = (int)result_or_errno(result);
    leave(&instance->guard);
    return result;
}

static int instance_never_block(struct instance *instance)
{
    if (!__atomic_load_n(&instance->blocking, __ATOMIC_RELAXED))
        return 0;
    if (!instance_enter(instance))
        return -CLOSED;
    int flags = fcntl(instance->guard.fd, F_GETFL);
    if (flags != -1)
        flags = fcntl(instance->guard.fd, F_SETFL, flags | O_NONBLOCK);
    int result = (int)result_or_errno(flags);
    if (result == 0)
        __atomic_store_n(&instance->blocking, 0, __ATOMIC_RELAXED);
    leave(&instance->guard);
    return result;
}

/* ---- a bell: ends a wait ------------------------------------------------ */

struct bell {
    struct guard guard;
};

static int bell_open(struct bell *bell)
{
    int fd = (int)result_or_errno(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    guard_open(&bell->guard, fd, 1);
    return fd;
}

/* In a forked child: give the number, which a wait goes on with, to a bell that
   is not the parent's as well. */
static int bell_renew(struct bell *bell)
{
    if (!enter(&bell->guard, NULL))
        return 0;
    int fd = (int)result_or_errno(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    int result = fd;
    if (fd >= 0) {
        result = (int)result_or_errno(dup3(fd, bell->guard.fd, O_CLOEXEC));
        close(fd);
    }
    leave(&bell->guard);
    return result;
}

static void bell_close(struct bell *bell) { guard_close(&bell->guard, NULL); }

static void bell_ring(struct bell *bell)
{
    if (enter(&bell->guard, NULL)) {
        (void)eventfd_write(bell->guard.fd, 1); /* EAGAIN: it rings as it is */
        leave(&bell->guard);
    }
}

static void bell_silence(struct bell *bell)
{
    eventfd_t rings;
    if (enter(&bell->guard, NULL)) {
        (void)eventfd_read(bell->guard.fd, &rings);
        leave(&bell->guard);
    }
}

/* ---- a directory's names ------------------------------------------------ */

/* Zeroed memory is a closed one: what was opened is in it, wherever a signal
   handler raises, and can be closed. */
struct listing {
    DIR *directory;
    int failure; /* errno of opening it */
    char *name;
    int is_directory;
};

static void listing_open(struct listing *listing, const char *path)
{
    listing->directory = opendir(path);
    listing->failure = listing->directory ? 0 : errno;
}

static int is_directory(DIR *directory, const struct dirent *entry)
{
    struct stat status;
    if (entry->d_type != DT_UNKNOWN) /* not every file system tells */
        return entry->d_type == DT_DIR;
    if (fstatat(dirfd(directory), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == -1)
        return errno == ENOENT ? 0 : -errno;
    return S_ISDIR(status.st_mode);
}

static int listing_next(struct listing *listing, int directories_only)
{
    struct dirent *entry;
    if (!listing->directory)
        return -listing->failure;
    while (errno = 0, entry = readdir(listing->directory)) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
            continue;
        listing->name = entry->d_name;
        listing->is_directory = is_directory(listing->directory, entry);
        if (listing->is_directory < 0)
            return listing->is_directory;
        if (listing->is_directory || !directories_only)
            return 1;
    }
    return -errno;
}

static void listing_close(struct listing *listing)
{
    if (listing->directory)
        closedir(listing->directory);
    listing->directory = NULL;
}

/* ---- CPython: from bytes to named tuples, from a path to a watch --------  */

#ifdef PYPY_VERSION

static void exchange_builtins(uintptr_t list) { (void)list; }

#else

/* cffi converts only C values, at 20 ns a field and 75 ns a name, and gives
   up the GIL twice where one call that reads and builds gives it up once.
   These builtins use the stable ABI alone. */

/* tuple.__new__.  A named tuple's own __new__ is Python; and allocating one
   without any would leave unset what CPython adds to tuples (3.14 did). */
static newfunc new_tuple;

/* Append the events in `data`; return where the first malformed one begins,
   or `size`, or -1 with an exception set. */
static Py_ssize_t append(PyObject *events, PyObject *type, int with_len,
                         const char *data, size_t size)
{
    struct inotify_event header, last = {0, 0, 0, 0};
    size_t offset = 0;
    int position_of_name = 3 + with_len;
    Py_ssize_t result = -1;
    /* One tuple of fields, inside one tuple of arguments, serves all events:
       neighbours share most fields, and only what differs is made anew. */
    PyObject *fields = PyTuple_New(position_of_name + 1);
    PyObject *arguments = fields ? PyTuple_Pack(1, fields) : NULL;
    Py_XDECREF(fields); /* PyTuple_SetItem wants the only reference */
    if (!arguments)
        return -1;
    while (size - offset >= sizeof header) {
        /* Copied, since `data` may be unaligned, or change meanwhile. */
        memcpy(&header, data + offset, sizeof header);
        const char *name = data + offset + sizeof header;
        const char *end = name;
        if (header.len > size - offset - sizeof header)
            break;
        if (header.len && !(end = memchr(name, '\0', header.len)))
            break;
        int first = offset == 0;
        if (first || header.wd != last.wd)
            PyTuple_SetItem(fields, 0, PyLong_FromLong(header.wd));
        if (first || header.mask != last.mask)
            PyTuple_SetItem(fields, 1, PyLong_FromUnsignedLong(header.mask));
        if (first || header.cookie != last.cookie)
            PyTuple_SetItem(fields, 2, PyLong_FromUnsignedLong(header.cookie));
        if (with_len && (first || header.len != last.len))
            PyTuple_SetItem(fields, 3, PyLong_FromUnsignedLong(header.len));
        PyTuple_SetItem(fields, position_of_name,
                        PyUnicode_DecodeFSDefaultAndSize(name, end - name));
        last = header;
        if (PyErr_Occurred())
            goto failed;
        PyObject *event = new_tuple((PyTypeObject *)type, arguments, NULL);
        if (!event)
            goto failed;
        PyObject_GC_UnTrack(event); /* numbers and a string make no cycle */
        int appended = PyList_Append(events, event);
        Py_DECREF(event);
        if (appended == -1)
            goto failed;
        offset += sizeof header + header.len;
    }
    result = (Py_ssize_t)offset;
failed:
    Py_DECREF(arguments);
    return result;
}

/* append_events(events, type, with_len, bytes or address, size) -> offset */
static PyObject *append_events(PyObject *module, PyObject *arguments)
{
    (void)module;
    PyObject *memory = PyTuple_GetItem(arguments, 3);
    const char *data = PyBytes_Check(memory) ? PyBytes_AsString(memory)
                                             : PyLong_AsVoidPtr(memory);
    size_t size = PyLong_AsSize_t(PyTuple_GetItem(arguments, 4));
    Py_ssize_t offset = append(
        PyTuple_GetItem(arguments, 0), PyTuple_GetItem(arguments, 1),
        PyObject_IsTrue(PyTuple_GetItem(arguments, 2)), data, size);
    return offset == -1 ? NULL : PyLong_FromSsize_t(offset);
}

/* Read once and append; `reader` is as reader_of() takes it.  Returns the bytes
   still queued or the number of the read, or -errno. */
static PyObject *append_read(PyObject *reader, PyObject *events, int more, int number)
{
    struct queued queued; /* on the stack: no two readers can share it */
    struct instance *instance = PyLong_AsVoidPtr(PyTuple_GetItem(reader, 1));
    Py_BEGIN_ALLOW_THREADS
    instance_read(instance, &queued, more);
    Py_END_ALLOW_THREADS
    if (queued.size > 0) {
        Py_ssize_t end = append(events, PyTuple_GetItem(reader, 0), 0, queued.data,
                                (size_t)queued.size);
        if (end == -1)
            return NULL;
        if (end != queued.size)
            queued.size = -EIO;
    }
    if (number && queued.size > 0)
        return PyLong_FromLongLong(queued.number);
    return PyLong_FromSsize_t(queued.size < 0 ? queued.size : queued.rest);
}

static PyObject *append_queued(PyObject *reader, PyObject *events)
{
    return append_read(reader, events, 0, 0);
}

static PyObject *append_more(PyObject *reader, PyObject *events)
{
    return append_read(reader, events, 1, 0);
}

static PyObject *append_numbered(PyObject *reader, PyObject *events)
{
    return append_read(reader, events, 0, 1);
}

/* reader_of((type, address of a struct instance, and what keeps that))
   -> append_queued, append_more, append_numbered */
static PyObject *reader_of(PyObject *module, PyObject *reader)
{
    static PyMethodDef first = {"append_queued", append_queued, METH_O, NULL};
    static PyMethodDef more = {"append_more", append_more, METH_O, NULL};
    static PyMethodDef numbered = {"append_numbered", append_numbered, METH_O, NULL};
    (void)module;
    PyObject *result = NULL;
    PyObject *first_function = PyCFunction_NewEx(&first, reader, NULL);
    PyObject *more_function = PyCFunction_NewEx(&more, reader, NULL);
    PyObject *numbered_function = PyCFunction_NewEx(&numbered, reader, NULL);
    if (first_function && more_function && numbered_function)
        result = PyTuple_Pack(3, first_function, more_function, numbered_function);
    Py_XDECREF(first_function);
    Py_XDECREF(more_function);
    Py_XDECREF(numbered_function);
    return result;
}

/* add_watch(path, mask) -> the watch descriptor, or -errno, or -CLOSED */
static PyObject *add_watch_to(PyObject *adder, PyObject *arguments)
{
    struct instance *instance = PyLong_AsVoidPtr(PyTuple_GetItem(adder, 0));
    PyObject *path, *number = PyNumber_Index(PyTuple_GetItem(arguments, 1));
    if (!number)
        return NULL;
    unsigned long long mask = PyLong_AsUnsignedLongLong(number);
    Py_DECREF(number);
    if (PyErr_Occurred())
        return NULL;
    if (mask > UINT32_MAX) {
        PyErr_SetString(PyExc_OverflowError, "mask has more than 32 bits");
        return NULL;
    }
    if (!PyUnicode_FSConverter(PyTuple_GetItem(arguments, 0), &path))
        return NULL;
    int wd;
    Py_BEGIN_ALLOW_THREADS
    wd = instance_add_watch(instance, PyBytes_AsString(path), (uint32_t)mask);
    Py_END_ALLOW_THREADS
    Py_DECREF(path);
    return PyLong_FromLong(wd);
}

/* adder_of((address of a struct instance, and what keeps that)) -> add_watch */
static PyObject *adder_of(PyObject *module, PyObject *adder)
{
    static PyMethodDef add = {"add_watch", add_watch_to, METH_VARARGS, NULL};
    (void)module;
    return PyCFunction_NewEx(&add, adder, NULL);
}

static PyMethodDef builtins[] = {
    {"append_events", append_events, METH_VARARGS, NULL},
    {"reader_of", reader_of, METH_O, NULL},
    {"adder_of", adder_of, METH_O, NULL},
};

/* cffi makes the module and has no place for functions that take objects, so
   they are handed over once, at import, through a list given by its id().  It
   comes with a subclass of tuple, to take tuple.__new__ from: the stable ABI
   gives the slots of a static type only from Python 3.10 on. */
static void exchange_builtins(uintptr_t list)
{
    PyGILState_STATE state = PyGILState_Ensure();
    PyTypeObject *plain = (PyTypeObject *)PyList_GetItem((PyObject *)list, 0);
    new_tuple = (newfunc)PyType_GetSlot(plain, Py_tp_new);
    for (size_t i = 0; i < sizeof builtins / sizeof *builtins; i++) {
        PyObject *function = PyCFunction_NewEx(&builtins[i], NULL, NULL);
        if (function) {
            PyList_Append((PyObject *)list, function);
            Py_DECREF(function);
        }
    }
    PyErr_Clear(); /* a short list is noticed where it is unpacked */
    PyGILState_Release(state);
}

#endif
