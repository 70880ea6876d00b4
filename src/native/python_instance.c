#include "python_instance.h"

#include "fork.h"
#include "instance.h"
#include "python_object.h"
#include "python_parser.h"
#include "wait.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>

/* The data of one read.  It is allocated before the read, so that no failure can lose
   the data.  If building its events fails, it is kept. */
struct batch {
    struct batch *next;
    PyObject *events;         /* a list of the events that were built before, or NULL */
    unsigned fork_generation; /* a child must not return its parent's events */
    size_t parsed;            /* of queued.size */
    struct queued queued;
};

struct python_instance {
    PYTHON_OBJECT_HEAD
    PyObject *parser;
    struct instance instance;
    int opened;
    struct batch *kept;  /* for the next read, in order; under fork_lock */
    struct batch *spare; /* under fork_lock */
};

static struct instance *python_instance_of(PyObject *self)
{
    struct python_instance *data = python_object_data(self);
    return &data->instance;
}

/* ---- batches ------------------------------------------------------------ */

/* NULL without memory; sets no exception. */
static struct batch *batch_take(struct python_instance *self)
{
    fork_lock_acquire();
    struct batch *batch = self->spare;
    self->spare = NULL;
    fork_lock_release();
    if (!batch && !(batch = malloc(sizeof *batch)))
        return NULL;
    batch->events = NULL;
    batch->fork_generation = fork_generation;
    batch->parsed = 0;
    batch->queued.size = 0;
    return batch;
}

/* Returns whether a batch is kept. */
static int batch_release(struct python_instance *self, struct batch *batch)
{
    Py_CLEAR(batch->events);
    fork_lock_acquire();
    struct batch *surplus = self->spare;
    self->spare = batch;
    int kept = self->kept != NULL;
    fork_lock_release();
    free(surplus);
    return kept;
}

/* Keep a batch for the next read, before all others: its events are the oldest. */
static void batch_keep(struct python_instance *self, struct batch *batch)
{
    fork_lock_acquire();
    batch->next = self->kept;
    self->kept = batch;
    fork_lock_release();
    wait_recheck(&self->instance);
    instance_mark(&self->instance);
}

/* Keep a batch for the next read, after all others. */
static void batch_keep_last(struct python_instance *self, struct batch *batch)
{
    fork_lock_acquire();
    struct batch **link = &self->kept;
    while (*link)
        link = &(*link)->next;
    batch->next = NULL;
    *link = batch;
    fork_lock_release();
    wait_recheck(&self->instance);
    instance_mark(&self->instance);
}

static struct batch *batch_take_kept(struct python_instance *self)
{
    fork_lock_acquire();
    struct batch *batch = self->kept;
    if (batch)
        self->kept = batch->next;
    fork_lock_release();
    return batch;
}

static int batch_is_kept(struct python_instance *self, PyObject *events)
{
    int found = 0;
    fork_lock_acquire();
    for (struct batch *batch = self->kept; batch; batch = batch->next)
        found |= batch->events == events;
    fork_lock_release();
    return found;
}

static int batch_holds_more(const struct batch *batch)
{
    return batch->fork_generation == fork_generation
        && (batch->parsed < (size_t)batch->queued.size
            || (batch->events && PyList_Size(batch->events) > 0));
}

/* Whether anything is kept; forgets the batches of the parent process. */
static int batch_any_kept(struct python_instance *self)
{
    struct batch *batch = batch_take_kept(self);
    while (batch && !batch_holds_more(batch)) {
        batch_release(self, batch);
        batch = batch_take_kept(self);
    }
    if (!batch)
        return 0;
    fork_lock_acquire();
    batch->next = self->kept;
    self->kept = batch;
    fork_lock_release();
    return 1;
}

static Py_ssize_t batch_smaller(Py_ssize_t one, Py_ssize_t other)
{
    return one < other ? one : other;
}

/* Move the events of a batch to a list, until that has `most`.  Returns -1 with an
   exception set; the other events are still in the batch then.  Returns 0 if the bytes
   are not events. */
static int batch_move(struct python_instance *self, struct batch *batch,
                      PyObject *events, Py_ssize_t most)
{
    Py_ssize_t wanted = most - PyList_Size(events);
    if (batch->events) {
        Py_ssize_t count = batch_smaller(PyList_Size(batch->events), wanted);
        PyObject *moved = PyList_GetSlice(batch->events, 0, count);
        if (!moved)
            return -1;
        int result = PyList_SetSlice(events, PyList_Size(events), PyList_Size(events),
                                     moved);
        Py_DECREF(moved);
        if (result == -1 || PyList_SetSlice(batch->events, 0, count, NULL) == -1)
            return -1;
        wanted -= count;
    }
    return parser_append(self->parser, events, batch->queued.data,
                         (size_t)batch->queued.size, &batch->parsed, (size_t)wanted);
}

