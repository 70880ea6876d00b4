/* Where an object of a type of ours keeps what is ours.  Py_TARGET_ABI3T, which cffi
   sets on free-threaded Python 3.15, hides PyObject (PEP 803), since it has another size
   with a GIL: there Python is asked, and the size of the type is how much comes behind
   it, negative (PyType_Spec.basicsize). */

#ifndef INOTIFY_CFFI_PYTHON_OBJECT_H
#define INOTIFY_CFFI_PYTHON_OBJECT_H

#include <Python.h>

#ifdef Py_TARGET_ABI3T
#define PYTHON_OBJECT_HEAD
#define PYTHON_OBJECT_SIZE(structure) (-(int)sizeof(structure))
/* Nothing derives from the types of ours: the object's type is the one. */
#define python_object_data(object) PyObject_GetTypeData(object, Py_TYPE(object))
#else
#define PYTHON_OBJECT_HEAD PyObject_HEAD
#define PYTHON_OBJECT_SIZE(structure) ((int)sizeof(structure))
#define python_object_data(object) ((void *)(object))
#endif

/* Not Py_RETURN_NONE: headers of Python 3.12 and newer take None for immortal, also
   for the stable ABI of 3.9.  On 3.9 to 3.11 each such return would cost None a
   reference, until it is freed. */
static inline PyObject *python_none(void)
{
    Py_INCREF(Py_None);
    return Py_None;
}

#endif
