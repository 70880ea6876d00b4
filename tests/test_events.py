"""Words for masks: flags, masks, mask_str; and the named tuple Event."""

from __future__ import annotations

import copy
import enum
import pickle
import re
import subprocess
from pathlib import Path
from typing import Any, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inotify_cffi import Event, INotify, flags, mask_str, masks, syscalls

MASKS = st.integers(0, 2**32 - 1)
NAMED = [*flags, *masks]


@pytest.fixture(scope="module")
def header(compile_c: Callable[..., Path]) -> dict[str, int]:
    """Every IN_ constant of the machine's header, with the compiler's value."""
    include = "#include <sys/inotify.h>\n"
    macros = compile_c(include, "-E", "-dM").read_text()
    known = sorted(set(re.findall(r"#define (IN_\w+) ", macros)))
    lines = "\n".join(
        f'    printf("{name} %u\\n", (unsigned){name});' for name in known
    )
    program = f"#include <stdio.h>\n{include}int main(void)\n{{\n{lines}\n}}\n"
    printed = subprocess.check_output([compile_c(program)], text=True).splitlines()
    return {name: int(value) for name, value in map(str.split, printed)}


def test_all_constants_of_the_header(header: dict[str, int]) -> None:
    """syscalls has every constant of the header, with the header's value."""
    ours = {
        name: getattr(syscalls, name) for name in dir(syscalls) if name[:3] == "IN_"
    }
    assert len(ours) == 27
    assert {"IN_MASK_CREATE": 0x10000000, **header} == ours


def test_all_flags_of_the_header(header: dict[str, int]) -> None:
    """flags and masks have every constant but init1's, with the header's value."""
    ours = {f"IN_{named.name}": int(named) for named in NAMED}
    wanted = {"IN_MASK_CREATE": 0x10000000, **header}
    assert (wanted.pop("IN_NONBLOCK"), wanted.pop("IN_CLOEXEC")) == (2048, 524288)
    assert ours == wanted


def test_masks_are_made_of_flags() -> None:
    """A mask of several bits has the flags that its name says."""
    assert flags.from_mask(masks.CLOSE) == [flags.CLOSE_WRITE, flags.CLOSE_NOWRITE]
    assert flags.from_mask(masks.MOVE) == [flags.MOVED_FROM, flags.MOVED_TO]
    assert flags.from_mask(masks.ALL_EVENTS) == list(flags)[:12]


def test_every_flag_is_one_bit() -> None:
    """Every flag is one bit, and they are defined from the lowest bit up."""
    assert all(flag > 0 and flag & (flag - 1) == 0 for flag in flags)
    assert list(flags) == sorted(flags)


@pytest.mark.parametrize("named", NAMED, ids=str)
def test_named(named: enum.IntEnum) -> None:
    """A flag is an int; its str is its name, the same on every Python."""
    kind = type(named).__name__
    assert isinstance(named, int)
    assert str(named) == f"{kind}.{named.name}"
    assert repr(named) == f"<{kind}.{named.name}: {int(named)}>"
    assert pickle.loads(pickle.dumps(named)) is named
    assert copy.deepcopy(named) is named


@pytest.mark.parametrize("specification", ["d", "#010x", ">12d"])
@pytest.mark.parametrize("named", [flags.CREATE, masks.MOVE], ids=str)
def test_named_formatted_as_a_number(named: enum.IntEnum, specification: str) -> None:
    """A format of numbers shows a flag's number, the same on every Python."""
    assert format(named, specification) == format(int(named), specification)


def test_named_in_hexadecimal() -> None:
    """hex(), bin() and oct() show a flag's number."""
    flag = flags.CREATE
    assert (hex(flag), bin(flag), oct(flag)) == ("0x100", "0b100000000", "0o400")


def test_named_formatted() -> None:
    """Without a format a flag shows its name, as str() does."""
    assert f"{flags.CREATE} {masks.MOVE}" == "flags.CREATE masks.MOVE"
    assert "{}".format(flags.CREATE) == "%s" % flags.CREATE == "flags.CREATE"  # noqa: UP031, UP032 - each way is its own code