/* ---- reading ------------------------------------------------------------ */

/* Keep the results of an unfinished read: its events, and the bytes of its batch. */
static void python_instance_keep_batch(struct python_instance *self,
                                       struct batch *batch, PyObject *events)
{
    if (PyList_Size(events) > 0 || batch->parsed < (size_t)batch->queued.size) {
        Py_INCREF(events);
        batch->events = events;
        batch_keep(self, batch);
    } else
        batch_release(self, batch);
}

/* Take the kept batches; -1 with an exception set. */
static int python_instance_take_kept(struct python_instance *self, PyObject *events,
                                     Py_ssize_t most)
{
    struct batch *batch;
    int result = 1;
    while (result == 1 && PyList_Size(events) < most && (batch = batch_take_kept(self))) {
        if (batch_holds_more(batch))
            result = batch_move(self, batch, events, most);
        if (result == 0)
            batch->queued.size = 0; /* the bytes are not events, and never will be */
        if (batch_holds_more(batch))
            batch_keep(self, batch);
        else
            batch_release(self, batch);
    }
    return result == -1 ? -1 : 1;
}

/* Build the events of a batch: 0, or -errno, or INT_MIN with an exception set. */
static int python_instance_build(struct python_instance *self, struct batch *batch,
                                 PyObject *events, Py_ssize_t most)
{
    if (batch->queued.size <= 0)
        return (int)batch->queued.size;
    int result = batch_move(self, batch, events, most);
    if (result == -1)
        return INT_MIN;
    batch->queued.size = 0;
    batch->parsed = 0;
    return result ? 0 : -EIO;
}

/* The first read of a drain, without the GIL. */
static void python_instance_take(struct python_instance *self, struct batch *batch,
                                 Py_ssize_t most)
{
    if (most == 1)
        instance_read_one(&self->instance, &batch->queued);
    else
        instance_read(&self->instance, &batch->queued, 0);
}

/* Build the events of that read, and read and build the rest of the queue. */
static int python_instance_build_all(struct python_instance *self, struct batch *batch,
                                     PyObject *events, Py_ssize_t most)
{
    /* A read that does not empty the queue takes more than INSTANCE_SURELY_EMPTIED
       bytes: so this many are enough, and a writer that is faster than this loop
       cannot keep it going. */
    ssize_t reads = batch->queued.remaining / INSTANCE_SURELY_EMPTIED
        + (batch->queued.remaining > 0);
    int result = python_instance_build(self, batch, events, most);
    while (result == 0 && reads-- > 0) {
        Py_BEGIN_ALLOW_THREADS
        instance_read(&self->instance, &batch->queued, 1);
        Py_END_ALLOW_THREADS
        if (batch->queued.size <= 0)
            break;
        if (batch->queued.remaining <= 0)
            reads = 0;
        result = python_instance_build(self, batch, events, most);
    }
    return result;
}

/* Take all queued events.  Returns as python_instance_build(). */
static int python_instance_drain(struct python_instance *self, struct batch *batch,
                                 PyObject *events, Py_ssize_t most)
{
    if (python_instance_take_kept(self, events, most) == -1)
        return INT_MIN;
    if (most == 1 && PyList_Size(events) == 1)
        return 0;
    Py_BEGIN_ALLOW_THREADS
    python_instance_take(self, batch, most);
    Py_END_ALLOW_THREADS
    return python_instance_build_all(self, batch, events, most);
}

/* At the end of a read: while events are kept, a marker is queued, and otherwise none
   is.  It can be removed only together with the events before it, which are kept then.
   An exception may be set. */
static void python_instance_settle(struct python_instance *self)
{
    if (batch_any_kept(self)) {
        instance_mark(&self->instance);
        return;
    }
    struct batch *batch = instance_is_marked(&self->instance) ? batch_take(self) : NULL;
    if (!batch)
        return; /* without memory, the next read removes the marker */
    python_instance_take(self, batch, PY_SSIZE_T_MAX);
    if (batch->queued.size > 0)
        batch_keep_last(self, batch);
    else
        batch_release(self, batch);
}

