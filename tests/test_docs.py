"""The guides and the reference agree with the program."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from planner import cli
from scripts.write_reference import TARGET, reference

if TYPE_CHECKING:
    from tests.answers import Ask

WRITE = bool(os.environ.get("PLANNER_WRITE_README"))
"""Read at import, as in test_readme.py."""

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
LINK = re.compile(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)")


def test_the_reference_is_what_the_parsers_say() -> None:
    assert TARGET.read_text(encoding="utf-8") == reference(), "make reference"


def test_every_command_stands_in_the_reference() -> None:
    titles = re.findall(r"^## planner (.+)$", TARGET.read_text(encoding="utf-8"), re.MULTILINE)
    assert titles == list(cli.COMMANDS)  # and the screen's, which has no name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target, _ in LINK.findall(page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_that_is_named_exists(page: Path) -> None:
    """`planner words`, inline or in a block, begins with a command or with a file."""
    text = page.read_text(encoding="utf-8")
    named = re.findall(r"(?:`|^\$ |^)planner ([a-z][a-z-]*)(?![\w./-])", text, re.MULTILINE)
    assert set(named) <= {"sample", *(name.split()[0] for name in cli.COMMANDS)}


STORIES = ROOT / "docs" / "stories.md"
BLOCK = re.compile(r"```(console|sh)\n((?:.*\n)*?)```\n")
NOT_AN_ERROR = {0, 1}
"""A no is an answer."""


def test_the_stories_happen_as_they_are_told(
    ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every block in its order, in one folder; what a console shows is compared."""
    monkeypatch.chdir(tmp_path)
    text = STORIES.read_text(encoding="utf-8")
    told = text
    for block in BLOCK.finditer(text):
        kind, body = block.groups()
        for line in body.splitlines()[:1] if kind == "console" else body.splitlines():
            answer = ask(*shlex.split(line.removeprefix("$ ").removeprefix("planner ")))
            assert answer.exit_code in NOT_AN_ERROR, answer.err
            if kind == "console":
                told = told.replace(block[0], f"```console\n{line}\n{answer.out}```\n")
    if WRITE:
        STORIES.write_text(told, encoding="utf-8")
        return
    assert told == text
