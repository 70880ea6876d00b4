"""What is built, and that it is what its types and its words say."""

from __future__ import annotations

import ast
import doctest
import importlib
import importlib.metadata
import importlib.util
import inspect
import io
import os
import pkgutil
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Callable

import pytest

import inotify_cffi
from inotify_cffi import INotify, TreeWatcher, flags, masks, syscalls
from inotify_cffi._inotify import ffi, lib

if TYPE_CHECKING:
    from conftest import RunPython

CHECKOUT = Path(__file__).parents[1]
PACKAGE = Path(inotify_cffi.__file__).parent
MODULES = [
    module.name
    for module in pkgutil.walk_packages(inotify_cffi.__path__, "inotify_cffi.")
    if module.name != "inotify_cffi.__main__"  # importing it runs the command
]


# ---- the compiled module -----------------------------------------------------


def _stub() -> dict[str, ast.ClassDef]:
    tree = ast.parse((PACKAGE / "_inotify.pyi").read_text())
    return {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}


def test_stub_has_the_names_of_lib() -> None:
    """The stub has the names that the compiled module has, no more and no fewer."""
    typed = []
    for node in _stub()["_Lib"].body:
        if isinstance(node, ast.AnnAssign):
            assert isinstance(node.target, ast.Name)
            typed.append(node.target.id)
            assert isinstance(getattr(lib, node.target.id), int)
        else:
            assert isinstance(node, ast.FunctionDef)
            typed.append(node.name)
            assert callable(getattr(lib, node.name))
    assert sorted(typed) == sorted(dir(lib))


def test_stub_has_the_arguments_of_lib() -> None:
    """Every function takes as many arguments as the stub says."""
    for node in _stub()["_Lib"].body:
        if isinstance(node, ast.FunctionDef):
            arguments = [*node.args.posonlyargs, *node.args.args][1:]
            kind = ffi.typeof(getattr(lib, node.name))
            assert len(kind.args) == len(arguments), node.name
            returns = node.returns
            nothing = isinstance(returns, ast.Constant) and returns.value is None
            assert (kind.result.kind == "void") == nothing, node.name


def test_stub_has_names_of_ffi() -> None:
    """Every method of ffi that the stub has is there."""
    for node in _stub()["_FFI"].body:
        assert isinstance(node, ast.FunctionDef)
        assert callable(getattr(ffi, node.name))


def test_layout_of_the_event() -> None:
    """struct inotify_event is laid out as inotify(7) says, checked by the compiler."""
    event = "struct inotify_event"
    assert ffi.sizeof(event) == 16
    fields = ("wd", "mask", "cookie", "len", "name")
    assert [ffi.offsetof(event, field) for field in fields] == [0, 4, 8, 12, 16]


def test_constants_older_headers_lack(compile_c: Callable[..., Path]) -> None:
    """The C source compiles with a header that has no IN_MASK_CREATE yet."""
    header = compile_c("", "-E").parent / "old" / "sys" / "inotify.h"
    header.parent.mkdir(parents=True)
    header.write_text("#include_next <sys/inotify.h>\n#undef IN_MASK_CREATE\n")
    source = CHECKOUT / "src" / "native" / "source.c"
    compile_c(
        f"""
        #define _GNU_SOURCE
        #define PYPY_VERSION "without Python.h"
        #include <sys/types.h>
        #include "{source}"
        _Static_assert(IN_MASK_CREATE == 0x10000000, "the kernel's value");
        """,
        "-c",
        f"-I{header.parents[1]}",
    )


@pytest.mark.skipif(
    sys.implementation.name != "cpython"
    or bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
    or bool(sysconfig.get_config_var("Py_DEBUG")),
    reason="this Python has no stable ABI",
)
def test_stable_abi() -> None:
    """The compiled module is one for all CPythons."""
    compiled = importlib.import_module("inotify_cffi._inotify")
    assert ".abi3" in Path(str(compiled.__file__)).name


# ---- the distribution --------------------------------------------------------

# Runs setup.py or build_inotify.py as another Python would.
AS_ANOTHER = """
    import os, platform, runpy, sys, sysconfig, types

    script, implementation, build, version = sys.argv[1:]
    get_config_var = sysconfig.get_config_var

    def substituted(name):
        if name in ("Py_GIL_DISABLED", "Py_DEBUG"):
            return int(name == build)
        return get_config_var(name)

    setuptools = types.ModuleType("setuptools")
    setuptools.setup = lambda **arguments: captured.update(arguments)
    captured = {}
    if script == "build_inotify.py":
        import cffi
    sys.modules["setuptools"] = setuptools
    sysconfig.get_config_var = substituted
    platform.python_implementation = lambda: implementation
    sys.version_info = tuple(map(int, version.split(".")))
    variables = runpy.run_path(script)
    """

