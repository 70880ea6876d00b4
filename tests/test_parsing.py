"""parse_events against an independent reading of the same bytes."""

from __future__ import annotations

import array
import codecs
import mmap
import os
import platform
import re
import shutil
import signal
import struct
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from inotify_cffi import Event, INotify, flags, parse_events, syscalls

if TYPE_CHECKING:
    from conftest import RunPython

Fields = tuple[int, int, int, str]


def packed(wd: int, mask: int, cookie: int, padded_name: bytes) -> bytes:
    """An event as the kernel would write it."""
    return struct.pack("=iIII", wd, mask, cookie, len(padded_name)) + padded_name


def reference(data: bytes) -> list[Fields] | int:
    """The events of ``data``, or the offset of the first malformed one."""
    events = []
    offset = 0
    while offset < len(data):
        header = data[offset : offset + 16]
        if len(header) < 16:
            return offset
        wd, mask, cookie, length = struct.unpack("=iIII", header)
        field = data[offset + 16 : offset + 16 + length]
        if len(field) < length or (length and b"\0" not in field):
            return offset
        events.append((wd, mask, cookie, os.fsdecode(field.split(b"\0")[0])))
        offset += 16 + length
    return events


def parsed(data: Any) -> list[Fields] | int:
    """The result of parse_events, in the form of the reference."""
    try:
        events = parse_events(data)
    except ValueError as error:
        (offset,) = re.findall(r" offset (\d+)", str(error))
        return int(offset)
    assert {type(event) for event in events} <= {Event}
    return [(event.wd, event.mask, event.cookie, event.name) for event in events]


def _padded(name: bytes, rest: bytes) -> bytes:
    return name + b"\0" + rest


NAMES = st.binary(max_size=255).map(lambda name: name.replace(b"\0", b"."))
FIELDS = st.one_of(
    st.just(b""),
    st.builds(_padded, NAMES, st.binary(max_size=20)),
    NAMES.map(lambda name: _padded(name, b"\0" * (-(len(name) + 1) % 16))),
)
WORDS = st.integers(0, 2**32 - 1)
EVENTS = st.builds(packed, st.integers(-(2**31), 2**31 - 1), WORDS, WORDS, FIELDS)
BATCHES = st.lists(EVENTS, max_size=20).map(b"".join)

# One of each kind: no name, short, exactly filled, longest, not UTF-8, rubbish
# after the NUL, an empty name with a length.
SAMPLE = b"".join(
    [
        packed(1, 0x400, 0, b""),
        packed(2, 0x40000100, 0, b"folder".ljust(16, b"\0")),
        packed(3, 0x40, 7, b"n" * 15 + b"\0"),
        packed(-1, 0x4000, 0, b""),
        packed(2**31 - 1, 2**32 - 1, 2**32 - 1, b"\xff" * 255 + b"\0"),
        packed(4, 0x80, 7, b"caf\xe9\0rubbish"),
        packed(5, 0x100, 0, b"\0" * 16),
        packed(6, 0x100, 0, "été".encode().ljust(16, b"\0")),
    ]
)


@given(BATCHES)
@example(SAMPLE)
def test_valid(data: bytes) -> None:
    """Valid data gives the events that the reference gives."""
    expected = reference(data)
    assert isinstance(expected, list)
    assert parsed(data) == expected


@given(st.binary(max_size=100))
@example(b"\0" * 15)
@example(b"\0" * 16 + b"\xff")
def test_rubbish(data: bytes) -> None:
    """Rubbish gives what the reference gives: events, or the same offset."""
    assert parsed(data) == reference(data)


@given(BATCHES, st.data())
def test_damaged(data: bytes, draw: st.DataObject) -> None:
    """Damaged data gives what the reference gives: events, or the same offset."""
    start = draw.draw(st.integers(0, len(data)))
    end = draw.draw(st.integers(start, len(data)))
    damaged = data[:start] + draw.draw(st.binary(max_size=40)) + data[end:]
    assert parsed(damaged) == reference(damaged)