/* The arguments of a read or a wait. */
struct request {
    PyObject *events; /* NULL: take none, only wait */
    Py_ssize_t most;
    double timeout;    /* milliseconds; negative: for ever */
    double read_delay; /* milliseconds; negative: none */
};

/* Sleep until the wait has a result: WAIT_... or -errno, or INT_MIN with an exception
   set, which a signal handler raised.  It reads at once, unless more events are to
   gather: so it takes the GIL only to build events. */
static int python_instance_sleep(struct python_instance *self, struct batch *batch,
                                 struct wait *wait, const struct request *request)
{
    int state = WAIT_READABLE;
    int reads = request->events && request->read_delay < 0;
    while (!batch_any_kept(self)) {
        Py_BEGIN_ALLOW_THREADS
        state = wait_poll(wait);
        if (state == WAIT_READABLE && reads)
            python_instance_take(self, batch, request->most);
        Py_END_ALLOW_THREADS
        if (state == -EINTR) {
            if (PyErr_CheckSignals() == -1)
                return INT_MIN;
        } else if (state != WAIT_RECHECK)
            break;
    }
    return state;
}

static int python_instance_gather(struct wait *wait, double milliseconds)
{
    int state;
    do {
        Py_BEGIN_ALLOW_THREADS
        state = wait_gather(wait, &milliseconds);
        Py_END_ALLOW_THREADS
        if (state == -EINTR && PyErr_CheckSignals() == -1)
            return INT_MIN;
    } while (state == -EINTR);
    return state == WAIT_TIMED_OUT ? WAIT_READABLE : state;
}

/* 1 if there is an event, 0 if not; -errno, or INT_MIN with an exception set. */
static int python_instance_try(struct python_instance *self, struct batch *batch,
                                const struct request *request)
{
    if (request->events) {
        int result = batch->queued.size /* taken already */
            ? python_instance_build_all(self, batch, request->events, request->most)
            : python_instance_drain(self, batch, request->events, request->most);
        return result ? result : PyList_Size(request->events) > 0;
    }
    if (batch_any_kept(self))
        return 1;
    if (instance_is_marked(&self->instance)) { /* in a forked child */
        python_instance_settle(self);
        if (batch_any_kept(self))
            return 1;
    }
    ssize_t queued;
    Py_BEGIN_ALLOW_THREADS /* otherwise a loop of such calls would block the readers */
    queued = instance_queued_bytes(&self->instance);
    if (queued == 0)
        queued = wait_mounts_changed(&self->instance);
    Py_END_ALLOW_THREADS
    return queued < 0 ? (int)queued : queued > 0;
}

static int python_instance_wait(struct python_instance *self, struct batch *batch,
                                const struct request *request)
{
    struct wait wait = {0};
    int result = wait_begin(&wait, &self->instance, request->timeout, 0);
    if (result < 0)
        return result;
    int state;
    do {
        state = python_instance_sleep(self, batch, &wait, request);
        if (state == WAIT_READABLE && request->read_delay >= 0)
            state = python_instance_gather(&wait, request->read_delay);
        if (state == WAIT_READABLE)
            result = python_instance_try(self, batch, request);
        /* If there is no event, another reader was faster. */
    } while (state == WAIT_READABLE && result == 0);
    wait_end(&wait, state == WAIT_WOKEN);
    return state < 0 ? state : result;
}

static int python_instance_serve(struct python_instance *self,
                                 const struct request *request)
{
    struct batch *batch = batch_take(self);
    if (!batch) {
        PyErr_NoMemory();
        return INT_MIN;
    }
    /* A caller with a timeout has tried without one before.  So an event that comes now
       is the first of a wait, and more may gather after it. */
    int result = request->timeout == 0 ? python_instance_try(self, batch, request)
                                       : python_instance_wait(self, batch, request);
    if (result == INT_MIN && request->events)
        python_instance_keep_batch(self, batch, request->events);
    else if (batch_release(self, batch) || instance_is_marked(&self->instance))
        python_instance_settle(self);
    return result;
}

static PyObject *python_instance_answer(PyObject *self, const struct request *request)
{
    int result = python_instance_serve(python_object_data(self), request);
    return result == INT_MIN ? NULL : PyLong_FromLong(result);
}

static PyObject *python_instance_read(PyObject *self, PyObject *arguments)
{
    struct request request = {NULL, PY_SSIZE_T_MAX, 0, -1};
    if (!PyArg_ParseTuple(arguments, "O!dd:read", &PyList_Type, &request.events,
                          &request.timeout, &request.read_delay))
        return NULL;
    return python_instance_answer(self, &request);
}

