"""A few rows in realtime before a batch: a mistake in a request shows now, not in a day.

Some vendors look at a batch's requests only when they run, and say what is wrong with them at its
end. The replies are kept and billed beside the job; their rows go with the batch all the same,
since its bytes were checked as a whole. Leaving them out of it was rejected: then what was agreed
to would not be what is sent.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final

from planner import drafting
from planner.catalog import prices
from planner.errors import InputError, VendorError
from planner.handoff import home, realtime, spending
from planner.handoff import plan as plans
from planner.handoff import rows as sent
from planner.handoff.billing import Bill, Book
from planner.handoff.ledger import NoRoomError
from planner.handoff.providers import adapters
from planner.money import ZERO, Usd, difference, dollars, plus, total

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from pathlib import Path

    from planner.catalog import Catalog
    from planner.handoff.build import Shard
    from planner.handoff.ledger import Job, Ledger
    from planner.handoff.plan import Plan
    from planner.handoff.vendor import RealtimeVendor, Reply

FOLDER: Final = "canary"


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """What came of the rows that went first."""

    asked: int
    answered: int
    truncated: int
    billed: Usd


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstRows:
    """The first rows of a job that is built, and the lane that answers at once."""

    plan: Plan
    shards: tuple[Shard, ...]
    folder: Path
    catalog: Catalog
    now: datetime
    open_vendor: Callable[[], RealtimeVendor]
    gate: Callable[[Usd], str | None] = lambda _most: None
    """Why so much may not be spent now (a policy's cap of the day), or None."""

    def ceiling(self, count: int) -> Usd:
        """The most that so many rows may cost."""
        priced = self._prices()
        return total(priced.ceiling(row) for row in self._rows(count))

    def ask(self, ledger: Ledger, job: Job, count: int) -> Canary:
        """Ask them; what they cost is billed beside the job, and beside what was asked before.

        VendorError where the vendor refuses one, or none is answered; the job is stopped then.
        InputError where the job's cap, or that of the day, has no room for them.
        """
        rows, most = self._rows(count), self.ceiling(count)
        before = self._afforded(ledger, job, most)
        turn = len(tuple((self.folder / FOLDER).glob("*.jsonl")))
        try:
            ledger.hold(job.id, "pilot", plus(before, most), unless=lambda: self.gate(most))
        except NoRoomError as refused:
            raise InputError.of("daily-cap", str(refused)) from None
        replies = asyncio.run(self._replies(rows))
        self._keep(replies, turn)
        found = self._settled(ledger, job, rows, replies, before=before, turn=turn)
        self._judge(ledger, job, found, replies)
        return found

    def _afforded(self, ledger: Ledger, job: Job, most: Usd) -> Usd:
        """What is set aside already, of rows that went first before; InputError without room."""
        spent = ledger.exposure(job.id)
        if job.cap is not None and total((spent.billed, spent.in_flight, most)) > job.cap:
            said = f"the cap of {dollars(job.cap)} has no room for rows in realtime"
            raise InputError.of("cap", f"{said}, which may cost {dollars(most)}")
        return spent.in_flight

    def _settled(
        self,
        ledger: Ledger,
        job: Job,
        rows: Sequence[sent.Row],
        replies: Sequence[Reply],
        *,
        before: Usd,
        turn: int,
    ) -> Canary:
        """The bill; of a request whose reply was lost nobody knows that it cost nothing."""
        priced = self._prices()
        bill = Bill(priced.book)
        for reply in replies:
            if reply.result is not None and reply.result.usage is not None:
                bill.add(reply.result.usage, priced.lane)
        known = bill.known
        ledger.bill(job.id, "pilot", known, self.now, shard=turn)  # type: ignore[arg-type]  # their rates are known
        asked = zip(rows, replies, strict=False)
        doubted = total(priced.ceiling(row) for row, reply in asked if _open(priced, reply))
        aside = max(difference(doubted, bill.partly), ZERO)
        ledger.hold(job.id, "pilot", plus(before, aside))
        for line in bill.unpriced:
            told = {"meter": line.meter, "quantity": line.quantity}
            ledger.note(job.id, realtime.UNPRICED, self.now, **told)
        return Canary(
            asked=len(replies),
            answered=sum(each.kind == "answered" for each in replies),
            truncated=sum(each.result is not None and each.result.truncated for each in replies),
            billed=total(line.amount for line in known if line.amount is not None),
        )

    def _judge(self, ledger: Ledger, job: Job, found: Canary, replies: Sequence[Reply]) -> None:
        refused = next((each for each in replies if each.kind == "refused"), None)
        if refused is None and found.answered:
            return
        said = (refused or replies[0]).message or "no row was answered"
        because = f"the first rows were tried in realtime: {said}"
        ledger.settle(job.id, "stopped", self.now, because=because)
        raise VendorError.of(
            "canary", because, hint="nothing was sent as a batch; mend the plan, or resume the job"
        )

    async def _replies(self, rows: Sequence[sent.Row]) -> list[Reply]:
        """One after the other, up to the first refusal: more would say the same."""
        vendor, endpoint = self.open_vendor(), self.plan.request.endpoint or ""
        replies: list[Reply] = []
        try:
            for row in rows:
                replies.append(await vendor.ask(row.custom_id, endpoint, row.body))
                if replies[-1].kind == "refused":
                    break
        finally:
            await vendor.close()
        return replies

    def _rows(self, count: int) -> list[sent.Row]:
        envelope = adapters.adapter(self.plan.choice.provider).envelope
        return list(islice(sent.rows_of(self.folder, self.shards, envelope), count))

    def _prices(self) -> sent.Prices:
        """Of the lane that answers at once, which a batch plan does not pin."""
        plan, catalog = self.plan, self.catalog
        lane = drafting.direct(plan, catalog, self.now).lane
        model = catalog.model(f"{plan.choice.provider}/{plan.request.model}")
        card = prices.card(catalog, model, lane, on=self.now.date(), region=plan.demand.region)
        return sent.Prices(
            book=Book(lanes=(plans.rates_of(card),)),
            lane=lane,
            max_output=plan.request.max_output_tokens,
            caches=spending.caches(plan),
        )

    def _keep(self, replies: Sequence[Reply], turn: int) -> None:
        """Raw, as they came."""
        name = f"{self.now:%Y%m%dT%H%M%S}-{turn}.jsonl"
        path = home.private_folder(self.folder / FOLDER) / name
        lines = [
            {"kind": each.kind, "status": each.status, "raw": each.raw.decode("utf-8", "replace")}
            for each in replies
        ]
        plans.durably(path, "".join(f"{json.dumps(line)}\n" for line in lines).encode())


def _open(priced: sent.Prices, reply: Reply) -> bool:
    """Whether nobody knows what a request cost: a lost reply, or a rate not known."""
    if reply.result is None or reply.result.usage is None:
        return reply.kind in ("ambiguous", "answered")
    return priced.billed(reply.result.usage) is None
