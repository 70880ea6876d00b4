"""What inotify_cffi costs, beside ctypes, its peers, `os.read` and C.

``python -m benchmarks`` asks every question of every interpreter it is given
and writes a table, a plot and pyperf's JSON under ``benchmarks/results``. Each
interpreter needs this package and what its extra ``bench`` lists; asyncinotify,
watchdog, watchfiles and inotifywait join in where they are installed, and C where
there is a compiler. A question that one interpreter fails to answer is named in the
report, and the others are asked all the same; ``--only`` asks it again.
``python -m benchmarks.bench_drain``, and so each ``bench_*.py``, asks one
question of the interpreter that runs it and prints the table.

How it is measured:

* All libraries run in one process and in turn, in an order drawn anew for each
  round, so that drift of the machine, and what a neighbour leaves in the
  caches, hit all alike. Rounds are repeated in several processes, and the
  interpreters take turns as well.
* Each library is asked in its own words: the expression that its user would
  write is compiled into the loop, as `timeit` does, with no wrapper around it.
  So each has a loop of its own too, and on PyPy its own machine code.
* Only the expression is on the clock. Making the events is not, nor is freeing
  what was returned, which is held until the clock has stopped. What the clock
  itself costs is measured by an empty expression in the same rounds, and taken
  off. The garbage collector is left on: its cost is the user's as well; it runs
  once before each value.
* Each value is taken on a fresh instance, opened with the library's defaults,
  in a directory on tmpfs where there is one. Names have 8 characters, except
  where a question varies that.
* The first rounds warm up and are thrown away. On PyPy each loop runs some
  thousand times before that, so that it is compiled.
* Watching a whole tree takes seconds: each value is taken in a fresh process there,
  PyPy's compiling included, with the libraries in turn as everywhere.
* The tables give medians, and minima beside them. A ratio is taken in each round
  and its median told, and beside it the ratio of the minima.
"""