/* Parsing three arguments would take a twentieth of the time for a lone event. */
static PyObject *python_instance_read_queued(PyObject *self, PyObject *events)
{
    struct request request = {events, PY_SSIZE_T_MAX, 0, -1};
    if (!PyList_Check(events)) {
        PyErr_SetString(PyExc_TypeError, "events must be a list");
        return NULL;
    }
    return python_instance_answer(self, &request);
}

static PyObject *python_instance_read_one(PyObject *self, PyObject *arguments)
{
    struct request request = {NULL, 1, 0, -1};
    if (!PyArg_ParseTuple(arguments, "O!dd:read_one", &PyList_Type, &request.events,
                          &request.timeout, &request.read_delay))
        return NULL;
    return python_instance_answer(self, &request);
}

static PyObject *python_instance_wait_readable(PyObject *self, PyObject *arguments)
{
    struct request request = {NULL, 0, 0, -1};
    if (!PyArg_ParseTuple(arguments, "dd:wait_readable", &request.timeout,
                          &request.read_delay))
        return NULL;
    return python_instance_answer(self, &request);
}

static PyObject *python_instance_keep(PyObject *object, PyObject *events)
{
    struct python_instance *self = python_object_data(object);
    if (!PyList_Check(events)) {
        PyErr_SetString(PyExc_TypeError, "events must be a list");
        return NULL;
    }
    if (PyList_Size(events) > 0 && !batch_is_kept(self, events)) {
        struct batch *batch = batch_take(self);
        if (!batch)
            return PyErr_NoMemory();
        python_instance_keep_batch(self, batch, events);
    }
    return python_none();
}

/* ---- the instance ------------------------------------------------------- */

static PyObject *python_instance_new(PyTypeObject *type, PyObject *arguments,
                                     PyObject *keywords)
{
    PyObject *parser;
    if (keywords && PyDict_Size(keywords)) {
        PyErr_SetString(PyExc_TypeError, "Instance() takes no keyword arguments");
        return NULL;
    }
    if (!PyArg_ParseTuple(arguments, "O:Instance", &parser))
        return NULL;
    if (!parser_check(parser)) {
        PyErr_SetString(PyExc_TypeError, "Instance() takes a Parser");
        return NULL;
    }
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    PyObject *object = allocate(type, 0);
    if (object) {
        struct python_instance *self = python_object_data(object);
        Py_INCREF(parser);
        self->parser = parser;
    }
    return object;
}

static void python_instance_dealloc(PyObject *object)
{
    struct python_instance *self = python_object_data(object);
    PyTypeObject *type = Py_TYPE(object);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    struct batch *batch;
    wait_drop_instance(&self->instance);
    while ((batch = batch_take_kept(self)))
        batch_release(self, batch);
    free(self->spare);
    Py_XDECREF(self->parser);
    release(object);
    Py_DECREF(type);
}

static PyObject *python_instance_open(PyObject *object, PyObject *arguments)
{
    struct python_instance *self = python_object_data(object);
    int flags, closefd, fd;
    if (!PyArg_ParseTuple(arguments, "ip:open", &flags, &closefd))
        return NULL;
    /* Only once, since another thread may be in a call on the open instance. */
    if (self->opened)
        return PyLong_FromLong(-EBUSY);
    self->opened = 1;
    Py_BEGIN_ALLOW_THREADS
    fd = instance_open(&self->instance, flags, closefd);
    Py_END_ALLOW_THREADS
    return PyLong_FromLong(fd);
}

static PyObject *python_instance_close(PyObject *object, PyObject *unused)
{
    struct python_instance *self = python_object_data(object);
    (void)unused;
    Py_BEGIN_ALLOW_THREADS /* the kernel takes milliseconds to remove many watches */
    wait_close_instance(&self->instance);
    Py_END_ALLOW_THREADS
    fork_lock_acquire();
    struct batch *spare = self->spare;
    self->spare = NULL;
    fork_lock_release();
    free(spare);
    return python_none();
}

static PyObject *python_instance_wake(PyObject *self, PyObject *unused)
{
    (void)unused;
    Py_BEGIN_ALLOW_THREADS
    wait_wake(python_instance_of(self));
    Py_END_ALLOW_THREADS
    return python_none();
}

