"""Every figure of an option can be traced: its sums written out, its inputs with their sources."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from planner.words import duration

if TYPE_CHECKING:
    from tests.answers import Ask

PRICING = Path(__file__).parent / "decision" / "pricing"
BATCH = {
    "provider": "acme",
    "model": "tall",
    "lane": "heap",
    "rows": 900,
    "created": "2026-11-22T11:00:00+00:00",
    "ended": "2026-11-22T11:30:00+00:00",
    "state": "ended",
}

RESCUE = """\
tall/heap>plain: + meets
  cost:
    835,109  input tokens   x $0.5/M  = $0.42  heap
    167,022  output tokens    x $2/M  = $0.33  heap
    164,891  input tokens     x $1/M  = $0.16  plain
     32,978  output tokens    x $4/M  = $0.13  plain
    = $1.05 expected ($1.0484015); 95 % interval $0.90 to $1.80, ceiling $2.60
  time: typical 30m, 95 % by 2h, window 2h
    1 batch of 1,000 rows at the most, 1 at once, 1 wave
  deadline in 2h: >99 %, 80 % interval 98 % to >99 %; 95 % asked for
    switch at 13:47 UTC, after 108m: the deadline less the time to cancel and the quoted time to run
    every row again
    0.8351 done by then + (1 - 0.8351) x 0.95 in the time left = 0.9918
  rates of plain:
    input: 1 (list) = 1 USD/M [source pricing/acme.yaml/list, read 2026-11-01, from
    pricing/acme.yaml]
    output: 4 (list) = 4 USD/M [source pricing/acme.yaml/list, read 2026-11-01, from
    pricing/acme.yaml]
  limits of plain in tier low: rpm 600, itpm 500,000 (your own), otpm 200,000, usd_month 100
    read 2026-10-01, your own pricing/acme.yaml: https://acme.example/limits
  pace of plain: an attempt takes 1 of rpm, 1,000 of itpm, 200 of otpm on average
    and 5 s (CV 0.5), as given
    55 at once, as many as keep the limits busy; 1 attempts a row (0 % fail, 2 retries)
  rates of heap:
    input: 1 (list) x 0.5 (heap) = 0.5 USD/M [source pricing/acme.yaml/list, read 2026-11-01, from
    pricing/acme.yaml]
    output: 4 (list) x 0.5 (heap) = 2 USD/M [source pricing/acme.yaml/list, read 2026-11-01, from
    pricing/acme.yaml]
  limits of heap in tier low: itpm 500,000 (your own), usd_month 100, queued_requests 100,000,
    queued_input_tokens 50,000,000
    read 2026-10-01, your own pricing/acme.yaml: https://acme.example/limits
  turnaround of heap: half within 30m, 9 in 10 within 4h; counts as 4 batches
    read 2026-11-01, your own pricing/acme.yaml: https://acme.example/prices
    own batches of this lane: 1, weighing 1.0 by age and size: public estimate, grade C: no vendor
    promises less than its window
  risk: holds only while a runner lives that switches at that moment
  risk: an outage of the vendor takes both lanes
  risk: cancelled rows may be billed: the vendor does not say; at the most $0.90 is paid twice
  assumed: figures of your own decide part of this: pricing/acme.yaml
  assumed: rows and prompt tokens as given; every row is taken to be of the mean size
  assumed: answers of 200 tokens on average, as given
  assumed: each answer is limited to 400 tokens (as given): it goes into the request
  assumed: 0 % of realtime attempts fail, 2 retries
  assumed: acme: the lowest usage tier that it publishes (--tier acme=NAME)
"""
"""1,000 rows of 1,000 + 200 tokens, due in two hours; one own batch that took half an hour."""


@pytest.fixture
def question(tmp_path: Path) -> tuple[str, ...]:
    history = tmp_path / "history.jsonl"
    history.write_text(json.dumps(BATCH), encoding="utf-8")
    return (
        *("estimate", "--pricing", str(PRICING), "--model", "tall", "--deadline", "2h"),
        *("--rows", "1000", "--input-tokens", "1000", "--output-tokens", "200:0.5"),
        *("--max-output-tokens", "400", "--latency", "5:0.5", "--failure-rate", "0"),
        *("--limit", "itpm=500000", "--history", str(history)),
    )


def test_a_rescue_is_explained_to_the_last_figure(ask: Ask, question: tuple[str, ...]) -> None:
    assert ask(*question, "--explain", "tall/heap>plain").out == RESCUE


def test_the_components_are_the_arithmetic(ask: Ask, question: tuple[str, ...]) -> None:
    told = ask(*question, "--explain", "tall/heap>plain").out
    options = json.loads(ask(*question, "--format", "json").out)["options"]
    option = next(each for each in options if each["id"] == "tall/heap>plain")
    for part in option["cost"]["components"]:
        assert f"{part['quantity']:,}" in told
        assert f"${part['rate']}/M" in told
    assert f"(${option['cost']['expected']})" in told
    assert f"after {duration(option['rescue']['at'])}" in told
    kept, p = option["rescue"]["p_no_rescue"], option["p_deadline"]["mean"]
    assert f"{kept:.4f} done by then + (1 - {kept:.4f}) x 0.95 in the time left = {p:.4f}" in told


@pytest.mark.parametrize("lane", ["plain", "heap", "heap>plain"])
def test_limits_prices_and_evidence_name_their_sources(
    ask: Ask, question: tuple[str, ...], lane: str
) -> None:
    told = ask(*question, "--explain", f"tall/{lane}").out
    assert "read 2026-11-01" in told, "the prices"
    assert "https://acme.example/limits" in told
    assert ("turnaround of heap: half within 30m" in told) is ("heap" in lane)
    assert ("5 s (CV 0.5), as given" in told) is ("plain" in lane)
    assert "itpm 500,000 (your own)" in told


def test_only_the_rates_of_the_sum_are_traced(ask: Ask, question: tuple[str, ...]) -> None:
    short = ask(*question, "--explain", "tall/plain").out
    assert "cache_read" not in short
    assert "100,000" not in short
    long = (*question, "--input-tokens", "150000", "--limit", "usd_month=100000")
    told = ask(*long, "--explain", "tall/plain").out
    assert "input, prompt > 100,000: 1 (list) x 2 (prompt > 100,000) = 2 USD/M" in told
    assert "200,000:" not in told


def test_an_unknown_option_is_an_error_with_those_there_are(
    ask: Ask, question: tuple[str, ...]
) -> None:
    told = ask(*question, "--explain", "tall/plane")
    assert told.exit_code == 2
    assert "tall/plain" in told.err
