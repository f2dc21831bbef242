"""The entry point: the only place that reads the real clock, arguments and exit code."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import Any

from planner import cli


def main() -> None:
    """Run the command line; the exit code is the answer's."""
    sys.exit(cli.main(sys.argv[1:], clock=_clock, screen=_screen))


def _clock() -> datetime:
    return datetime.now().astimezone()  # noqa: TID251 -- where the clock enters, and nowhere else


def _screen(*args: Any, **kwargs: Any) -> int:
    from planner import tui

    return tui.run(*args, **kwargs)


if __name__ == "__main__":
    main()
