"""Sending one by one goes at the pace that the plan's finish was computed from."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from planner import catalog as catalogs
from planner import drafting
from planner.decision import realtime
from planner.errors import InputError
from planner.handoff import plan as plans
from planner.handoff import rows as sent
from tests.answers import NOW

if TYPE_CHECKING:
    from pathlib import Path

    from planner.handoff.plan import Plan
    from tests.answers import Ask


@pytest.fixture
def planned(ask: Ask, tmp_path: Path) -> Any:
    """The plan of 40 rows for an option of a model; anthropic's tiers are named."""
    rows = [{"text": f"Where is my order number {n}?" + " again" * n} for n in range(40)]
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))

    def plan(choose: str, *more: str) -> Plan:
        model = choose.partition("/")[0]
        job = ("--prompt", "{{ text }}", "--model", model, "--output-tokens", "20")
        path = tmp_path / "job.plan.yaml"
        answer = ask("plan", str(file), *job, *more, "--choose", choose, "-o", str(path))
        assert answer.exit_code == 0, answer.err
        return plans.read(path)

    return plan


TIER = ("--tier", "start", "--latency", "1.5:0.4")


def test_the_pace_is_the_one_that_was_planned(planned: Any) -> None:
    plan = planned("claude-haiku-5-5/standard", *TIER)
    made = drafting.direct(plan, catalogs.load(), NOW)
    assert made.lane == plan.choice.lane
    span = realtime.makespan(made.pace.load)
    assert plan.finish.p50 is not None
    assert plan.finish.p95 is not None
    assert span.p50 == pytest.approx(float(plan.finish.p50), rel=0.02)
    assert span.p95 == pytest.approx(float(plan.finish.p95), rel=0.02)
    assert {each.name for each in made.pace.load.buckets} == {"rpm", "itpm", "otpm"}
    assert (made.pace.counts_cache_read, made.pace.counts_max_output) == (False, False)
    assert made.pace.load.retries == plan.demand.retries
    assert made.pace.load.rows == 40
    assert drafting.direct(plan, catalogs.load(), NOW, rows=7).pace.load.rows == 7


def test_a_rescue_is_run_in_the_ordinary_lane(planned: Any) -> None:
    plan = planned("gpt-6-sol/batch>standard", "--tier", "tier-1", "--deadline", "4h")
    made = drafting.direct(plan, catalogs.load(), NOW)
    assert (made.lane, made.cancel) == ("standard", 600.0)
    assert {each.lane for each in plan.rates} == {"standard", "batch"}
    assert made.pace.counts_max_output
    assert sent.Prices.of(plan, made.lane).max_output == plan.request.max_output_tokens


def test_without_a_known_limit_few_are_out_at_once(planned: Any) -> None:
    plan = planned("gpt-6.2-sol/standard")
    load = drafting.direct(plan, catalogs.load(), NOW).pace.load
    assert (load.buckets, load.concurrency) == ((), drafting.UNLIMITED_CONCURRENCY)


def test_rows_that_go_one_by_one_are_built_like_batches_but_are_none(
    planned: Any, tmp_path: Path
) -> None:
    plan, facts = planned("claude-haiku-5-5/standard", *TIER), catalogs.load()
    ready = drafting.buildable(plan, facts, tmp_path / "rows.jsonl", NOW)
    with pytest.raises(InputError, match="not sent as batch files"):
        drafting.batches_only(ready)
    built = drafting.build(ready, facts, tmp_path / "job")
    rows = list(sent.rows_of(built.folder, built.shards, ready.adapter.envelope))
    assert [row.custom_id for row in rows] == [f"{plan.nonce}-{n}" for n in range(40)]
    bodies = [json.loads(row.body) for row in rows]
    assert bodies[3]["messages"][0]["content"].startswith("Where is my order number 3?")
    pace = drafting.direct(plan, facts, NOW).pace
    charges = [pace.charge(row.tokens)["itpm"] for row in rows]
    assert charges == sorted(charges), "a longer row takes more of the limit"
    assert sum(charges) == pytest.approx(plan.tokens.input.value, rel=0.05)


@pytest.mark.parametrize("option", ["claude-fable-5-2/fast", "gpt-6.2-sol/background_2h"])
def test_lanes_that_a_request_must_name_are_refused(
    planned: Any, tmp_path: Path, option: str
) -> None:
    plan = planned(option)
    with pytest.raises(InputError, match="neither as batches nor"):
        drafting.buildable(plan, catalogs.load(), tmp_path / "rows.jsonl", NOW)
