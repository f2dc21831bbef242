"""Where the Budget screen takes its jobs from: a budget file, or the job that is planned."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from planner.report.layout import printable
from planner.tui.session import asked_of

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable
    from pathlib import Path

    from planner.budget_file import Read
    from planner.budgets import BudgetAnswer
    from planner.catalog import Catalog
    from planner.decision.baseline import Snapshot
    from planner.decision.budget import Spent
    from planner.job import Job
    from planner.outlook import Agenda
    from planner.tui.desk import Answer, Desk


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A file wins over what is planned; a job that was not counted yet is counted."""

    file: Path | None = None
    job: Job | None = None
    planned: Callable[[], Answer | None] = lambda: None
    """The answer on the Plan screen."""

    def of_file(self, file: Path) -> Source:
        """That file instead."""
        return replace(self, file=file)

    def wanted(self) -> Hashable:
        """What would be read; None where there is nothing, equal where nothing has changed."""
        if self.file is not None:
            return self.file
        found = self.planned()
        return found.key if found is not None else self.job

    def command(self, desk: Desk, *more: str) -> str:
        """The same from a shell: a budget's file, or the estimate of the job that is planned."""
        from planner import sample
        from planner.tui import twin

        found = self.planned()
        if self.file is None and (found is not None or self.job is not None):
            asked = found.asked if found is not None else asked_of(self.job)
            return twin.estimate(asked, *desk.same, *more)
        shipped = self.file in (None, sample.paths().budget)
        file = sample.NAME if shipped else str(self.file)
        return shlex.join(["planner", "budget", file, *desk.same, *more])

    def agenda(self, desk: Desk) -> Agenda:
        """Read it; PlannerError where it cannot be read or priced."""
        from planner import outlook

        if self.file is not None:
            from planner import budget_file

            read = budget_file.read(self.file)
            ours, listed = _catalogs(read, desk)
            before = _earlier(read)
            return outlook.of_file(
                read,
                ours,
                listed,
                on=desk.on,
                earlier=None if before is None else before[1],
                billed=_billed(read, desk),
            )
        found = self.planned() or self._counted(desk)
        facts = found.estimate.measured.workload
        name = printable(facts.path.name) if facts is not None else "figures given"
        return outlook.of_estimate(found.estimate, name=name, runs=found.inputs.runs or 1)

    def budget(self, desk: Desk) -> BudgetAnswer:
        """The file's budget as the command line works it out; PlannerError where it cannot be."""
        from planner import budget_file, budgets

        assert self.file is not None
        read = budget_file.read(self.file)
        ours, listed = _catalogs(read, desk)
        return budgets.answer(
            read,
            ours,
            listed,
            now=desk.now,
            on=desk.on,
            earlier=_earlier(read),
            billed=_billed(read, desk),
        )

    def _counted(self, desk: Desk) -> Answer:
        assert self.job is not None
        measured = desk.measure(self.job, lambda _rows, _done: None)
        return desk.answer(measured, asked_of(self.job).inputs)


def _earlier(read: Read) -> tuple[str, Snapshot] | None:
    """The earlier budget that the file names; InputError where it cannot be read."""
    from planner import budget_file

    if read.file.baseline is None:
        return None
    path = read.beside(read.file.baseline)
    return path.name, budget_file.baseline(path)


def _billed(read: Read, desk: Desk) -> tuple[str, tuple[Spent, ...]] | None:
    """What was spent as the ledger has it, where the file asks for that."""
    if read.file.actuals_from != "ledger":
        return None
    from planner import budgets, standing
    from planner.handoff import home

    tags = [each.tags for each in read.file.jobs]
    found = standing.billed(home.data_home(), tags, budgets.period(read, desk.on), desk.on)
    return found or standing.NOTHING_SPENT


def _catalogs(read: Read, desk: Desk) -> tuple[Catalog, Catalog]:
    """With everybody's own prices on top, and as the vendors publish them."""
    from planner import catalog

    overlays = catalog.own_overlays(*map(read.beside, read.file.pricing), *desk.pricing)
    if not overlays:
        return desk.catalog(), desk.catalog()
    return catalog.load(overlays=overlays), catalog.load()
