"""`--reconstruct`: an installed tokenizer counts pieces of the rows, if it is asked to."""

from __future__ import annotations

import json
import re
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.plugins import Site

if TYPE_CHECKING:
    from tests.answers import Answer, Ask

DOCS = Path(__file__).resolve().parent.parent / "docs" / "concepts.md"
MODEL = "claude-haiku-5-5"
WORDS = "where is the order that I made on the first of May and paid for at once".split()
ROWS = 400

# Two tokens a word, and the frame of a message: what the real one would count is its own affair.
STAND_IN = """
def token_count(text, version):
    return {"4.6": 1, "4.8": 2}[version] * len(text.split()) + 6
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setenv("PLANNER_DATA", str(tmp_path / "data"))
    return Site(tmp_path / "site", monkeypatch)


@pytest.fixture
def documented(site: Site) -> Site:
    """The adapter of the documentation, installed beside a stand-in of what it needs."""
    facts, source = re.findall(r"```(?:toml|python)\n(.*?)```", DOCS.read_text("utf-8"), re.DOTALL)
    project = tomllib.loads(facts)["project"]
    site.module("ctok", STAND_IN)
    site.package(
        project["name"],
        source,
        project["entry-points"]["planner.counters"],
        version=project["version"],
    )
    return site


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    texts = (" ".join(WORDS[: 3 + number % 14]) for number in range(ROWS))
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), "utf-8")
    return path


def estimated(ask: Ask, rows: Path, *more: str, model: str = MODEL) -> Answer:
    words = ("--model", model, "--output-tokens", "50", "--format", "json", *more)
    answer = ask("estimate", str(rows), *words)
    assert answer.exit_code == 0, answer.err
    return answer


def tokens(answer: Answer) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(answer.out)["tokens"]
    return found


def words_in(rows: Path) -> int:
    return sum(len(json.loads(line)["text"].split()) for line in rows.read_text().splitlines())


def test_the_documented_adapter_counts(ask: Ask, documented: Site, rows: Path) -> None:
    answer = estimated(ask, rows, "--reconstruct", "--model", "claude-sonnet-4-5")
    newer, older = tokens(answer)
    assert [newer["grade"], older["grade"]] == ["reconstructed", "reconstructed"]
    for found, a_word, frame in ((newer, 2, 6), (older, 1, 7)):
        truth = a_word * words_in(rows) + frame * ROWS
        assert found["input"]["low"] <= truth <= found["input"]["high"]
        assert found["input"]["value"] == pytest.approx(truth, rel=0.01)
    for line, family in zip(answer.err.splitlines(), ("claude-v4.7", "claude-v3"), strict=True):
        assert re.fullmatch(
            rf"reconstructing {family} with claude-counts 0\.1, which is unofficial, on this "
            r"machine: 4\d\d pieces of the rows",
            line,
        )


def test_it_says_that_it_is_unofficial_and_what_would_be_surer(
    ask: Ask, documented: Site, rows: Path
) -> None:
    said = json.loads(estimated(ask, rows, "--reconstruct").out)["assumptions"]
    (found,) = [each for each in said if "reconstructed" in each]
    assert re.fullmatch(
        r"Input tokens are reconstructed on a sample: o200k_base x 2\.00 \(1\.96-2\.04\) "
        r"\(the unofficial counts that claude-counts 0\.1 makes of 4\d\d pieces of the rows; .* "
        r"are taken to share its vocabulary\)\. Ten calls of its vendor's own count narrow this to "
        r"1-2 % \(--measure\)\.",
        found,
    )


def test_installed_it_changes_no_figure_until_it_is_asked_for(
    ask: Ask, documented: Site, rows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = estimated(ask, rows)
    monkeypatch.setattr(
        sys, "path", [each for each in sys.path if not each.startswith(str(documented.folder))]
    )
    without = estimated(ask, rows)
    assert tokens(installed) == tokens(without)
    assert "which you have installed" in installed.out
    assert "which you have installed" not in without.out


@pytest.mark.parametrize(
    "body", ["raise ValueError(text)", "return -1", "return 10**9", "return 'many'"]
)
def test_one_that_fails_breaks_no_estimate(ask: Ask, site: Site, rows: Path, body: str) -> None:
    site.package("my-counts", f"def count(text):\n    {body}\n", {"claude-v4.7": "my_counts:count"})
    answer = estimated(ask, rows, "--reconstruct")
    assert tokens(answer) == tokens(estimated(ask, rows))
    (warning,) = [each for each in json.loads(answer.out)["warnings"] if "my-counts" in each]
    assert "SENTINEL" not in warning


def test_without_any_plugin_it_is_said(ask: Ask, site: Site, rows: Path) -> None:
    answer = estimated(ask, rows, "--reconstruct", "--model", "gpt-6.2-sol")
    assert [each["grade"] for each in tokens(answer)] == ["ratio", "assumed"]
    found = [each for each in json.loads(answer.out)["warnings"] if "reconstructed" in each]
    assert found == ["claude-v4.7 is not reconstructed: no installed package counts for it"]


def test_a_plan_is_made_of_it_and_says_so(
    ask: Ask, documented: Site, rows: Path, tmp_path: Path
) -> None:
    file = tmp_path / "job.plan.yaml"
    words = ("--model", MODEL, "--output-tokens", "50", "--reconstruct", "-o", str(file))
    answer = ask("plan", str(rows), *words)
    assert answer.exit_code == 0, answer.err
    plan = file.read_text("utf-8")
    assert "grade: reconstructed" in plan
    assert "unofficial counts that claude-counts 0.1 makes" in plan


def test_a_job_file_cannot_ask_for_it(ask: Ask, documented: Site, rows: Path) -> None:
    job = rows.with_name("job.yaml")
    job.write_text(f"workload: {rows.name}\nreconstruct: true\n")
    answer = ask("estimate", str(job))
    assert answer.exit_code == 2
    assert "reconstruct" in answer.err
