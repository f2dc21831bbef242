"""A vendor on loopback: both batch protocols and the realtime endpoints, on a clock of its own.

`with rehearsal.Server(clock=...) as server:` and a client at `server.base_url("...")` go through
the whole life of a job without a key, a cost or a network; a list of faults says what goes wrong.
"""

from planner.handoff.rehearsal import clock
from planner.handoff.rehearsal.faults import Fault
from planner.handoff.rehearsal.laws import (
    Answers,
    Billed,
    Draw,
    Latency,
    Pace,
    RowError,
    key_of,
    spread,
    steady,
)
from planner.handoff.rehearsal.server import Conduct, Record, Sent, Server
from planner.handoff.rehearsal.world import Habits

__all__ = [
    "Answers",
    "Billed",
    "Conduct",
    "Draw",
    "Fault",
    "Habits",
    "Latency",
    "Pace",
    "Record",
    "RowError",
    "Sent",
    "Server",
    "clock",
    "key_of",
    "spread",
    "steady",
]
