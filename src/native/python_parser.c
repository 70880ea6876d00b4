#include "python_parser.h"

#include "python_object.h"

#include <stdint.h>
#include <string.h>
#include <sys/inotify.h>

struct parser {
    PYTHON_OBJECT_HEAD
    PyObject *event_type;
    int with_len;
};

static PyTypeObject *parser_type;

/* tuple.__new__.  A named tuple's own __new__ is Python code.  Allocating a tuple
   without __new__ would leave fields unset that CPython adds to tuples, as in 3.14. */
static newfunc parser_new_tuple;

int parser_check(PyObject *object)
{
    return PyObject_TypeCheck(object, parser_type);
}

/* Whether tuple.__new__ can create this type: it refuses types such as
   time.struct_time, which have more fields than their length. */
static int parser_check_event_type(PyObject *type, int length)
{
    PyObject *fields = PyUnicode_FromStringAndSize("     ", length);
    if (!fields)
        return -1;
    PyObject *event = PyObject_CallMethod((PyObject *)&PyTuple_Type, "__new__", "OO",
                                          type, fields);
    Py_DECREF(fields);
    Py_XDECREF(event);
    return event ? 0 : -1;
}

static PyObject *parser_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    PyObject *event_type;
    int with_len;
    if (keywords && PyDict_Size(keywords)) {
        PyErr_SetString(PyExc_TypeError, "Parser() takes no keyword arguments");
        return NULL;
    }
    if (!PyArg_ParseTuple(arguments, "O!p:Parser", &PyType_Type, &event_type, &with_len))
        return NULL;
    if (parser_check_event_type(event_type, 4 + with_len) == -1)
        return NULL;
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    PyObject *object = allocate(type, 0);
    if (object) {
        struct parser *parser = python_object_data(object);
        Py_INCREF(event_type);
        parser->event_type = event_type;
        parser->with_len = with_len;
    }
    return object;
}

static void parser_dealloc(PyObject *self)
{
    struct parser *parser = python_object_data(self);
    PyTypeObject *type = Py_TYPE(self);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    Py_XDECREF(parser->event_type);
    release(self);
    Py_DECREF(type);
}

/* Create the arguments of tuple.__new__: one tuple, with the only reference to the
   tuple of fields, which PyTuple_SetItem() requires. */
static PyObject *parser_make_arguments(Py_ssize_t length)
{
    PyObject *fields = PyTuple_New(length);
    if (!fields)
        return NULL;
    /* Python code could see a tracked tuple: by gc.get_objects(), or in a callback of
       the collector, which CPython up to 3.11 may run in the middle of this. */
    PyObject_GC_UnTrack(fields);
    PyObject *arguments = PyTuple_Pack(1, fields);
    Py_DECREF(fields);
    if (arguments)
        PyObject_GC_UnTrack(arguments);
    return arguments;
}

/* Set a field; `value` is a new reference, or NULL if it could not be created. */
static int parser_set(PyObject *fields, Py_ssize_t position, PyObject *value)
{
    return value ? PyTuple_SetItem(fields, position, value) : -1;
}

static int parser_set_fields(PyObject *fields, int with_len,
                             const struct inotify_event *event,
                             const struct inotify_event *last, const char *name,
                             const char *end)
{
    if (!last || event->wd != last->wd)
        if (parser_set(fields, 0, PyLong_FromLong(event->wd)) == -1)
            return -1;
    if (!last || event->mask != last->mask)
        if (parser_set(fields, 1, PyLong_FromUnsignedLong(event->mask)) == -1)
            return -1;
    if (!last || event->cookie != last->cookie)
        if (parser_set(fields, 2, PyLong_FromUnsignedLong(event->cookie)) == -1)
            return -1;
    if (with_len && (!last || event->len != last->len))
        if (parser_set(fields, 3, PyLong_FromUnsignedLong(event->len)) == -1)
            return -1;
    return parser_set(fields, 3 + with_len,
                      PyUnicode_DecodeFSDefaultAndSize(name, end - name));
}

