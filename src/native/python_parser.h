/* CPython: from the kernel's bytes to named tuples, by the stable ABI alone.  cffi
   converts only C values, in 20 ns a field and 75 ns a name. */

#ifndef INOTIFY_CFFI_PYTHON_PARSER_H
#define INOTIFY_CFFI_PYTHON_PARSER_H

#include <Python.h>

/* Add the type Parser to the module; -1 with an exception set. */
int parser_add_type(PyObject *module);
int parser_check(PyObject *object);
/* Append at most `most` events of `data` to a list; move `*offset` behind the last one.
   Returns 1, or 0 if a malformed event begins there, or -1 with an exception set. */
int parser_append(PyObject *parser, PyObject *events, const char *data, size_t size,
                  size_t *offset, size_t most);

#endif
