"""What may happen to one attempt at sending one shard, as a table without any I/O.

The ledger writes a transition before or after each call to a vendor, and refuses one that is
not here; the loop asks the table what to do next. A vendor's own status is data, not a state:
it names dozens, adds new ones, and says nothing of what *we* have made durable. Letting the code
of the loop be the state machine was rejected: what is possible after a kill at any line could
then be read nowhere.

`sending` is committed before the call that costs money. Whoever finds an attempt there after a
crash does not know whether a batch exists, so it becomes `unknown`, and only listing resolves it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

State = Literal[
    "built",
    "uploading",
    "uploaded",
    "sending",
    "unknown",
    "held",
    "submitted",
    "cancelling",
    "ended",
    "fetched",
    "merged",
    "rejected",
    "invalid",
    "lost",
    "dropped",
]
Event = Literal[
    "upload",
    "stored",
    "not_stored",
    "send",
    "created",
    "not_sent",
    "turned_away",
    "refused",
    "reply_lost",
    "adopted",
    "rearmed",
    "doubtful",
    "foreign",
    "cancel",
    "ended",
    "failed",
    "gone",
    "fetched",
    "merged",
    "given_up",
]

TABLE: Final[Mapping[tuple[State, Event], State]] = {
    ("built", "upload"): "uploading",
    ("uploading", "stored"): "uploaded",
    # A file costs nothing and expires by itself, so an upload may be repeated; a batch may not.
    ("uploading", "not_stored"): "built",
    ("built", "send"): "sending",
    ("uploaded", "send"): "sending",
    ("sending", "created"): "submitted",
    # Nothing reached the vendor, or it said plainly that it made nothing and to come again.
    ("sending", "not_sent"): "built",
    ("sending", "turned_away"): "built",
    ("sending", "refused"): "rejected",
    ("sending", "reply_lost"): "unknown",
    ("unknown", "adopted"): "submitted",
    ("unknown", "rearmed"): "built",
    ("unknown", "doubtful"): "held",
    ("held", "adopted"): "submitted",
    ("held", "rearmed"): "built",
    ("submitted", "cancel"): "cancelling",
    ("submitted", "ended"): "ended",
    ("cancelling", "ended"): "ended",
    ("submitted", "failed"): "invalid",
    ("cancelling", "failed"): "invalid",
    ("submitted", "gone"): "lost",
    ("cancelling", "gone"): "lost",
    ("ended", "gone"): "lost",
    ("ended", "fetched"): "fetched",
    # A batch that was adopted by its size alone, whose rows turn out to be somebody else's.
    ("fetched", "foreign"): "unknown",
    ("fetched", "merged"): "merged",
    # Never sent, and not going to be: cancelled, or left to the realtime lane.
    ("built", "given_up"): "dropped",
    ("uploading", "given_up"): "dropped",
    ("uploaded", "given_up"): "dropped",
}
"""(state, event) -> state; whatever is not here cannot happen."""

IN_DOUBT: Final[frozenset[State]] = frozenset({"sending", "unknown", "held"})
"""A paid batch may exist that nobody knows the name of."""

REMOTE: Final[frozenset[State]] = frozenset({"submitted", "cancelling", "ended", "fetched"})
"""A batch exists at the vendor, and its rows are not merged yet."""

SETTLED: Final[frozenset[State]] = frozenset({"merged", "rejected", "invalid", "lost", "dropped"})
"""Nothing more will happen to this attempt."""


def after(state: State, event: Event) -> State:
    """The state that an event leads to; AssertionError where the table has none."""
    assert (state, event) in TABLE, f"{event} cannot happen to an attempt that is {state}"
    return TABLE[state, event]
