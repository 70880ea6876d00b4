"""What does it cost to add a watch, and to remove it again?

Adding: add_watch() of a directory that is watched already, with the same mask,
which costs the kernel least and shows best what a library adds. Adding and
removing: another directory is watched and left again; the IGNORED events stay
in the queue.
"""

from __future__ import annotations

from . import libraries
from .contestants import Clock, Contestant, Statement, c_limit
from .events import Creations, scratch_directory
from .harness import Case, Cases, Question, main
from .pace import Pace


def cases(pace: Pace) -> Cases:
    with scratch_directory() as scratch, c_limit(scratch) as limit:
        directory = Creations(scratch, 0)
        for label, attribute in (
            ("add", "add"),
            ("add and remove", "add_and_remove"),
        ):
            loops = pace.loops()
            contestants: list[Contestant] = [Clock(loops)]
            for library in libraries.installed():
                statement = getattr(library, attribute)
                if statement and library is not libraries.Floor:
                    contestants.append(Statement(library, statement, directory, loops))
            contestants += limit(label.replace(" ", "-"), loops)
            yield Case(label, contestants, loops)


QUESTION = Question(
    name="watch",
    title="Adding and removing a watch",
    unit="ns",
    cases=cases,
    notes=(
        "watchdog takes adding what is watched for a mistake, and warns: it is "
        "asked only for both.",
        "asyncinotify and watchdog keep books of their watches as well.",
    ),
)

if __name__ == "__main__":
    main(QUESTION)
