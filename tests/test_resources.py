"""Resources are released: memory, descriptors, processes, modules."""

from __future__ import annotations

import gc
import io
import os
import sys
import textwrap
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Callable

import pytest

from inotify_cffi import INotify, flags

if TYPE_CHECKING:
    from conftest import RunPython

# The operations, and how often each is done.
REPEATED = {
    "read nothing": (200_000, "assert blocking.read(timeout=0) == []"),
    "read nothing, nonblocking": (200_000, "assert nonblocking.read(timeout=0) == []"),
    "read an event": (
        200_000,
        """
        os.pwrite(file, b"t", 0)
        (event,) = blocking.read(timeout=0)
        assert event.name == NAME
        """,
    ),
    "read an event, nonblocking": (
        200_000,
        """
        os.pwrite(file, b"t", 0)
        (event,) = nonblocking.read()
        assert event.name == NAME
        """,
    ),
    "wait for an event": (
        50_000,
        """
        os.pwrite(file, b"t", 0)
        assert blocking.wait_readable()
        assert len(blocking.read()) == 1
        """,
    ),
    "wait in vain": (20_000, "assert blocking.read(timeout=1e-6) == []"),
    "iterate": (
        50_000,
        """
        os.pwrite(file, b"t", 0)
        assert next(blocking).name == NAME
        """,
    ),
    "read_events nothing": (50_000, "assert syscalls.read_events(fd) == []"),
    "read_events an event": (
        200_000,
        """
        os.pwrite(file, b"t", 0)
        (event,) = syscalls.read_events(fd)
        assert event.len == 256
        """,
    ),
    "read_events refused": (
        50_000,
        """
        os.pwrite(file, b"t", 0)
        try:
            syscalls.read_events(fd, 100)
        except OSError:
            pass
        else:
            raise AssertionError
        """,
    ),
    "parse": (50_000, "assert len(parse_events(DATA)) == 3"),
    "parse what is malformed": (
        50_000,
        """
        try:
            parse_events(DATA[:-1])
        except ValueError:
            pass
        else:
            raise AssertionError
        """,
    ),
    "add and remove a watch": (
        20_000,
        """
        blocking.rm_watch(blocking.add_watch(file_path, flags.CREATE))
        assert len(blocking.read(timeout=0)) == 1
        """,
    ),
    "add what is missing": (
        50_000,
        """
        try:
            blocking.add_watch("/missing", flags.CREATE)
        except OSError:
            pass
        else:
            raise AssertionError
        """,
    ),
    "list watches": (20_000, "assert len(blocking.watches()) == 1"),
    "open and close": (10_000, "INotify().close()"),
    "open in vain": (
        50_000,
        """
        try:
            syscalls.init1(1)
        except OSError:
            pass
        else:
            raise AssertionError
        """,
    ),
}

REPEAT = """
    import gc, os, struct, sys
    from inotify_cffi import INotify, flags, parse_events, syscalls

    NAME = "n" * 255
    DATA = b"".join(
        struct.pack("=iIII", wd, 2, 0, 8) + b"caf\\xe9\\0\\0\\0\\0" for wd in range(3)
    )
    folder, times = sys.argv[1], int(sys.argv[2])
    file_path = os.path.join(folder, NAME)
    file = os.open(file_path, os.O_CREAT | os.O_WRONLY)
    blocking = INotify()
    blocking.add_watch(folder, flags.MODIFY)
    nonblocking = INotify(nonblocking=True)
    nonblocking.add_watch(folder, flags.MODIFY)
    fd = syscalls.init1(syscalls.IN_NONBLOCK)
    syscalls.add_watch(fd, folder, flags.MODIFY)

    def repeat(times):
        for _ in range(times):
            {body}

    def used():
        for _ in range(3):
            gc.collect()
        with open("/proc/self/status") as status:
            (kilobytes,) = (line.split()[1] for line in status if "VmRSS" in line)
        blocks = getattr(sys, "getallocatedblocks", int)()
        descriptors = len(os.listdir("/proc/self/fd"))
        return int(kilobytes), blocks, len(gc.get_objects()), descriptors

    # To warm up first; PyPy compiles what is rare in the second round.
    for _ in range(3 if sys.implementation.name == "pypy" else 2):
        before = used()
        repeat(times)
    print(*(now - then for now, then in zip(used(), before)))
    for opened in (blocking, nonblocking):
        opened.close()
    for opened in (fd, file):
        os.close(opened)
    """


@pytest.mark.parametrize("what", REPEATED)
def test_nothing_grows(run_python: RunPython, tmp_path: Path, what: str) -> None:
    """Doing the same again and again takes no more memory, objects or descriptors."""
    times, body = REPEATED[what]
    body = textwrap.indent(textwrap.dedent(body).strip(), " " * 8).strip()
    code = textwrap.dedent(REPEAT).format(body=body)
    # With a PYTHONPATH, CPython 3.11 itself allocates 100 to 200 blocks between two
    # rounds, however long they are.
    printed = run_python(code, tmp_path, str(times), env={"PYTHONPATH": ""}).split()
    kilobytes, blocks, objects, descriptors = map(int, printed)
    # PyPy's collector keeps some memory for itself, and has no count of blocks.
    assert kilobytes < (6144 if sys.implementation.name == "pypy" else 1024)
    assert blocks < 100
    assert objects < 100
    assert descriptors == 0


