"""The hand-off from the command line: what is shown, agreed to, sent, kept and told."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import re
import socket
import subprocess
import sys
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from planner import handing
from planner.errors import VendorError
from planner.handoff import home, rehearsal, submit
from planner.handoff import plan as plans
from planner.handoff.ledger import Ledger
from planner.handoff.providers import vendors
from planner.handoff.vendor import NotSentError
from planner.money import Usd, dollars
from planner.report.layout import UNKNOWN
from planner.words import percent
from tests.handoff.counter import MODELS, QUICK, SENTINEL, Counter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.answers import Ask

    Make = Callable[..., Counter]


@pytest.fixture
def make(
    ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Counter]]:
    made: list[Counter] = []

    def counter(**more: Any) -> Counter:
        made.append(Counter(ask, tmp_path, monkeypatch, **more))
        return made[-1]

    yield counter
    for each in made:
        each.close()


@pytest.fixture
def counter(make: Make) -> Counter:
    return make()


def errors(share: float = 0.3, message: str = "overloaded") -> rehearsal.Conduct:
    """A vendor that fails some rows for now."""
    error = rehearsal.RowError(status=500, kind="api_error", message=message)
    return rehearsal.Conduct(
        answers=rehearsal.Answers(refused=share, error=error), turnaround=QUICK
    )


def refusing(provider: str, lane: str, said: str, status: int = 400) -> dict[str, Any]:
    """A vendor that says so when it refuses a row, a batch, or whatever is asked."""
    if lane == "row":
        return {"conduct": errors(1.0, said)}
    asked = {"anthropic": "messages.create", "openai": "responses.create"}[provider]
    route = {"batch": "batches.create", "upload": "files.create"}.get(lane, asked)
    on = f"{provider}.{route}"
    return {
        "faults": [rehearsal.Fault(on=on, kind="status", status=status, message=said, calls=None)]
    }


# --- what is shown, and the yes ---------------------------------------------------------


def test_everything_is_on_the_screen_before_a_typed_number_sends_it(counter: Counter) -> None:
    plan = counter.plan("--deadline", "30h", "--max-cost", "3")
    counter.types("12")
    answer = counter("submit", str(plan), *counter.to)
    assert answer.exit_code == 0
    screen = answer.err.partition("Type 12 (the number of rows) or yes to send them: ")[0]
    cost, p = plans.read(plan).cost, plans.read(plan).finish.p_deadline
    assert p is not None
    assert screen == SCREEN.format(
        url=counter.to[1],
        expected=dollars(Usd(cost.expected)),
        p95=dollars(Usd(cost.p95)),
        ceiling=dollars(Usd(cost.ceiling)),
        p=percent(float(p.mean)),
        low=percent(float(p.low)),
        high=percent(float(p.high)),
    )
    assert counter.paid == 1
    assert [each["key"] for each in counter.answers()] == [f"k{n}" for n in range(12)]
    assert answer.out.startswith(f"Job {counter.job} is done. Answered: 12 of 12 rows, $0.00")


SCREEN = """\
To send: 12 rows of rows.jsonl to Anthropic
  leaves    these rows leave this machine for Anthropic, at {url}
  account   organization org-rehearsal; key from ANTHROPIC_API_KEY
  lane      claude-haiku-5-5, Message Batches, /v1/messages, in 1 batch
  cost      {expected} expected, {p95} at the 95th percentile, {ceiling} at most, if every answer
            runs to its limit; cap $3.00
  finish    typically 30m, 95 in 100 within 8h07; by tomorrow 18:00 UTC: {p} ({low} to {high}, 80 %
            sure). Not guaranteed: rows that a window leaves undone expire and are sent again
  retention Anthropic keeps the results for 29d; fetch them before