static PyObject *python_instance_rm_watch(PyObject *self, PyObject *arguments)
{
    int wd, result;
    if (!PyArg_ParseTuple(arguments, "i:rm_watch", &wd))
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    result = instance_rm_watch(python_instance_of(self), wd);
    Py_END_ALLOW_THREADS
    return PyLong_FromLong(result);
}

/* A mask has 32 bits: -1 with an exception set if `object` is not such a number. */
static int python_mask(PyObject *object, uint32_t *mask)
{
    PyObject *number = PyNumber_Index(object);
    if (!number) {
        if (PyErr_ExceptionMatches(PyExc_TypeError)) {
            PyErr_Clear(); /* repr() must not run with an exception set */
            PyErr_Format(PyExc_TypeError,
                         "mask must be an int, such as flags.CREATE, not %R", object);
        }
        return -1;
    }
    unsigned long long value = PyLong_AsUnsignedLongLong(number);
    Py_DECREF(number);
    /* For a negative or too large number, an error, which is -1 as well. */
    if (value > UINT32_MAX) {
        PyErr_SetString(PyExc_OverflowError, "mask must be a number of 32 bits");
        return -1;
    }
    *mask = (uint32_t)value;
    return 0;
}

static PyObject *python_instance_add_watch(PyObject *self, PyObject *arguments)
{
    PyObject *given_path, *given_mask, *path;
    uint32_t mask;
    if (!PyArg_ParseTuple(arguments, "OO:add_watch", &given_path, &given_mask))
        return NULL;
    if (python_mask(given_mask, &mask) == -1
        || !PyUnicode_FSConverter(given_path, &path))
        return NULL;
    int wd;
    Py_BEGIN_ALLOW_THREADS
    wd = instance_add_watch(python_instance_of(self), PyBytes_AsString(path), mask);
    Py_END_ALLOW_THREADS
    Py_DECREF(path);
    return PyLong_FromLong(wd);
}

static PyObject *python_instance_address(PyObject *self, void *closure)
{
    (void)closure;
    return PyLong_FromVoidPtr(python_instance_of(self));
}

static PyObject *python_instance_closefd(PyObject *self, void *closure)
{
    (void)closure;
    return PyBool_FromLong(python_instance_of(self)->guard.closefd);
}

static PyMethodDef python_instance_methods[] = {
    {"open", python_instance_open, METH_VARARGS,
     "open(flags, closefd) -> the descriptor, or -errno"},
    {"close", python_instance_close, METH_NOARGS, "close(): end all waits, too"},
    {"read", python_instance_read, METH_VARARGS,
     "read(events, timeout, read_delay) -> 1: events were appended; 0; or -errno"},
    {"read_queued", python_instance_read_queued, METH_O,
     "read_queued(events) -> as read(), without a wait"},
    {"read_one", python_instance_read_one, METH_VARARGS,
     "read_one(events, timeout, read_delay) -> as read(), but one event alone"},
    {"wait_readable", python_instance_wait_readable, METH_VARARGS,
     "wait_readable(timeout, read_delay) -> 1: there is an event; 0; or -errno"},
    {"keep", python_instance_keep, METH_O,
     "keep(events): return them from the next read, unless they are kept already"},
    {"wake", python_instance_wake, METH_NOARGS, "wake(): end all waits"},
    {"rm_watch", python_instance_rm_watch, METH_VARARGS,
     "rm_watch(wd) -> 0, or -errno"},
    {"add_watch", python_instance_add_watch, METH_VARARGS,
     "add_watch(path, mask) -> watch descriptor, or -errno"},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef python_instance_properties[] = {
    {"address", python_instance_address, NULL, "of its struct instance", NULL},
    {"closefd", python_instance_closefd, NULL, "as it was opened", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot python_instance_slots[] = {
    {Py_tp_new, (void *)python_instance_new},
    {Py_tp_dealloc, (void *)python_instance_dealloc},
    {Py_tp_methods, python_instance_methods},
    {Py_tp_getset, python_instance_properties},
    {Py_tp_doc, "Instance(parser): a struct instance, closed until it is opened."},
    {0, NULL},
};

static PyType_Spec python_instance_spec = {
    "inotify_cffi._inotify.Instance", PYTHON_OBJECT_SIZE(struct python_instance), 0,
    Py_TPFLAGS_DEFAULT, python_instance_slots,
};

int python_instance_add_type(PyObject *module)
{
    PyObject *type = PyType_FromSpec(&python_instance_spec);
    if (type && PyModule_AddObject(module, "Instance", type) == 0)
        return 0;
    Py_XDECREF(type);
    return -1;
}
