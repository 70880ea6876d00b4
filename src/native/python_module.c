/* CPython: the compiled module is cffi's.  This adds the types that take and return
   Python objects, which cffi does not support.  build_inotify.py renames cffi's own
   PyInit function, so that this one is found. */

#include <Python.h>

#include "python_instance.h"
#include "python_parser.h"

#undef PyInit__inotify

PyMODINIT_FUNC PyInit__inotify_cffi(void);
PyMODINIT_FUNC PyInit__inotify(void);

PyMODINIT_FUNC PyInit__inotify(void)
{
    PyObject *module = PyInit__inotify_cffi();
    if (!module)
        return NULL;
    if (parser_add_type(module) == -1 || python_instance_add_type(module) == -1) {
        Py_DECREF(module);
        return NULL;
    }
    return module;
}