@given(BATCHES.filter(lambda data: len(data) < 2000))
@example(SAMPLE)
def test_every_prefix(data: bytes) -> None:
    """Every prefix gives whole events, or the offset of the one cut short."""
    for end in range(len(data) + 1):
        assert parsed(data[:end]) == reference(data[:end])


@given(BATCHES, st.integers(0, 64))
@example(SAMPLE, 1)
@example(SAMPLE, 3)
def test_unaligned(data: bytes, shift: int) -> None:
    """The address of the data does not matter."""
    expected = reference(data)
    memory = memoryview(b"\xff" * shift + data + b"\xff" * 300)
    assert parsed(memory[shift : shift + len(data)]) == expected


def test_no_data() -> None:
    """No data is no events."""
    assert parse_events(b"") == parse_events(memoryview(b"")) == []


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\0", "truncated event header at offset 0: 1 of 16 bytes"),
        (SAMPLE + b"\0" * 15, "truncated event header at offset 460: 15 of 16 bytes"),
        (
            struct.pack("=iIII", 1, 2, 0, 17) + b"\0" * 16,
            "event at offset 0 has a name of 17 bytes, 16 follow",
        ),
        (
            bytes(16) + struct.pack("=iIII", 1, 2, 0, 2**32 - 1) + b"\0" * 16,
            "event at offset 16 has a name of 4294967295 bytes, 16 follow",
        ),
        (
            SAMPLE + struct.pack("=iIII", 1, 2, 0, 300) + b"\0" * 299,
            "event at offset 460 has a name of 300 bytes, 299 follow",
        ),
        (
            packed(1, 2, 0, b"name") + packed(1, 2, 0, b"other\0"),
            "event at offset 0 has a name of 4 bytes without a NUL",
        ),
        (
            struct.pack("=iIII", 1, 2, 0, 5),
            "event at offset 0 has a name of 5 bytes, 0 follow",
        ),
        (
            packed(1, 2, 0, b"name"),
            "event at offset 0 has a name of 4 bytes without a NUL",
        ),
    ],
    ids=[
        "header",
        "second header",
        "len",
        "largest len",
        "last len",
        "len of nothing",
        "no NUL",
        "no NUL at the end",
    ],
)
def test_malformed(data: bytes, message: str) -> None:
    """Malformed data is a ValueError that says what is wrong at which offset."""
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        parse_events(data)


@pytest.mark.parametrize("length", [1, 2, 15, 16, 2**16, 2**31 - 1, 2**31, 2**32 - 16])
def test_len_past_the_end(length: int) -> None:
    """A ``len`` that runs past the end is refused, however large."""
    data = (
        SAMPLE + struct.pack("=iIII", 1, 2, 0, length) + b"\0" * (min(length, 16) - 1)
    )
    assert parsed(data) == len(SAMPLE)


def test_names_of_every_size() -> None:
    """A name may have any size up to the kernel's 255 bytes."""
    for size in range(256):
        name = bytes(range(1, 256))[:size]
        padded = _padded(name, b"\0" * (-(size + 1) % 16))
        (event,) = parse_events(packed(1, 256, 0, padded))
        assert event == (1, 256, 0, os.fsdecode(name))
        assert os.fsencode(event.name) == name


@pytest.mark.parametrize("wd", [-(2**31), -1, 0, 1, 2**31 - 1])
@pytest.mark.parametrize("word", [0, 1, 2**31 - 1, 2**31, 2**32 - 1])
def test_extreme_numbers(wd: int, word: int) -> None:
    """Each number keeps its sign and all of its bits."""
    assert parse_events(packed(wd, word, 0, b"")) == [(wd, word, 0, "")]
    assert parse_events(packed(wd, 0, word, b"n\0")) == [(wd, 0, word, "n")]


