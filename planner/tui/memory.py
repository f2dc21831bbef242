"""What is remembered from one run to the next: recent files, the last question, the theme.

Paths, names of models and themes, and a deadline, in the platform's place for state; never a
row's text, a prompt or a key. A file that cannot be read or written is no reason to stop: whoever
loses it types a path again. `PLANNER_REMEMBER=off` keeps nothing.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_RECENT = 8
OFF = ("off", "0", "no", "false")


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """One file that was planned, and what was asked of it; `deadline` in seconds."""

    path: str
    models: tuple[str, ...] = ()
    deadline: float | None = None
    runs: int | None = None
    prompt_file: str | None = None
    """The file that its template was read from; never the words of a template."""
    columns: str | None = None
    """A template that is columns alone."""


class Memory(Protocol):
    """Where the last questions and the theme are kept."""

    def recent(self) -> tuple[Remembered, ...]:
        """The last files, newest first."""

    def remember(self, asked: Remembered) -> None:
        """Put one on top."""

    def theme(self) -> str | None:
        """The name of the theme that was chosen last; it may be of another release."""

    def keep_theme(self, name: str) -> None:
        """The next run begins with it."""


class Forgetful:
    """Keeps nothing."""

    def recent(self) -> tuple[Remembered, ...]:
        """Nothing."""
        return ()

    def remember(self, asked: Remembered) -> None:
        """Not this either."""

    def theme(self) -> str | None:
        """None was chosen."""
        return None

    def keep_theme(self, name: str) -> None:
        """Nor that."""


FORGETFUL = Forgetful()


class Kept:
    """A file in the state folder, read when it is asked and replaced whole."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def recent(self) -> tuple[Remembered, ...]:
        """The last files, newest first; none where the file is missing or not ours."""
        try:
            return tuple(_remembered(each) for each in self._read()["recent"])[:MOST_RECENT]
        except (ValueError, TypeError, KeyError, AttributeError):
            return ()

    def remember(self, asked: Remembered) -> None:
        """Put one on top; a folder that cannot be written changes nothing."""
        others = [each for each in self.recent() if each.path != asked.path]
        self._write({"recent": [asdict(each) for each in (asked, *others)[:MOST_RECENT]]})

    def theme(self) -> str | None:
        """The theme that was chosen last; None where the file is missing or not ours."""
        name = self._read().get("theme")
        return name if isinstance(name, str) else None

    def keep_theme(self, name: str) -> None:
        """Beside the files; a folder that cannot be written changes nothing."""
        self._write({"theme": name})

    def _read(self) -> Mapping[str, Any]:
        try:
            found = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _write(self, news: Mapping[str, Any]) -> None:
        """Replace the file: the news, and what else stood in it."""
        kept = {**self._read(), **news}
        part = self._path.with_name(f"{self._path.name}.{os.getpid()}.part")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            part.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
            part.replace(self._path)
        except OSError:
            return


def _remembered(plain: Mapping[str, Any]) -> Remembered:
    deadline, runs, prompt = plain["deadline"], plain["runs"], plain["prompt_file"]
    return Remembered(
        path=str(plain["path"]),
        models=tuple(str(each) for each in plain["models"]),
        deadline=None if deadline is None else float(deadline),
        runs=None if runs is None else int(runs),
        prompt_file=None if prompt is None else str(prompt),
        columns=None if plain["columns"] is None else str(plain["columns"]),
    )


def of_this_machine() -> Memory:
    """The memory in the platform's place for state, unless a setting turns it off."""
    if os.environ.get("PLANNER_REMEMBER", "").lower() in OFF:
        return FORGETFUL
    return Kept(_state() / "planner" / "session.json")


def _state() -> Path:
    base = Path(os.environ.get("XDG_STATE_HOME", ""))
    if base.is_absolute():
        return base
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    home = Path.home()
    if sys.platform == "darwin":
        return home / "Library" / "Application Support"
    return home / ".local" / "state"
