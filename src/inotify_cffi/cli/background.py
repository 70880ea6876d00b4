"""`--daemon`: continuing in the background."""

from __future__ import annotations

import os

from .output import open_null

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


class Background:
    """The background process, in its own view.

    `start` forks before anything is watched. The one that was started waits until
    all is watched, and ends with status 0, or as this one ends before that. So who
    starts it knows that nothing is missed from then on. Until then messages go to
    the terminal. The current directory stays: relative paths are resolved again.
    """

    def __init__(self, writing: int) -> None:
        self._writing = writing

    @classmethod
    def start(cls) -> Background:
        """Return in the background process; the started process waits and ends.

        Raises:
            OSError: no process or no pipe can be made.
        """
        reading, writing = os.pipe2(os.O_CLOEXEC)
        process = os.fork()
        if process:
            os.close(writing)
            _end_with(process, reading)
        os.close(reading)
        return cls(writing)

    def go_on(self) -> None:
        """End the started process, and leave its terminal."""
        os.setsid()
        null = open_null()
        for descriptor in range(3):
            os.dup2(null, descriptor)
        if null > 2:
            os.close(null)
        os.write(self._writing, b"\n")
        os.close(self._writing)


def _end_with(process: int, reading: int) -> NoReturn:
    """Wait until the background process is ready, or ends; end with its status."""
    if os.read(reading, 1):
        os._exit(0)
    _, status = os.waitpid(process, 0)
    if os.WIFSIGNALED(status):
        os._exit(128 + os.WTERMSIG(status))
    os._exit(os.WEXITSTATUS(status))
