"""Warnings for a service, which reads its log: the logger ``inotify_cffi``."""

from __future__ import annotations


def log(warning: Warning) -> None:
    """Log a warning; where the program has set up no handler, print nothing.

    `warnings.warn` prints it as well, once for each line that called the watcher.
    """
    import logging  # slow to import, and seldom needed

    logger = logging.getLogger("inotify_cffi")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())  # else it would be printed twice
    logger.warning("%s", warning)
