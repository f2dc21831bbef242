"""Who counts tokens better than planner does, as the flags ask for it: vendors, plugins, consent.

Never keys of a job file: whoever shows rows to somebody, or runs a package over them, says so
where they type it.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Sequence

    from planner.cli.flags import Arguments
    from planner.counted_by import Reference


def flags(parser: argparse.ArgumentParser) -> None:
    """How the tokens of models are known better that are only estimated."""
    add = parser.add_argument
    add("--measure", action="store_true", help="send pieces of the rows to the vendor's own count")
    add("--yes", action="store_true", help="--measure without asking, free or not")
    add(
        "--reconstruct",
        action="store_true",
        help="count pieces of the rows with an unofficial tokenizer that you have installed",
    )


@contextmanager
def references(
    arguments: Arguments, region: str | None, say: Callable[[str], None]
) -> Iterator[Sequence[Reference]]:
    """Those that are asked for, a vendor's own count before a reconstruction of it."""
    found: list[Reference] = []
    with ExitStack() as opened:
        if arguments.get("measure"):
            from planner.handoff import home
            from planner.measuring import Measuring

            agree = _yes if arguments.get("yes") else _agreed
            measuring = Measuring(home.data_home(), say, agree=agree, region=region)
            found.append(opened.enter_context(measuring))
        if arguments.get("reconstruct"):
            from planner.workload.reconstruction import Reconstruction

            found.append(Reconstruction(say))
        yield found


def _yes() -> bool:
    return True


def _agreed() -> bool:
    """A person's yes; where nobody is there to ask, nobody agreed."""
    if not sys.stdin.isatty():
        return False
    sys.stderr.write("Count them there? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")
