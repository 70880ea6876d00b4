/* CPython: an inotify instance as a Python object.  One call reads and builds events,
   and releases the GIL once. */

#ifndef INOTIFY_CFFI_PYTHON_INSTANCE_H
#define INOTIFY_CFFI_PYTHON_INSTANCE_H

#include <Python.h>

/* Add the type Instance to the module; -1 with an exception set. */
int python_instance_add_type(PyObject *module);

#endif