def test_flags_are_or_ed_to_ints() -> None:
    """Flags or'ed and and'ed are plain numbers."""
    assert flags.CREATE | flags.ISDIR == 0x40000100
    assert type(flags.CREATE | flags.ISDIR) is int
    assert type(masks.MOVE & flags.MOVED_TO) is int


def test_from_mask() -> None:
    """from_mask() gives the flags in definition order, and drops other bits."""
    assert flags.from_mask(0x40000100) == [flags.CREATE, flags.ISDIR]
    assert flags.from_mask(flags.ISDIR | flags.CREATE) == [flags.CREATE, flags.ISDIR]
    assert flags.from_mask(0xFFFFFFFF) == list(flags)
    assert flags.from_mask(0) == flags.from_mask(0x00801000) == []


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (0x40000100, "CREATE | ISDIR"),
        (flags.ISDIR | flags.CREATE, "CREATE | ISDIR"),
        (flags.ONESHOT, "ONESHOT"),
        (masks.MOVE, "MOVED_FROM | MOVED_TO"),
        (0, "0x0"),
        (0x00801000, "0x801000"),
        (0x00801100, "CREATE | 0x801000"),
        (0x4000, "Q_OVERFLOW"),
    ],
)
def test_mask_str(mask: int, words: str) -> None:
    """mask_str() names the bits in definition order, then those without a name."""
    assert mask_str(mask) == words


@given(MASKS)
def test_mask_str_loses_nothing(mask: int) -> None:
    """The words of mask_str() make up the mask again, and none comes twice."""
    words = mask_str(mask).split(" | ")
    bits = [
        int(word, 16) if word.startswith("0x") else int(flags[word]) for word in words
    ]
    assert sum(bits) == mask
    assert all(word.startswith("0x") for word in words[len(flags.from_mask(mask)) :])


@given(MASKS)
def test_from_mask_is_what_is_set(mask: int) -> None:
    """from_mask() has a flag exactly when its bit is set."""
    found = flags.from_mask(mask)
    assert found == [flag for flag in flags if mask & flag]
    assert sum(found) | mask == mask


def test_event() -> None:
    """An event is a named tuple of wd, mask, cookie and name."""
    event = Event(1, 256, 0, "file")
    assert event == Event(wd=1, mask=256, cookie=0, name="file") == (1, 256, 0, "file")
    assert repr(event) == "Event(wd=1, mask=256, cookie=0, name='file')"
    assert event._fields == ("wd", "mask", "cookie", "name")
    wd, mask, cookie, name = event
    assert (wd, mask, cookie, name) == event[:]
    assert event._replace(wd=2).wd == 2
    assert hash(event) == hash((1, 256, 0, "file"))


def test_event_of_the_kernel(inotify: INotify, tmp_path: Path) -> None:
    """An event that was read is like one made by hand, and can be copied."""
    inotify.add_watch(tmp_path, flags.CREATE)
    (tmp_path / "file").touch()
    (event,) = inotify.read(timeout=0)
    assert type(event) is Event
    assert event == Event(1, 256, 0, "file")
    assert [type(field) for field in event] == [int, int, int, str]
    for made in (pickle.loads(pickle.dumps(event)), copy.deepcopy(event)):
        assert (made, type(made)) == (event, Event)


def test_event_of_syscalls_can_be_pickled() -> None:
    """The event with ``len`` is a type of its own, and can be pickled too."""
    event = syscalls.Event(1, 256, 0, 16, "file")
    assert type(pickle.loads(pickle.dumps(event))) is syscalls.Event


@pytest.mark.parametrize("function", [mask_str, flags.from_mask])
@pytest.mark.parametrize("mask", ["CREATE", 1.0, None])
def test_masks_that_are_no_int(function: Callable[[Any], object], mask: Any) -> None:
    """A mask that is no int is refused, with what it is."""
    with pytest.raises(TypeError, match=f"mask must be an int, .*, not {mask!r}"):
        function(mask)
