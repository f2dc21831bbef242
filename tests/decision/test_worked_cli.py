"""The worked examples as people ask them: flags in, `--format json` out, facts as shipped."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.answers import NOW

if TYPE_CHECKING:
    from tests.answers import Ask

EXAMPLES: dict[int, dict[str, Any]] = {
    each["id"]: each
    for each in json.loads(
        (Path(__file__).parents[1] / "data" / "worked_examples.json").read_text(encoding="utf-8")
    )
}
MODEL = "claude-sonnet-5"
MINUTE, HOUR = 60.0, 3600.0


def near(value: float) -> object:
    """Within the half per cent that the examples state."""
    return pytest.approx(value, rel=0.005)


def flags(example: dict[str, Any]) -> list[str]:
    """A realtime job with every limit said."""
    said = [
        *("--rows", str(example["rows"])),
        *("--latency", f"{example['latency_mean_s']}:{example['latency_cv']}"),
        *("--concurrency", str(example["concurrency"])),
        *("--failure-rate", "0"),
        *("--tier", "start"),
    ]
    for name, use, limit, *_, last in example["resources"]:
        said += ["--limit", f"{name}={limit:.0f}"]
        if name == "itpm":
            said += ["--input-tokens", str(use)]
        if name == "otpm":
            said += ["--output-tokens", f"{use}:{last}"]
    return said


def asked(ask: Ask, *arguments: str) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """The answer, and its options by what follows the model's name."""
    told = ask("estimate", "--model", MODEL, *arguments, "--format", "json")
    assert told.err == ""
    answer = json.loads(told.out)
    options = {each["id"].removeprefix(f"{MODEL}/"): each for each in answer["options"]}
    return answer, options


def check_realtime(finish: dict[str, Any], expected: dict[str, Any]) -> None:
    assert finish["binding"] == expected["binding"]
    assert finish["rate"] == near(expected["steady_requests_per_s"])
    assert finish["last_admission"] == near(expected["last_admission_s"])
    assert finish["p50"] == near(expected["p50_s"])
    assert finish["p95_raw"] == near(expected["p95_s"])
    assert finish["p95"] == near(expected["p95_quoted_s"])


def test_realtime_bound_by_its_requests(ask: Ask) -> None:
    _, options = asked(ask, *flags(EXAMPLES[1]["inputs"]))
    check_realtime(options["standard"]["finish"], EXAMPLES[1]["expected"])


@pytest.mark.parametrize(
    ("cache", "option", "key"),
    [
        ((), "standard", "without_cache"),
        (
            ("--shared-prefix", "12000", "--cache-hit-share", "0.8"),
            "standard+cache",
            "with_cache",
        ),
    ],
)
def test_realtime_bound_by_its_input(
    ask: Ask, cache: tuple[str, ...], option: str, key: str
) -> None:
    """Four of five rows read all 12,000 tokens from the cache, which draws on no limit."""
    _, options = asked(ask, *flags(EXAMPLES[3]["inputs"]["without_cache"]), *cache)
    check_realtime(options[option]["finish"], EXAMPLES[3]["expected"][key])


