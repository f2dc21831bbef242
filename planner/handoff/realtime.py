"""A job's rows through the ordinary lane, with the ledger's side of it: account, cap and bill.

The runner knows rows, a journal and a cap; whose job it is, what other legs have cost, and where
answers go is settled here, before and after it. Writing each reply into the ledger as well was
rejected: it would say the same twice, and cost a commit a row. While a run goes on the ledger
holds the most that it may cost; what it did cost takes that place when it ends, or when the next
run begins.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from planner.handoff import followup, spending
from planner.handoff import journal as journals
from planner.handoff import runner as runners
from planner.handoff.billing import Bill, Book
from planner.handoff.journal import Journal
from planner.handoff.ledger import NoRoomError
from planner.handoff.rows import Prices, rows_of
from planner.handoff.runner import Runner
from planner.money import ZERO, Usd, difference, plus, scaled, total

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Container, Iterable, Iterator
    from datetime import datetime
    from pathlib import Path

    from planner.handoff.build import Shard
    from planner.handoff.clock import Clock
    from planner.handoff.journal import Take
    from planner.handoff.ledger import Ledger
    from planner.handoff.pacing import Direct
    from planner.handoff.plan import Plan
    from planner.handoff.results import Format
    from planner.handoff.rows import Row
    from planner.handoff.runner import Outcome, Progress, Said
    from planner.handoff.vendor import RealtimeVendor, RowResult

    Drive = Callable[[Runner, Iterable[Row], RealtimeVendor], Outcome]
    Gate = Callable[[Usd], str | None]


def _allowed(_more: Usd) -> str | None:
    """Nobody minds."""


REFUSED: Final = "vendor refused"
"""Event of the ledger: a run stopped because of what the vendor said of the key or the account."""


UNPRICED: Final = "unpriced"
"""Event of the ledger: a meter was used that has no rate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """The job whose rows are sent; whoever has one holds the job's lock."""

    ledger: Ledger
    job: str
    plan: Plan
    shards: tuple[Shard, ...]
    folder: Path
    direct: Direct
    clock: Clock

    @property
    def prices(self) -> Prices:
        """What its rows cost."""
        priced = Prices.of(self.plan, self.direct.lane)
        return replace(priced, caches=spending.caches(self.plan))

    @property
    def rows(self) -> int:
        """All rows of the job."""
        return sum(each.rows for each in self.shards)


def send(
    leg: Leg,
    vendor: RealtimeVendor,
    *,
    others: frozenset[int] | set[int] = frozenset(),
    most_doubts: int | None = None,
    narrate: Callable[[Progress | Said], None] | None = None,
    drive: Drive = runners.carry_out,
    gate: Gate = _allowed,
) -> Outcome:
    """Send every row that is not among `others` and not done with, and settle the bill.

    `gate` says why so many dollars may not be spent now (a policy's cap of the day), or None;
    then nothing is sent, and the outcome says so. InputError where the vendor's account is not
    the job's.
    """
    ledger = leg.ledger
    ledger.check_account(ledger.job(leg.job), vendor.account)
    journal = Journal(leg.folder)
    try:
        spent = _spent_otherwise(leg, charge(leg, journal.standing.held))
        cap = ledger.job(leg.job).cap
        runner = Runner(
            vendor,
            leg.plan.request.endpoint or "",
            leg.direct.pace,
            journal,
            leg.prices,
            leg.clock,
            rows=leg.rows - len(others),
            cap=cap,
            spent=spent,
            most_doubts=most_doubts,
            lately=partial(_lately, leg),
            narrate=narrate,
        )
        more = _more(leg, journal, others, spent, cap)
        hold = _at_most(leg, journal, spent, cap)
        try:
            ledger.hold(leg.job, "realtime", hold, unless=lambda: gate(more) if more else None)
        except NoRoomError as error:
            asyncio.run(vendor.close())
            return replace(runner.outcome(), stopped=str(error))
        skipped = _Either(journal.standing.done, others)
        outcome = drive(runner, _rows(leg, skipped), vendor)
        _settle(leg, journal, outcome, narrate)
    finally:
        journal.close()
    return outcome


def _rows(leg: Leg, done: Container[int]) -> Iterator[Row]:
    return rows_of(leg.folder, leg.shards, leg.direct.envelope, done=done)


def _settle(
    leg: Leg,
    journal: Journal,
    outcome: Outcome,
    narrate: Callable[[Progress | Said], None] | None,
) -> None:
    """What a run came to, in the ledger."""
    if outcome.refused:
        leg.ledger.note(leg.job, REFUSED, leg.clock.now(), because=outcome.stopped)
    charge(leg, plus(journal.standing.held, journal.standing.out), narrate)


