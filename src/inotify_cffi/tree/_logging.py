"""Warnings for a service, which reads its log: the logger ``inotify_cffi``."""

from __future__ import annotations

import sys


def log(warning: Warning) -> None:
    """Log a warning; where the program has set up no handler, print nothing.

    `warnings.warn` prints it as well, once for each line that called the watcher.
    A program that has not imported logging has no handler either. It may not be able
    to import it any more: it may have given up its privileges, or its root directory.
    """
    logging = sys.modules.get("logging")
    if logging is None:
        return
    logger = logging.getLogger("inotify_cffi")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())  # else it would be printed twice
    logger.warning("%s", warning)
