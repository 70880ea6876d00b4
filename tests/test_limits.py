"""Refusals, and their texts."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable

import pytest

from inotify_cffi import INotify, flags, syscalls

if TYPE_CHECKING:
    from conftest import RunPython

# Both faces, as functions of an instance.
ADD_WATCH: dict[str, Callable[[INotify, Any, int], int]] = {
    "INotify": lambda inotify, path, mask: inotify.add_watch(path, mask),
    "syscalls": lambda inotify, path, mask: syscalls.add_watch(inotify.fd, path, mask),
}
RM_WATCH: dict[str, Callable[[INotify, int], object]] = {
    "INotify": lambda inotify, wd: inotify.rm_watch(wd),
    "syscalls": lambda inotify, wd: syscalls.rm_watch(inotify.fd, wd),
}


@pytest.fixture(params=ADD_WATCH)
def add_watch(
    request: pytest.FixtureRequest, inotify: INotify
) -> Callable[[Any, int], int]:
    """add_watch of either face, of one instance."""
    return lambda path, mask: ADD_WATCH[request.param](inotify, path, mask)


@pytest.fixture(params=RM_WATCH)
def rm_watch(
    request: pytest.FixtureRequest, inotify: INotify
) -> Callable[[int], object]:
    """rm_watch of either face, of one instance."""
    return lambda wd: RM_WATCH[request.param](inotify, wd)


@pytest.fixture
def no_descriptor() -> Iterator[int]:
    """A number that is no open descriptor."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    yield read_end
    os.close(write_end)


PATHS = [
    (errno.ENOENT, "missing"),
    (errno.ENOENT, ""),
    (errno.ENOENT, b"missing"),
    (errno.ENOENT, Path("missing")),
    (errno.ENOTDIR, "/dev/null/file"),
    (errno.ENAMETOOLONG, "n" * 256),
    (errno.ENAMETOOLONG, "/" + "./" * 2048),
]


@pytest.mark.parametrize(("number", "path"), PATHS)
def test_bad_paths(
    add_watch: Callable[[Any, int], int], number: int, path: Any
) -> None:
    """A path that leads nowhere is an OSError with errno, its text and the path."""
    with pytest.raises(OSError, match=re.escape(os.strerror(number))) as refused:
        add_watch(path, flags.CREATE)
    assert refused.value.errno == number
    assert refused.value.strerror == os.strerror(number)
    assert refused.value.filename == os.fspath(path)
    assert type(refused.value) is type(OSError(number, ""))


def test_symbolic_link_loop(
    add_watch: Callable[[Any, int], int], tmp_path: Path
) -> None:
    """A symbolic link that leads to itself is ELOOP, and can be watched itself."""
    link = tmp_path / "link"
    link.symlink_to(link)
    with pytest.raises(OSError, match=re.escape(str(link))) as refused:
        add_watch(link, flags.ATTRIB)
    assert (refused.value.errno, refused.value.filename) == (errno.ELOOP, str(link))
    assert add_watch(link, flags.ATTRIB | flags.DONT_FOLLOW) == 1


def test_undecodable_path(add_watch: Callable[[Any, int], int], tmp_path: Path) -> None:
    """The path in an OSError is the one that was given, undecodable or not."""
    for path in (os.fsencode(tmp_path / "caf") + b"\xe9", str(tmp_path / "caf\udce9")):
        with pytest.raises(FileNotFoundError) as refused:
            add_watch(path, flags.CREATE)
        assert refused.value.filename == path


@pytest.mark.parametrize(
    "mask",
    [0, 0x00800000, flags.CREATE | flags.MASK_ADD | flags.MASK_CREATE],
)
def test_bad_masks(
    add_watch: Callable[[Any, int], int], tmp_path: Path, mask: int
) -> None:
    """A mask that the kernel does not take is EINVAL."""
    with pytest.raises(OSError, match="Invalid argument") as refused:
        add_watch(tmp_path, mask)
    assert refused.value.errno == errno.EINVAL
    assert refused.value.filename == str(tmp_path)