def test_a_job_over_the_limits_of_a_batch(ask: Ask) -> None:
    inputs, expected = EXAMPLES[6]["inputs"], EXAMPLES[6]["expected"]
    rows = inputs["rows"]
    _, options = asked(
        ask,
        *("--rows", str(rows), "--input-tokens", str(inputs["input_tokens"] // rows)),
        *("--output-tokens", "10", "--tier", "start"),
        *("--limit", f"queued_requests={inputs['limits']['queue_requests']}"),
    )
    finish = options["batch"]["finish"]
    for key in ("batches", "rows_per_batch", "concurrent", "waves"):
        assert finish[key] == expected[key]
    assert finish["bound"] == expected["bound_h"] * HOUR


def test_a_batch_by_the_public_prior(ask: Ask) -> None:
    inputs, expected = EXAMPLES[8]["inputs"], EXAMPLES[8]["expected"]
    figures = ("--rows", "1000", "--input-tokens", "100", "--output-tokens", "10")
    _, options = asked(ask, *figures, "--deadline", f"{inputs['deadline_min']}m")
    p, finish = options["batch"]["p_deadline"], options["batch"]["finish"]
    assert p["mean"] == near(expected["p_by_deadline"])
    assert p["low"] == near(expected["lower_90"])
    assert p["high"] == near(expected["ci80"]["high"])
    assert finish["p50"] == near(expected["p50_min"] * MINUTE)
    assert finish["p95"] == near(expected["p95_min"] * MINUTE)
    assert finish["bound"] == inputs["window_min"] * MINUTE
    assert options["batch"]["grade"] == "C"


# --- 10: the decision -------------------------------------------------------------------

NAMES = {"batch": "batch", "realtime": "standard", "batch_then_realtime": "batch>standard"}


@pytest.fixture
def fast(tmp_path: Path) -> str:
    """Forty own batches of 5 to 44 minutes that have just ended."""
    path = tmp_path / "history.jsonl"
    lines = (
        {
            "provider": "anthropic",
            "model": MODEL,
            "lane": "batch",
            "rows": 20_000,
            "created": (NOW - timedelta(minutes=minutes)).isoformat(),
            "ended": NOW.isoformat(),
            "state": "ended",
        }
        for minutes in range(5, 45)
    )
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("key", "deadline", "own"),
    [
        ("deadline_15_min", "15m", False),
        ("deadline_30_min", "30m", False),
        ("deadline_4_h_no_history", "4h", False),
        ("deadline_23_h_no_history", "23h", False),
        ("deadline_4_h_with_40_fast_batches", "4h", True),
    ],
)
def test_the_decision(ask: Ask, fast: str, key: str, deadline: str, own: bool) -> None:
    history = ("--history", fast) if own else ()
    inputs, expected = EXAMPLES[10]["inputs"]["realtime"], EXAMPLES[10]["expected"][key]
    answer, options = asked(ask, *flags(inputs), "--deadline", deadline, *history)
    for name, lane in NAMES.items():
        if expected[name]["cost"] is None:
            assert lane not in options, "there is no time for it"
        else:
            check_option(options[lane], expected[name])
    choice = expected["choice"]
    wanted = None if choice == "none" else f"{MODEL}/{NAMES[choice]}"
    assert answer["decision"]["choice"] == wanted


def check_option(found: dict[str, Any], expected: dict[str, Any]) -> None:
    """Every figure that the example states of the option."""
    assert float(found["cost"]["expected"]) == near(expected["cost"])
    assert found["p_deadline"]["mean"] == near(expected["p"])
    assert found["p_deadline"]["low"] == near(expected["p_lower"])
    assert (found["verdict"] == "meets") is expected["meets"]
    for name, value in (("p50_min", "p50"), ("p95_min", "p95")):
        if name in expected:
            assert found["finish"][value] == near(expected[name] * MINUTE)
    if "verdict" in expected:
        assert found["verdict"] == expected["verdict"]
    if "rescue_at_min" in expected:
        assert found["rescue"]["at"] == near(expected["rescue_at_min"] * MINUTE)
        assert found["rescue"]["p_no_rescue"] == near(expected["p_no_rescue"])
        ends = [float(found["cost"][end]) for end in ("low", "high")]
        assert ends == [expected["cost_min"], expected["cost_max"]]


def test_what_would_change_the_worked_decision_and_what_an_hour_is_worth(ask: Ask) -> None:
    """$60 saved for (107.16 - 20.24) minutes more: $41.4 an hour."""
    answer, _ = asked(ask, *flags(EXAMPLES[10]["inputs"]["realtime"]), "--deadline", "4h")
    said = answer["decision"]["by_model"][MODEL]
    ends = [flip["at"] for flip in said["flips"] if flip["input"] == "deadline"]
    assert ends == [near(22.41 * MINUTE), near(35.98 * MINUTE), near(24 * HOUR)]
    assert said["waiting"]["later"] == f"{MODEL}/batch"
    assert float(said["waiting"]["saved"]) == 60
    assert float(said["waiting"]["usd_per_hour"]) == near(60 / ((107.16 - 20.236) / 60))


def test_a_decision_is_reproduced_from_its_flags_and_history(ask: Ask, fast: str) -> None:
    question = ("--model", MODEL, *flags(EXAMPLES[10]["inputs"]["realtime"]), "--history", fast)
    first, again, later = (
        ask("estimate", *question, "--deadline", when, "--format", "json").out
        for when in ("4h", "4h", "5h")
    )
    assert first == again
    assert first != later
