"""The cookbook's recipe for many machines: JSON lines into Redis Streams."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import pytest
from commanding import COMMAND, PATIENCE

COOKBOOK = Path(__file__).parents[1] / "docs" / "cookbook.md"
FILES = 200
STREAM = "changes"


def _recipe(name: str) -> str:
    """Return a program of the cookbook's."""
    found = re.search(
        rf"<!-- {name} -->\n```python\n(.*?)```", COOKBOOK.read_text(), re.S
    )
    assert found, f"the cookbook has no {name}"
    return found[1]


@pytest.fixture
def redis_socket(
    tmp_path: Path, until: Callable[[Callable[[], Any]], None]
) -> Iterator[int]:
    """The port of a Redis server on loopback, ended afterwards."""
    redis = pytest.importorskip("redis")
    server = shutil.which("redis-server")
    if server is None:
        pytest.skip("redis-server (Debian: redis-server) is not installed")
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    command = [server, "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    with subprocess.Popen(
        [*command, "--appendonly", "no", "--dir", str(tmp_path)],
        stdout=subprocess.DEVNULL,
    ) as process:
        try:
            with redis.Redis(port=port) as client:

                def answers() -> bool:
                    assert process.poll() is None, "redis-server has ended"
                    with contextlib.suppress(redis.ConnectionError):
                        return bool(client.ping())
                    return False

                until(answers)
            yield port
        finally:
            process.kill()


def test_a_killed_consumer_loses_nothing(tmp_path: Path, redis_socket: int) -> None:
    """Two hosts ship what happens in their trees; a consumer that is killed and
    started again sees everything, and knows what it saw twice by its id."""
    import redis

    for name in ("ship", "work"):
        (tmp_path / f"{name}.py").write_text(_recipe(name))
    url = f"redis://127.0.0.1:{redis_socket}"
    with contextlib.ExitStack() as stack:

        def start(*arguments: Any, **options: Any) -> subprocess.Popen[bytes]:
            command = [str(argument) for argument in arguments]
            process = subprocess.Popen(
                command, cwd=tmp_path, stdout=subprocess.PIPE, **options
            )
            timer = threading.Timer(PATIENCE, process.kill)
            timer.start()
            assert process.stdout is not None
            ends = (process.stdout.close, process.wait, process.kill)
            for end in (*ends, timer.join, timer.cancel):
                stack.callback(end)
            return process

        watching = []
        for host in ("alpha", "beta"):
            (tmp_path / host).mkdir()
            arguments = ["-mrq", "--json", "--ready", "-e", "create", host]
            watcher = start(*COMMAND, *arguments)
            ship = [sys.executable, "ship.py", url, host]
            watching.append((watcher, start(*ship, stdin=watcher.stdout)))

        client = stack.enter_context(redis.Redis.from_url(url, decode_responses=True))
        ready = 0
        last = "0"
        while ready < 2:  # each host ships its record READY
            found = client.xread({STREAM: last}, block=1000 * PATIENCE)
            assert found, "waited in vain"
            for _, entries in found:
                last = entries[-1][0]
                ready += len(entries)

        work = [sys.executable, "work.py", url, "worker-1"]
        wanted = set()
        consumer = start(*work)
        seen: list[tuple[str, str, str]] = []

        def next_line() -> bytes:
            assert consumer.stdout is not None
            line = consumer.stdout.readline()
            assert line, "the consumer waits in vain"
            return line

        def note(line: bytes) -> None:
            entry, host, event = line.decode().split(" ", 2)
            seen.append((entry, host, json.loads(event)["path"]))

        for number in range(FILES):
            for host in ("alpha", "beta"):
                path = f"{host}/{number % 10}/{number}"
                wanted |= {(host, path), (host, f"{host}/{number % 10}")}
                (tmp_path / path).mkdir(parents=True)
            if number == FILES // 2:
                for _ in range(20):
                    note(next_line())
                consumer.kill()  # in the middle of its work
                assert consumer.stdout is not None
                for line in consumer.stdout.read().split(b"\n")[:-1]:
                    note(line)
                consumer = start(*work)
        while not wanted <= {(host, path) for _, host, path in seen}:
            note(next_line())
        # What was seen twice has one id: by that it is known.
        printed = Counter((host, path) for _, host, path in {*seen})
        assert {key: printed[key] for key in wanted} == dict.fromkeys(wanted, 1)