"""


@pytest.mark.parametrize("typed", ["", "no", "11", "y", "120", "yes please"])
def test_anything_but_the_number_or_yes_sends_nothing(counter: Counter, typed: str) -> None:
    counter.types(typed)
    answer = counter("submit", str(counter.plan()), *counter.to)
    assert (answer.exit_code, answer.out) == (1, "")
    assert answer.err.endswith("nothing was sent\n")
    assert counter.paid == 0
    with counter.ledger as ledger:
        assert ledger.jobs() == ()


def test_a_yes_is_a_yes(counter: Counter) -> None:
    counter.types("Yes")
    assert counter("submit", str(counter.plan()), *counter.to).exit_code == 0
    assert counter.paid == 1


def test_a_script_needs_yes_and_a_cap(counter: Counter, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = counter.plan()
    monkeypatch.setattr("sys.stdin", io.StringIO("yes\n"))
    for flags, said in (((), "without a yes"), (("--yes",), "only with --max-cost")):
        answer = counter("submit", str(plan), *flags, *counter.to)
        assert answer.exit_code == 2
        assert said in answer.err
    assert counter.paid == 0


def test_the_same_plan_again_is_the_same_job(counter: Counter) -> None:
    plan = counter.plan()
    first, second = counter.submit(plan), counter.submit(plan)
    assert (first.exit_code, second.exit_code) == (0, 0)
    assert "which is done" in second.err
    assert counter.paid == 1


def test_rows_that_another_plan_has_sent_are_said_to_be_paid_for_again(counter: Counter) -> None:
    counter.submit(counter.plan())
    first = counter.job
    counter.time.sleep(3600)
    counter.types("no")
    for name, more, said in (
        ("same", (), True),
        ("other", ("--system", "Be brief."), False),
        ("dearer", ("--max-cost", "3"), True),
    ):
        answer = counter("submit", str(counter.plan(*more, name=name)), *counter.to)
        again = f"again job {first} of 2026-11-22 sent these very rows"
        assert (again in re.sub(r"\s+", " ", answer.err)) == said, name
    assert counter.paid == 1


# --- what is refused before anybody is asked --------------------------------------------


def test_a_stale_plan_is_refused_by_the_name_of_what_moved(counter: Counter) -> None:
    plan = counter.plan()
    with counter.rows().open("a", encoding="utf-8") as stream:
        stream.write('{"id": "more", "text": "one more"}\n')
    answer = counter.submit(plan)
    assert answer.exit_code == 2
    assert "error[workload-moved]" in answer.err
    counter.rows()
    counter.time.sleep(8 * 86400)
    answer = counter.submit(plan)
    assert answer.exit_code == 2
    assert "error[plan-too-old]: the plan was made 8 days ago" in answer.err
    assert counter.server.record.sent == []


def test_no_plan_of_a_guess_is_sent(counter: Counter) -> None:
    made = plans.read(counter.plan())
    tokens = {**plans.content(made)["tokens"], "output_basis": "assumed"}
    guess = plans.sealed({**plans.content(made), "tokens": tokens})
    path = counter.folder / "guess.plan.yaml"
    plans.write(guess, path)
    answer = counter.submit(path)
    assert answer.exit_code == 2
    assert "error[assumed-output]" in answer.err
    accepted = {"assumed_output": True, "stale": ()}
    plans.write(plans.sealed({**plans.content(guess), "accepted": accepted}), path, force=True)
    answer = counter.submit(path)
    assert answer.exit_code == 0
    assert "the answer length is assumed, as was accepted" in answer.err


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("vendors: [openai]", "vendor anthropic; allowed: openai"),
        ("models: [claude-sonnet-*]", "model claude-haiku-5-5"),
        ("regions: [us]", "names no region"),
        ("base_urls: [https://api.anthropic.com]", "address http://127.0.0.1"),
        ("zero_retention_only: true", "keeps the answers"),
        ("daily_caps: 5", "unknown key 'daily_caps'"),
    ],
)
def test_no_flag_gets_around_a_policy(
    counter: Counter, monkeypatch: pytest.MonkeyPatch, rule: str, said: str
) -> None:
    plan = counter.plan()
    config = counter.folder / "config"
    monkeypatch.setenv("XDG_CONFIG_HOME", str(config))
    (config / "planner").mkdir(parents=True)
    (config / "planner" / "policy.yaml").write_text(f"{rule}\n")
    answer = counter.submit(plan)
    assert answer.exit_code == 2
    assert said in re.sub(r"\s+", " ", answer.err)
    assert counter.server.record.sent == [], "not even the key was shown to anybody"


def test_a_policy_of_later_does_not_keep_answers_from_home(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    counter.submit(counter.plan(), "--once")
    config = counter.folder / "config"
    monkeypatch.setenv("XDG_CONFIG_HOME", str(config))
    (config / "planner").mkdir(parents=True)
    (config / "planner" / "policy.yaml").write_text("vendors: []\n")
    assert counter("resume", counter.job).exit_code == 2
    counter.time.sleep(86400)
    assert counter("fetch", counter.job).exit_code == 0
    assert counter("cancel", counter.job).exit_code == 0


def test_the_cap_of_the_day_counts_every_job(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = counter.folder / "config"
    monkeypatch.setenv("XDG_CONFIG_HOME", str(config))
    (config / "planner").mkdir(parents=True)
    (config / "planner" / "policy.yaml").write_text("daily_cap: 0.0003\n")
    answer = counter.submit(counter.plan())
    assert answer.exit_code == 2
    assert "error[daily-cap]" in answer.err
    assert "the policy leaves $0.00030 today" in re.sub(r"\s+", " ", answer.err)
    assert counter.paid == 0


def test_a_vendor_that_planner_cannot_send_to_is_said_so(counter: Counter, ask: Ask) -> None:
    path = counter.folder / "other.plan.yaml"
    job = ("--prompt", "{{ text }}", "--model", "mistral-medium-3-5", "--output-tokens", "9")
    made = ask("plan", str(counter.rows()), *job, "-o", str(path))
    if made.exit_code:
        pytest.skip(made.err)
    answer = counter.submit(path)
    assert answer.exit_code == 3
    assert counter.server.record.sent == []


# --- accounts and keys ------------------------------------------------------------------


def test_another_account_is_refused_and_a_rotated_key_goes_on(make: Make) -> None:
    tenants = {SENTINEL: "org-a", "rotated-key-1": "org-a", "other-key-22": "org-b"}
    counter = make(conduct=rehearsal.Conduct(tenants=tenants, turnaround=QUICK))
    plan = counter.plan()
    assert counter.submit(plan, "--once").exit_code == 0
    assert counter.paid == 1
    job = counter.job
    counter.key("other-key-22")
    answer = counter("resume", job)
    assert answer.exit_code == 2
    assert "organization org-b, not org-a" in re.sub(r"\s+", " ", answer.err)
    counter.key("rotated-key-1")
    assert counter("resume", job).exit_code == 0
    assert counter.paid == 1


def test_without_a_key_nothing_is_asked(counter: Counter, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = counter.plan()
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    answer = counter.submit(plan)
    assert answer.exit_code == 4
    assert "set ANTHROPIC_API_KEY" in answer.err
    assert counter.server.record.sent == []
    assert prompts_kept() == []


@pytest.mark.parametrize("said", ["no", "69", ""])
def test_what_nobody_says_yes_to_is_not_kept(counter: Counter, said: str) -> None:
    plan = counter.plan()
    counter.types(said)
    assert counter("submit", str(plan), *counter.to).exit_code != 0
    assert prompts_kept() == []


def prompts_kept() -> list[Path]:
    """Files of jobs in the data home, besides their locks."""
    jobs = home.data_home() / home.JOBS
    return [each for each in jobs.rglob("*") if each.is_file() and each.suffix != ".lock"]


def test_a_key_that_is_refused_is_told_without_the_key(make: Make) -> None:
    said = rehearsal.Fault(on="anthropic.batches.list", kind="status", status=401, calls=None)
    counter = make(faults=[said])
    answer = counter.submit(counter.plan())
    assert answer.exit_code == 4
    assert "error[vendor-refused]" in answer.err


def test_the_key_is_in_no_file_and_on_no_screen(make: Make) -> None:
    counter = make(
        conduct=errors(message=f"invalid key {SENTINEL[:30]}"),
        faults=[rehearsal.Fault(on="anthropic.batches.create", kind="drop_after")],
    )
    plan = counter.plan()
    told = [*counter.submit(plan, "--canary", "2")]
    told += [*counter("jobs"), *counter("jobs", counter.job), *counter("doctor")]
    told += [*counter("fetch", counter.job, "--json")]
    kept = [each.read_bytes() for each in counter.data.rglob("*") if each.is_file()]
    raw = [each for each in kept if b"invalid key" in each]
    everything = [str(each) for each in told]
    everything += [each.decode("latin-1") for each in kept if each not in raw]
    assert len(kept) > 5
    secret = SENTINEL[len("sk-ant-api03-") :]
    for at in range(len(secret) - 8):
        assert not [each for each in everything if secret[at : at + 8] in each]


# --- interrupts -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("provider", "lane"),
    [(each, lane) for each in MODELS for lane in ("batch", "row", "single", "canary")],
)
def test_a_key_that_the_vendor_quotes_is_written_nowhere(
    make: Make, provider: str, lane: str
) -> None:
    counter = make(provider=provider, **refusing(provider, lane, f"no such key: {SENTINEL}", 401))
    choose = ("--choose", f"{MODELS[provider]}/standard") if lane == "single" else ()
    first = ("--canary", "2") if lane == "canary" else ()
    answer = counter.submit(counter.plan(*choose), *first)
    assert "no such key" in re.sub(r"\s+", " ", answer.out + answer.err)
    assert SENTINEL not in answer.out + answer.err
    counter("fetch", counter.job)
    files = [each for each in counter.data.rglob("*") if each.is_file()]
    # What a batch gave back is kept to the byte: its rows ran, so no key was wrong.
    files = [each for each in files if each.parent.name != "results"]
    assert [each.name for each in files if SENTINEL[12:].encode() in each.read_bytes()] == []


@pytest.mark.parametrize("kind", ["sending", "sent", "polled", "ended", "fetched", "merged"])
def test_an_interrupt_at_any_moment_says_how_to_go_on(
    counter: Counter, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    from planner.cli import handoff as face

    tell = face.Narrator.__call__

    def interrupted(self: face.Narrator, event: Any) -> None:
        if getattr(event, "kind", None) == kind:
            raise KeyboardInterrupt
        tell(self, event)

    plan = counter.plan()
    with monkeypatch.context() as patch:
        patch.setattr(face.Narrator, "__call__", interrupted)
        answer = counter.submit(plan)
    assert answer.exit_code == 130
    assert answer.err.endswith(f"here it goes on with\n  planner resume {counter.job}\n")
    if kind == "sending":
        asks = counter("resume", counter.job)
        assert asks.exit_code == 1, "between the intent and the call nobody can know"
        assert "--on-unknown rearm" in asks.err
        assert counter.paid == 0
    assert counter("resume", counter.job[:5], "--on-unknown", "rearm").exit_code == 0
    assert counter.paid == 1
    assert {each["outcome"] for each in counter.answers()} == {"succeeded"}


def test_one_step_at_a_time_comes_to_the_same_end(counter: Counter) -> None:
    answer = counter.submit(counter.plan(), "--once")
    steps = [answer.out]
    while "is done" not in steps[-1]:
        counter.time.sleep(60)
        answer = counter("resume", "--once")
        assert answer.exit_code == 0, answer.err
        steps.append(answer.out)
        assert len(steps) < 100
    assert counter.paid == 1
    assert ": sent (shard 1)" in steps[0]
    assert len(counter.answers()) == 12


def test_a_second_process_is_refused(counter: Counter) -> None:
    counter.submit(counter.plan(), "--once")
    with counter.ledger as ledger, ledger.lock(counter.job):
        for command in ("resume", "cancel"):
            answer = counter(command, counter.job)
            assert answer.exit_code == 2
            assert "is being run by another process" in answer.err
        assert "> running" in counter("jobs").out
    assert "~ waiting" in counter("jobs").out


def test_all_jobs_are_resumed_side_by_side(counter: Counter) -> None:
    for limit in ("40", "50"):
        plan = counter.plan("--max-output-tokens", limit, name=limit)
        assert counter.submit(plan, "--once").exit_code == 0
    answer = counter("resume")
    assert answer.exit_code == 0, answer.err
    assert answer.out.count("is done") == 2
    assert counter.paid == 2
    assert "every job is over" in counter("resume").err


def test_all_jobs_are_resumed_but_those_that_wait_for_a_person(make: Make) -> None:
    """Nobody has looked at why the first rows were refused, so the rest is not sent."""
    wrong = rehearsal.RowError(message="max_tokens: too many")
    counter = make(conduct=rehearsal.Conduct(answers=rehearsal.Answers(refused=1, error=wrong)))
    assert counter.submit(counter.plan(), "--canary", "3").exit_code == 4
    stopped = counter.job
    plan = counter.plan("--max-output-tokens", "40", name="other")
    assert counter.submit(plan, "--once").exit_code == 0
    answer = counter("resume")
    assert answer.exit_code == 1
    assert counter.paid == 1, "the other job's batch alone"
    assert f"{stopped} waits for you; it goes on with planner resume {stopped}" in answer.err
    with counter.ledger as ledger:
        states = {each.id: each.state for each in ledger.jobs()}
    assert states.pop(stopped) == "stopped"
    assert list(states.values()) == ["done"]
    counter(*f"resume {stopped}".split())
    assert counter.paid == 2


def test_single_requests_that_stopped_wait_for_a_person(counter: Counter) -> None:
    plan = counter.plan("--choose", "claude-haiku-5-5/standard", "--tier", "start")
    most = plans.read(plan).cost.ceiling
    assert counter.submit(plan, "--yes", "--max-cost", str(most / 2)).exit_code == 1
    sent = len(counter.server.record.calls("anthropic.messages.create"))
    answer = counter("resume", "--max-cost", "5")
    assert answer.exit_code == 1
    assert f"planner resume {counter.job}" in answer.err
    assert len(counter.server.record.calls("anthropic.messages.create")) == sent
    with counter.ledger as ledger:
        ledger.settle(counter.job, "stopped", counter.time.now(), because="interrupted")
    assert counter("resume", "--max-cost", "5").exit_code == 0


@pytest.mark.parametrize("where", ["admit", "drive", "step"])
def test_a_job_that_cannot_go_on_ends_no_other_one(
    counter: Counter, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    for limit in ("40", "50"):
        plan = counter.plan("--max-output-tokens", limit, name=limit)
        assert counter.submit(plan, "--once").exit_code == 0
    with counter.ledger as ledger:
        first, other = (each.id for each in ledger.jobs())
    right: Any = submit.Submitter.step if where == "step" else getattr(handing.Handoff, where)

    def wrong(self: Any, *args: Any, **named: Any) -> Any:
        if (self.desk if where == "step" else self).job.id == first:
            raise VendorError.of("no-answer", "nobody is there")
        return right(self, *args, **named)

    owner = submit.Submitter if where == "step" else handing.Handoff
    monkeypatch.setattr(owner, where, wrong)
    answer = counter("resume")
    assert answer.exit_code == 4
    assert "nobody is there" in answer.err
    with counter.ledger as ledger:
        assert [ledger.job(each).state for each in (first, other)] == ["open", "done"]


# --- rows without an answer -------------------------------------------------------------


def test_rows_that_failed_are_grouped_and_offered_as_a_job_of_their_own(make: Make) -> None:
    counter = make(conduct=errors())
    answer = counter.submit(counter.plan())
    assert answer.exit_code == 1
    failed = [each["key"] for each in counter.answers() if each["outcome"] != "succeeded"]
    assert 0 < len(failed) < 12
    shown = re.sub(r"\s+", " ", answer.out)
    assert f"errored {len(failed)} rows" in shown
    assert "overloaded" in shown
    offered = re.search(r"planner submit (\S+)", shown)
    assert offered is not None
    first = counter.job
    follow = counter("submit", offered[1], "--yes", "--max-cost", "5", *counter.to)
    assert f"follows job {first}" in re.sub(r"\s+", " ", follow.err)
    with counter.ledger as ledger:
        assert [each.parent for each in ledger.jobs()] == [None, first]


def test_a_batch_of_errors_alone_is_not_called_done_well(make: Make) -> None:
    counter = make(conduct=errors(share=1.0))
    answer = counter.submit(counter.plan())
    assert answer.exit_code == 1
    assert "Answered: 0 of 12 rows" in answer.out


def test_what_a_vendor_says_does_not_drive_the_terminal(make: Make) -> None:
    counter = make(conduct=errors(share=1.0, message="\x1b[2J\x07gone\x9b1m"))
    told = [*counter.submit(counter.plan()), *counter("jobs", counter.job)]
    told += [*counter("fetch", counter.job)]
    shown = "".join(str(each) for each in told)
    assert "\\x1b[#J\\x07gone" in shown
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", shown)


def test_a_canary_is_kept_billed_and_told(counter: Counter) -> None:
    answer = counter.submit(counter.plan(), "--canary", "3")
    assert answer.exit_code == 0
    assert "3 rows in realtime first, at most $0.000" in answer.err
    assert "canary: 3 of 3 rows answered, $0.000" in answer.err
    assert len(counter.server.record.calls("anthropic.messages.create")) == 3
    kept = list((counter.data / "jobs" / counter.job / "canary").iterdir())
    assert len(kept[0].read_text().splitlines()) == 3
    with counter.ledger as ledger:
        assert {each.leg for each in ledger.billed(counter.job)} == {"batch", "pilot"}
        assert ledger.exposure(counter.job).in_flight == 0


def test_a_canary_that_is_refused_keeps_the_rest_at_home(make: Make) -> None:
    wrong = rehearsal.RowError(message="max_tokens: too many")
    counter = make(conduct=rehearsal.Conduct(answers=rehearsal.Answers(refused=1, error=wrong)))
    answer = counter.submit(counter.plan(), "--canary", "3")
    assert answer.exit_code == 4
    assert "error[canary]" in answer.err
    assert "max_tokens: too many" in answer.err
    assert counter.paid == 0
    assert len(counter.server.record.calls("anthropic.messages.create")) == 1


def test_what_went_first_twice_is_billed_twice(make: Make) -> None:
    full = rehearsal.Fault(on="anthropic.batches.create", kind="spend_limit")
    counter = make(faults=[full])
    plan = counter.plan()
    assert counter.submit(plan, "--canary", "3").exit_code == 4
    with counter.ledger as ledger:
        once = ledger.exposure(counter.job).billed
    assert counter.submit(plan, "--canary", "3").exit_code == 0
    with counter.ledger as ledger:
        legs = [each for each in ledger.billed(counter.job) if each.leg == "pilot"]
    assert len(counter.server.record.calls("anthropic.messages.create")) == 6
    assert sum(each.amount for each in legs) == 2 * once > 0


def limited_to(counter: Counter, monkeypatch: pytest.MonkeyPatch, day: Decimal) -> None:
    """A policy whose cap of the day is this."""
    config = counter.folder / "config"
    monkeypatch.setenv("XDG_CONFIG_HOME", str(config))
    (config / "planner").mkdir(parents=True)
    (config / "planner" / "policy.yaml").write_text(f"daily_cap: {day}\n")


def test_rows_that_go_first_are_under_the_cap_of_the_day(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = counter.plan()
    limited_to(counter, monkeypatch, plans.read(plan).cost.ceiling * Decimal("1.2"))
    answer = counter.submit(plan, "--canary", "12")
    assert answer.exit_code == 2
    assert "error[daily-cap]" in answer.err
    assert counter.server.record.calls("anthropic.messages.create") == []
    assert counter("resume", counter.job).exit_code == 0, "the batch alone has room"


def test_a_refusal_of_the_vendor_is_exit_4_and_the_job_can_go_on(make: Make) -> None:
    counter = make(faults=[rehearsal.Fault(on="anthropic.batches.create", kind="spend_limit")])
    answer = counter.submit(counter.plan())
    assert answer.exit_code == 4
    assert "is stopped" in answer.out
    assert counter.paid == 0
    assert "! stopped" in counter("jobs").out
    assert counter("resume", counter.job).exit_code == 0
    assert counter.paid == 1


def test_a_cap_without_room_stops_and_a_higher_one_goes_on(counter: Counter) -> None:
    answer = counter.submit(counter.plan(), "--yes", "--max-cost", "0.0001")
    assert answer.exit_code == 1
    assert "has no room" in answer.out
    assert counter.paid == 0
    assert counter("resume", counter.job, "--max-cost", "1").exit_code == 0
    assert counter.paid == 1


# --- the other commands -----------------------------------------------------------------


def test_answers_are_fetched_as_a_table_without_a_key(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    counter.submit(counter.plan())
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    to = counter.folder / "answers.csv"
    answer = counter("fetch", counter.job[:6], "--format", "csv", "-o", str(to))
    assert answer.exit_code == 0, answer.err
    with to.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["key"] for row in rows] == [f"k{n}" for n in range(12)]
    assert all(row["text"] for row in rows)
    assert to.stat().st_mode & 0o077 == 0


def test_fetching_brings_home_what_is_over_and_sends_nothing(counter: Counter) -> None:
    counter.submit(counter.plan(), "--once")
    calls = len(counter.server.record.calls("anthropic.batches.create"))
    answer = counter("fetch", counter.job)
    assert answer.exit_code == 1
    assert "12 rows without an answer yet" in answer.out
    counter.time.sleep(86400)
    assert counter("fetch", counter.job).exit_code == 0
    assert len(counter.server.record.calls("anthropic.batches.create")) == calls


def test_cancelling_keeps_what_is_done_and_offers_the_rest(make: Make) -> None:
    pace = rehearsal.Pace(running=10_000)
    counter = make(conduct=rehearsal.Conduct(turnaround=rehearsal.steady(pace)))
    counter.submit(counter.plan(), "--once")
    counter.time.sleep(5_060)
    answer = counter("cancel", counter.job)
    assert answer.exit_code == 0, answer.err
    done = [each for each in counter.answers() if each["outcome"] == "succeeded"]
    assert 3 <= len(done) <= 9
    assert f"{12 - len(done)} rows can be sent again" in re.sub(r"\s+", " ", answer.out)
    assert "x cancelled" in counter("jobs").out
    assert counter("resume", counter.job).exit_code == 1
    assert counter.paid == 1


def test_a_batch_found_by_its_size_alone_is_ended_once_a_person_names_it(make: Make) -> None:
    slow = rehearsal.Conduct(turnaround=rehearsal.steady(rehearsal.Pace(running=50_000)))
    lost = rehearsal.Fault(on="anthropic.batches.create", kind="drop_after")
    counter = make(conduct=slow, faults=[lost])
    counter.submit(counter.plan(), "--once")
    while "probably" not in counter("jobs", counter.job).out:
        counter("resume", counter.job, "--once")
        counter.time.sleep(60)
    first = counter("cancel", counter.job, "--once")
    ends = "anthropic.batches.cancel"
    assert (first.exit_code, counter.server.record.calls(ends)) == (0, [])
    said = re.search(r"only its size says that it is yours.*planner (cancel .*) ends it", first.err)
    assert said is not None, first.err
    assert counter("cancel", counter.job, "--ours", "msgbatch_other").exit_code == 2
    assert counter("resume", "--ours", "msgbatch_other").exit_code == 2
    assert counter(*said[1].split()).exit_code == 0
    assert len(counter.server.record.calls(ends)) == 1
    assert "x cancelled" in counter("jobs").out


def test_jobs_are_listed_with_progress_money_and_the_next_step(counter: Counter) -> None:
    assert counter("jobs").out == "no jobs yet: planner submit PLAN sends one\n"
    counter.submit(counter.plan(), "--once")
    counter.time.sleep(300)
    job = counter.job
    with counter.ledger as ledger:
        flying = dollars(ledger.exposure(job).in_flight)
    assert counter("jobs").out == LISTED.format(job=job, short=job[:6], flying=flying)
    told = counter("jobs", job[:4]).out
    parts = (
        "12 rows, anthropic/claude-haiku-5-5, batch (single)",
        "12 at the vendor",
        "in flight, cap $5.00",
        "planned: typically 30m",
        "submitted",
        "kept until",
    )
    for part in parts:
        assert part in re.sub(r"\s+", " ", told), part
    data = json.loads(counter("jobs", "--format", "json").out)
    assert data["schema"] == "planner.jobs/1"
    assert data["jobs"][0]["rows"]["out"] == 12
    counter("resume")
    one = json.loads(counter("jobs", job, "--format", "json").out)
    assert one["rows"] == {
        "total": 12, "answered": 12, "failed": 0, "out": 0, "in_doubt": 0, "unsent": 0
    }  # fmt: skip
    assert one["shards"][0]["state"] == "merged"
    assert one["in_flight"] == "0"


LISTED = """\
job           model             lane   rows  over  billed  in flight  state      next
{job}  claude-haiku-5-5  batch    12     0      $0   {flying}  ~ waiting  planner resume {short}
{short}: results not fetched yet are kept until 2026-12-21 12:00 UTC
"""


def test_watching_follows_a_job_until_nobody_runs_it(counter: Counter) -> None:
    counter.submit(counter.plan())
    answer = counter("jobs", "--watch")
    assert (answer.exit_code, answer.out.count("+ done")) == (0, 1)


QUOTED = "the colour of Zebra-Quagga"


def texts(folder: Path) -> set[str]:
    """The files of a data home that quote the row."""
    files = (each for each in folder.rglob("*") if each.is_file())
    return {each.name for each in files if QUOTED.encode() in each.read_bytes()}


@pytest.mark.parametrize(
    ("provider", "lane"),
    [("anthropic", each) for each in ("batch", "row", "single", "canary")]
    + [("openai", each) for each in ("batch", "row", "single", "canary", "upload")],
)
def test_what_a_vendor_quotes_goes_with_a_purge(make: Make, provider: str, lane: str) -> None:
    counter = make(
        provider=provider, **refusing(provider, lane, f"messages: {QUOTED} is not allowed")
    )
    choose = ("--choose", f"{MODELS[provider]}/standard") if lane == "single" else ()
    first = ("--canary", "2") if lane == "canary" else ()
    answer = counter.submit(counter.plan(*choose), *first)
    assert QUOTED in re.sub(r"\s+", " ", answer.out + answer.err), "a person is told why"
    job = counter.job
    assert "ledger.db" not in texts(counter.data)
    if lane in ("batch", "canary", "upload"):
        assert QUOTED in counter("jobs", job, "--format", "json").out
    counter("cancel", job)
    assert texts(counter.data), "the words are with the job's files"
    assert counter("jobs", "purge", job, "--yes").exit_code == 0
    assert texts(counter.data) == set()
    for form in ("table", "json"):
        assert QUOTED not in counter("jobs", job, "--format", form).out
    with counter.ledger as ledger:
        (it,) = ledger.jobs()
        assert it.state == "done"
        assert bool(ledger.attempts(it.id)) == (lane != "single"), "what became of it stays"


def test_purging_removes_the_texts_and_keeps_the_figures(counter: Counter) -> None:
    counter.submit(counter.plan(), "--once")
    job = counter.job
    assert counter("jobs", "purge", job, "--yes").exit_code == 2, "a batch is still out"
    counter("resume")
    counter.types("no")
    assert counter("jobs", "purge", job).exit_code == 1
    counter.types(job)
    assert counter("jobs", "purge", job).exit_code == 0
    kept = b"".join(each.read_bytes() for each in counter.data.rglob("*") if each.is_file())
    assert b"order number" not in kept
    assert not (counter.data / "jobs" / job).exists()
    assert "- purged" in counter("jobs").out
    with counter.ledger as ledger:
        assert ledger.exposure(job).billed > 0
        assert len(ledger.finished()) == 1
    assert counter("resume", job).exit_code == 2


@pytest.mark.parametrize("provider", ["anthropic", "openai"])
def test_batches_of_other_tools_become_history(make: Make, provider: str) -> None:
    counter = make(provider=provider)
    assert counter.submit(counter.plan()).exit_code == 0
    elsewhere = counter.folder / "elsewhere"
    counter.patch.setenv("PLANNER_DATA", str(elsewhere))
    answer = counter("jobs", "import", provider, *counter.to)
    assert answer.exit_code == 0, answer.err
    assert "new in the history: 1 batch of" in answer.out
    with Ledger.open(elsewhere) as ledger:
        (job,) = ledger.finished()
        assert (job.model, job.rows, job.state) == (MODELS[provider], 12, "ended")
    again = counter("jobs", "import", provider, *counter.to)
    assert "0 batches of" in again.out
    assert "1 known before" in again.out


def test_a_look_up_opens_no_ledger(tmp_path: Path) -> None:
    code = (
        "import sys, datetime; from planner import cli; "
        "now = datetime.datetime(2026, 11, 22, tzinfo=datetime.UTC); "
        "cli.main(sys.argv[1:], clock=lambda: now); sys.exit('sqlite3' in sys.modules)"
    )
    figures = ("--rows", "9", "--input-tokens", "9", "--output-tokens", "9")
    for asked in (("models",), ("estimate", *figures, "--model", "claude-haiku-5-5")):
        done = subprocess.run(
            [sys.executable, "-c", code, *asked],
            check=False,
            capture_output=True,
            env={**os.environ, "PLANNER_DATA": str(tmp_path)},
        )
        assert done.returncode == 0, done.stderr


def typical(out: str) -> float:
    """Seconds of the batch lane in an estimate."""
    options = {each["lane"]: each for each in json.loads(out)["options"]}
    return float(options["batch"]["finish"]["p50"])


def test_an_estimate_knows_the_ledgers_own_batches(counter: Counter) -> None:
    figures = ("--rows", "100", "--input-tokens", "50", "--output-tokens", "20")
    asked = ("--model", "claude-haiku-5-5", "--lane", "batch", "--format", "json")
    job = ("estimate", *figures, *asked)
    before = typical(counter(*job).out)
    counter.submit(counter.plan())
    assert typical(counter(*job).out) < before


def test_the_doctor_finds_keys_and_shows_none(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://me:password@proxy.example:3128")
    answer = counter("doctor")
    assert answer.exit_code == 0
    shown = re.sub(r"\s+", " ", answer.out)
    assert "Anthropic: in ANTHROPIC_API_KEY" in shown
    assert "OpenAI: none in OPENAI_API_KEY or the keyring" in shown
    assert "requests go through what HTTPS_PROXY says" in shown
    assert "password" not in answer.out
    assert "nothing has been handed off yet" in shown
    assert "\nnothing is wrong" in answer.out


def test_the_doctor_names_what_is_wrong(make: Make) -> None:
    dropped = rehearsal.Fault(on="anthropic.batches.create", kind="drop_after")
    unseen = rehearsal.Fault(on="anthropic.batches.list", kind="status", calls=None, status=500)
    counter = make(faults=[dropped])
    counter.submit(counter.plan(), "--once")
    counter.server.script.add(unseen)
    counter.data.chmod(0o755)
    answer = counter("doctor", "--format", "json")
    assert answer.exit_code == 1
    wrong = {
        each["about"] for each in json.loads(answer.out)["findings"] if each["grade"] == "wrong"
    }
    assert wrong == {"doubt", "private"}


# --- realtime and rescue ----------------------------------------------------------------


def test_a_plan_of_the_ordinary_lane_is_sent_row_by_row(counter: Counter) -> None:
    plan = counter.plan("--choose", "claude-haiku-5-5/standard", "--tier", "start")
    answer = counter.submit(plan)
    assert answer.exit_code == 0, answer.err
    assert "answers come back at once" in answer.err
    assert len(counter.server.record.calls("anthropic.messages.create")) == 12
    assert {each["outcome"] for each in counter.answers()} == {"succeeded"}
    assert counter.paid == 0
    assert counter.submit(plan).exit_code == 0
    assert len(counter.server.record.calls("anthropic.messages.create")) == 12
    assert "+ done" in counter("jobs").out


@pytest.mark.parametrize(
    "refusal",
    [{"kind": "status", "status": 401}, {"kind": "status", "status": 403}, {"kind": "spend_limit"}],
    ids=["key", "rights", "spending"],
)
def test_single_requests_that_the_vendor_refuses_are_exit_4(
    make: Make, refusal: dict[str, Any]
) -> None:
    counter = make(faults=[rehearsal.Fault(on="anthropic.messages.create", **refusal)])
    plan = counter.plan("--choose", "claude-haiku-5-5/standard", "--tier", "start")
    answer = counter.submit(plan)
    assert answer.exit_code == 4, answer.err
    assert "is stopped" in answer.out
    assert counter("resume").exit_code == 4, "it waits for a person, for the same reason"
    assert counter("resume", counter.job).exit_code == 0


def test_a_cap_after_a_refusal_is_no_refusal(make: Make) -> None:
    counter = make(faults=[rehearsal.Fault(on="anthropic.messages.create", kind="spend_limit")])
    plan = counter.plan("--choose", "claude-haiku-5-5/standard", "--tier", "start")
    assert counter.submit(plan).exit_code == 4
    assert counter("resume", counter.job, "--max-cost", "0.0001").exit_code == 1


def test_a_rescue_is_announced_and_carried_out(make: Make) -> None:
    never = rehearsal.Pace(stall_at=5)
    counter = make(conduct=rehearsal.Conduct(turnaround=rehearsal.steady(never)))
    plan = counter.plan(
        "--choose", "claude-haiku-5-5/batch>standard", "--deadline", "4h", "--tier", "start"
    )
    answer = counter.submit(plan)
    assert answer.exit_code == 0, answer.err
    assert f"planner resume {counter.job} --once" in answer.err
    assert counter.paid == 1
    assert len(counter.server.record.calls("anthropic.messages.create")) == 7
    assert len(counter.answers()) == 12
    assert counter("resume", counter.job).exit_code == 0
    assert len(counter.server.record.calls("anthropic.messages.create")) == 7


def test_single_requests_that_go_on_are_under_the_cap_of_the_day(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = counter.plan("--choose", "claude-haiku-5-5/standard", "--tier", "start")
    most = plans.read(plan).cost.ceiling
    assert counter.submit(plan, "--yes", "--max-cost", str(most / 2)).exit_code == 1
    sent = len(counter.server.record.calls("anthropic.messages.create"))
    assert 0 < sent < 12
    with counter.ledger as ledger:
        spent = ledger.exposure(counter.job).billed
    limited_to(counter, monkeypatch, spent + most / 100)
    answer = counter("resume", counter.job, "--max-cost", "5")
    assert answer.exit_code == 1
    assert "over the daily cap" in answer.out
    assert len(counter.server.record.calls("anthropic.messages.create")) == sent
    counter.time.sleep(24 * 3600)
    (counter.folder / "config/planner/policy.yaml").write_text("daily_cap: 5\n")
    assert counter("resume", counter.job, "--max-cost", "5").exit_code == 0
    assert len(counter.server.record.calls("anthropic.messages.create")) == 12


def test_a_cancel_in_the_middle_of_a_rescue_ends_that_as_well(make: Make) -> None:
    slow = rehearsal.Pace(stall_at=5, cancelling=600)
    counter = make(conduct=rehearsal.Conduct(turnaround=rehearsal.steady(slow)))
    plan = counter.plan(
        "--choose", "claude-haiku-5-5/batch>standard", "--deadline", "4h", "--tier", "start"
    )
    assert counter.submit(plan, "--once").exit_code == 0
    for _ in range(60):
        with counter.ledger as ledger:
            if "rescue" in [each.kind for each in ledger.events(counter.job)]:
                break
        counter("resume", counter.job, "--once")
        counter.time.sleep(240)
    else:
        pytest.fail("the rescue did not begin")
    assert counter("cancel", counter.job, "--once").exit_code == 0
    assert counter("resume", counter.job).exit_code == 1, "some rows have no answer"
    assert counter.server.record.calls("anthropic.messages.create") == []
    assert "cancelled" in counter("jobs", counter.job).out
    assert counter("resume").err == "nothing to resume: every job is over\n"


def test_rows_that_a_rescue_is_about_to_send_are_offered_to_nobody_else(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The batch is over and its vendor out of reach: the rest waits for the rescue alone."""
    counter = make(conduct=errors(0.5))
    option = ("--choose", "claude-haiku-5-5/batch>standard", "--deadline", "4h", "--tier", "start")

    def unreachable(*_: object, **__: object) -> object:
        raise NotSentError("no route")

    with monkeypatch.context() as away:
        away.setattr(vendors, "open_realtime", unreachable)
        assert counter.submit(counter.plan(*option), "--once").exit_code == 0
        while "rescue" not in [each.kind for each in events(counter)]:
            counter("resume", counter.job, "--once")
            counter.time.sleep(60)
        fetched = counter("fetch", counter.job, "--json")
        assert json.loads(fetched.out)["follow_up"] is None, "else its rows are paid for twice"
    ended = counter("resume", counter.job, "--format", "json")
    assert counter.server.record.calls("anthropic.messages.create")
    assert json.loads(ended.out)["follow_up"] is not None, "now nothing sends them any more"


