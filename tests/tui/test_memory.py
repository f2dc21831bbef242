"""What is kept from one run to the next, and what a broken file does: nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from planner.tui import memory
from planner.tui.memory import MOST_RECENT, Kept, Remembered

if TYPE_CHECKING:
    from pathlib import Path

ONE = Remembered(path="/rows.csv", models=("a", "b"), deadline=3600.0, runs=22, prompt_file="/p")


def test_the_newest_is_first_and_each_file_is_there_once(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "deep" / "session.json")
    assert kept.recent() == ()
    for number in range(MOST_RECENT + 3):
        kept.remember(Remembered(path=f"/{number}.csv"))
    kept.remember(ONE)
    kept.remember(Remembered(path="/9.csv", models=("c",)))
    found = kept.recent()
    assert len(found) == MOST_RECENT
    assert found[:2] == (Remembered(path="/9.csv", models=("c",)), ONE)
    assert len({each.path for each in found}) == MOST_RECENT
    assert [each.name for each in (tmp_path / "deep").iterdir()] == ["session.json"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"recent": 3}', '{"recent": [{"path": "/a"}]}'])
def test_a_file_that_is_not_ours_is_no_memory(tmp_path: Path, text: str) -> None:
    path = tmp_path / "session.json"
    path.write_text(text, encoding="utf-8")
    assert Kept(path).recent() == ()
    Kept(path).remember(ONE)
    assert Kept(path).recent() == (ONE,)


def test_a_place_that_cannot_be_written_is_no_reason_to_stop(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    kept = Kept(tmp_path / "file" / "session.json")
    kept.remember(ONE)
    assert kept.recent() == ()


def test_a_setting_turns_it_off(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    memory.of_this_machine().remember(ONE)
    assert memory.of_this_machine().recent() == (ONE,)
    assert (tmp_path / "planner" / "session.json").is_file()
    monkeypatch.setenv("PLANNER_REMEMBER", "off")
    memory.of_this_machine().remember(Remembered(path="/other.csv"))
    assert memory.of_this_machine().recent() == ()
    monkeypatch.delenv("PLANNER_REMEMBER")
    assert memory.of_this_machine().recent() == (ONE,)