@pytest.mark.parametrize("varied", range(4))
def test_neighbours_that_differ_in_one_field(varied: int) -> None:
    """Every event has its own fields, whatever its neighbours have."""
    expected = []
    for number in (5, 5, 6, 5, 0, 0, 7):
        fields: list[Any] = [1, 2, 3, "name"]
        fields[varied] = f"{number}" if varied == 3 else number
        expected.append(fields)
    data = b"".join(
        packed(wd, mask, cookie, name.encode() + b"\0")
        for wd, mask, cookie, name in expected
    )
    assert [list(event) for event in parse_events(data)] == expected


def test_batches_of_every_size() -> None:
    """A batch may have any size, up to a full queue."""
    powers = [2**power + more for power in range(7, 15) for more in (-1, 0, 1)]
    for size in [*range(130), *powers]:
        data = b"".join(
            packed(number % 5, number % 3, 0, b"%d\0" % number if number % 7 else b"")
            for number in range(size)
        )
        events = parse_events(data)
        assert len(events) == size
        assert events == reference(data)


def _mapped(data: bytes) -> mmap.mmap:
    mapped = mmap.mmap(-1, len(data))
    mapped[:] = data
    return mapped


@pytest.mark.parametrize(
    "kind",
    [
        bytes,
        bytearray,
        memoryview,
        lambda data: memoryview(bytearray(data)),
        lambda data: memoryview(data).cast("I"),
        lambda data: array.array("B", data),
        lambda data: array.array("I", data),
        _mapped,
        lambda data: memoryview(_mapped(data)),
    ],
    ids=[
        "bytes",
        "bytearray",
        "memoryview",
        "memoryview of a bytearray",
        "memoryview of ints",
        "array of bytes",
        "array of ints",
        "mmap",
        "memoryview of an mmap",
    ],
)
def test_bytes_like(kind: Callable[[bytes], Any]) -> None:
    """Every bytes-like object is read, and is free again afterwards."""
    data = packed(1, 0x100, 0, b"one\0") + packed(2, 0x40, 9, b"\xfftwo-and\0\0\0\0")
    source = kind(data)
    assert parse_events(source) == reference(data)
    if isinstance(source, (bytearray, array.array)):
        source.append(0)
    if isinstance(source, mmap.mmap):
        source.close()


def test_data_is_free_after_an_error() -> None:
    """Data that was refused can be added to while the error is handled."""
    data = bytearray(SAMPLE[:-1])
    with pytest.raises(ValueError, match="offset") as refused:
        parse_events(data)
    data += SAMPLE[-1:]
    assert parse_events(data) == reference(SAMPLE)
    assert refused.value.__traceback__ is not None


def test_read_in_place() -> None:
    """Data is read where it lies: what changes there is seen, nothing is written."""
    data = bytearray(packed(1, 2, 3, b"name\0"))
    copy = bytes(data)
    assert parse_events(data) == [(1, 2, 3, "name")]
    assert data == copy
    data[:4] = struct.pack("=i", 9)
    assert parse_events(data) == [(9, 2, 3, "name")]


class Disguised:
    """Says that it is bytes, as a mock of bytes does."""

    __class__ = bytes  # type: ignore[assignment]

    def __len__(self) -> int:
        return 64


@pytest.mark.parametrize(
    "data",
    ["text", None, 16, [0] * 16, object(), Disguised()],
    ids=["str", "None", "int", "list", "object", "disguised"],
)
def test_not_bytes_like(data: Any) -> None:
    """Anything but a bytes-like object is a TypeError."""
    with pytest.raises(TypeError):
        parse_events(data)


def test_not_contiguous() -> None:
    """Data with gaps is refused."""
    with pytest.raises((BufferError, ValueError, TypeError)):
        parse_events(memoryview(SAMPLE * 2)[::2])


def test_raw_data_of_the_kernel(inotify: INotify, tmp_path: Path) -> None:
    """The bytes of os.read() are parsed to the events of read()."""
    with INotify() as other:
        for instance in (inotify, other):
            instance.add_watch(tmp_path, flags.CREATE | flags.MOVED_FROM)
        for name in (b"short", b"n" * 255, b"caf\xe9"):
            (tmp_path / os.fsdecode(name)).mkdir()
        (tmp_path / "short").rename(tmp_path / "other")
        raw = os.read(inotify.fd, 4096)
        assert parse_events(raw) == other.read(timeout=0) == reference(raw)


