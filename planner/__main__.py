"""The entry point: the only place that reads the real clock, arguments and exit code."""

from __future__ import annotations

import os
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from planner import cli

if TYPE_CHECKING:
    from datetime import tzinfo

LOCALTIME = Path("/etc/localtime")


def main() -> None:
    """Run the command line; the exit code is the answer's."""
    sys.exit(cli.main(sys.argv[1:], clock=_clock, screen=_screen))


def _clock() -> datetime:
    here = datetime.now().astimezone()  # noqa: TID251 -- where the clock enters, and nowhere else
    return here.astimezone(_zone() or here.tzinfo)


def _zone() -> tzinfo | None:
    """The machine's zone by name, None where it does not name one.

    An offset alone would put tomorrow's 18:00 an hour off where the clocks change in between.
    """
    named = os.environ.get("TZ", "").removeprefix(":")
    linked = str(LOCALTIME.resolve()).rpartition("zoneinfo/")[2]
    for name in (named, linked):
        try:
            return ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            continue
    return None


def _screen(*args: Any, **kwargs: Any) -> int:
    from planner import tui

    return tui.run(*args, **kwargs)


if __name__ == "__main__":
    main()