def test_nothing_leaks_when_making_fails() -> None:
    """A constructor that fails, before or after the descriptor is there, closes it."""

    class Refused:
        def __bool__(self) -> bool:
            raise KeyError

    class Fails(io.FileIO):
        def __init__(self, *arguments: object, **options: object) -> None:
            raise KeyError

    class FailsBelow(INotify, Fails):
        pass

    class FailsAfterwards(INotify):
        def __init__(self) -> None:
            super().__init__()
            try:
                raise KeyError
            except KeyError:
                self.close()
                raise

    before = os.listdir("/proc/self/fd")
    constructors: list[Callable[[], INotify]] = [
        lambda: INotify(Refused()),  # type: ignore[arg-type]
        lambda: INotify(nonblocking=Refused()),  # type: ignore[arg-type]
        lambda: INotify(closefd=Refused()),  # type: ignore[arg-type]
        FailsBelow,
        FailsAfterwards,
    ]
    for make in constructors:
        with pytest.raises(KeyError):
            make()
        gc.collect()
        assert os.listdir("/proc/self/fd") == before


def test_no_process_is_started(run_python: RunPython, tmp_path: Path) -> None:
    """Neither the import nor the first instance starts a process."""
    code = """
        import os, resource, sys

        started = []

        def audit(event, arguments):
            if event.startswith(("subprocess", "os.fork", "os.exec", "os.posix")):
                started.append(event)

        sys.addaudithook(audit)
        from inotify_cffi import INotify, flags
        with INotify() as inotify:
            inotify.add_watch(sys.argv[1], flags.CREATE)
            inotify.read(timeout=1)
        try:
            os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            print("no child")
        # What had a child that it waited for has its page faults.
        print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_minflt, started)
        """
    assert run_python(code, tmp_path) == "no child\n0 []\n"


def test_what_a_child_leaves_is_seen(run_python: RunPython) -> None:
    """A process that was started and waited for does leave page faults."""
    code = """
        import os, resource

        os.system("true")
        print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_minflt > 0)
        """
    assert run_python(code) == "True\n"


def test_what_is_imported(run_python: RunPython, tmp_path: Path) -> None:
    """Neither the import nor the use loads ctypes, cffi, asyncio, trio or trees."""
    code = """
        import sys

        before = set(sys.modules)
        from inotify_cffi import INotify, flags, parse_events, syscalls
        with INotify() as inotify:
            inotify.add_watch(sys.argv[1], flags.CREATE)
            inotify.read(timeout=1)
            inotify.watches()
        loaded = {name.partition(".")[0] for name in set(sys.modules) - before}
        print(sorted(loaded & {
            "ctypes", "_ctypes", "cffi", "pycparser", "asyncio", "trio", "subprocess",
            "socket", "argparse", "inspect", "logging", "threading", "typing",
        }))
        print("inotify_cffi.tree" in sys.modules)
        """
    assert run_python(code, tmp_path) == "[]\nFalse\n"


def test_descriptors_above_1023(run_python: RunPython, tmp_path: Path) -> None:
    """An instance with a descriptor that select() refuses works like every other."""
    code = """
        import os, resource, select, sys
        from inotify_cffi import INotify, flags, syscalls

        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
        taken = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
        with INotify() as inotify:
            print(inotify.fd > 1023, inotify.add_watch(sys.argv[1], flags.CREATE))
            try:
                select.select([inotify], [], [], 0)
            except ValueError:
                print("select() refuses it")
            print(inotify.read(timeout=1, read_delay=1), inotify.wait_readable(1))
            os.mkdir(sys.argv[1] + "/folder")
            print(inotify.wait_readable(), inotify.read(read_delay=1))
            print([watch.wd for watch in inotify.watches()])
            inotify.rm_watch(1)
            print(next(inotify).mask == flags.IGNORED)
        fd = syscalls.init1(syscalls.IN_NONBLOCK)
        print(fd > 1023, syscalls.read_events(fd))
        for descriptor in (fd, *taken):
            os.close(descriptor)
        """
    assert run_python(code, tmp_path).splitlines() == [
        "True 1",
        "select() refuses it",
        "[] False",
        "True [Event(wd=1, mask=1073742080, cookie=0, name='folder')]",
        "[1]",
        "True",
        "True []",
    ]


def test_unclosed(tmp_path: Path) -> None:
    """An instance that was not closed is closed with a ResourceWarning."""
    inotify = INotify()
    inotify.add_watch(tmp_path, flags.CREATE)
    inotify.read(timeout=1)
    number = inotify.fd
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        del inotify
        for _ in range(3):
            gc.collect()
    (warning,) = warned
    assert warning.category is ResourceWarning
    assert f"unclosed inotify instance <INotify fd={number}" in str(warning.message)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(number)


def test_closed_without_a_word(recwarn: pytest.WarningsRecorder) -> None:
    """A closed or incomplete instance, or one of no closefd, is collected silently."""
    INotify().close()
    with INotify():
        pass
    inotify = INotify(closefd=False)
    number = inotify.fd
    del inotify
    INotify.__new__(INotify)
    for _ in range(3):
        gc.collect()
    os.close(number)
    assert list(recwarn) == []


def test_end_of_the_interpreter(run_python: RunPython, tmp_path: Path) -> None:
    """An instance that lives to the end of the interpreter ends without a traceback."""
    code = """
        import sys, threading, warnings
        from inotify_cffi import INotify, flags

        warnings.simplefilter("ignore", ResourceWarning)
        inotify = INotify()
        inotify.add_watch(sys.argv[1], flags.CREATE)
        inotify.read(timeout=1)
        threading.Thread(target=inotify.read, daemon=True).start()
        kept = [INotify(), INotify(closefd=False)]
        kept.append(kept)
        print("end")
        """
    assert run_python(code, tmp_path) == "end\n"