def events(counter: Counter) -> tuple[Any, ...]:
    with counter.ledger as ledger:
        return ledger.events(counter.job)


def test_a_yes_from_before_is_none_for_what_can_no_longer_run(counter: Counter) -> None:
    plan = counter.plan(
        "--choose", "claude-haiku-5-5/batch>standard", "--deadline", "4h", "--tier", "start"
    )
    counter.time.sleep(4 * 3600 - 120)
    answer = counter.submit(plan)
    assert answer.exit_code == 1
    assert "--yes is not enough for that" in answer.err
    assert counter.paid == 0


# --- rehearsing, and what touches nothing -----------------------------------------------


@pytest.mark.parametrize("provider", ["anthropic", "openai"])
def test_a_rehearsal_tells_the_whole_life_of_a_job(make: Make, provider: str) -> None:
    counter = make(provider=provider)
    answer = counter.submit(counter.plan(), "--rehearse")
    assert answer.exit_code == 0
    for part in ("sending 12 rows", "sent, batch", "over (", "results are here", "merged", "done"):
        assert part in answer.err
    assert UNKNOWN not in answer.err.split(), "everything that is named is told"
    assert "Rehearsed: 12 of 12 rows answered" in answer.out
    assert "1 of them made a batch" in re.sub(r"\s+", " ", answer.out)
    assert counter.server.record.sent == []
    data = json.loads(counter.submit(counter.plan(), "--rehearse", "--format", "json").out)
    assert (data["schema"], data["batches"], data["over"]) == ("planner.rehearsal/1", 1, "done")


