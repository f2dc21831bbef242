"""What is installed is what was pinned, and the pins say nothing of where they were made."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from planner.workload.encodings import VOCABULARIES

ROOT = Path(__file__).resolve().parent.parent
PINS = ("requirements.txt", "requirements-build.txt", "requirements-dev.txt")


def pins(name: str) -> dict[str, str]:
    """Package -> version of a requirements file; every entry carries at least one hash."""
    entries = re.sub(r"\\\n", " ", (ROOT / name).read_text(encoding="utf-8")).splitlines()
    found = {}
    for entry in entries:
        if entry and not entry.lstrip().startswith("#"):
            pin = re.fullmatch(r"([a-z0-9-]+)==(\S+)((?: +--hash=sha256:[0-9a-f]{64})+) *", entry)
            assert pin, f"{name}: {entry[:80]}"
            found[pin[1]] = pin[2]
    return found


def names(requirements: list[str]) -> set[str]:
    """The packages that a list in pyproject.toml asks for."""
    return {re.split(r"[^a-z0-9-]", each, maxsplit=1)[0] for each in requirements}


@pytest.mark.parametrize("name", PINS)
def test_pins_hold_hashes_and_no_address(name: str) -> None:
    assert pins(name)
    text = (ROOT / name).read_text(encoding="utf-8")
    assert not re.search(r"://|(^|\s)(-i|-f|--index-url|--find-links|--trusted-host)\b", text)


def test_the_environments_agree() -> None:
    """One environment holds the program, the build and the tools: no pin may undo another."""
    run, build, dev = (pins(name) for name in PINS)
    assert run.items() <= dev.items()
    assert all(dev[name] == build[name] for name in build.keys() & dev.keys())


def test_every_declared_dependency_is_pinned() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        declared = tomllib.load(file)
    project = declared["project"]
    assert names(project["dependencies"]) <= pins("requirements.txt").keys()
    assert names(declared["build-system"]["requires"]) <= pins("requirements-build.txt").keys()
    for extra in project["optional-dependencies"].values():
        assert names(extra) <= pins("requirements-dev.txt").keys()


def test_the_notice_names_the_ranks_that_travel() -> None:
    notice = (ROOT / "NOTICE").read_text(encoding="utf-8")
    for name, vocabulary in VOCABULARIES.items():
        assert name in notice
        assert vocabulary.sha256 in notice
