"""`--measure`: pieces of the rows go to the vendor once, after it was said, and nowhere else."""

from __future__ import annotations

import io
import json
import logging
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from planner import counted_by
from planner.catalog import load
from planner.errors import InputError
from planner.handoff import rehearsal
from planner.handoff.policy import Policy
from planner.measuring import Measuring
from planner.workload.calibration import Inquiry, Reply
from tests.answers import NOW

if TYPE_CHECKING:
    from collections.abc import Iterator

    from planner.handoff.rehearsal import Server
    from tests.answers import Answer, Ask

MODEL = "claude-haiku-5-5"
ASSUMED = "gpt-6.2-sol"
"""Its vendor counts, and says nowhere what that costs."""
SECRET = "sk-ant-SENTINELKEY-77aa88bb99cc"
ROWS = 300
COUNT = "anthropic.messages.count"
COUNTS = {MODEL: COUNT, ASSUMED: "openai.responses.count"}
PIECES = "pieces of the rows"


class Terminal(io.StringIO):
    """Somebody who types."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Server]:
    """The rehearsed vendors where the environment says that Anthropic and OpenAI are."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("PLANNER_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
    monkeypatch.setenv("ANTHROPIC_API_KEY", SECRET)
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    with rehearsal.Server(clock=rehearsal.clock.Virtual(NOW).clock) as made:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", made.base_url("anthropic"))
        monkeypatch.setenv("OPENAI_BASE_URL", made.base_url("openai"))
        yield made


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    lines = (
        {"text": f"SENTINELROW {number} is about the order of customer {number * 7919}"}
        for number in range(ROWS)
    )
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def measured(ask: Ask, rows: Path, *more: str, model: str = MODEL) -> Answer:
    words = ("--model", model, "--output-tokens", "50", "--format", "json", *more)
    return ask("estimate", str(rows), "--measure", *words)


def warnings(answer: Answer) -> list[str]:
    return [each for each in json.loads(answer.out)["warnings"] if "measured" in each]


def counted(remote: Measuring, *pieces: str, model: str = MODEL) -> Reply:
    of = load().model(model)
    return remote.counts(of, counted_by.catalog(of), Inquiry(pieces=pieces))


def yes() -> bool:
    return True


def never() -> bool:
    raise AssertionError("nobody is to be asked")


def tokens(answer: Answer) -> dict[str, Any]:
    (found,) = json.loads(answer.out)["tokens"]
    made: dict[str, Any] = found
    return made


def texts(rows: Path) -> list[str]:
    return [json.loads(line)["text"] for line in rows.read_text().splitlines()]


@pytest.mark.parametrize(("model", "frame"), [(MODEL, len("user")), (ASSUMED, 0)])
def test_the_vendors_own_counts_replace_the_band(
    ask: Ask, server: Server, rows: Path, model: str, frame: int
) -> None:
    answer = measured(ask, rows, "--yes", model=model)
    assert answer.exit_code == 0, answer.err
    assert len(server.record.calls(COUNTS[model])) == 10
    found = tokens(answer)
    assert found["grade"] == "measured"
    # The rehearsed vendors count four characters a token, and one of them those of the role.
    truth = sum(len(text) + frame for text in texts(rows)) / 4
    assert found["input"]["value"] == pytest.approx(truth, rel=0.01)
    assert found["input"]["low"] <= truth <= found["input"]["high"]
    assert found["input"]["high"] / found["input"]["low"] < 1.04


def test_what_leaves_is_said_before_it_does(server: Server, rows: Path, tmp_path: Path) -> None:
    said: list[tuple[str, int]] = []

    def say(line: str) -> None:
        said.append((line, len(server.record.calls(COUNT))))

    with Measuring(tmp_path, say, agree=never) as remote:
        assert (said, server.record.sent) == ([], []), "nothing yet"
        counted(remote, "one piece", "another")
    ((line, before),) = said
    assert before == 0
    assert line == (
        f"measuring {MODEL}: 2 pieces of the rows (16 characters) go to Anthropic at "
        f"{server.base_url('anthropic')}, which counts their tokens free of charge "
        "(key: ANTHROPIC_API_KEY)"
    )


