"""How the names in a directory are found, in each way that the interpreter has."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any, Callable

import pytest
from conftest import RunPython

from inotify_cffi._inotify import lib
from inotify_cffi.tree import _listing

NamesIn = Callable[[str, bool], "dict[str, bool]"]

# PyPy's os.scandir() says nothing of names that it could not read, or open.
each_way = pytest.mark.parametrize(
    "names_in", sorted({_listing.read, _listing.names_in}, key=repr)
)

# Whatever the file system says, no kind comes with a name, or names end early.
INTERPOSED = """
    #define _GNU_SOURCE
    #include <dirent.h>
    #include <dlfcn.h>
    #include <errno.h>
    #include <stdlib.h>
    #include <string.h>
    #include <unistd.h>

    #define INTERPOSE(readdir, type)                                         \\
        type *readdir(DIR *directory)                                        \\
        {                                                                    \\
            type *(*real)(DIR *) = dlsym(RTLD_NEXT, #readdir);               \\
            const char *vanishing = getenv("VANISHING");                     \\
            if (getenv("BROKEN")) {                                          \\
                errno = EIO;                                                 \\
                return NULL;                                                 \\
            }                                                                \\
            type *entry = real(directory);                                   \\
            if (entry && getenv("NO_KINDS"))                                 \\
                entry->d_type = DT_UNKNOWN;                                  \\
            if (entry && vanishing && !strcmp(entry->d_name, "vanishing"))   \\
                rmdir(vanishing);                                            \\
            return entry;                                                    \\
        }
    INTERPOSE(readdir, struct dirent)
    #ifdef __GLIBC__
    INTERPOSE(readdir64, struct dirent64)
    #endif
    """


@pytest.fixture(scope="module")
def interposed(compile_c: Callable[..., Path]) -> dict[str, str]:
    """An environment in which the functions above stand before the C library's."""
    library = compile_c(INTERPOSED, "-shared", "-fPIC")
    return {"LD_PRELOAD": f"{os.environ.get('LD_PRELOAD', '')} {library}"}


@pytest.fixture
def of_all_kinds(tmp_path: Path) -> dict[str, bool]:
    """The names in tmp_path then."""
    (tmp_path / "directory").mkdir()
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("directory")
    os.mkfifo(tmp_path / "fifo")
    os.mkdir(os.fsencode(tmp_path) + b"/\xff")
    kinds = {"file": False, "link": False, "fifo": False}
    return {"directory": True, ".hidden": True, "\udcff": True, **kinds}


@each_way
def test_names_and_kinds(
    names_in: NamesIn, tmp_path: Path, of_all_kinds: dict[str, bool]
) -> None:
    """All names are found but those of the directory itself and the one above."""
    assert names_in(str(tmp_path), False) == of_all_kinds


@each_way
def test_directories_alone(
    names_in: NamesIn, tmp_path: Path, of_all_kinds: dict[str, bool]
) -> None:
    """Asked for directories alone, it finds those, and no links to any."""
    found = names_in(str(tmp_path), True)
    assert found == {name: kind for name, kind in of_all_kinds.items() if kind}


@each_way
def test_many_names(names_in: NamesIn, tmp_path: Path) -> None:
    """A directory that takes more than one system call to read is found whole."""
    names = {f"{number:0200}": number % 100 == 0 for number in range(1000)}
    for name, is_directory in names.items():
        if is_directory:
            os.mkdir(tmp_path / name)
        else:
            os.mknod(tmp_path / name)
    assert names_in(str(tmp_path), False) == names
    assert len(names_in(str(tmp_path), True)) == 10


@each_way
def test_what_cannot_be_opened(names_in: NamesIn, tmp_path: Path) -> None:
    """A missing path, or a file, raises the error with the path."""
    (tmp_path / "file").touch()
    for name, number in (("gone", errno.ENOENT), ("file", errno.ENOTDIR)):
        path = str(tmp_path / name)
        with pytest.raises(OSError, match=os.strerror(number)) as caught:
            names_in(path, False)
        assert caught.value.filename == path


@each_way
def test_a_path_with_nul(names_in: NamesIn, tmp_path: Path) -> None:
    """A path is not cut short at a NUL, but refused."""
    with pytest.raises(ValueError, match="null"):
        names_in(f"{tmp_path}\0below", False)


@each_way
@pytest.mark.parametrize("directories_only", [False, True])
def test_no_kinds(
    names_in: NamesIn,
    directories_only: bool,
    tmp_path: Path,
    of_all_kinds: dict[str, bool],
    run_python: RunPython,
    interposed: dict[str, str],
) -> None:
    """If the file system has no types of entries, each name is looked up."""
    code = f"""
        import sys
        from inotify_cffi.tree import _listing
        found = _listing.{names_in.__name__}(sys.argv[1], {directories_only})
        print(ascii(sorted(found.items())))
        """
    printed = run_python(code, tmp_path, env={**interposed, "NO_KINDS": "1"})
    expected = {n: k for n, k in of_all_kinds.items() if k or not directories_only}
    assert printed == f"{sorted(expected.items())!a}\n"


@each_way
def test_gone_before_it_is_looked_up(
    names_in: NamesIn,
    tmp_path: Path,
    run_python: RunPython,
    interposed: dict[str, str],
) -> None:
    """A name that is gone before its type is looked up is not a directory."""
    vanishing = tmp_path / "vanishing"
    vanishing.mkdir()
    code = f"""
        import sys
        from inotify_cffi.tree import _listing
        print(_listing.{names_in.__name__}(sys.argv[1], False))
        """
    environment = {**interposed, "NO_KINDS": "1", "VANISHING": str(vanishing)}
    assert run_python(code, tmp_path, env=environment) == "{'vanishing': False}\n"
    assert not list(tmp_path.iterdir())


@each_way
def test_reading_that_fails(
    names_in: NamesIn,
    tmp_path: Path,
    run_python: RunPython,
    interposed: dict[str, str],
) -> None:
    """Names that cannot be read to the end raise, and leave no descriptor."""
    code = f"""
        import os, sys
        from inotify_cffi.tree import _listing
        first = os.open("/", os.O_RDONLY)
        os.close(first)
        os.environ["BROKEN"] = "1"
        try:
            print(_listing.{names_in.__name__}(sys.argv[1], False))
        except OSError as error:
            print(error.errno)
        del os.environ["BROKEN"]
        assert os.open("/", os.O_RDONLY) == first
        """
    assert run_python(code, tmp_path, env=interposed) == f"{errno.EIO}\n"


def test_what_a_handler_raises_leaves_no_descriptor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is raised after a directory was opened, it is closed again."""

    class Raising:
        """Raises after one of the calls, as the handler of a signal would."""

        def __init__(self, call: str) -> None:
            self.call = call

        def __getattr__(self, name: str) -> Any:
            def call(*arguments: object) -> object:
                result = getattr(lib, name)(*arguments)
                if name == self.call:
                    raise KeyError
                return result

            return call

    for call in ("listing_open", "listing_next"):
        monkeypatch.setattr(_listing, "lib", Raising(call))
        with pytest.raises(KeyError):
            _listing.read(str(tmp_path), False)