@pytest.mark.parametrize("wd", [-(2**31), -1, 0, 2, 2**31 - 1])
def test_bad_wds(rm_watch: Callable[[int], object], inotify: INotify, wd: int) -> None:
    """A wd that is no watch is EINVAL."""
    inotify.add_watch("/", flags.CREATE)
    with pytest.raises(OSError, match="Invalid argument") as refused:
        rm_watch(wd)
    assert (refused.value.errno, refused.value.filename) == (errno.EINVAL, None)


def test_removed_twice(rm_watch: Callable[[int], object], inotify: INotify) -> None:
    """A wd that was removed is no watch any more."""
    wd = inotify.add_watch("/", flags.CREATE)
    rm_watch(wd)
    with pytest.raises(OSError, match="Invalid argument"):
        rm_watch(wd)


@pytest.mark.parametrize("flag", [1, syscalls.IN_NONBLOCK | 2, -1])
def test_bad_flags(flag: int) -> None:
    """A flag that init1() does not know is EINVAL."""
    with pytest.raises(OSError, match="Invalid argument") as refused:
        syscalls.init1(flag)
    assert refused.value.errno == errno.EINVAL


USES_OF_A_DESCRIPTOR: list[Callable[[int], object]] = [
    lambda fd: syscalls.add_watch(fd, "/", syscalls.IN_CREATE),
    lambda fd: syscalls.rm_watch(fd, 1),
    lambda fd: syscalls.read_events(fd),
    lambda fd: syscalls.read_events(fd, 100),
]


@pytest.mark.parametrize("use", USES_OF_A_DESCRIPTOR)
def test_no_descriptor(use: Callable[[int], object], no_descriptor: int) -> None:
    """A number that is no open descriptor is EBADF."""
    for number in (no_descriptor, -1):
        with pytest.raises(OSError, match="Bad file descriptor") as refused:
            use(number)
        assert refused.value.errno == errno.EBADF


@pytest.mark.parametrize("use", USES_OF_A_DESCRIPTOR[:2])
def test_not_an_inotify_descriptor(use: Callable[[int], object]) -> None:
    """A descriptor of something else is EINVAL."""
    with open(os.devnull) as other:
        with pytest.raises(OSError, match="Invalid argument") as refused:
            use(other.fileno())
        assert refused.value.errno == errno.EINVAL


def test_no_permission(run_python: RunPython, tmp_path: Path) -> None:
    """An unreadable path cannot be watched: EACCES, with the path."""
    code = """
        import os, sys
        from inotify_cffi import INotify, flags, syscalls

        with INotify() as inotify:
            if os.geteuid() == 0:
                os.seteuid(65534)
            for add_watch in (
                inotify.add_watch,
                lambda *arguments: syscalls.add_watch(inotify.fd, *arguments),
            ):
                try:
                    add_watch("unreadable", flags.CREATE)
                except PermissionError as error:
                    print(error.errno, error.filename)
        """
    tmp_path.chmod(0o711)
    (tmp_path / "unreadable").mkdir(mode=0o311)
    printed = run_python(code, cwd=tmp_path)
    assert printed == f"{errno.EACCES} unreadable\n" * 2


# ---- limits: each test has its own, or is skipped ----------------------------