def test_a_count_that_is_not_known_to_be_free_is_agreed_to_after_all_was_said(
    server: Server, tmp_path: Path
) -> None:
    happened: list[str] = []

    def agree() -> bool:
        happened.append("asked")
        return not server.record.calls(COUNTS[ASSUMED])

    with Measuring(tmp_path, happened.append, agree=agree) as remote:
        counted(remote, "one piece", "another", model=ASSUMED)
    line, asked = happened
    assert asked == "asked"
    assert line == (
        f"measuring {ASSUMED}: 2 pieces of the rows (16 characters) go to OpenAI at "
        f"{server.base_url('openai')}, which counts their tokens; that this is free is not "
        "established (key: OPENAI_API_KEY)"
    )


def test_without_a_yes_the_rows_stay_here_and_the_figure_as_it_was(
    ask: Ask, server: Server, rows: Path
) -> None:
    answer = measured(ask, rows, model=ASSUMED)
    assert answer.exit_code == 0, answer.err
    assert server.record.calls(COUNTS[ASSUMED]) == []
    found = tokens(answer)
    assert found["grade"] == "assumed"
    without = ask(
        "estimate", str(rows), "--model", ASSUMED, "--output-tokens", "50", "--format", "json"
    )
    assert found == tokens(without)
    (warning,) = warnings(answer)
    assert warning == (
        f"{ASSUMED} is not measured: that its vendor counts free of charge is not established, "
        "and nobody agreed (--yes)"
    )


@pytest.mark.parametrize(("typed", "grade"), [("y", "measured"), ("n", "assumed"), ("", "assumed")])
def test_somebody_at_a_terminal_is_asked(
    ask: Ask,
    server: Server,
    rows: Path,
    monkeypatch: pytest.MonkeyPatch,
    typed: str,
    grade: str,
) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(f"{typed}\n"))
    answer = measured(ask, rows, model=ASSUMED)
    assert tokens(answer)["grade"] == grade
    assert answer.err.endswith("Count them there? [y/N] ")


def test_what_was_counted_once_needs_no_second_yes(ask: Ask, server: Server, rows: Path) -> None:
    first = measured(ask, rows, "--yes", model=ASSUMED)
    sent = len(server.record.sent)
    again = measured(ask, rows, model=ASSUMED)
    assert (again.out, again.err) == (first.out, "")
    assert len(server.record.sent) == sent


def test_an_exact_count_is_nobodys_to_measure(ask: Ask, server: Server, rows: Path) -> None:
    answer = measured(ask, rows, "--yes", model="gpt-5.5")
    assert tokens(answer)["grade"] == "exact"
    assert server.record.sent == []


