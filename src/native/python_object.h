/* The data of an object of this extension's types.  cffi sets Py_TARGET_ABI3T on
   free-threaded Python 3.15.  That hides PyObject (PEP 803), since its size differs with
   a GIL.  There PyObject_GetTypeData returns the data, and PyType_Spec.basicsize is the
   size behind PyObject, negative. */

#ifndef INOTIFY_CFFI_PYTHON_OBJECT_H
#define INOTIFY_CFFI_PYTHON_OBJECT_H

#include <Python.h>

#ifdef Py_TARGET_ABI3T
#define PYTHON_OBJECT_HEAD
#define PYTHON_OBJECT_SIZE(structure) (-(int)sizeof(structure))
/* No type derives from these types, so the object's type is the one that has the data. */
#define python_object_data(object) PyObject_GetTypeData(object, Py_TYPE(object))
#else
#define PYTHON_OBJECT_HEAD PyObject_HEAD
#define PYTHON_OBJECT_SIZE(structure) ((int)sizeof(structure))
#define python_object_data(object) ((void *)(object))
#endif

/* Not Py_RETURN_NONE: in the headers of Python 3.12 and newer, None is immortal, also for
   the stable ABI of 3.9.  On 3.9 to 3.11, each such return would remove a reference to
   None, until it is freed. */
static inline PyObject *python_none(void)
{
    Py_INCREF(Py_None);
    return Py_None;
}

#endif
