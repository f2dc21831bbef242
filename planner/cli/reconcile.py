"""`planner reconcile` and `planner calibration`: bills against plans, one and all of them."""

from __future__ import annotations

import sys
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from planner.cli import estimate
from planner.cli.flags import (
    NO,
    YES,
    Arguments,
    Clock,
    Parser,
    catalog_of,
    output_flags,
    write,
)
from planner.errors import InputError, UnknownFactError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from planner.catalog import Catalog
    from planner.handoff.learned import Lesson
    from planner.handoff.ledger import Ledger
    from planner.money import Usd
    from planner.report.bill import Shown

COST_COLUMNS = ("BilledCost", "EffectiveCost", "amount", "cost", "usd")
"""Columns of a vendor's export that hold US dollars; the first that is there is added up."""


# --- reconcile --------------------------------------------------------------------------


def _reconcile_flags(made: Parser) -> None:
    made.add_argument("job", metavar="ID", help="a job, or the beginning of its id")
    made.add_argument(
        "--threshold", metavar="SHARE", help="a variance over it exits 1 (default: 10%%)"
    )
    made.add_argument(
        "--vendor-total", metavar="USD|FILE", help="what the vendor billed: an amount, or its CSV"
    )
    estimate.tag_flag(made)
    made.add_argument("--pricing", metavar="DIR", help="your own prices on top")
    output_flags(made, ("table", "json", "csv", "md"))


def _reconcile(arguments: Arguments, clock: Clock) -> int:
    from planner import closing
    from planner.handoff import learned
    from planner.report import bill as report

    with _ledger() as ledger:
        job = ledger.job(arguments["job"])
        closed = closing.close(
            ledger,
            job,
            catalog=catalog_of(arguments),
            listed=_listed(),
            vendor=_vendor_total(arguments),
        )
        if not closed.open and not job.rehearsal and closed.lesson.source == "job":
            learned.keep(ledger, closed.lesson, clock())
    shown = report.Shown(
        closed=closed,
        threshold=_threshold(arguments),
        tags={**closed.plan.tags, **dict(arguments.get("tags", ()))},
    )
    write(report.BILL[arguments.get("format", "table")](shown), arguments)
    return _verdict(shown)


def _verdict(shown: Shown) -> int:
    """0 within the threshold, 1 over it or where the vendor counts otherwise, 3 unknown."""
    from planner.report import bill as report

    if shown.held.variance is None:
        return UnknownFactError.exit_code
    if shown.over or shown.disputed:
        said = report.verdict(shown) if shown.over else "the vendor's own totals differ"
        print(f"{shown.closed.job.id}: {said}", file=sys.stderr)
        return NO
    return YES


def _ledger() -> Ledger:
    """The ledger of this user; InputError where nothing was ever sent."""
    from planner.handoff import home
    from planner.handoff.ledger import Ledger

    folder = home.data_home()
    if not (folder / home.LEDGER).is_file():
        raise InputError.of(
            "no-jobs", "no job was handed off yet", hint="planner submit PLAN sends one"
        )
    return Ledger.open(folder)


def _listed() -> Any:
    """The catalog as the vendors publish it, without anybody's own prices."""
    from planner import catalog

    return catalog.load()


def _threshold(arguments: Arguments) -> Fraction:
    from planner import job
    from planner.handoff.reconcile import THRESHOLD

    if "threshold" not in arguments:
        return THRESHOLD
    share = job.share(arguments["threshold"], "--threshold")
    return Fraction(str(share))


def _vendor_total(arguments: Arguments) -> Usd | None:
    """The amount that is given, or that of a CSV's cost column."""
    from planner import job
    from planner.money import usd

    if "vendor_total" not in arguments:
        return None
    given: str = arguments["vendor_total"]
    if Path(given).is_file():
        return _column_sum(Path(given))
    found = usd(given.strip().removeprefix("$").replace(",", ""))
    return job.money(given, "--vendor-total") if found is None else found


def _column_sum(path: Path) -> Usd:
    import csv

    from planner.money import Usd, total

    with path.open(encoding="utf-8-sig", newline="") as stream:
        rows = csv.DictReader(stream)
        names = {name.strip().lower(): name for name in rows.fieldnames or ()}
        column = next((names[c.lower()] for c in COST_COLUMNS if c.lower() in names), None)
        if column is None:
            raise InputError.of(
                "no-cost-column",
                "no column of US dollars in it",
                where=str(path),
                hint=f"one of {', '.join(COST_COLUMNS)}; or give the amount itself",
            )
        return total(Usd(each) for each in _amounts(rows, column, path))


def _amounts(rows: Any, column: str, path: Path) -> Iterator[Decimal]:
    for number, row in enumerate(rows, start=2):
        text = (row[column] or "0").strip().removeprefix("$").replace(",", "")
        try:
            value = Decimal(text or "0")
        except ArithmeticError:
            value = Decimal("NaN")
        if not value.is_finite():
            raise InputError.of(
                "not-an-amount", f"{column}: {text!r} is no amount", where=f"{path}:{number}"
            )
        yield value


# --- calibration ------------------------------------------------------------------------


def _calibration_flags(made: Parser) -> None:
    made.add_argument("--pricing", metavar="DIR", help="your own prices on top")
    output_flags(made, ("table", "json"))


def _calibration(arguments: Arguments, clock: Clock) -> int:
    from planner.handoff import calibration
    from planner.report import calibration as report

    with _ledger() as ledger:
        found = calibration.calibrate(_every_lesson(ledger, catalog_of(arguments), clock))
    write(report.CALIBRATION[arguments.get("format", "table")](found), arguments)
    return YES


def _every_lesson(ledger: Ledger, catalog: Catalog, clock: Clock) -> Iterator[Lesson]:
    """Lessons of all jobs that are over; those that nobody looked at yet are drawn now."""
    from planner import closing
    from planner.handoff import learned

    for job in ledger.jobs():
        known = None if job.rehearsal else learned.lesson_of(ledger, job.id)
        found = known or closing.learn(ledger, job, catalog, clock())
        if found is not None:
            yield found


COMMANDS = {
    "reconcile": (_reconcile_flags, _reconcile),
    "calibration": (_calibration_flags, _calibration),
}