def test_no_more_watches(
    run_python: RunPython, user_namespace: list[str], tmp_path: Path
) -> None:
    """ENOSPC is no full disk: it names the sysctl, with its value, and the path.

    In a user namespace that is the namespace's, when it is the lower one.
    """
    code = """
        import errno, os, sys
        from inotify_cffi import INotify, flags, syscalls

        with open("/proc/sys/user/max_inotify_watches", "w") as limit:
            limit.write("3")
        with INotify() as inotify:
            for add_watch in (
                inotify.add_watch,
                lambda *arguments: syscalls.add_watch(inotify.fd, *arguments),
            ):
                wds = []
                try:
                    for name in sorted(os.listdir(".")):
                        wds.append(add_watch(name, flags.CREATE))
                except OSError as error:
                    print(len(wds), error.errno == errno.ENOSPC, error.filename)
                    print(error.strerror)
            assert add_watch("0", flags.DELETE) == wds[0]
            inotify.rm_watch(wds[0])
            assert add_watch("3", flags.CREATE)
        """
    for number in range(5):
        (tmp_path / f"{number}").mkdir()
    lines = run_python(code, cwd=tmp_path, prefix=user_namespace).splitlines()
    assert lines[0] == lines[2] == "3 True 3"
    assert lines[1] == lines[3]
    assert " user.max_inotify_watches is 3 " in lines[1]


@pytest.mark.parametrize("namespace", [True, False])
@pytest.mark.parametrize(
    ("number", "what"), [(errno.ENOSPC, "watches"), (errno.EMFILE, "instances")]
)
def test_the_limit_of_the_system(
    run_python: RunPython,
    user_namespace: list[str],
    number: int,
    what: str,
    namespace: bool,
) -> None:
    """The limit named is the system's where a user namespace has no lower one."""
    code = f"""
        from inotify_cffi import syscalls
        try:
            syscalls.raise_init_error({number})
        except OSError as error:
            print(error.strerror)
        """
    said = run_python(code, prefix=user_namespace if namespace else [])
    limit = Path("/proc/sys/fs/inotify", f"max_user_{what}").read_text().strip()
    assert f" fs.inotify.max_user_{what} is {limit} " in said


def test_without_proc(
    run_python: RunPython, mount_namespace: list[str], tmp_path: Path
) -> None:
    """Without /proc, the error names the limit without its value."""
    code = """
        import errno, os, subprocess, sys
        from inotify_cffi import INotify, flags

        with open("/proc/sys/user/max_inotify_watches", "w") as limit:
            limit.write("1")
        subprocess.run(["mount", "-t", "tmpfs", "none", "/proc"], check=True)
        with INotify() as inotify:
            print(inotify.add_watch(".", flags.CREATE))
            os.mkdir("folder")
            print(len(inotify.read()))
            try:
                inotify.add_watch("folder", flags.CREATE)
            except OSError as error:
                print(error.errno == errno.ENOSPC, error.strerror)
            try:
                inotify.watches()
            except FileNotFoundError as error:
                print(error.filename.startswith("/proc/self/"))
        """
    lines = run_python(code, cwd=tmp_path, prefix=mount_namespace).splitlines()
    assert lines[:2] == ["1", "1"]
    assert lines[2].startswith("True no more inotify watches: fs.inotify.max_user_wat")
    assert lines[3:] == ["True"]


MAKE_INSTANCES = """
    import errno, os
    from inotify_cffi import INotify, syscalls

    {limit}
    for make in (INotify, syscalls.init, syscalls.init1):
        before = sorted(os.listdir("/proc/self/fd"))
        made = []
        try:
            for _ in range(1000):
                made.append(make())
        except OSError as error:
            print(len(made), error.errno == errno.EMFILE, error.filename)
            print(error.strerror)
        for each in made:
            each.close() if make is INotify else os.close(each)
        made.clear()
        assert sorted(os.listdir("/proc/self/fd")) == before
    """


def test_no_more_instances(run_python: RunPython, user_namespace: list[str]) -> None:
    """EMFILE for no more instances names the sysctl, with its value."""
    sysctl = "/proc/sys/user/max_inotify_instances"
    code = MAKE_INSTANCES.format(
        limit=f"with open('{sysctl}', 'w') as limit: limit.write('4')"
    )
    lines = run_python(code, prefix=user_namespace).splitlines()
    assert lines[::2] == ["4 True None"] * 3
    for text in lines[1::2]:
        assert " user.max_inotify_instances is 4 " in text
        assert "RLIMIT_NOFILE" not in text