def test_the_same_rows_are_shown_once(
    ask: Ask, server: Server, rows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = measured(ask, rows)
    sent = len(server.record.sent)
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    again = measured(ask, rows)
    assert again.out == first.out
    assert (PIECES in first.err, PIECES in again.err) == (True, False)
    assert len(server.record.sent) == sent, "no key, no call"


def test_what_is_kept_are_digests_and_counts(ask: Ask, server: Server, rows: Path) -> None:
    measured(ask, rows)
    folder = Path(os.environ["PLANNER_DATA"])
    (file,) = [each for each in folder.rglob("*") if each.is_file()]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for line in file.read_text().splitlines():
        entry = json.loads(line)
        assert set(entry) == {"text", "tokens"}
        assert len(entry["text"]) == 64
    assert "SENTINEL" not in file.read_text()


def test_a_line_that_a_crash_cut_is_asked_for_again(ask: Ask, server: Server, rows: Path) -> None:
    first = measured(ask, rows)
    file = Path(os.environ["PLANNER_DATA"]) / "counts.jsonl"
    file.write_bytes(file.read_bytes()[:-12])
    assert measured(ask, rows).out == first.out
    assert len(server.record.calls(COUNT)) == 11


def test_a_policy_that_forbids_it_is_not_loosened_by_the_flag(
    ask: Ask, server: Server, rows: Path
) -> None:
    settings = Path(os.environ["XDG_CONFIG_HOME"]) / "planner"
    settings.mkdir(parents=True)
    (settings / "policy.yaml").write_text("base_urls: [https://gateway.example]\n")
    answer = measured(ask, rows)
    assert (answer.exit_code, answer.out) == (2, "")
    assert "policy" in answer.err
    assert server.record.sent == []


def test_accounts_without_zero_retention_see_nothing(server: Server, tmp_path: Path) -> None:
    rules = Policy.model_validate({"zero_retention_only": True})
    with Measuring(tmp_path, lambda _: None, agree=yes, rules=rules) as remote:
        for model in COUNTS:
            with pytest.raises(InputError, match="zero retention"):
                counted(remote, "one piece", model=model)
    assert [server.record.calls(each) for each in COUNTS.values()] == [[], []]


def test_a_vendor_that_does_not_answer_is_an_error_and_what_was_counted_is_kept(
    ask: Ask, server: Server, rows: Path
) -> None:
    server.script.add(rehearsal.Fault(on=COUNT, kind="drop_after", calls=(5,)))
    failed = measured(ask, rows)
    assert (failed.exit_code, failed.out) == (4, "")
    assert failed.err.splitlines()[-1].startswith("  hint: without --measure")
    assert "SENTINEL" not in failed.err
    assert measured(ask, rows).exit_code == 0
    assert len(server.record.calls(COUNT)) == 11, "the four first counts were kept"


def test_without_a_key(
    ask: Ask, server: Server, rows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    answer = measured(ask, rows)
    assert (answer.exit_code, answer.out) == (4, "")
    assert "error[no-key]" in answer.err


def test_a_vendor_that_counts_nothing_for_planner(ask: Ask, server: Server, rows: Path) -> None:
    answer = measured(ask, rows, model="grok-4.3")
    assert (answer.exit_code, answer.err) == (0, "")
    assert warnings(answer) == ["grok-4.3 is not measured: its vendor counts nothing for planner"]
    assert tokens(answer)["grade"] == "ratio"
    assert server.record.sent == []


def test_figures_have_no_rows_to_show(ask: Ask, server: Server) -> None:
    answer = ask("estimate", "--rows", "10", "--input-tokens", "20", "--measure")
    assert answer.exit_code == 2
    assert "error[nothing-to-measure]" in answer.err


def test_a_job_file_cannot_ask_for_it(ask: Ask, server: Server, rows: Path) -> None:
    job = rows.with_name("job.yaml")
    job.write_text(f"workload: {rows.name}\nmeasure: true\n")
    answer = ask("estimate", str(job))
    assert answer.exit_code == 2
    assert "measure" in answer.err
    assert server.record.sent == []


def test_without_the_flag_nothing_is_asked(ask: Ask, server: Server, rows: Path) -> None:
    assert ask("estimate", str(rows), "--model", MODEL).exit_code == 0
    assert server.record.sent == []
    assert not Path(os.environ["PLANNER_DATA"]).exists()


def test_no_log_learns_of_the_rows(
    server: Server, rows: Path, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """The library's own DEBUG lines hold whole requests."""
    measuring = Measuring(tmp_path, lambda _: None, agree=yes)
    with caplog.at_level(logging.DEBUG), measuring as remote:
        for model in COUNTS:
            counted(remote, "a SENTINELROW", model=model)
        logging.getLogger("test").debug("a line of our own")
    assert "a line of our own" in caplog.text
    assert "SENTINEL" not in caplog.text


def test_a_plan_is_measured_as_well(ask: Ask, server: Server, rows: Path, tmp_path: Path) -> None:
    file = tmp_path / "job.plan.yaml"
    words = ("--model", MODEL, "--output-tokens", "50", "--measure", "-o", str(file))
    answer = ask("plan", str(rows), *words)
    assert answer.exit_code == 0, answer.err
    assert "grade: measured" in file.read_text()


def test_a_process_that_was_told_to_log_everything_says_one_line(
    server: Server, rows: Path, tmp_path: Path
) -> None:
    """The libraries read their own variables when they are imported."""
    words = ("estimate", str(rows), "--measure", "--model", MODEL, "--output-tokens", "50")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "planner", *words],
        env=os.environ | {"ANTHROPIC_LOG": "debug", "OPENAI_LOG": "debug"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr
    assert len(server.record.calls(COUNT)) == 10
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"measuring {MODEL}: ")
