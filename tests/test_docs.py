"""The guides and the reference agree with the program."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from planner import cli
from scripts.write_reference import TARGET, reference

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
LINK = re.compile(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)")


def test_the_reference_is_what_the_parsers_say() -> None:
    assert TARGET.read_text(encoding="utf-8") == reference(), "make reference"


def test_every_command_stands_in_the_reference() -> None:
    titles = re.findall(r"^## planner (.+)$", TARGET.read_text(encoding="utf-8"), re.MULTILINE)
    assert titles == list(cli.COMMANDS)


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