# Data lies at the very end of a page, and the page after it cannot be read: a
# single byte read past the end kills the interpreter.
GUARDED = """
    import ctypes, mmap, struct, sys
    from inotify_cffi import parse_events

    PAGE = mmap.PAGESIZE
    pages = mmap.mmap(-1, 2 * PAGE)
    first_byte = ctypes.c_char.from_buffer(pages)
    second_page = ctypes.c_void_p(ctypes.addressof(first_byte) + PAGE)
    assert ctypes.CDLL(None).mprotect(second_page, ctypes.c_size_t(PAGE), 0) == 0
    memory = memoryview(pages)

    def parse(data):
        end = memory[PAGE - len(data) : PAGE]
        end[:] = data
        try:
            return len(parse_events(end))
        except ValueError as error:
            return str(error)

    def event(length, name):
        return struct.pack("=iIII", 1, 2, 3, length) + name

    whole = bytes.fromhex(sys.argv[1])
    parsed = [parse(whole[:end]) for end in range(len(whole) + 1)]
    for size in range(40):
        for length in (*range(40), 255, 272, 4095, 4096, 2**31 - 1, 2**31, 2**32 - 1):
            for name in (b"n" * size, b"n" * (size - 1) + b"\\0", b"\\0" * size):
                parsed.append(parse(event(length, name)))
    print(len(parsed))
    """


def test_never_reads_past_the_end(run_python: RunPython) -> None:
    """parse_events() reads no byte past the end, of good data or bad."""
    printed = run_python(GUARDED, SAMPLE.hex())
    assert int(printed) == len(SAMPLE) + 1 + 40 * 47 * 3


def test_the_guard_guards() -> None:
    """One byte read past the end does kill the interpreter."""
    overread = GUARDED[: GUARDED.index("    whole =")] + "    memory[PAGE]\n"
    code = "\n".join(line[4:] for line in overread.splitlines())
    finished = subprocess.run([sys.executable, "-c", code], check=False)
    assert finished.returncode == -signal.SIGSEGV


@pytest.mark.skipif(shutil.which("valgrind") is None, reason="no valgrind here")
@pytest.mark.skipif(
    platform.python_implementation() != "CPython",
    reason="parses in Python, which checks its own bounds",
)
def test_valgrind(run_python: RunPython, tmp_path: Path) -> None:
    """valgrind sees no invalid access, and no use of what was never written."""
    code = """
        import ctypes, os, struct, sys
        from inotify_cffi import INotify, flags, parse_events, syscalls

        def parse(data):
            exact = ctypes.create_string_buffer(data, len(data))
            try:
                parse_events(exact)
            except ValueError:
                pass

        whole = bytes.fromhex(sys.argv[1])
        for end in range(1, len(whole) + 1):
            parse(whole[:end])
        for length in (1, 16, 255):
            parse(struct.pack("=iIII", 1, 2, 3, length) + b"n" * length)
        with INotify() as inotify:
            wd = inotify.add_watch(sys.argv[2], flags.CREATE)
            fd = syscalls.init1(syscalls.IN_NONBLOCK)
            syscalls.add_watch(fd, sys.argv[2], flags.CREATE)
            for name in ("short", "n" * 255):
                os.mkdir(os.path.join(sys.argv[2], name))
            print(len(inotify.read(timeout=0)), len(syscalls.read_events(fd)))
            os.close(fd)
        """
    bare = ["valgrind", "--quiet", "--error-exitcode=9", sys.executable, "-c"]
    without_us = subprocess.run(
        [*bare, "import ctypes, struct"],
        env={**os.environ, "PYTHONMALLOC": "malloc"},
        capture_output=True,
        check=False,
    )
    if without_us.returncode:
        pytest.skip("valgrind finds fault with this Python alone")
    printed = run_python(
        code,
        SAMPLE.hex(),
        tmp_path,
        prefix=["valgrind", "--quiet", "--error-exitcode=9"],
        env={"PYTHONMALLOC": "malloc"},  # so that every object has its own bounds
    )
    assert printed == "2 2\n"


