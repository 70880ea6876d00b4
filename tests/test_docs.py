"""The documents: every public name is explained, every page's examples run."""

from __future__ import annotations

import doctest
import inspect
import io
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import pytest

import inotify_cffi
import inotify_cffi.tree

CHECKOUT = Path(__file__).parents[1]
PAGES = sorted((CHECKOUT / "docs").glob("*.md"))
# test_beside.py, test_cookbook.py, test_readme.py
RUN_ELSEWHERE = ("beside.md", "cookbook.md", "moving.md")
DOCUMENTS = [
    *PAGES,
    *CHECKOUT.glob("*.md"),
    *(CHECKOUT / ".github").glob("*.md"),
]


# ---- docstrings ------------------------------------------------------------------


def _public_functions() -> Iterator[tuple[str, Callable[..., Any], str]]:
    """Every public function: its name, itself, and the words that explain it."""
    for name in inotify_cffi.__all__:
        named = getattr(inotify_cffi, name)
        if inspect.isfunction(named):
            yield name, named, named.__doc__ or ""
        elif inspect.isclass(named):
            yield from _methods(name, named)
        elif inspect.ismodule(named):
            for inner, function in inspect.getmembers(named, inspect.isfunction):
                if function.__module__ == named.__name__ and inner in SYSCALLS:
                    yield f"{name}.{inner}", function, function.__doc__ or ""


SYSCALLS = ["init", "init1", "add_watch", "rm_watch", "read_events"]


def _methods(name: str, of: type) -> Iterator[tuple[str, Callable[..., Any], str]]:
    for inner, member in vars(of).items():
        function = getattr(member, "__func__", member)
        if inner == "__init__" and of.__name__.endswith("Batches"):
            continue  # `watch` and `awatch` call it
        if inner == "__init__" and inspect.isfunction(function):
            yield name, function, of.__doc__ or ""
        elif inner.startswith("_") or _is_refused(function):
            continue
        elif inspect.isfunction(function):
            yield f"{name}.{inner}", function, function.__doc__ or ""


def _is_refused(member: Any) -> bool:
    """Whether it is a method of FileIO that raises, which the class explains."""
    return getattr(member, "__annotations__", {}).get("return") == "NoReturn"


FUNCTIONS = {name: (function, words) for name, function, words in _public_functions()}


def test_functions_are_found() -> None:
    """Functions, methods and constructors are all there."""
    assert FUNCTIONS.keys() >= {
        "INotify",
        "INotify.read",
        "TreeWatcher",
        "TreeWatcher.aread",
        "flags.from_mask",
        "mask_str",
        "parse_events",
        "syscalls.read_events",
    }


@pytest.mark.parametrize("name", FUNCTIONS)
def test_parameters_are_explained(name: str) -> None:
    """A public function's words explain each of its parameters."""
    function, words = FUNCTIONS[name]
    if name == "awatch":
        expected = inspect.signature(inotify_cffi.watch).parameters
        assert inspect.signature(function).parameters == expected
        return
    explained = words.partition("Parameters:")[2]
    parameters = list(inspect.signature(function).parameters)
    if name.partition(".")[0] != "syscalls" and name not in (
        "mask_str",
        "parse_events",
    ):
        del parameters[0]  # self, or cls
    for parameter in parameters:
        assert re.search(rf"\b{parameter}: ", explained), parameter


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_is_returned_is_explained(name: str) -> None:
    """A public function that returns something says what."""
    function, words = FUNCTIONS[name]
    assert words.strip()
    if function.__annotations__["return"] != "None":
        assert "Returns:" in words or re.match(r"\s*(Return|Yield|Whether)", words)


def test_fields_are_explained() -> None:
    """Every field of a public named tuple says what it holds."""
    tuples: list[Any] = [
        inotify_cffi.Event,
        inotify_cffi.Watch,
        inotify_cffi.syscalls.Event,
    ]
    for each in tuples:
        assert each.__doc__
        for field in each._fields:
            assert "Alias for field" not in getattr(each, field).__doc__


# ---- the pages -------------------------------------------------------------------