def tree(folder: Path) -> str:
    """Every file, folder and permission below."""
    whole = hashlib.sha256()
    for each in sorted(folder.rglob("*")):
        whole.update(f"{each.relative_to(folder)} {each.stat().st_mode}\n".encode())
        if each.is_file():
            whole.update(each.read_bytes())
    return whole.hexdigest()


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Hosts of every connection that is made."""
    hosts: list[str] = []
    connect = socket.socket.connect

    def noted(self: socket.socket, address: Any) -> Any:
        hosts.append(address[0] if isinstance(address, tuple) else "")
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", noted)
    return hosts


@pytest.mark.parametrize("provider", MODELS)
def test_rows_that_go_first_are_rehearsed_like_the_rest(make: Make, provider: str) -> None:
    counter = make(provider=provider)
    plan = counter.plan()
    answer = counter.submit(plan, "--rehearse", "--canary", "3")
    assert answer.exit_code == 0, answer.err
    assert re.search(r"canary +3 of 3 rows answered, \$0\.\d+, before the rest", answer.out)
    found = [
        json.loads(counter.submit(plan, "--rehearse", "--format", "json", *more).out)
        for more in ((), ("--canary", "3"))
    ]
    assert found[0]["canary"] is None
    assert (found[1]["canary"]["asked"], found[1]["canary"]["answered"]) == (3, 3)
    assert Decimal(found[1]["billed"]) == Decimal(found[0]["billed"]) + Decimal(
        found[1]["canary"]["billed"]
    )
    assert found[1]["calls"] > found[0]["calls"] + 2
    assert found[1]["batches"] == found[0]["batches"] == 1
    assert counter.submit(plan, "--rehearse", "--canary", "0").exit_code == 2
    assert counter.paid == 0, "nothing left for the vendor"


def test_planning_building_and_rehearsing_touch_nothing_else(
    counter: Counter,
    connections: list[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    for proxy in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"):
        monkeypatch.setenv(proxy, "http://192.0.2.1:9")
    home = tmp_path_factory.mktemp("person")
    cache = tmp_path_factory.mktemp("cache")
    temporary = tmp_path_factory.mktemp("temporary")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    plan = counter.plan()
    assert counter("build", str(plan), "-o", str(counter.folder / "out")).exit_code == 0
    assert connections == []
    before = tree(counter.folder), tree(home), tree(temporary)
    assert counter.submit(plan, "--rehearse").exit_code == 0
    assert (tree(counter.folder), tree(home), tree(temporary)) == before
    assert not counter.data.exists()
    assert set(connections) <= {"127.0.0.1", "::1", ""}
    assert "127.0.0.1" in connections
