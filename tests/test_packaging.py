"""The built distributions, their types and their metadata."""

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
NATIVE = CHECKOUT / "src" / "native"
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


@pytest.mark.skipif(
    not hasattr(sys, "getrefcount"), reason="PyPy does not count references"
)
def test_references_to_none(inotify: INotify) -> None:
    """A function that returns None returns a reference, in every build.

    A module for the stable ABI may be compiled by a Python where None is immortal,
    and used by one where the last reference ends the process.
    """
    before = sys.getrefcount(None)
    for _ in range(1000):
        inotify.wake()
    for _ in range(1000):
        INotify().close()
    assert sys.getrefcount(None) > before - 500


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


WRONG_ARGUMENTS = """
    import time
    from inotify_cffi import Event, _inotify

    parser = _inotify.Parser(Event, False)
    instance = _inotify.Instance(parser)
    instance.open(0, True)
    instance.close()  # for good: what is open would be waited for
    wrong = [None, 0, -1, 2**70, 1.5, "", b"", (), [], {}, object(), type, int, Event,
             tuple, list, time.struct_time, parser, instance, 1 << 40, b"x" * 100]
    methods = [
        getattr(type(thing), name).__get__(thing)
        for thing in (parser, instance)
        for name in dir(type(thing))
        if not name.startswith("__")
        and callable(getattr(type(thing), name))
    ]
    assert len(methods) >= 2
    unbound = [getattr(type(method.__self__), method.__name__) for method in methods]
    calls = [_inotify.Parser, _inotify.Instance, *methods, *unbound]
    sets = [(), *((a,) for a in wrong), *((a, b) for a in wrong for b in wrong)]
    sets += [(a, b, c) for a in wrong for b in wrong for c in wrong]
    for call in calls:
        for arguments in sets:
            try:
                call(*arguments)
            except (OSError, TypeError, ValueError, OverflowError):
                pass
        try:
            call(*arguments, unknown=1)
        except TypeError:
            pass
    print("all refused or done")
"""


@pytest.mark.skipif(
    sys.implementation.name == "pypy", reason="has no builtins that take objects"
)
def test_wrong_arguments_of_builtins(run_python: RunPython) -> None:
    """No arguments of whatever kind or number make a builtin crash."""
    assert "all refused or done" in run_python(WRONG_ARGUMENTS)


def test_layout_of_the_event() -> None:
    """struct inotify_event is laid out as inotify(7) says, checked by the compiler."""
    event = "struct inotify_event"
    assert ffi.sizeof(event) == 16
    fields = ("wd", "mask", "cookie", "len", "name")
    assert [ffi.offsetof(event, field) for field in fields] == [0, 4, 8, 12, 16]


@pytest.mark.parametrize(
    "path", sorted(NATIVE.glob("*.[ch]")), ids=lambda path: path.name
)
def test_each_file_compiles_alone(path: Path, compile_c: Callable[..., Path]) -> None:
    """Each file of C compiles alone, and the compiler finds nothing to warn of."""
    if path.name.startswith("python_") and sys.implementation.name == "pypy":
        pytest.skip("for CPython alone")
    include = sysconfig.get_paths()["include"]
    options = "-Wall", "-Wextra", "-Werror", "-c", f"-I{NATIVE}", f"-I{include}"
    compile_c(f'#include "{path}"\n', *options)


def test_constants_older_headers_lack(compile_c: Callable[..., Path]) -> None:
    """The C source compiles with a header that has no IN_MASK_CREATE yet."""
    header = compile_c("", "-E").parent / "old" / "sys" / "inotify.h"
    header.parent.mkdir(parents=True)
    header.write_text("#include_next <sys/inotify.h>\n#undef IN_MASK_CREATE\n")
    compile_c(
        f"""
        #define _GNU_SOURCE
        #include "{NATIVE / "calls.h"}"
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


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ("[a](docs/a.md)", "[a](https://x/y/blob/main/docs/a.md)"),
        ("![a](a.svg)", "![a](https://x/y/raw/main/a.svg)"),
        ("[a](https://z/b) [c](#d)", "[a](https://z/b) [c](#d)"),
    ],
)
def test_links_of_the_readme(run_python: RunPython, link: str, expected: str) -> None:
    """A package index gets absolute links, once the repository has an address."""
    code = f"    print(variables['absolute_links']({link!r}, 'https://x/y'))\n"
    code = f"{AS_ANOTHER}\n{code}    print(captured['long_description'])\n"
    printed = run_python(code, "setup.py", "CPython", "", "3.13", cwd=CHECKOUT)
    readme = (CHECKOUT / "README.md").read_text()
    assert printed == f"{expected}\n{readme}\n"


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
    if module == "inotify_cffi.watchdog":
        pytest.importorskip("watchdog")
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

TYPED = CHECKOUT / "tests" / "typed"


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


def _raises(of: type, name: str) -> bool:
    """Whether it is a method of FileIO that an instance refuses."""
    member = inspect.getattr_static(of, name)
    return getattr(member, "__annotations__", {}).get("return") == "NoReturn"


def test_users_file(mypy: list[str], tmp_path: Path) -> None:
    """A user's file that touches every public name passes mypy --strict."""
    constants = [f"flags.{flag.name}" for flag in flags]
    constants += [f"masks.{mask.name}" for mask in masks]
    constants += [f"syscalls.{name}" for name in _public(syscalls) if name[:3] == "IN_"]
    text = (TYPED / "users.py").read_text()
    text += f"constants: list[int] = [{', '.join(constants)}]\n"
    words = set(re.findall(r"\w+", text))
    assert words >= set(inotify_cffi.__all__)
    for name, members in MEMBERS.items():
        assert words >= {each for each in members if not _raises(PUBLIC[name], each)}
    (tmp_path / "users.py").write_text(text)
    checked = subprocess.run(
        [*mypy, "users.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert checked.stdout == "Success: no issues found in 1 source file\n"


def test_misuses(mypy: list[str], tmp_path: Path) -> None:
    """mypy finds every misuse: the types are seen, and say something."""
    checked = subprocess.run(
        [*mypy, TYPED / "misuses.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.findall(r"misuses\.py:(\d+): error", checked.stdout)
    _, _, text = (TYPED / "misuses.py").read_text().partition("\n\n")
    lines = enumerate(text.splitlines(), start=3)
    misuses = [line for line, code in lines if code and "import " not in code]
    assert len(misuses) >= 15
    assert sorted(set(map(int, found))) == misuses, checked.stdout
