"""The cost of inotify_cffi beside peers, a ctypes binding, `os.read` and C.

``python -m benchmarks`` measures, and writes pyperf's JSON under
``benchmarks/results``: one file for each interpreter and library. Install what it
needs with ``pip install '.[bench]'``; asyncinotify, watchdog, watchfiles
(``pip install '.[peers]'``) and inotifywait take part where they are installed, C
where there is a compiler. To compare, use pyperf::

    python -m pyperf compare_to --table inotify_cffi.json inotify_simple.json
    python -m pyperf stats inotify_cffi.json

``python -m benchmarks.publish`` writes the README's table, the plot and
docs/performance.md from the same files.

How it is measured:

* All libraries run in one process and in turn, in an order drawn anew for each
  round, so that a change of the machine's speed hits all alike. Rounds are repeated
  in several processes, and the interpreters take turns as well.
* The statement that a user of the library would write is compiled into the loop, as
  `timeit` does. So each library has a loop of its own, and on PyPy its own machine
  code.
* Only the statement is timed. Making the events is not, nor is freeing the result,
  which is kept until the clock has stopped. The time of an empty statement in the
  same rounds is subtracted. The garbage collector stays on, and runs once before each
  value.
* Each value comes from a new instance with the library's defaults, in a directory on
  tmpfs where there is one. Names have 8 characters, except where a case varies that.
* The first rounds are thrown away. On PyPy each loop runs some thousand times before
  that, so that it is compiled.
* Watching a whole tree takes seconds: there each value comes from a new process.
"""