def test_every_public_name_has_its_place() -> None:
    """Every public name, and every public name of its own, is in the reference."""
    text = "\n".join(page.read_text() for page in PAGES)
    directives = re.findall(r"^\s*\.\. auto\w+:: (\S+)((?:\n\s+:.*)*)", text, re.M)
    options = {name: re.findall(r"\w+", listed) for name, listed in directives}
    assert options.keys() >= set(inotify_cffi.__all__) - {"syscalls"}
    assert "inotify_cffi.syscalls" in options
    assert options.keys() >= set(SYSCALLS)
    for name in ("INotify", "TreeWatcher"):
        of = getattr(inotify_cffi, name)
        assert {
            each
            for each, member in vars(of).items()
            if not each.startswith("_") and not _is_refused(member)
        } <= set(options[name])


def test_refused_methods_are_named() -> None:
    """The class names each method of FileIO that raises."""
    refused = [
        each
        for each, member in vars(inotify_cffi.INotify).items()
        if _is_refused(member)
    ]
    assert len(refused) == 9
    assert {
        each for each in refused if f"``{each}``" in str(inotify_cffi.INotify.__doc__)
    } == set(refused)


@pytest.mark.parametrize("page", [page.name for page in PAGES])
def test_examples_of_a_page(page: str) -> None:
    """Every example on a page does what it shows."""
    text = (CHECKOUT / "docs" / page).read_text()
    blocks = re.findall(r"^```(.*)\n((?:.*\n)*?)```$", text, re.M)
    if page not in RUN_ELSEWHERE:
        assert "python" not in {kind for kind, _ in blocks}  # nothing would run it
    names: dict[str, Any] = {}
    output = io.StringIO()
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    for kind, block in blocks:
        if kind == "{testcode}":
            exec(block, names)
        elif kind == "{doctest}":
            test = doctest.DocTestParser().get_doctest(block, names, page, page, 0)
            runner.run(test, out=output.write, clear_globs=False)
            names.update(test.globs)
    assert (runner.summarize(verbose=False).failed, output.getvalue()) == (0, "")


def test_every_page_is_reached() -> None:
    """The index leads to every page."""
    index = (CHECKOUT / "docs" / "index.md").read_text().splitlines()
    assert {page.stem for page in PAGES} - {"index"} <= set(index)
    assert "genindex" in index


# ---- links -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "document", [str(each.relative_to(CHECKOUT)) for each in DOCUMENTS]
)
def test_links(document: str) -> None:
    """A link to a file or a heading leads to one that is there."""
    path = CHECKOUT / document
    text = re.sub(r"<!--.*?-->", "", path.read_text(), flags=re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target == "genindex":  # Sphinx writes it
            assert document == "docs/api.md"
        elif "://" not in target and not target.startswith("../../"):  # GitHub's own
            file, _, heading = target.partition("#")
            found = path.parent / file if file else path
            assert found.exists(), target
            if heading:
                assert heading in _headings(found), target


def _headings(path: Path) -> set[str]:
    return {
        re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-")
        for heading in re.findall(r"^#+ (.*)$", path.read_text(), re.M)
    }


# ---- for contributors --------------------------------------------------------------


def test_every_layer_is_named() -> None:
    """CONTRIBUTING.md says of every module what lives there."""
    text = (CHECKOUT / "CONTRIBUTING.md").read_text()
    layers = set(re.findall(r"^\| (`.*`) \|", text, re.M))
    named = {name for layer in layers for name in re.findall(r"`(\w+)", layer)}
    for package in (inotify_cffi, inotify_cffi.tree):
        modules = {module.name for module in pkgutil.iter_modules(package.__path__)}
        assert modules - {"__main__"} <= named


def test_changelog() -> None:
    """The changelog has the form of Keep a Changelog."""
    text = (CHECKOUT / "CHANGELOG.md").read_text()
    versions = re.findall(r"^## (.*)$", text, re.M)
    assert versions[0] == "[Unreleased]"
    for version in versions[1:]:
        assert re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", version)
    kinds = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"]
    assert set(re.findall(r"^### (.*)$", text, re.M)) <= set(kinds)
