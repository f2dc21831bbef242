"""`planner budget`: what the jobs of a file cost over months, and whether a build may go on."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from planner.cli.flags import (
    NO,
    YES,
    Arguments,
    Clock,
    Parser,
    as_of,
    catalog_flags,
    output_flags,
    write,
)
from planner.errors import UnknownFactError

if TYPE_CHECKING:
    from datetime import date

    from planner.budget_file import Read
    from planner.budgets import BudgetAnswer
    from planner.catalog import Catalog
    from planner.decision.budget import Spent

FORMATS = ("table", "json", "csv", "md", "comment", "html")


def _flags(made: Parser) -> None:
    made.add_argument("file", metavar="BUDGET", help="a budget.yaml, or 'sample'")
    made.add_argument(
        "--check", action="store_true", help="exit 1 over a guardrail, with a line why"
    )
    made.add_argument("--baseline", metavar="FILE", help="an earlier --format json to compare with")
    catalog_flags(made)
    output_flags(made, FORMATS)


def _run(arguments: Arguments, clock: Clock) -> int:
    from planner import budget_file, budgets
    from planner.report import budget as report

    now = clock()
    read = budget_file.read(_path(arguments["file"]))
    ours, listed = _catalogs(read, arguments)
    baseline, on = _baseline(read, arguments), as_of(arguments, now)
    answer = budgets.answer(
        read,
        ours,
        listed,
        now=now,
        on=on,
        earlier=None if baseline is None else (baseline.name, budget_file.baseline(baseline)),
        billed=_billed(read, on) if read.file.actuals_from == "ledger" else None,
    )
    if "check" not in arguments:
        write(report.BUDGET[arguments.get("format", "table")](answer), arguments)
        return YES
    if "format" in arguments:
        write(report.BUDGET[arguments["format"]](answer), arguments)
        sys.stderr.write(report.check(answer))
    else:
        write(report.check(answer), arguments)
    return _verdict(answer)


def _billed(read: Read, on: date) -> tuple[str, tuple[Spent, ...]]:
    """What the jobs of the ledger that carry this budget's tags were billed, and how many."""
    from planner import budgets, standing
    from planner.handoff import home

    tags = [each.tags for each in read.file.jobs]
    found = standing.billed(home.data_home(), tags, budgets.period(read, on), on)
    if found is None:
        print(
            "warning: no job was handed off here, so what was spent is not known", file=sys.stderr
        )
    return found or standing.NOTHING_SPENT


def _verdict(answer: BudgetAnswer) -> int:
    from planner.decision.budget import Outcome

    codes = {Outcome.UNKNOWN: UnknownFactError.exit_code, Outcome.OVER: NO}
    return codes.get(answer.judged.outcome, YES)


def _path(name: str) -> Path:
    """The file; the word `sample` is the shipped one."""
    from planner import sample

    return sample.paths().budget if name == sample.NAME else Path(name)


def _baseline(read: Read, arguments: Arguments) -> Path | None:
    """The flag's file, else the one that the budget names beside itself."""
    if "baseline" in arguments:
        return Path(arguments["baseline"])
    return read.beside(read.file.baseline) if read.file.baseline is not None else None


def _catalogs(read: Read, arguments: Arguments) -> tuple[Catalog, Catalog]:
    """With everybody's own prices on top, and as the vendors publish them."""
    from planner import catalog

    named = [read.beside(each) for each in read.file.pricing]
    if "pricing" in arguments:
        named.append(Path(arguments["pricing"]))
    overlays = catalog.own_overlays(*named)
    ours = catalog.load(overlays=overlays)
    return ours, catalog.load() if overlays else ours


COMMANDS = {"budget": (_flags, _run)}
