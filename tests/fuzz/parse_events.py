"""Fuzz the parser with libFuzzer, against the reference of the tests.

    python tests/fuzz/parse_events.py -max_total_time=60 CORPUS

The options are libFuzzer's; in the folder CORPUS it keeps what it made up that
reached something new. Needs atheris, and an extension that clang built with
``-fsanitize=address,fuzzer-no-link``: ``.ci/fuzz`` does all of it.
"""

import array
import sys
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parents[1]))
from test_parsing import SAMPLE, parsed, reference

from inotify_cffi import _parsing, events, syscalls

PARSER = _parsing.Parser(syscalls.Event, True)


def parse(data: bytes) -> None:
    exact = array.array("B", data)
    expected = reference(data)
    assert parsed(exact) == parsed(data) == expected
    whole = data if isinstance(expected, list) else data[:expected]
    reported: list[syscalls.Event] = []
    end = PARSER.append(reported, data)
    assert end == len(whole)
    assert sum(_parsing.HEADER_SIZE + event.len for event in reported) == end
    assert [events.Event(*event[:3], event.name) for event in reported] == reference(
        whole
    )


def main() -> None:
    Path(sys.argv[-1], "sample").write_bytes(SAMPLE)
    atheris.Setup(sys.argv, parse)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
