"""`--exec`: a command for each record, without a shell."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess

from .output import say
from .records import Record, event_names, path_of


class Executor:
    """Runs the command, and waits for its end.

    Raises:
        ValueError: it is no command; the text says why.
    """

    def __init__(self, command: str) -> None:
        self._words = shlex.split(command)
        if not self._words:
            raise ValueError("there is no command")
        if shutil.which(self._words[0]) is None:
            raise ValueError(f"{self._words[0]}: command not found")

    def run(self, record: Record) -> None:
        """Run it once, with the record in the environment.

        Raises:
            OSError: it cannot be started.
        """
        environment = os.environ.copy()
        environment.pop("INOTIFY_OLD_PATH", None)
        environment["INOTIFY_PATH"] = path_of(record)
        environment["INOTIFY_EVENTS"] = ",".join(event_names(record.mask))
        if record.old_path is not None:
            environment["INOTIFY_OLD_PATH"] = record.old_path
        status = subprocess.run(
            self._words, env=environment, stdin=subprocess.DEVNULL, check=False
        ).returncode
        if status < 0:
            say(f"inotify-cffi: {self._words[0]}: ended by signal {-status}")
        elif status > 0:
            say(f"inotify-cffi: {self._words[0]}: exit status {status}")
