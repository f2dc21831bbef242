"""The README shows what the program prints: every console block is run and compared.

PLANNER_WRITE_README=1 writes the outputs into the README; the change is then read as a diff.
"""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from planner import cli

if TYPE_CHECKING:
    from tests.answers import Ask

README = Path(__file__).parents[1] / "README.md"
WRITE = bool(os.environ.get("PLANNER_WRITE_README"))
"""Read at import: the tests themselves run without any setting."""

BLOCK = re.compile(r"```console\n\$ planner (?P<command>.+)\n(?P<shown>(?:.*\n)*?)```\n")
BLOCKS = tuple(BLOCK.finditer(README.read_text(encoding="utf-8")))


def test_the_readme_shows_the_three_uses() -> None:
    assert len(BLOCKS) >= 3


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block["command"][:40])
def test_a_console_block_shows_what_is_printed(block: re.Match[str], ask: Ask) -> None:
    answer = ask(*shlex.split(block["command"]))
    assert answer.exit_code == 0, answer.err
    if WRITE:
        text = README.read_text(encoding="utf-8")
        whole = f"```console\n$ planner {block['command']}\n{answer.out}```\n"
        README.write_text(text.replace(block[0], whole), encoding="utf-8")
        return
    assert block["shown"] == answer.out


def test_the_commands_that_write_files_do(
    ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    block = re.search(r"```sh\n((?:planner .+\n)+)```", README.read_text(encoding="utf-8"))
    assert block is not None
    monkeypatch.chdir(tmp_path)
    for line in block[1].splitlines():
        answer = ask(*shlex.split(line.removeprefix("planner ")))
        assert answer.exit_code == 0, answer.err
    assert (tmp_path / "tickets.plan.yaml").is_file()
    assert (tmp_path / "tickets" / "manifest.jsonl").is_file()


def test_every_make_target_that_is_named_exists() -> None:
    targets = set(
        re.findall(r"^([a-z-]+):", (README.parent / "Makefile").read_text(), re.MULTILINE)
    )
    named = set(re.findall(r"make ([a-z-]+)", README.read_text(encoding="utf-8")))
    assert named <= targets | {"nothing"}


def test_every_option_that_is_named_exists(ask: Ask) -> None:
    helps = " --screen ".join(ask(*name.split(), "--help").out for name in cli.COMMANDS)
    named = set(re.findall(r"--[a-z-]+", README.read_text(encoding="utf-8")))
    assert named <= set(re.findall(r"--[a-z-]+", helps))