@pytest.fixture(scope="module")
def locales(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment with locales of several encodings, in which Python uses them."""
    localedef = shutil.which("localedef")
    if localedef is None:
        pytest.skip("localedef is not installed")
    folder = tmp_path_factory.mktemp("locales")
    for language, charmap in (("en_US", "ISO-8859-1"), ("ja_JP", "EUC-JP")):
        made = subprocess.run(
            [
                localedef,
                "-i",
                language,
                "-f",
                charmap,
                folder / f"{language}.{charmap}",
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode != 0:
            pytest.skip(f"localedef cannot make {charmap}: {made.stderr.strip()}")
    return {
        "LOCPATH": str(folder),
        "PYTHONCOERCECLOCALE": "0",
        "PYTHONUTF8": "0",
        "PYTHONIOENCODING": "ascii",
    }


@pytest.mark.parametrize(
    ("name", "encoding"),
    [("C", "ascii"), ("en_US.ISO-8859-1", "iso8859-1"), ("ja_JP.EUC-JP", "euc_jp")],
)
def test_file_system_encodings(
    run_python: RunPython,
    locales: dict[str, str],
    tmp_path: Path,
    name: str,
    encoding: str,
) -> None:
    """Names are what os.fsdecode() makes of them, paths what os.fsencode() does."""
    environment = {**locales, "LC_ALL": name}
    ask = "import sys; print(sys.getfilesystemencoding())"
    used = codecs.lookup(run_python(ask, env=environment).strip()).name
    if used != encoding:
        pytest.skip(f"this Python uses {used} in the locale {name}")
    code = """
        import os, struct, sys
        from inotify_cffi import INotify, flags, parse_events, syscalls

        folder = os.fsencode(sys.argv[1])
        inotify = INotify()
        fd = syscalls.init1(syscalls.IN_CLOEXEC)
        inotify.add_watch(folder, flags.CREATE)
        syscalls.add_watch(fd, folder, flags.CREATE)
        for name in (
            b"plain",
            b"caf\\xe9",
            b"\\xa4\\xa2",  # one character in EUC-JP
            b"\\x8f\\xb0\\xa1",  # one, of three bytes
            b"\\x8f\\xb0",  # the beginning of one
            b"\\x8e",
            b"\\xa4",
            b"\\xff\\xfe",
            "\\N{HIRAGANA LETTER A}".encode("utf-8"),
            bytes(range(128, 256)),
            b"\\xa4\\xa2" * 127 + b"\\xa4",
        ):
            decoded = os.fsdecode(name)
            os.mkdir(os.path.join(folder, name))
            (event,) = inotify.read(timeout=0)
            (event_with_len,) = syscalls.read_events(fd)
            header = struct.pack("=iIII", 1, 2, 3, len(name) + 1)
            (parsed,) = parse_events(header + name + b"\\0")
            assert event.name == event_with_len.name == parsed.name == decoded, name
            if os.fsencode(decoded) == name:
                wd = inotify.add_watch(os.path.join(folder, name), flags.CREATE)
                path = os.path.join(sys.argv[1], decoded)
                assert inotify.add_watch(path, flags.CREATE) == wd
                assert syscalls.add_watch(inotify.fd, path, flags.CREATE) == wd
        inotify.close()
        os.close(fd)
        print("all")
        """
    assert run_python(code, tmp_path, env=environment) == "all\n"


@pytest.mark.parametrize("name", [b"caf\xe9", b"\xff" * 255, b"\xed\xb2\x80"])
def test_undecodable(name: bytes) -> None:
    """Bytes that are not text come back whole through os.fsencode()."""
    (event,) = parse_events(packed(1, 256, 0, name + b"\0"))
    assert os.fsencode(event.name) == name
    assert syscalls.Event(1, 256, 0, 16, event.name).name == event.name
