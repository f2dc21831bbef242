"""Where jobs live on this machine: one private folder, and a lock that ends with its holder.

The lock is the operating system's own, on a file beside the job's folder (which a build replaces
as a whole). A file whose existence says "locked" was rejected: after a kill it says so for ever.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from planner.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

JOBS = "jobs"
PILOTS = "pilots"
LEDGER = "ledger.db"
PRIVATE_FOLDER, PRIVATE_FILE = 0o700, 0o600


def data_home() -> Path:
    """`$PLANNER_DATA`, or the platform's folder for data, with `planner` in it."""
    named = os.environ.get("PLANNER_DATA")
    return Path(named) if named else _platform() / "planner"


def _platform() -> Path:
    base = Path(os.environ.get("XDG_DATA_HOME", ""))
    if base.is_absolute():
        return base
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    home = Path.home()
    mac = sys.platform == "darwin"
    return home / "Library" / "Application Support" if mac else home / ".local" / "share"


def private_folder(folder: Path) -> Path:
    """The folder, there and nobody else's to read; InputError where that cannot be."""
    try:
        folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
        folder.chmod(PRIVATE_FOLDER)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise InputError.of("cannot-write", f"{folder}: {reason}") from None
    return folder


def private_file(path: Path) -> None:
    """An empty file of our own where there is none; its permissions are set before its content."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, PRIVATE_FILE))
        path.chmod(PRIVATE_FILE)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise InputError.of("cannot-write", f"{path}: {reason}") from None


@contextlib.contextmanager
def lock(path: Path, what: str) -> Iterator[None]:
    """Hold the lock of a file; InputError where another process holds it."""
    private_file(path)
    with path.open("r+b") as stream:
        try:
            _take(stream.fileno())
        except OSError:
            raise InputError.of(
                "already-running",
                f"{what} is being run by another process",
                hint="planner jobs --watch follows it from here",
            ) from None
        yield


def held(path: Path) -> bool:
    """Whether some process holds the lock of a file; looking does not take it."""
    if not path.exists():
        return False
    with path.open("r+b") as stream:
        return _is_taken(stream.fileno())


if sys.platform == "win32":
    import msvcrt

    def _take(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

    def _is_taken(descriptor: int) -> bool:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return True
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)
        return False
else:
    import fcntl
    import time

    _GLANCES, _GLANCE = 5, 0.02
    """A glance of `held` may be in the way for a moment."""

    def _take(descriptor: int) -> None:
        for left in reversed(range(_GLANCES)):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                if not left:
                    raise
                time.sleep(_GLANCE)
            else:
                return

    def _is_taken(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
        return False
