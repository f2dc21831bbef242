"""`planner pilot`: a few real rows before all of them, under a cap, after a yes."""

from __future__ import annotations

import contextlib
import sys
from fractions import Fraction
from typing import TYPE_CHECKING

from planner.cli import estimate, handoff, plan
from planner.cli.flags import INTERRUPTED, NO, YES, Arguments, Clock, Parser, catalog_of
from planner.errors import InputError, VendorError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from planner.catalog import Catalog
    from planner.handing import Seat, Terms
    from planner.piloting import Piloted, Prepared


def _flags(made: Parser) -> None:
    from planner.handoff.pilots import DEFAULT_ROWS

    estimate.job_flags(made)
    estimate.request_flags(made)
    add = made.add_argument
    estimate.reads(made, "-n", "whole", "N", f"rows to send (default: {DEFAULT_ROWS})")
    add("--yes", action="store_true", help="do not ask; only with --max-cost")
    add("--rehearse", action="store_true", help="on loopback: costs nothing and keeps nothing")
    add("--show", type=int, metavar="N", help="answers to show (default: 5)")
    add("--allow-failures", metavar="SHARE", help="failed or cut answers that are borne (2%%)")
    add("--base-url", metavar="URL", help="where the vendor is reached")
    add("--format", choices=("table", "json"), help="how to print (default: table)")


def _pilot(arguments: Arguments, clock: Clock) -> int:
    from planner import piloting
    from planner.handoff import runner
    from planner.handoff.pilots import DEFAULT_ROWS
    from planner.report import pilot as report

    now = clock()
    arguments = estimate.with_job_file(arguments)
    job = estimate.job_of(arguments, now)
    catalog = catalog_of(arguments)
    provider = piloting.sendable(catalog, job)
    _agreeable(arguments)
    gate = _gate(arguments)
    with (
        _seat(arguments, catalog, provider, now, clock) as (seat, terms),
        piloting.prepared(
            catalog,
            job,
            plan.wishes_of(arguments),
            n=int(arguments.get("n", DEFAULT_ROWS)),
            data=seat.data,
            now=now,
            known=None if seat.rehearsal else estimate.known_of(arguments, now),
        ) as prepared,
    ):
        done = _run(prepared, seat, terms, arguments)
    if done is None:
        print("nothing was sent", file=sys.stderr)
        return NO
    print(report.PILOT[arguments.get("format", "table")](done, gate), end="")
    if done.step.over != "done":
        own = {runner.INTERRUPTED: INTERRUPTED, runner.CAPPED: NO}
        return own.get(done.step.because or "", VendorError.exit_code)
    return YES if done.findings.passes(gate) else NO


def _run(prepared: Prepared, seat: Seat, terms: Terms, arguments: Arguments) -> Piloted | None:
    from planner import handing, piloting
    from planner.report import pilot as report

    with handing.submitting(prepared.path, seat, terms) as job:
        over = job.ready.job is not None and job.ready.job.state == "done"
        if not over:
            sys.stderr.write(report.before(prepared, job.ready))
            if not (seat.rehearsal or arguments.get("yes") or _agreed()):
                return None
        return piloting.run(job, prepared, seat, show=arguments.get("show", 5))


@contextlib.contextmanager
def _seat(
    arguments: Arguments, catalog: Catalog, provider: str, now: datetime, clock: Clock
) -> Iterator[tuple[Seat, Terms]]:
    from planner import handing, piloting
    from planner.handoff import home

    narrate = handoff.Narrator(clock, stamp=False)
    terms = handing.Terms(max_cost=arguments.get("max_cost"), base_url=arguments.get("base_url"))
    if arguments.get("rehearse"):
        with piloting.rehearsed(catalog, now, provider, narrate, terms) as both:
            yield both
        return
    yield (
        handing.Seat(
            catalog=catalog, clock=handoff.ticking(clock), data=home.data_home(), narrate=narrate
        ),
        terms,
    )


def _agreeable(arguments: Arguments) -> None:
    """A yes that is given beforehand needs a cap, and one that is not needs somebody to ask."""
    if arguments.get("rehearse"):
        return
    if arguments.get("yes") and "max_cost" not in arguments:
        raise InputError.of(
            "no-cap", "--yes spends without asking", hint="say how much at most: --max-cost 0.50"
        )
    if not arguments.get("yes") and not sys.stdin.isatty():
        raise InputError.of(
            "no-yes",
            "nobody is there to say yes",
            hint="--yes with --max-cost in a script; --rehearse costs nothing",
        )


def _agreed() -> bool:
    sys.stderr.write("Send it? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _gate(arguments: Arguments) -> Fraction:
    from planner import job
    from planner.handoff.pilots import GATE

    if "allow_failures" not in arguments:
        return GATE
    return Fraction(str(job.share(arguments["allow_failures"], "--allow-failures")))


COMMANDS = {"pilot": (_flags, _pilot)}