def run(
    leg: Leg,
    vendor: RealtimeVendor,
    parse: Callable[[bytes], RowResult],
    *,
    form: Format = "jsonl",
    most_doubts: int | None = None,
    narrate: Callable[[Progress | Said], None] | None = None,
    drive: Drive = runners.carry_out,
    gate: Gate = _allowed,
) -> Outcome:
    """Take a job of the ordinary lane to its end, or as far as it gets; then `run` again.

    Answers stand in `out/results` as far as there are any, beside those of follow-ups, whose
    results `parse` reads. `gate` and InputError as of `send`.
    """
    ledger, clock = leg.ledger, leg.clock
    ledger.settle(leg.job, "open", clock.now())
    outcome = send(leg, vendor, most_doubts=most_doubts, narrate=narrate, drive=drive, gate=gate)
    followup.write(ledger, leg.job, parse, form=form)
    for _parent in followup.write_parents(ledger, ledger.job(leg.job), parse):
        pass
    if outcome.left:
        ledger.settle(leg.job, "stopped", clock.now(), because=outcome.stopped)
    else:
        ledger.settle(leg.job, "done", clock.now())
    return outcome


def _lately(leg: Leg, since: datetime) -> list[Take]:
    """What single requests of the account and the model took since a moment, whichever job's."""
    ledger, mine = leg.ledger, leg.ledger.job(leg.job)
    alike = (
        each.id
        for each in ledger.jobs()
        if (each.fingerprint, each.model) == (mine.fingerprint, mine.model)
    )
    found = (take for each in alike for take in journals.takes(ledger.job_folder(each), since))
    return sorted(found, key=attrgetter("at"))


# --- money ------------------------------------------------------------------------------


def charge(leg: Leg, held: Usd, narrate: Callable[[Progress | Said], None] | None = None) -> Usd:
    """What the journal says was used, as the ledger's bill of this leg; what all of it commits.

    `held`: ceilings of what is in doubt, and of answers with a meter that has no rate; of these
    what is known is billed, and the rest of the ceiling stays set aside. The same journal gives
    the same bill, so it may be done again after a kill.
    """
    bill = Bill(Book.of(leg.plan))
    for entry in journals.replies(leg.folder):
        if entry.result is not None and entry.result.usage is not None:
            bill.add(entry.result.usage, leg.direct.lane)
    known, aside = bill.known, max(difference(held, bill.partly), ZERO)
    leg.ledger.bill(leg.job, "realtime", known, leg.clock.now())  # type: ignore[arg-type]  # their rates are known
    leg.ledger.hold(leg.job, "realtime", aside)
    _tell_unpriced(leg, bill, narrate or (lambda _said: None))
    return plus(total(each.amount for each in known if each.amount is not None), aside)


def _tell_unpriced(leg: Leg, bill: Bill, narrate: Callable[[Progress | Said], None]) -> None:
    """Meters without a rate, into the record and to whoever listens; each quantity once."""
    told = [each.facts for each in leg.ledger.events(leg.job) if each.kind == UNPRICED]
    for line in bill.unpriced:
        facts = {"meter": line.meter, "quantity": line.quantity}
        if facts not in told:
            leg.ledger.note(leg.job, UNPRICED, leg.clock.now(), **facts)
            text = f"no rate is known for {line.meter}: {line.quantity:,} tokens at their ceilings"
            narrate(runners.Said(text=text))


def _spent_otherwise(leg: Leg, mine: Usd) -> Usd:
    """Billed, set aside and perhaps to be paid twice by the other legs of the job."""
    return difference(spending.purse(leg.ledger, leg.ledger.job(leg.job)).committed, mine)


def _at_most(leg: Leg, journal: Journal, spent: Usd, cap: Usd | None) -> Usd:
    """The most that this run may add, and what is in doubt already."""
    most = Usd(leg.plan.cost.ceiling)
    if cap is not None:
        most = min(most, max(difference(cap, plus(spent, journal.standing.billed)), ZERO))
    return max(most, journal.standing.held)


def _more(leg: Leg, journal: Journal, others: Collection[int], spent: Usd, cap: Usd | None) -> Usd:
    """The most that this run may add, for the rows that are left to it."""
    left = leg.rows - len(others) - len(journal.standing.done.difference(others))
    most = scaled(Usd(leg.plan.cost.ceiling), Fraction(left, leg.rows))
    if cap is not None:
        standing = journal.standing
        most = min(most, difference(cap, total((spent, standing.billed, standing.held))))
    return max(most, ZERO)


class _Either:
    """Rows in one set or another; the first grows while it is looked at."""

    def __init__(self, one: set[int], other: frozenset[int] | set[int]) -> None:
        self._one, self._other = one, other

    def __contains__(self, index: object) -> bool:
        return index in self._one or index in self._other