BUILDS = [
    ("CPython", "", "3.9", "cp39", True),
    ("CPython", "", "3.13", "cp39", True),
    ("CPython", "", "3.15", "cp39", True),
    ("CPython", "Py_GIL_DISABLED", "3.13", None, False),
    ("CPython", "Py_GIL_DISABLED", "3.14", None, False),
    ("CPython", "Py_GIL_DISABLED", "3.15", "cp315", False),
    ("CPython", "Py_DEBUG", "3.13", None, False),
    ("PyPy", "", "3.9", None, True),
    ("PyPy", "", "3.11", None, True),
]


@pytest.mark.parametrize(("implementation", "build", "version", "tag", "_"), BUILDS)
def test_tag_of_the_wheel(
    run_python: RunPython,
    implementation: str,
    build: str,
    version: str,
    tag: str | None,
    _: bool,
) -> None:
    """setup.py asks for the stable ABI exactly where there is one."""
    code = AS_ANOTHER + "\n    print(captured['options'].get('bdist_wheel'))\n"
    code += "    print(captured['cffi_modules'])\n"
    printed = run_python(code, "setup.py", implementation, build, version, cwd=CHECKOUT)
    assert printed.splitlines() == [
        str({"py_limited_api": tag} if tag else None),
        "['build_inotify.py:ffibuilder']",
    ]


@pytest.mark.parametrize(("implementation", "build", "version", "_", "limited"), BUILDS)
def test_limited_api(
    run_python: RunPython,
    implementation: str,
    build: str,
    version: str,
    _: str | None,
    limited: bool,
) -> None:
    """build_inotify.py declares the API of the oldest Python, where it is limited."""
    pytest.importorskip("cffi")
    code = AS_ANOTHER + "\n    print(variables['LIMITED_API'])\n"
    printed = run_python(
        code, "build_inotify.py", implementation, build, version, cwd=CHECKOUT
    )
    expected = [("Py_LIMITED_API", "0x03090000")] if limited else []
    assert printed == f"{expected}\n"


def test_what_is_installed() -> None:
    """The package says that it is typed, and has the stub of its compiled module."""
    assert (PACKAGE / "py.typed").read_text() == ""
    assert (PACKAGE / "_inotify.pyi").is_file()
    assert not list(PACKAGE.rglob("*.[ch]"))


def test_metadata() -> None:
    """cffi is the only dependency, and on PyPy there is none."""
    required = importlib.metadata.requires("inotify-cffi") or []
    unconditional = [each for each in required if "extra ==" not in each]
    assert len(unconditional) == 1
    name, marker = unconditional[0].replace('"', "'").split(";")
    assert name.strip() == "cffi>=2.0"
    assert marker.strip() == "platform_python_implementation != 'PyPy'"
    text = (CHECKOUT / "pyproject.toml").read_text()
    (version,) = re.findall(r'^version = "(.*)"$', text, re.M)
    assert importlib.metadata.version("inotify-cffi") == version


@pytest.mark.skipif(
    "TEST_INSTALLED" not in os.environ, reason="TEST_INSTALLED asks for it"
)
def test_what_was_built_is_tested() -> None:
    """The package comes from where pip put it, and not from beside these tests."""
    assert PACKAGE.parent.name == "site-packages"
    assert CHECKOUT not in PACKAGE.parents
    origin = importlib.metadata.distribution("inotify-cffi")
    assert origin.read_text("direct_url.json") is not None
    assert '"editable": true' not in str(origin.read_text("direct_url.json"))


# What the build adds to what git holds.
BUILT = {"PKG-INFO", "setup.cfg"}


@pytest.mark.skipif("TEST_SDIST" not in os.environ, reason="TEST_SDIST names none")
def test_sdist_holds_what_git_holds() -> None:
    """The source distribution holds every file that git does, as it is there."""
    # The checkout may be another user's.
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z"]
    listed = subprocess.run(command, cwd=CHECKOUT, stdout=subprocess.PIPE, check=True)
    in_git = {name for name in listed.stdout.decode().split("\0") if name}
    packed = {}
    with tarfile.open(os.environ["TEST_SDIST"]) as sdist:
        for member in sdist.getmembers():
            content = sdist.extractfile(member)
            if content is not None:
                path = PurePosixPath(*PurePosixPath(member.name).parts[1:])
                packed[str(path)] = content.read()
    added = {name for name in packed if ".egg-info/" in name} | BUILT
    assert packed.keys() - added == in_git
    for name in in_git:
        assert packed[name] == (CHECKOUT / name).read_bytes(), name


