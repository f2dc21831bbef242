"""What goes wrong, as a list: which call of which route, and how.

A fault is data, so that a test reads like the story it tells, and the same list serves a
person's rehearsal. Patching the server's methods from a test was rejected: what then goes over
the wire is no longer what a vendor could send.

Names of routes are those of the protocols (`anthropic.batches.create`, `openai.files.create`);
patterns as in file names are allowed (`*.batches.create`, `*`).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Literal

from planner.handoff.rehearsal.laws import share

if TYPE_CHECKING:
    from collections.abc import Collection

Kind = Literal[
    # the request has no effect
    "drop_before",  # the connection closes when the request has been read
    "reset_before",  # the same with a reset
    "status",  # `status` with the vendor's own error
    "spend_limit",  # 429 that no waiting helps against
    "ramp_limit",  # 429 for growing too fast
    "middlebox",  # `status` from something in between: no request id, no envelope
    "html",  # an error page, `status`
    "not_found",  # 404 with the vendor's own error, though the thing exists
    # the request has its effect
    "drop_after",  # done, but the connection closes without a reply
    "reset_after",  # the same with a reset
    "status_after",  # done, and answered with `status` all the same
    "late",  # done `after` seconds of the rehearsal's time, no reply; the client waits in vain
    "slow",  # the reply comes `seconds` later (of the machine's time)
    "half_reply",  # the reply breaks off in the middle of its headers
    # the body of the reply is changed
    "cut_length",  # it ends before its content-length
    "cut_chunked",  # it ends before its last chunk
    "cut_eof",  # it ends early and looks complete
    "blank_line",
    "unknown_status",
    "unknown_result",
    "no_counts",
    "empty_ids",
    "lying_headers",  # rate-limit headers promise room that is not there
]

BEFORE: frozenset[Kind] = frozenset(
    {
        "drop_before",
        "reset_before",
        "status",
        "spend_limit",
        "ramp_limit",
        "middlebox",
        "html",
        "not_found",
    }
)
"""Nothing happens at the vendor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that goes wrong."""

    on: str
    kind: Kind
    calls: Collection[int] | None = (1,)
    """Which calls of the route, the first is 1; None: all of them."""
    share: float = 1
    """Of those calls, this share, drawn by the server's seed."""
    status: int = 500
    retry_after: float | None = None
    """Seconds that the reply asks to wait."""
    seconds: float = 0.2
    """How long a slow reply takes, in the machine's seconds."""
    after: float = 0
    """When a late request is done, in seconds of the rehearsal's time."""
    message: str | None = None
    """The vendor's words in an error of its own; None: that it is rehearsed."""
    keep: float = 0.5
    """How much of a cut body is sent."""


class Script:
    """The faults of a server, with the count of calls that each route has had."""

    def __init__(self, faults: Collection[Fault], seed: int) -> None:
        self.faults = list(faults)
        self.seed = seed
        self.calls: Counter[str] = Counter()

    def add(self, fault: Fault) -> None:
        """One more; its calls are counted from the server's start."""
        self.faults.append(fault)

    def met(self, route: str) -> tuple[Fault, ...]:
        """Count a call of a route, and say what goes wrong with it."""
        self.calls[route] += 1
        number = self.calls[route]
        return tuple(each for each in self.faults if self._hits(each, route, number))

    def _hits(self, fault: Fault, route: str, number: int) -> bool:
        if not fnmatchcase(route, fault.on):
            return False
        if fault.calls is not None and number not in fault.calls:
            return False
        return fault.share >= 1 or share(self.seed, fault.kind, route, number) < fault.share
