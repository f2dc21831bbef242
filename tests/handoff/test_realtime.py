"""The ledger's side of a realtime run: whose job, under which cap, what is held, what it cost."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from planner import catalog as catalogs
from planner import drafting
from planner.decision.realtime import standard
from planner.errors import InputError
from planner.handoff import followup, realtime, results, spending
from planner.handoff import journal as journals
from planner.handoff import runner as runners
from planner.handoff.billing import Book
from planner.handoff.ledger import Ledger
from planner.handoff.providers import vendors
from planner.handoff.rows import Prices, Row, rows_of
from planner.handoff.usage import Usage
from planner.handoff.vendor import Account, Reply, RowResult
from planner.money import ZERO, Usd, plus, total
from tests.answers import NOW
from tests.handoff.direct_world import LANE, Made, made
from tests.handoff.virtual import Vendor, VirtualLoop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from planner.handoff.runner import Outcome, Runner
    from planner.handoff.vendor import RealtimeVendor

ROWS = 60
HERE = Account(provider="anthropic", base_url="http://127.0.0.1", key_from="a test")


@pytest.fixture(scope="session")
def job(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return made("anthropic", tmp_path_factory.mktemp("job"), rows=ROWS)


class Desk:
    """A data home with one job in it, whose vendor lives in virtual time."""

    def __init__(self, home: Path, made_: Made, cap: Usd | None = None) -> None:
        self.home, self.plan = home, made_.plan
        self.ledger = Ledger.open(home)
        self.folder = self.ledger.job_folder(self.plan.nonce)
        self.made = made_.copied(self.folder)
        self.ledger.admit(self.plan, HERE, {}, (), (), cap, NOW)
        self.vendor: Vendor | None = None
        self.held: list[Usd] = []

    def run(
        self,
        faults: Callable[[str, int], Reply | None] | None = None,
        account: Account = HERE,
        *,
        later: float = 0.0,
        per_day: int | None = None,
    ) -> Outcome:
        """`later`: seconds after NOW; `per_day`: requests that the vendor takes in a day."""
        loop = VirtualLoop()
        loop.passed = later
        direct = drafting.direct(self.plan, catalogs.load(), NOW)
        if per_day is not None:
            load = replace(direct.pace.load, buckets=(standard("rpd", use=1.0, limit=per_day),))
            direct = replace(direct, pace=replace(direct.pace, load=load))
        self.vendor = Vendor(loop.clock, faults=faults, account=account)
        leg = realtime.Leg(
            ledger=self.ledger,
            job=self.plan.nonce,
            plan=self.plan,
            shards=self.made.shards,
            folder=self.folder,
            direct=direct,
            clock=loop.clock,
        )

        def drive(runner: Runner, rows: Iterable[Row], _vendor: RealtimeVendor) -> Outcome:
            self.held.append(self.ledger.exposure(self.plan.nonce).in_flight)
            return loop.run_until_complete(runner.run(rows))

        try:
            parse = vendors.reading("anthropic")
            return realtime.run(leg, self.vendor, parse, drive=drive)
        finally:
            loop.close()

    @property
    def output(self) -> list[dict[str, Any]]:
        path = self.folder / results.OUT / "results.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()]

    @property
    def billed(self) -> Decimal:
        charges = self.ledger.billed(self.plan.nonce)
        assert {each.leg for each in charges} <= {"realtime"}
        return sum((each.amount for each in charges), Decimal(0))


def test_a_job_of_the_ordinary_lane_is_sent_billed_and_merged(job: Made, tmp_path: Path) -> None:
    desk = Desk(tmp_path, job)
    outcome = desk.run()
    assert (outcome.stopped, outcome.left) == (None, 0)
    assert desk.ledger.job(desk.plan.nonce).state == "done"
    assert desk.billed == outcome.billed > 0
    assert desk.ledger.exposure(desk.plan.nonce).in_flight == ZERO
    rates = next(each.rates for each in desk.plan.rates if each.lane == LANE)
    lines = {each.meter: each for each in desk.ledger.billed(desk.plan.nonce)}
    assert {meter: each.rate for meter, each in lines.items()} == {
        meter: rates[meter] for meter in ("input", "output")
    }
    assert [row["key"] for row in desk.output] == [f"k{n}" for n in range(ROWS)]
    assert {row["outcome"] for row in desk.output} == {"succeeded"}
    again = desk.run()
    assert (again.requests, desk.billed) == (ROWS, outcome.billed), "nothing is sent twice"


def test_while_it_runs_the_ledger_holds_the_most_that_it_may_cost(
    job: Made, tmp_path: Path
) -> None:
    open_ = Desk(tmp_path / "open", job)
    open_.run()
    assert open_.held == [job.plan.cost.ceiling]
    cap = Usd(Decimal("0.004"))
    capped = Desk(tmp_path / "capped", job, cap)
    outcome = capped.run()
    assert capped.held == [cap]
    assert outcome.stopped == runners.CAPPED
    assert capped.billed <= cap
    stood = capped.ledger.job(job.plan.nonce)
    assert (stood.state, stood.stopped_because) == ("stopped", runners.CAPPED)
    capped.ledger.admit(job.plan, HERE, {}, (), (), Usd(Decimal(10)), NOW)
    assert capped.run().left == 0
    assert capped.ledger.job(job.plan.nonce).state == "done"


def test_what_other_legs_cost_counts_against_the_cap(job: Made, tmp_path: Path) -> None:
    cap = Usd(Decimal("0.02"))
    desk = Desk(tmp_path, job, cap)
    desk.ledger.hold(job.plan.nonce, "pilot", Usd(Decimal("0.016")))
    outcome = desk.run()
    assert outcome.stopped == runners.CAPPED
    assert 0 < desk.billed <= Decimal("0.004")


def test_a_create_that_was_repeated_counts_against_the_cap_of_every_leg(
    job: Made, tmp_path: Path
) -> None:
    """The batch may be there twice: single requests and follow-ups leave its money alone."""
    (ceiling,) = spending.ceilings(job.plan, job.shards)
    desk = Desk(tmp_path, job, Usd(ceiling + Decimal("0.004")))
    ledger, name = desk.ledger, job.plan.nonce
    ledger.admit(job.plan, HERE, {}, job.shards, (ceiling,), None, NOW)
    (attempt,) = ledger.attempts(name)
    for event in ("send", "reply_lost", "rearmed"):
        attempt = ledger.move(attempt, event, NOW)
    assert ledger.exposure(name).in_flight == ZERO
    assert spending.repeated(ledger, name) == ceiling
    assert followup._left_of_cap(ledger, ledger.job(name)) == Decimal("0.004")
    assert desk.run().stopped == runners.CAPPED
    assert 0 < desk.billed <= Decimal("0.004")


def test_a_row_of_few_bytes_and_many_tokens_has_the_ceiling_of_its_tokens(job: Made) -> None:
    priced = Prices.of(job.plan, LANE)
    row = Row(index=0, custom_id="x-0", body=b'{"url":"a picture"}', tokens=1600)
    used = Usage(input=1600, output=job.plan.request.max_output_tokens)
    assert priced.ceiling(row) == priced.billed(used)


@pytest.mark.parametrize("afford", [None, 20])
def test_answers_that_cannot_be_priced_count_at_their_ceilings(
    job: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, afford: int | None
) -> None:
    """A meter without a rate is not free: as much as its row may cost stays under the cap."""
    right = Book.rate

    def unknown(self: Book, key: Any) -> Any:
        return None if key[1] == "cache_read" else right(self, key)

    monkeypatch.setattr(Book, "rate", unknown)
    usage = Usage(input=10, cache_read=5, output=9)

    def cached(id_: str, _n: int) -> Reply:
        result = RowResult(custom_id=id_, outcome="succeeded", text="x", usage=usage)
        return Reply(kind="answered", raw=b"{}", result=result)

    priced = Prices.of(job.plan, LANE)
    rows = rows_of(job.folder, job.shards, "params")
    ceilings = sorted((priced.ceiling(row) for row in rows), reverse=True)
    cap = None if afford is None else total(ceilings[:afford])
    desk = Desk(tmp_path, job, cap)
    outcome = desk.run(cached)
    assert (outcome.left > 0) == (afford is not None)
    assert outcome.unpriced == outcome.done > 0
    spent = desk.ledger.exposure(desk.plan.nonce)
    row = Usage(input=10, output=9)
    assert (known := priced.billed(row)) is not None
    assert spent.billed == known * outcome.done
    assert plus(spent.billed, spent.in_flight) == outcome.held
    if cap is None:
        assert outcome.held == total(ceilings)
    else:
        assert outcome.held <= cap
    notes = [each for each in desk.ledger.events(desk.plan.nonce) if each.kind == "unpriced"]
    assert [each.facts["meter"] for each in notes] == ["cache_read"]
    desk.run(cached)
    assert desk.ledger.exposure(desk.plan.nonce) == spent, "another look changes nothing"


def test_doubts_stay_set_aside(job: Made, tmp_path: Path) -> None:
    lost = Reply(kind="ambiguous", message="reset")
    desk = Desk(tmp_path, job)
    outcome = desk.run(lambda _id, n: lost if n == 1 and _id.endswith("-7") else None)
    assert (outcome.left, outcome.ambiguous) == (0, 1)
    assert desk.ledger.exposure(desk.plan.nonce).in_flight == outcome.held > 0
    assert desk.run().ambiguous == 1
    assert desk.ledger.exposure(desk.plan.nonce).in_flight == outcome.held


def test_rows_that_failed_are_in_the_output_with_why(job: Made, tmp_path: Path) -> None:
    broken = Reply(kind="overloaded", status=500, message="it broke")
    desk = Desk(tmp_path, job)
    desk.run(lambda id_, _n: broken if id_.endswith("-7") else None)
    bad = desk.output[7]
    assert (bad["outcome"], bad["error"]) == ("errored", "overloaded: it broke")


def test_what_was_stopped_is_written_as_far_as_it_got(job: Made, tmp_path: Path) -> None:
    stop = Reply(kind="limited", status=429, stop="spend_limit")
    desk = Desk(tmp_path, job)
    outcome = desk.run(lambda id_, _n: stop if id_.endswith("-30") else None)
    assert outcome.stopped == "spend_limit"
    states = [row["outcome"] for row in desk.output]
    assert states.count("succeeded") == outcome.done
    assert states.count("pending") == outcome.left > 0
    assert desk.run().left == 0


def test_a_limit_of_a_day_outlasts_a_run(
    job: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thirty of forty a day went before the end, so a new process has ten left, not forty."""
    monkeypatch.setattr(runners, "TURN", 600.0)
    monkeypatch.setattr(runners, "SYNC_EVERY", 600.0)
    stop = Reply(kind="limited", status=429, stop="spend_limit")
    desk = Desk(tmp_path, job)
    desk.run(lambda id_, _n: stop if id_.endswith("-29") else None, per_day=40)
    before = list(journals.takes(desk.folder, NOW))
    asked = sum(each.requests for each in before)
    assert 30 <= asked < 40
    assert desk.run(later=100.0, per_day=40).left == 0
    day = NOW + timedelta(seconds=86_400 / 40)
    soon = [each for each in journals.takes(desk.folder, NOW) if each.at < day]
    assert sum(each.requests for each in soon) == 40


def test_another_account_gets_nothing(job: Made, tmp_path: Path) -> None:
    desk = Desk(tmp_path, job)
    with pytest.raises(InputError, match="another account"):
        desk.run(account=replace(HERE, organization="org-other"))
    assert desk.vendor is not None
    assert not desk.vendor.asked
    assert not (desk.folder / journals.FOLDER).exists()