def test_command_is_installed() -> None:
    """The command inotify-cffi is cli.main."""
    (entry,) = [
        each
        for each in importlib.metadata.distribution("inotify-cffi").entry_points
        if each.group == "console_scripts"
    ]
    assert (entry.name, entry.value) == ("inotify-cffi", "inotify_cffi.cli:main")
    assert callable(entry.load())


# ---- wheels ------------------------------------------------------------------

PYTHONS = re.findall(
    r'"Programming Language :: Python :: (3\.\d+)"',
    (CHECKOUT / "pyproject.toml").read_text(),
)

# Where cffi has wheels: without them, ours would need a compiler all the same.
LIBRARIES: dict[str, set[str]] = {
    "x86_64": {"manylinux", "musllinux"},
    "i686": {"manylinux", "musllinux"},
    "aarch64": {"manylinux", "musllinux"},
    "ppc64le": {"manylinux"},
    "s390x": {"manylinux"},
    "armv7l": set(),
    "riscv64": set(),
}
NO_FREE_THREADING = {"i686"}  # says cffi


def _identifiers(architecture: str, **environment: str) -> set[str]:
    command = [sys.executable, "-m", "cibuildwheel", "--platform", "linux"]
    command += ["--archs", architecture, "--print-build-identifiers", str(CHECKOUT)]
    printed = subprocess.run(
        command,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return set(printed.stdout.split())


@pytest.mark.skipif(
    not (importlib.util.find_spec("cibuildwheel") or "TEST_IDENTIFIERS" in os.environ),
    reason="cibuildwheel is not installed",
)
@pytest.mark.parametrize("architecture", LIBRARIES)
def test_identifiers_of_the_wheels(architecture: str) -> None:
    """There is a wheel for each Python of the classifiers, and for no other."""
    expected = set()
    for identifier in _identifiers(architecture, CIBW_BUILD="*", CIBW_SKIP=""):
        tag, platform = identifier.split("-")
        kind, digits, threads = re.fullmatch(r"(\D+)(\d+)(t?)", tag).groups()  # type: ignore[union-attr]
        if platform.split("_")[0] not in LIBRARIES[architecture]:
            continue
        if f"{digits[0]}.{digits[1:]}" not in PYTHONS:
            continue
        if threads and architecture in NO_FREE_THREADING:
            continue
        if kind == "pp" or threads or tag == "cp" + PYTHONS[0].replace(".", ""):
            expected.add(identifier)
    assert _identifiers(architecture) == expected
    assert bool(expected) == bool(LIBRARIES[architecture])


def _workflow(name: str) -> str:
    path = CHECKOUT / ".github" / "workflows" / name
    return path.read_text()


def test_workflow_tests_every_python() -> None:
    """Every Python of the classifiers is tested, free-threaded and PyPy as well."""
    (listed,) = re.findall(r"\n +python:\n((?: +- .+\n)+)", _workflow("ci.yml"))
    tested = re.findall(r'- "(.+)"', listed)
    assert [each for each in tested if each in PYTHONS] == PYTHONS
    others = set(tested) - set(PYTHONS)
    assert {re.sub(r"[\d.]+", "", each) for each in others} == {"t", "pypy"}
    assert {re.sub(r"[^\d.]", "", each) for each in others} <= set(PYTHONS)


def test_workflow_builds_for_every_architecture() -> None:
    """The architectures with a wheel are those that the workflow builds for."""
    built = re.findall(r"arch: (\w+),", _workflow("wheels.yml"))
    assert built == [each for each, libraries in LIBRARIES.items() if libraries]


@pytest.mark.parametrize("name", ["ci.yml", "wheels.yml"])
def test_workflow_pins_actions(name: str) -> None:
    """An action is named by its commit, which nobody can move."""
    used = re.findall(r"uses: (.+)", _workflow(name))
    assert used
    for action in used:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v[\d.]+", action)


# ---- words -------------------------------------------------------------------


@pytest.mark.parametrize("module", MODULES)
def test_examples_in_the_words(module: str) -> None:
    """Every example in a docstring does what it shows."""
    output = io.StringIO()
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    for test in doctest.DocTestFinder().find(importlib.import_module(module)):
        runner.run(test, out=output.write)
    assert (runner.summarize(verbose=False).failed, output.getvalue()) == (0, "")


def test_there_are_examples() -> None:
    """The examples are found: the words of the public names have some."""
    for documented in (INotify, flags, inotify_cffi.mask_str, TreeWatcher):
        tests = doctest.DocTestFinder().find(documented)
        assert any(test.examples for test in tests)


def _public(named: Any) -> list[str]:
    return [name for name in vars(named) if not name.startswith("_")]


# Every public class, and the public names that are its own.
PUBLIC = {name: getattr(inotify_cffi, name) for name in inotify_cffi.__all__}
MEMBERS = {
    name: _public(each) for name, each in PUBLIC.items() if inspect.isclass(each)
}


def test_public_names(run_python: RunPython) -> None:
    """Every public name is there from the start, and no other is."""
    code = """
        import inotify_cffi
        assert set(inotify_cffi.__all__) <= set(dir(inotify_cffi))
        try:
            inotify_cffi.no_such_name
        except AttributeError as error:
            print(error)
        from inotify_cffi import *
        print(sorted(name for name in globals() if name in inotify_cffi.__all__))
        """
    assert run_python(code).splitlines() == [
        "module 'inotify_cffi' has no attribute 'no_such_name'",
        str(sorted(inotify_cffi.__all__)),
    ]


@pytest.mark.parametrize("name", MEMBERS)
def test_every_public_name_is_documented(name: str) -> None:
    """Every public class and method says what it is for."""
    documented = PUBLIC[name]
    assert documented.__doc__
    for member in MEMBERS[name]:
        attribute = inspect.getattr_static(documented, member)
        if not isinstance(attribute, int):
            assert attribute.__doc__, member


# ---- types -------------------------------------------------------------------

USERS_FILE = '''
"""Touches every public name, as a user would."""

from __future__ import annotations

import asyncio
import io
import os
from pathlib import Path
from typing import Any, Callable

import inotify_cffi
from inotify_cffi import (
    Event,
    INotify,
    LocalChangesOnlyWarning,
    TreeEvent,
    TreeWatcher,
    UnreadableDirectoryWarning,
    Watch,
    flags,
    mask_str,
    masks,
    parse_events,
    syscalls,
)


class Counting(INotify):
    """A subclass with state of its own."""

    def __init__(self, path: str | bytes | Path) -> None:
        super().__init__(inheritable=False, nonblocking=True, closefd=True)
        self.count = 0
        self.wd: int = self.add_watch(path, masks.ALL_EVENTS | flags.ONLYDIR)


def use_instance(path: str | bytes | Path) -> None:
    with INotify() as inotify, Counting(path) as counting:
        counting.count += 1
        wd: int = inotify.add_watch(path, flags.CREATE)
        inotify.add_watch(os.fspath(path), masks.MOVE | flags.MASK_ADD)
        numbers: tuple[int, int] = inotify.fd, inotify.fileno()
        booleans: tuple[bool, bool] = inotify.closed, inotify.closefd
        events: list[Event] = inotify.read(timeout=0.5, read_delay=1)
        events += inotify.read()
        events += inotify.read(0, None)
        readable: bool = inotify.wait_readable(timeout=1.5, read_delay=2)
        for event in inotify:
            fields: tuple[int, int, int, str] = event
            name: str = event.name
            wd, mask, cookie, name = event
            print(event.wd, event.mask, event.cookie, name, fields, mask, cookie)
            inotify.close()
        watches: list[Watch] = inotify.watches()
        for watch in watches:
            four: tuple[int, int, int, int] = watch
            print(watch.wd, watch.inode, watch.device, watch.mask, four)
        file: io.FileIO = inotify
        inotify.rm_watch(wd)
        inotify.wake()
        print(numbers, booleans, readable, file)


async def use_instance_in_a_task(inotify: INotify) -> None:
    events: list[Event] = await inotify.aread(timeout=1.5)
    events += await inotify.aread()
    readable: bool = await inotify.await_readable(timeout=1.5)
    async for event in inotify:
        one: Event = event
        print(one, readable)


def use_words() -> None:
    event = Event(1, flags.CREATE, 0, "name")
    event = Event(wd=1, mask=256, cookie=0, name="name")
    found: list[flags] = flags.from_mask(event.mask)
    words: list[str] = [flag.name for flag in found]
    words.append(mask_str(event.mask))
    words.append(mask_str(masks.CLOSE))
    number: int = flags.ISDIR
    data: list[bytes | bytearray | memoryview] = [b"", bytearray(), memoryview(b"")]
    parsed: list[list[Event]] = [parse_events(each) for each in data]
    print(words, number, parsed)


def use_syscalls(path: str | bytes | Path) -> None:
    fd: int = syscalls.init()
    fd = syscalls.init1()
    fd = syscalls.init1(syscalls.IN_NONBLOCK | syscalls.IN_CLOEXEC)
    wd: int = syscalls.add_watch(fd, path, syscalls.IN_CREATE)
    zero: int = syscalls.rm_watch(fd, wd)
    events: list[syscalls.Event] = syscalls.read_events(fd)
    for event in syscalls.read_events(fd, max_bytes=4096):
        fields: tuple[int, int, int, int, str] = event
        print(event.wd, event.mask, event.cookie, event.len, event.name, fields)
    print(zero, events)


def use_tree(path: str | bytes | Path) -> None:
    def exclude(path: str) -> bool:
        return path.endswith(".git")

    excluding: Callable[[str], bool] = exclude
    with TreeWatcher(path, mask=masks.MOVE, exclude=excluding, initial=True) as tree:
        tree.add("other")
        tree.remove("other")
        events: list[TreeEvent] = tree.read(timeout=0.5, read_delay=1)
        for event in tree:
            fields: tuple[str, int, str | None, bool] = event
            print(event.path, event.mask, event.old_path, event.synthetic, fields)
            tree.wake()
            tree.close()
        closed: bool = tree.closed
        number: int = tree.fileno()
        print(events, closed, number)
    kinds: list[type[Warning]] = [LocalChangesOnlyWarning, UnreadableDirectoryWarning]
    print(kinds)


async def use_tree_in_a_task(tree: TreeWatcher) -> None:
    events: list[TreeEvent] = await tree.aread(timeout=1.5)
    async for event in tree:
        events.append(event)


asyncio.run(use_instance_in_a_task(INotify()))
asyncio.run(use_tree_in_a_task(TreeWatcher()))
names: list[str] = inotify_cffi.__all__
'''

# A line each, all wrong.
MISUSES = """
INotify().add_watch(1, flags.CREATE)
INotify().add_watch("path", "CREATE")
INotify().rm_watch("1")
INotify().read(timeout="1")
INotify(path="path")
Event(1, 2, 3)
Event(1, 2, 3, b"name")
mask_str("CREATE")
flags.from_mask("CREATE")
flags.NO_SUCH_FLAG
syscalls.init1("IN_CLOEXEC")
syscalls.add_watch(1, 2, 3)
syscalls.read_events("1")
inotify_cffi.no_such_name
TreeWatcher(1)
"""


@pytest.fixture(scope="module")
def mypy() -> list[str]:
    """The command that checks types against the installed package."""
    if importlib.util.find_spec("mypy"):
        command = [sys.executable, "-m", "mypy"]
    elif found := shutil.which("mypy"):
        command = [found, "--python-executable", sys.executable]
    else:
        pytest.skip("mypy is not installed")
    return [*command, "--strict", "--no-incremental", "--config-file="]


def test_users_file(mypy: list[str], tmp_path: Path) -> None:
    """A user's file that touches every public name passes mypy --strict."""
    constants = [f"flags.{flag.name}" for flag in flags]
    constants += [f"masks.{mask.name}" for mask in masks]
    constants += [f"syscalls.{name}" for name in _public(syscalls) if name[:3] == "IN_"]
    text = USERS_FILE + f"constants: list[int] = [{', '.join(constants)}]\n"
    words = set(re.findall(r"\w+", text))
    assert words >= set(inotify_cffi.__all__)
    for members in MEMBERS.values():
        assert words >= set(members)
    (tmp_path / "users.py").write_text(text)
    checked = subprocess.run(
        [*mypy, "users.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert checked.stdout == "Success: no issues found in 1 source file\n"


def test_misuses(mypy: list[str], tmp_path: Path) -> None:
    """mypy finds every misuse: the types are seen, and say something."""
    imports = USERS_FILE[: USERS_FILE.index("class Counting")]
    (tmp_path / "misuses.py").write_text(imports + MISUSES)
    checked = subprocess.run(
        [*mypy, "misuses.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    lines = re.findall(r"^misuses\.py:(\d+): error", checked.stdout, re.M)
    first = imports.count("\n") + 2
    expected = range(first, first + len(MISUSES.strip().splitlines()))
    assert sorted(set(map(int, lines))) == list(expected), checked.stdout
