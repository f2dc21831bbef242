"""Rehearsing: a hand-off whole, against a vendor on loopback and a clock that leaps.

It is the ordinary hand-off in another seat: what is shown, sent, followed, fetched and billed goes
through the code that a real one goes through, with the vendor's own library, on a socket. Playing
back a recording was rejected: it would show a job of somebody else's.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from planner import handing
from planner.handoff import plan as plans
from planner.handoff.keys import Key, Secret
from planner.handoff.providers import vendors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from planner.canary import Canary
    from planner.catalog import Catalog
    from planner.handing import Event, Ready, Seat, Terms
    from planner.handoff.plan import Plan
    from planner.handoff.rehearsal import Server
    from planner.handoff.results import Tally
    from planner.handoff.submit import Step
    from planner.money import Usd

USUAL: Final = 600.0
"""Seconds that a rehearsed batch takes where the plan does not know."""
SPREAD: Final = 0.6
"""Coefficient of variation of rehearsed turnarounds."""
SPEED: Final = 20
"""Seconds of a rehearsed run of single requests in one of the machine's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsed:
    """What came of a rehearsal; nothing of it is kept."""

    ready: Ready
    step: Step
    tally: Tally
    canary: Canary | None
    """What came of the rows that went first; None: none did."""
    began: datetime
    ended: datetime
    """By the rehearsal's clock."""
    billed: Usd
    requests: int
    """Calls that reached the rehearsed vendor."""
    paid: int
    """Batches that were made there."""


def rehearse(
    path: Path,
    catalog: Catalog,
    now: datetime,
    terms: Terms,
    narrate: Callable[[Event], None],
    *,
    canary: int | None = None,
) -> Rehearsed:
    """The whole hand-off of a plan; `canary`: so many rows go first in realtime.

    Reads the plan and its workload; whatever it writes is in a temporary folder that is gone
    afterwards. Errors as of `handing.submitting`, save the policy's: nothing leaves the machine.
    """
    from planner.handoff import rehearsal

    plan = plans.read(path)
    provider = plan.choice.provider
    vendors.about(provider)
    # Batches may be waited for in no time at all; what happens side by side needs time of its own.
    alone = plan.choice.strategy == "single" and plan.choice.delivery != "sync"
    time = rehearsal.clock.Virtual(now) if alone else rehearsal.clock.Leaping(now, SPEED)
    conduct, seed = _conduct(plan), plan.demand.seed
    with (
        loopback(catalog, time, narrate, conduct=conduct, seed=seed) as (server, seat),
        handing.submitting(
            path, seat, replace(terms, base_url=server.base_url(provider))
        ) as handoff,
    ):
        job = handoff.admit()
        first = None if canary is None else handoff.try_first(canary)
        step = handoff.drive().run()
        return Rehearsed(
            ready=handoff.ready,
            step=step,
            tally=handoff.tally(),
            canary=first,
            began=now,
            ended=time.now(),
            billed=handoff.ledger.exposure(job.id).billed,
            requests=len(server.record.sent),
            paid=server.paid(provider).total(),
        )


@contextlib.contextmanager
def loopback(
    catalog: Catalog,
    time: Any,
    narrate: Callable[[Event], None],
    *,
    conduct: Any = None,
    seed: int = 0,
) -> Iterator[tuple[Server, Seat]]:
    """A vendor on this machine, and a seat before it of which nothing is kept."""
    from planner.handoff import rehearsal

    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="planner-rehearsal-"))
        stack.enter_context(_straight_to_loopback())
        server = stack.enter_context(rehearsal.Server(clock=time.clock, seed=seed, conduct=conduct))
        seat = handing.Seat(
            catalog=catalog,
            clock=time.clock,
            data=Path(folder),
            key=Key(secret=Secret("rehearsal"), found_in="the rehearsal"),
            rehearsal=True,
            narrate=narrate,
        )
        yield server, seat


def _conduct(plan: Plan) -> Any:
    """A vendor that takes as long, and answers at such length, as the plan expects."""
    from planner.handoff import rehearsal

    usual = USUAL if plan.finish.p50 is None else float(plan.finish.p50)
    length = plan.tokens.output.value / max(plan.workload.rows.value, 1)
    return rehearsal.Conduct(
        answers=rehearsal.Answers(mean=max(length, 1.0)),
        turnaround=rehearsal.spread(usual, SPREAD),
    )


@contextlib.contextmanager
def _straight_to_loopback() -> Iterator[None]:
    """No proxy stands between a rehearsal and its server, whatever the environment says."""
    before = {name: os.environ.get(name) for name in ("NO_PROXY", "no_proxy")}
    os.environ.update(dict.fromkeys(before, "127.0.0.1,localhost"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