/* Append tuple.__new__(type, fields) to a list. */
static int parser_append_event(PyObject *events, PyObject *type, PyObject *arguments)
{
    PyObject *event = parser_new_tuple((PyTypeObject *)type, arguments, NULL);
    if (!event)
        return -1;
    PyObject_GC_UnTrack(event); /* numbers and a string make no cycle */
    int result = PyList_Append(events, event);
    Py_DECREF(event);
    return result;
}

int parser_append(PyObject *self, PyObject *events, const char *data, size_t size,
                  size_t *offset, size_t most)
{
    struct parser *parser = python_object_data(self);
    struct inotify_event header, previous, *last = NULL;
    /* All events use one tuple of fields: neighbours share most fields, so only the
       different ones are created. */
    PyObject *arguments = NULL;
    int result = 1;
    for (; result == 1 && most > 0 && *offset < size; most--) {
        const char *name = data + *offset + sizeof header;
        const char *end = name;
        size_t left = size - *offset;
        result = 0;
        if (left < sizeof header)
            break;
        /* Copied, since `data` may be unaligned. */
        memcpy(&header, data + *offset, sizeof header);
        if (header.len > left - sizeof header)
            break;
        if (header.len && !(end = memchr(name, '\0', header.len)))
            break;
        result = -1;
        if (!last && !(arguments = parser_make_arguments(4 + parser->with_len)))
            break;
        if (parser_set_fields(PyTuple_GetItem(arguments, 0), parser->with_len, &header,
                              last, name, end) == -1)
            break;
        if (parser_append_event(events, parser->event_type, arguments) == -1)
            break;
        result = 1;
        previous = header;
        last = &previous;
        *offset += sizeof header + header.len;
    }
    Py_XDECREF(arguments);
    return result;
}

static PyObject *parser_append_bytes(PyObject *self, PyObject *arguments)
{
    PyObject *events, *bytes;
    char *data;
    Py_ssize_t size;
    size_t offset = 0;
    /* Not "y#": its meaning differs between the Python of the build and that of the
       run. */
    if (!PyArg_ParseTuple(arguments, "O!O:append", &PyList_Type, &events, &bytes)
        || PyBytes_AsStringAndSize(bytes, &data, &size) == -1)
        return NULL;
    if (parser_append(self, events, data, (size_t)size, &offset, SIZE_MAX) == -1)
        return NULL;
    return PyLong_FromSize_t(offset);
}

static PyMethodDef parser_methods[] = {
    {"append", parser_append_bytes, METH_VARARGS,
     "append(events, data) -> offset of the first malformed event, or len(data)"},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot parser_slots[] = {
    {Py_tp_new, (void *)parser_new},
    {Py_tp_dealloc, (void *)parser_dealloc},
    {Py_tp_methods, parser_methods},
    {Py_tp_doc, "Parser(event_type, with_len): makes named tuples of events."},
    {0, NULL},
};

static PyType_Spec parser_spec = {
    "inotify_cffi._inotify.Parser", PYTHON_OBJECT_SIZE(struct parser), 0,
    Py_TPFLAGS_DEFAULT, parser_slots,
};

/* In the stable ABI, the slots of a static type are readable only from Python 3.10 on.
   So tuple.__new__ comes from a subclass. */
static newfunc parser_find_new_tuple(void)
{
    PyType_Slot slots[] = {{0, NULL}};
    PyType_Spec spec = {"inotify_cffi._inotify._Tuple", 0, 0, Py_TPFLAGS_DEFAULT, slots};
    PyObject *bases = PyTuple_Pack(1, (PyObject *)&PyTuple_Type);
    PyObject *type = bases ? PyType_FromSpecWithBases(&spec, bases) : NULL;
    newfunc found = NULL;
    if (type)
        found = (newfunc)PyType_GetSlot((PyTypeObject *)type, Py_tp_new);
    Py_XDECREF(bases);
    Py_XDECREF(type);
    return found;
}

int parser_add_type(PyObject *module)
{
    parser_new_tuple = parser_find_new_tuple();
    if (!parser_new_tuple)
        return -1;
    PyObject *type = PyType_FromSpec(&parser_spec);
    if (!type)
        return -1;
    parser_type = (PyTypeObject *)type;
    Py_INCREF(type); /* one reference here, one for the module */
    if (PyModule_AddObject(module, "Parser", type) == 0)
        return 0;
    Py_DECREF(type);
    return -1;
}
