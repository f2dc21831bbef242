"""A large file counted in a process of its own, so that keys stay quick meanwhile.

A thread would do for the counting, which leaves the interpreter to others, but not for loading a
tokenizer: that holds it for a third of a second, in which no key is seen. The process gets the
catalog and the job, sends progress and counts back, and ends when its result is not wanted. The
library's own process pools were rejected: they run the main module again, and fail under a
screen, which has no standard error.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Thread
from typing import IO, TYPE_CHECKING, Any

from planner.errors import InputError, PlannerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from planner.catalog import Catalog
    from planner.handoff.learned import Known
    from planner.job import Job
    from planner.pipeline import Measured
    from planner.workload.passes import Progress

PROGRESS, FOUND, LAST, FAILED, STOPPED = "progress", "found", "last", "failed", "stopped"
STOP = "stop"

POSSIBLE = sys.platform != "win32"
"""Whether pipes can be waited for here."""

LOOK = 0.02
"""Seconds between two looks at whether the count is still wanted."""

PATIENCE = 100
"""So many looks a stopped count may take to say what it knows."""

ROUGHLY = 0.1
"""Half the 95 % interval of a first count, as a share."""

PROGRAM = "from planner.tui.counter import main; main()"


def counts(
    catalog: Catalog,
    job: Job,
    known: Known | None,
    progress: Progress,
    stop: Callable[[], bool],
) -> Iterator[tuple[Measured, bool]]:
    """A rough count, then the one that is asked for, each with whether it is the last.

    `stop` ends it with what is known by then; StoppedError where that is nothing.
    """
    package = str(Path(__file__).parent.parent.parent)
    paths = [package, *filter(None, [os.environ.get("PYTHONPATH")])]
    process = subprocess.Popen(  # noqa: S603 -- our own program, by the interpreter that runs it
        [sys.executable, "-c", PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    )
    with process, _end(process.stdout) as said, _end(process.stdin) as asked:
        telling = Thread(target=_tell, args=(asked, (catalog, job, known)))
        telling.start()
        try:
            yield from _heard(said, asked, progress, stop)
        except (EOFError, BrokenPipeError):
            raise InputError.of(
                "counting-ended",
                "the process that counted has ended",
                hint="r tries once more; is there memory enough?",
            ) from None
        finally:
            process.terminate()
            telling.join()  # before its pipe is closed, and the number given to another file


def _tell(asked: Connection[Any, Any], what: object) -> None:
    """The question, in a thread: it is more than a pipe holds, and waits for a process to begin."""
    try:
        asked.send(what)
    except OSError:
        return  # nobody wants to know any more


def _end(pipe: IO[bytes] | None) -> Connection[Any, Any]:
    assert pipe is not None
    return Connection(os.dup(pipe.fileno()))


def _heard(
    said: Connection[Any, Any],
    asked: Connection[Any, Any],
    progress: Progress,
    stop: Callable[[], bool],
) -> Iterator[tuple[Measured, bool]]:
    from planner.workload.draws import StoppedError

    looks, rough = PATIENCE, False
    while looks:
        if stop():
            if not rough:
                break  # nothing is known that could be kept
            if looks == PATIENCE:
                asked.send(STOP)
            looks -= 1
        if not said.poll(LOOK):
            continue
        kind, what = said.recv()
        if kind == PROGRESS:
            progress(*what)
        elif kind == FAILED:
            raise PlannerError(*what)
        elif kind == STOPPED:
            break
        else:
            rough = True
            yield what, kind == LAST
            if kind == LAST:
                return
    raise StoppedError


def main() -> None:
    """In the process: count roughly, then as asked, and say so."""
    asked, said = Connection(os.dup(0)), Connection(os.dup(1))
    sys.stdout = sys.stderr  # what a library prints must not come between our words
    catalog, job, known = asked.recv()
    try:
        _count(catalog, job, known, asked, said)
    except (BrokenPipeError, EOFError):
        return


def _count(
    catalog: Catalog,
    job: Job,
    known: Known | None,
    asked: Connection[Any, Any],
    said: Connection[Any, Any],
) -> None:
    from planner import pipeline
    from planner.workload.draws import StoppedError

    def progress(rows: int, done: int) -> None:
        if asked.poll():
            raise StoppedError
        said.send((PROGRESS, (rows, done)))

    rough = replace(job, precision=max(job.precision, ROUGHLY), exact=False)
    try:
        found = pipeline.measure(catalog, rough, progress, known)
        said.send((FOUND, replace(found, job=job)))
        said.send((LAST, pipeline.measure(catalog, job, progress, known)))
    except StoppedError:
        said.send((STOPPED, None))
    except PlannerError as error:
        said.send((FAILED, error.problems))
