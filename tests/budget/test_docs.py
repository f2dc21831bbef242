"""The guides: every command is run on the shipped data, every key and YAML file is read."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from planner import budget_file, strict_yaml

if TYPE_CHECKING:
    from tests.answers import Ask

DOCS = Path(__file__).parents[2] / "docs"
GUIDES = ("budget.md", "ci.md")
CONSOLE = re.compile(r"```console\n((?:.*\n)*?)```\n")
YAML = re.compile(r"```yaml\n((?:.*\n)*?)```\n")


def guide(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", GUIDES)
def test_every_command_does_what_is_shown(
    name: str, ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One after the other in an empty folder, as somebody who reads along."""
    monkeypatch.chdir(tmp_path)
    steps = [
        (each.group(1), each.group(2))
        for block in CONSOLE.finditer(guide(name))
        for each in re.finditer(r"\$ planner (.+)\n((?:[^$].*\n)*)", block.group(1))
    ]
    assert len(steps) > 2
    for command, shown in steps:
        answer = ask(*shlex.split(command))
        assert answer.exit_code == 0, f"{command}: {answer.err}"
        assert answer.out == shown, command
        for written in re.findall(r"-o (\S+)", command):
            assert (tmp_path / written).stat().st_size > 1000


def test_the_budget_in_the_guide_is_one(tmp_path: Path, ask: Ask) -> None:
    (text,) = YAML.findall(guide("budget.md"))
    file = tmp_path / "budget.yaml"
    file.write_text(text, encoding="utf-8")
    assert ask("budget", str(file), "--check").exit_code == 0


def test_both_pipelines_are_yaml() -> None:
    found = YAML.findall(guide("ci.md"))
    assert len(found) == 2
    for text in found:
        strict_yaml.load(text.replace("\non:", '\n"on":'), "ci.md")


def test_every_key_is_in_the_guide() -> None:
    text = guide("budget.md")
    for shape in (
        budget_file.BudgetFile,
        budget_file.JobEntry,
        budget_file.CreditEntry,
        budget_file.ActualEntry,
        budget_file.GuardrailEntry,
    ):
        for key, field in shape.model_fields.items():
            assert re.search(rf"\b{re.escape(field.alias or key)}\b", text), key


def test_every_option_is_in_a_guide(ask: Ask) -> None:
    text = "".join(map(guide, GUIDES))
    known = set(re.findall(r"--[a-z-]+", ask("budget", "--help").out)) - {"--help"}
    assert known - {"--output"} <= set(re.findall(r"--[a-z-]+", text))
    assert "-o " in text


def test_no_option_is_invented(ask: Ask) -> None:
    known = set(re.findall(r"--[a-z-]+", ask("budget", "--help").out))
    for line in "".join(map(guide, GUIDES)).splitlines():
        if "planner budget" in line:
            after = line.partition("planner budget")[2]
            assert set(re.findall(r"--[a-z-]+", after)) <= known, line
