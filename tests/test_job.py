"""Every notation of a question: what it means, and what is said where it cannot be read."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner import job, notation
from planner.catalog.facts import LIMIT_FIGURES
from planner.decision.requirements import Latency, Requirements
from planner.errors import InputError, Problem
from planner.job import Job

if TYPE_CHECKING:
    from collections.abc import Callable

BERLIN = timezone(timedelta(hours=1))
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=BERLIN)


def refused(read: Callable[[], object]) -> Problem:
    """The one problem with which a notation is refused."""
    with pytest.raises(InputError) as caught:
        read()
    (problem,) = caught.value.problems
    return problem


# --- deadlines ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("6h", "2026-11-22T18:00+01:00"),
        ("  6h ", "2026-11-22T18:00+01:00"),
        ("90s", "2026-11-22T12:01:30+01:00"),
        ("1d12h", "2026-11-24T00:00+01:00"),
        ("1d 12h", "2026-11-24T00:00+01:00"),
        ("1.5d", "2026-11-24T00:00+01:00"),
        ("18:00", "2026-11-22T18:00+01:00"),
        ("12:01", "2026-11-22T12:01+01:00"),
        ("12:00", "2026-11-23T12:00+01:00"),
        ("8:05", "2026-11-23T08:05+01:00"),
        ("today 18:00", "2026-11-22T18:00+01:00"),
        ("tomorrow 18:00", "2026-11-23T18:00+01:00"),
        ("tomorrow 08:00", "2026-11-23T08:00+01:00"),
        ("2026-11-23T18:00", "2026-11-23T18:00+01:00"),
        ("2026-11-23 18:00", "2026-11-23T18:00+01:00"),
        ("2026-11-23T18:00+00:00", "2026-11-23T19:00+01:00"),
        ("2026-11-23T18:00Z", "2026-11-23T19:00+01:00"),
        ("2026-11-22T11:01Z", "2026-11-22T12:01+01:00"),
        ("2026-11-23", "2026-11-23T00:00+01:00"),
    ],
)
def test_deadlines(text: str, at: str) -> None:
    read = job.deadline(text, NOW)
    assert read == datetime.fromisoformat(at)
    assert read.tzinfo is not None


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("today 08:00", "2026-11-22T08:00+01:00"),
        ("today 12:00", "2026-11-22T12:00+01:00"),
        ("2026-11-22T11:59", "2026-11-22T11:59+01:00"),
        ("2026-11-22T11:00Z", "2026-11-22T11:00+00:00"),
        ("2026-11-22", "2026-11-22T00:00+01:00"),
    ],
)
def test_a_moment_that_is_not_ahead_is_refused(text: str, at: str) -> None:
    assert refused(lambda: job.deadline(text, NOW)) == Problem(
        code="deadline-passed",
        message=f"--deadline {text} is {at}, which is not ahead",
        hint="it is 2026-11-22T12:00+01:00 now",
    )


FORMS = "6h, 18:00, 'tomorrow 18:00' or 2026-11-23T18:00+01:00"
DURATION = "a duration such as 90s, 15m, 6h or 1d12h"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", FORMS),
        ("6", FORMS),
        ("-6h", FORMS),
        ("24:00", FORMS),
        ("18:60", FORMS),
        ("3 days", FORMS),
        ("tomorrow", FORMS),
        ("2026-02-30T10:00", FORMS),
        ("6h30", DURATION),
        ("3days", DURATION),
        ("0h", "more than zero"),
        ("99999999d", "a moment before the year 10000"),
    ],
)
def test_other_deadlines_are_refused(text: str, wanted: str) -> None:
    assert refused(lambda: job.deadline(text, NOW)) == Problem(
        code="bad-option", message=f"--deadline {text!r} cannot be read", hint=f"give {wanted}"
    )


@given(st.integers(1, 10**7))
def test_a_deadline_in_seconds_is_that_far_ahead(seconds: int) -> None:
    assert job.deadline(f"{seconds}s", NOW) - NOW == timedelta(seconds=seconds)


@given(st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)), st.times())  # noqa: DTZ001
def test_a_bare_time_is_the_next_one_of_the_clock(day: datetime, clock: object) -> None:
    now = day.replace(tzinfo=UTC)
    at = job.deadline(f"{clock:%H:%M}", now)
    assert timedelta(0) < at - now <= timedelta(days=1)
    assert f"{at:%H:%M}" == f"{clock:%H:%M}"


def test_another_deadline_of_the_same_question() -> None:
    asked = Job(rows=3, requirements=Requirements(confidence=0.9))
    moved = asked.at_deadline(3600, NOW)
    assert moved.deadline_at == datetime(2026, 11, 22, 13, 0, tzinfo=BERLIN)
    assert moved.requirements == Requirements(confidence=0.9, deadline=3600)
    assert moved.at_deadline(None, NOW) == asked


# --- durations ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("2s", 2), ("0.5s", 0.5), ("15m", 900), ("4h30m", 16200), ("4h 30m", 16200), ("2d", 172800)],
)
def test_durations(text: str, seconds: float) -> None:
    assert job.seconds(text, "--respond-within") == seconds


@pytest.mark.parametrize("text", ["", "2", "s", "2 s", "1e3s", "-2s", "2x", "h2"])
def test_what_is_no_duration(text: str) -> None:
    problem = refused(lambda: job.seconds(text, "--respond-within"))
    assert problem.render() == (
        f"error[bad-option]: --respond-within {text!r} cannot be read\n  hint: give {DURATION}"
    )


# --- numbers ------------------------------------------------------------------------------


def test_a_number_with_its_spread() -> None:
    assert job.number_with_cv("6", "--latency") == (6.0, None)
    assert job.number_with_cv("6.5:0", "--latency") == (6.5, 0.0)
    assert job.number_with_cv(".5:.25", "--latency") == (0.5, 0.25)
    assert job.latency("6:0.5") == Latency(mean=6, cv=0.5)
    assert job.latency("6") == Latency(mean=6, cv=0.8)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("0", "more than zero"),
        ("0:1", "more than zero"),
        ("6:", "a number"),
        ("6:-1", "a number"),
        ("6:1:2", "a number"),
        ("6s", "a number"),
        ("nan", "a number"),
        ("", "a number"),
    ],
)
def test_what_is_no_number_with_a_spread(text: str, wanted: str) -> None:
    assert refused(lambda: job.latency(text)) == Problem(
        code="bad-option", message=f"--latency {text!r} cannot be read", hint=f"give {wanted}"
    )


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("150", (150, None)),
        ("1,200", (1200, None)),
        ("1_200:0.6", (1200, 0.6)),
        ("150:0", (150, 0.0)),
    ],
)
def test_output_tokens(text: str, read: tuple[int, float | None]) -> None:
    assert job.output_tokens(text) == read


@pytest.mark.parametrize("text", ["0", "150.5", "150:", "150:x", ":0.5", "-1", "many"])
def test_what_is_no_number_of_output_tokens(text: str) -> None:
    assert refused(lambda: job.output_tokens(text)).code == "bad-option"


@pytest.mark.parametrize(("text", "value"), [("1", 1), ("12480", 12480), ("12,480", 12480)])
def test_whole_numbers(text: str, value: int) -> None:
    assert notation.whole(text, "--rows") == value


@pytest.mark.parametrize("text", ["0", "", "-1", "1.5", "1e6", "²", "twelve"])
def test_what_is_no_whole_number(text: str) -> None:
    assert refused(lambda: notation.whole(text, "--rows")) == Problem(
        code="bad-option",
        message=f"--rows {text!r} cannot be read",
        hint="give a whole number of at least 1",
    )


def test_limits() -> None:
    assert job.limit("rpm=1000") == ("rpm", 1000)
    assert job.limit(" ITPM = 2,000,000 ") == ("itpm", 2_000_000)
    assert {name for name in LIMIT_FIGURES if job.limit(f"{name}=1") == (name, 1)} == set(
        LIMIT_FIGURES
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "rpn=10",
            (
                "error[bad-option]: --limit rpn=10: no limit of that name\n"
                "  hint: did you mean rpm or rpd?"
            ),
        ),
        (
            "speed=10",
            (
                "error[bad-option]: --limit speed=10: no limit of that name\n"
                "  hint: limits: rpm, rpd, itpm, otpm, tpm, usd_10min, usd_month,"
                " queued_requests, queued_input_tokens, max_active"
            ),
        ),
        (
            "rpm=fast",
            (
                "error[bad-option]: --limit rpm = 'fast' cannot be read\n"
                "  hint: give a whole number of at least 1"
            ),
        ),
        (
            "rpm=0",
            (
                "error[bad-option]: --limit rpm = '0' cannot be read\n"
                "  hint: give a whole number of at least 1"
            ),
        ),
    ],
)
def test_what_is_no_limit(text: str, said: str) -> None:
    assert refused(lambda: job.limit(text)).render() == said


def test_a_limit_without_a_value_is_refused() -> None:
    assert refused(lambda: job.limit("rpm")).code == "bad-option"


def test_tiers() -> None:
    assert job.tier("start") == (None, "start")
    assert job.tier("Tier 1") == (None, "Tier 1")
    assert job.tier(" acme = high ") == ("acme", "high")


@pytest.mark.parametrize("text", ["", "=start", "acme=", "="])
def test_half_a_tier_is_refused(text: str) -> None:
    assert refused(lambda: job.tier(text)).hint == "give NAME or PROVIDER=NAME"


def test_a_tier_of_one_provider_wins_over_the_one_of_all() -> None:
    demand = Requirements(tiers=((None, "low"), ("acme", "high")))
    assert demand.tier("acme") == "high"
    assert demand.tier("other") == "low"
    assert Requirements(tiers=(("acme", "high"),)).tier("other") is None


@pytest.mark.parametrize(
    ("text", "read"),
    [("0", (0.0, None)), ("0.01", (0.01, None)), ("0.3:0", (0.3, 0)), ("0.99:10", (0.99, 10))],
)
def test_failure_rates(text: str, read: tuple[float, int | None]) -> None:
    assert job.failure_rate(text) == read


@pytest.mark.parametrize("text", ["1", "1.5", "-0.1", "0.1:", "0.1:-1", "0.1:1.5", "1%"])
def test_what_is_no_failure_rate(text: str) -> None:
    assert refused(lambda: job.failure_rate(text)).code == "bad-option"


@pytest.mark.parametrize(("text", "value"), [("0.95", 0.95), ("95%", 0.95), (" 95 % ", 0.95)])
def test_shares(text: str, value: float) -> None:
    assert job.share(text, "--confidence") == pytest.approx(value, abs=1e-15)


@pytest.mark.parametrize("text", ["0", "1", "100%", "95", "95%%", "%", "-0.5", ""])
def test_what_is_no_share(text: str) -> None:
    problem = refused(lambda: job.share(text, "--confidence"))
    assert problem.message == f"--confidence {text!r} cannot be read"


@pytest.mark.parametrize(
    ("text", "value"), [("25", "25"), ("$0.50", "0.5"), ("$1,000.25", "1000.25"), (".1", "0.1")]
)
def test_amounts_of_money(text: str, value: str) -> None:
    assert job.money(text, "--max-cost") == Decimal(value)


@pytest.mark.parametrize("text", ["0", "-5", "5 EUR", "1e3", "", "free"])
def test_what_is_no_amount_of_money(text: str) -> None:
    assert refused(lambda: job.money(text, "--max-cost")) == Problem(
        code="bad-option",
        message=f"--max-cost {text!r} cannot be read",
        hint="give an amount in US dollars, such as 25 or 0.50",
    )


def test_a_day() -> None:
    assert notation.day("2026-02-28") == date(2026, 2, 28)


@pytest.mark.parametrize("text", ["2026-02-30", "28.02.2026", "today", ""])
def test_what_is_no_day(text: str) -> None:
    assert refused(lambda: notation.day(text)).hint == "give a date such as 2026-11-22"


# --- files --------------------------------------------------------------------------------


def test_a_sample_file_with_and_without_its_column(tmp_path: Path) -> None:
    odd = tmp_path / "a:b.jsonl"
    odd.touch()
    assert job.sample_file("answers.jsonl") == (Path("answers.jsonl"), None)
    assert job.sample_file("answers.jsonl:text") == (Path("answers.jsonl"), "text")
    assert job.sample_file("answers.jsonl:") == (Path("answers.jsonl"), None)
    assert job.sample_file(str(odd)) == (odd, None), "a path that exists is taken whole"
    assert job.sample_file(f"{odd}:text") == (odd, "text")


def test_messages_name_the_flag_they_speak_of() -> None:
    """A notation is read for flags, job files and screens alike: the name comes in."""
    said = refused(lambda: job.deadline("soon", NOW, "deadline")).message
    assert re.fullmatch(r"deadline 'soon' cannot be read", said)


def test_a_wall_time_after_the_clocks_change_is_that_wall_time() -> None:
    """Berlin skips an hour on 2026-03-29, so 18:00 is 23 hours after 18:00 the day before."""
    now = datetime(2026, 3, 28, 18, 0, tzinfo=ZoneInfo("Europe/Berlin"))
    at = job.deadline("tomorrow 18:00", now)
    assert at.isoformat() == "2026-03-29T18:00:00+02:00"
    assert (at - now).total_seconds() == 23 * 3600
    later = job.deadline("24h", now)
    assert later.isoformat() == "2026-03-29T19:00:00+02:00"
    assert (later - now).total_seconds() == 24 * 3600