def test_no_more_descriptors(run_python: RunPython) -> None:
    """EMFILE for a full table of descriptors names RLIMIT_NOFILE, with its value."""
    # Not by the module resource: it must be found when it was not imported before.
    prefix = ["sh", "-c", 'ulimit -n 20; exec "$@"', "sh"]
    lines = run_python(MAKE_INSTANCES.format(limit=""), prefix=prefix).splitlines()
    assert [line.split()[1:] for line in lines[::2]] == [["True", "None"]] * 3
    for text in lines[1::2]:
        assert "may have 20 (RLIMIT_NOFILE)" in text
        assert "max_user_instances" not in text


def test_no_descriptor_for_a_wait(run_python: RunPython, tmp_path: Path) -> None:
    """A read that finds no descriptor for its wait is EMFILE, and loses nothing."""
    code = """
        import errno, gc, os, resource, sys
        from inotify_cffi import INotify, flags

        with INotify() as inotify:
            inotify.add_watch(sys.argv[1], flags.CREATE)
            before = sorted(os.listdir("/proc/self/fd"))
            assert before == [str(number) for number in range(inotify.fd + 2)]
            for free in range(2):
                limit = inotify.fd + 1 + free
                resource.setrlimit(resource.RLIMIT_NOFILE, (limit, 4096))
                try:
                    inotify.read()
                except OSError as error:
                    print(free, error.errno == errno.EMFILE)
                gc.collect()
                assert inotify.read(timeout=0) == []
                os.mkdir(f"{sys.argv[1]}/{free}")
                print([event.name for event in inotify.read()])
                resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
                assert sorted(os.listdir("/proc/self/fd")) == before
            print(inotify.read(timeout=1))
        """
    printed = run_python(code, tmp_path)
    assert printed == "0 True\n['0']\n1 True\n['1']\n[]\n"


NO_MEANS_FOR_A_WAIT = """
    #define _GNU_SOURCE
    #include <errno.h>
    #include <stdlib.h>
    #include <sys/epoll.h>
    #include <sys/syscall.h>
    #include <unistd.h>

    int epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
    {
        const char *refused = getenv("REFUSED");
        if (refused != NULL && fd == atoi(refused)) {
            errno = atoi(getenv("ERRNO"));
            return -1;
        }
        return syscall(SYS_epoll_ctl, epoll, operation, fd, event);
    }
"""


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (errno.ENOMEM, os.strerror(errno.ENOMEM)),
        (errno.ENOSPC, "no more epoll watches: fs.epoll.max_user_watches is "),
    ],
)
def test_no_means_for_a_wait(
    run_python: RunPython,
    compile_c: Callable[..., Path],
    tmp_path: Path,
    number: int,
    text: str,
) -> None:
    """A task that finds no means for its wait says so, and leaves nothing behind."""
    code = """
        import asyncio, os, sys
        from inotify_cffi import INotify, flags

        with INotify() as inotify:
            inotify.add_watch(sys.argv[1], flags.CREATE)
            before = sorted(os.listdir("/proc/self/fd"))
            os.environ["REFUSED"] = str(inotify.fd)
            try:
                asyncio.run(inotify.aread())
            except OSError as error:
                print(error.errno, error.strerror)
            assert sorted(os.listdir("/proc/self/fd")) == before
            del os.environ["REFUSED"]
            print(inotify.read(timeout=1))
        """
    library = compile_c(NO_MEANS_FOR_A_WAIT, "-shared", "-fPIC")
    preload = f"{os.environ.get('LD_PRELOAD', '')} {library}"
    env = {"LD_PRELOAD": preload, "ERRNO": str(number)}
    refused, waited = run_python(code, tmp_path, env=env).splitlines()
    assert refused.startswith(f"{number} {text}")
    assert waited == "[]"
