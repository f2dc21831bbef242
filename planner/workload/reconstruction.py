"""A plugin's counts of some texts, from a process of its own that is ended when it takes long.

A reconstruction is other people's code: it may raise, hang, crash, print, or answer nonsense, and
none of that may break an estimate or change another figure of it. So it never runs in this
process, its answer is looked at before it counts, and whatever goes wrong is said. A thread was
rejected: one that hangs cannot be ended, and one that crashes takes the program with it.

It is slow (some 0.1 MB a second), so it sees sampled pieces and never the rows themselves.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from planner.words import counted
from planner.workload import plugins
from planner.workload.calibration import Reply, UnansweredError
from planner.workload.draws import CELL
from planner.workload.tokens import Grade, table

if TYPE_CHECKING:
    from collections.abc import Callable

    from planner.catalog import Model
    from planner.workload.calibration import Inquiry
    from planner.workload.plugins import Plugin
    from planner.workload.tokens import Counter

OTHER_END = Path(__file__).with_name("plugin_process.py")

PATIENCE = 60.0
"""Seconds for all texts of a family; a known reconstruction takes two."""

LONGEST = 200
"""Characters of a plugin's own error that are shown."""


class Reconstruction:
    """What `pipeline.measure` asks for, from the plugins that are installed (--reconstruct)."""

    most = 200 * CELL
    """So many characters of the job are counted."""

    def __init__(self, say: Callable[[str], None], *, patience: float = PATIENCE) -> None:
        """`say` is told what runs before it does."""
        self._say = say
        self._patience = patience
        self._replies: dict[tuple[str, Inquiry], Reply] = {}

    def betters(self, counter: Counter) -> bool:
        """Only a ratio: a plugin does not know which vocabulary a model uses."""
        return counter.grade is Grade.RATIO

    def counts(self, model: Model, counter: Counter, inquiry: Inquiry) -> Reply:
        """What the family's plugin counts; UnansweredError says why it did not."""
        del model  # its family counts
        asked = counter.key, inquiry
        if asked not in self._replies:
            plugin = _only(counter.key)
            self._say(
                f"reconstructing {counter.key} with {plugin.said}, which is unofficial, on this "
                f"machine: {counted(len(inquiry.pieces), 'piece')} of the rows"
            )
            self._replies[asked] = self._asked(plugin, inquiry.questions)
        return self._replies[asked]

    def _asked(self, plugin: Plugin, texts: tuple[str, ...]) -> Reply:
        try:
            counts = _counts(_answer(plugin, texts, self._patience), len(texts))
        except _FailedError as failed:
            self._say(f"{plugin.said}: {failed.detail or failed}")
            raise UnansweredError(
                f"{plugin.family} is not reconstructed: {plugin.said} {failed}"
            ) from None
        by = f"the unofficial counts that {plugin.said} makes"
        return Reply(counts=counts, grade=Grade.RECONSTRUCTED, by=by)


def _only(family: str) -> Plugin:
    """The one plugin of a family."""
    claims = plugins.claims()
    found = claims.get(family, ())
    if len(found) == 1:
        return found[0]
    if found:
        why = f"{' and '.join(each.said for each in found)} both claim it: keep one"
    else:
        strays = [each.said for name in claims.keys() - table().keys() for each in claims[name]]
        why = "no installed package counts for it"
        why += f" ({' and '.join(sorted(strays))} names families that are none)" if strays else ""
    raise UnansweredError(f"{family} is not reconstructed: {why}")


class _FailedError(Exception):
    """What a plugin did instead of counting, without a word of the rows; `detail` may hold some."""

    def __init__(self, what: str, detail: str = "") -> None:
        super().__init__(what)
        self.detail = detail


def _answer(plugin: Plugin, texts: tuple[str, ...], patience: float) -> Any:
    """The JSON that the other end printed."""
    asked = {"path": sys.path, "value": plugin.value, "texts": texts}
    try:
        done = subprocess.run(  # noqa: S603 -- our own module, under the Python that runs us
            [sys.executable, "-P", str(OTHER_END)],
            input=json.dumps(asked).encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=patience,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _FailedError(f"was ended after {patience:g} seconds") from None
    except OSError as error:
        raise _FailedError(f"could not be started ({type(error).__name__})") from None
    try:
        return json.loads(done.stdout)
    except ValueError:
        raise _FailedError("ended without an answer") from None


def _counts(answer: Any, texts: int) -> tuple[int, ...]:
    """Its counts: each a positive whole number, for no text of ours is empty."""
    found = answer if isinstance(answer, dict) else {}
    if "raised" in found:
        detail = " ".join(str(found.get("detail")).split())[:LONGEST]
        shown = "".join(each if each.isprintable() else "?" for each in detail)
        raise _FailedError(f"raised {found['raised']}", f"{found['raised']}: {shown}")
    counts = found.get("counts")
    if not isinstance(counts, list) or len(counts) != texts:
        raise _FailedError("ended without an answer")
    if not all(type(each) is int and each > 0 for each in counts):
        raise _FailedError("counted something that is no positive whole number")
    return tuple(counts)
