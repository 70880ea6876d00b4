#define PY_SSIZE_T_CLEAN
#include "python_instance.h"

#include "instance.h"
#include "python_parser.h"

#include <errno.h>

struct python_instance {
    PyObject_HEAD
    PyObject *parser;
    struct instance instance;
};

static struct instance *python_instance_of(PyObject *self)
{
    return &((struct python_instance *)self)->instance;
}

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
    struct python_instance *self = (struct python_instance *)allocate(type, 0);
    if (self) {
        Py_INCREF(parser);
        self->parser = parser;
    }
    return (PyObject *)self;
}

static void python_instance_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    instance_close(python_instance_of(self));
    Py_XDECREF(((struct python_instance *)self)->parser);
    release(self);
    Py_DECREF(type);
}

/* Read once and append.  Returns the bytes still queued, or the sequence number of
   the read, or -errno. */
static PyObject *python_instance_append(PyObject *self, PyObject *events, int more,
                                        int sequence)
{
    struct queued queued; /* on the stack: no two readers can share it */
    size_t parsed;
    if (!PyList_Check(events)) {
        PyErr_SetString(PyExc_TypeError, "events must be a list");
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS
    instance_read(python_instance_of(self), &queued, more);
    Py_END_ALLOW_THREADS
    if (queued.size > 0) {
        Py_ssize_t end = parser_append(((struct python_instance *)self)->parser, events,
                                       queued.data, (size_t)queued.size, &parsed);
        if (end == -1)
            return NULL;
        if (end != queued.size)
            queued.size = -EIO;
    }
    if (sequence && queued.size > 0)
        return PyLong_FromLongLong(queued.sequence);
    return PyLong_FromSsize_t(queued.size < 0 ? queued.size : queued.remaining);
}

static PyObject *python_instance_append_queued(PyObject *self, PyObject *events)
{
    return python_instance_append(self, events, 0, 0);
}

static PyObject *python_instance_append_more(PyObject *self, PyObject *events)
{
    return python_instance_append(self, events, 1, 0);
}

static PyObject *python_instance_append_numbered(PyObject *self, PyObject *events)
{
    return python_instance_append(self, events, 0, 1);
}

/* A mask has 32 bits: -1 with an exception set where `object` is no such number. */
static int python_mask(PyObject *object, uint32_t *mask)
{
    PyObject *number = PyNumber_Index(object);
    if (!number)
        return -1;
    unsigned long long value = PyLong_AsUnsignedLongLong(number);
    Py_DECREF(number);
    if (value == (unsigned long long)-1 && PyErr_Occurred())
        return -1;
    if (value > UINT32_MAX) {
        PyErr_SetString(PyExc_OverflowError, "mask has more than 32 bits");
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

static PyMethodDef python_instance_methods[] = {
    {"append_queued", python_instance_append_queued, METH_O,
     "append_queued(events) -> bytes still queued, or -errno"},
    {"append_more", python_instance_append_more, METH_O,
     "append_more(events) -> 1 if there may be more, 0, or -errno"},
    {"append_numbered", python_instance_append_numbered, METH_O,
     "append_numbered(events) -> sequence number of the read, 0 for none, or -errno"},
    {"add_watch", python_instance_add_watch, METH_VARARGS,
     "add_watch(path, mask) -> watch descriptor, or -errno"},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef python_instance_properties[] = {
    {"address", python_instance_address, NULL, "of its struct instance", NULL},
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
    "inotify_cffi._inotify.Instance", sizeof(struct python_instance), 0,
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
