"""The three uses with real keys in a real terminal: an estimate, a support check, a budget.

On the shipped facts and the shipped sample, so no figure is expected: a price may change on any
day. What must hold is that a person gets there, and that the exit code is right.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import planner
from planner import sample

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [
    pytest.mark.terminal,
    pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed"),
]

PACKAGE = Path(planner.__file__).parent.parent
"""What is tested, wherever the terminal stands."""

PATIENCE = 60.0
"""Seconds until a screen that never comes is a failure; nothing is measured by it."""


class Terminal:
    """A terminal of 80 x 24 with a program in it, and the hands on its keys."""

    def __init__(self, folder: Path) -> None:
        self.socket = str(folder / "tmux.sock")
        self.folder = folder

    def run(self, *command: str) -> None:
        """Start it; its exit code is printed when it ends."""
        keep = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "LANG": "C.UTF-8"}
        keep |= {"PLANNER_REMEMBER": "off", "TZ": "UTC", "PYTHONPATH": str(PACKAGE)}
        env = [f"{name}={value}" for name, value in keep.items()]
        quoted = " ".join(f"'{each}'" for each in (sys.executable, "-m", "planner", *command))
        script = f"{quoted}; echo left with $?; sleep 600"
        size = ("-x", "80", "-y", "24")
        self._tmux("new-session", "-d", *size, "env", "-i", *env, "TERM=xterm", "sh", "-c", script)

    def press(self, *keys: str) -> None:
        """Keys by their tmux names."""
        self._tmux("send-keys", *keys)

    def type(self, text: str) -> None:
        """Text as it is."""
        self._tmux("send-keys", "-l", text)

    def screen(self) -> str:
        """What stands there."""
        return self._tmux("capture-pane", "-p")

    def sees(self, *wanted: str) -> str:
        """Wait until all of it stands there."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            text = self.screen()
            if all(re.search(each, text) for each in wanted):
                return text
            time.sleep(0.05)
        raise AssertionError(f"never saw {wanted}:\n{self.screen()}")

    def close(self) -> None:
        """End this terminal and nobody else's."""
        self._tmux("kill-server", check=False)

    def _tmux(self, *arguments: str, check: bool = True) -> str:
        done = subprocess.run(
            ["tmux", "-S", self.socket, "-f", os.devnull, *arguments],
            capture_output=True,
            text=True,
            check=check,
            cwd=self.folder,
        )
        return done.stdout


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    opened: list[Terminal] = []

    def start(*command: str) -> Terminal:
        made = Terminal(tmp_path)
        opened.append(made)
        made.run(*command)
        return made

    yield start
    for each in opened:
        each.close()


def test_an_estimate(terminal: Callable[..., Terminal]) -> None:
    here = terminal()
    here.sees("What do you want to run")
    here.press("Enter")
    here.sees(r"tickets\.csv", r"70 rows", r"\$[\d.]+ a run", "no deadline")
    here.press("]", "[")
    here.sees("due in", "P≤")
    here.press("+")
    here.sees("140 rows instead of 70")
    here.press("Enter")
    here.sees("Cost", "Esc closes")
    # Esc with a letter at once would be Alt and that letter: a person is not so fast.
    here.press("Escape")
    here.sees("140 rows instead of 70")
    here.press("u")
    here.sees("70 rows  ")
    here.press("q")
    here.sees("left with 0")


def test_a_support_check(terminal: Callable[..., Terminal]) -> None:
    here = terminal("--screen", "models")
    text = here.sees(r"\d+ of \d+ models: \d+ batch")
    here.type("batch:unknown")
    here.sees("batch:unknown", r": 0 batch, 0 do not")
    here.press("C-u")
    name = next(line.split()[3] for line in text.splitlines() if line.startswith("›"))  # noqa: RUF001 -- mark
    here.type(name)
    here.sees(rf"› ● yes\s+{re.escape(name)}")  # noqa: RUF001 -- mark
    here.press("Enter")
    here.sees("planner check", "source: https://", "read: ")
    here.press("Escape")
    here.sees("Esc List")
    here.press("Escape")
    here.sees("  q Quit")  # out of the field; before that it is ^q
    here.press("q")
    here.sees("left with 0")


def test_a_budget(terminal: Callable[..., Terminal]) -> None:
    here = terminal(str(sample.paths().budget))
    here.sees("Support desk, the year ahead", r"Waiting saves \$", "grade [ABCD]", "prices as of")
    here.press("Right")
    here.sees("REALTIME, a month", "20,000 rows a run")
    here.press("Up")
    here.sees("40,000 rows a run", "x2 the rows")
    here.press("m")
    here.sees("REALTIME, 12 months")
    here.press("s")
    here.sees("if the high comes")
    here.press("q")
    here.sees("left with 0")


def test_places_resizing_and_leaving(terminal: Callable[..., Terminal]) -> None:
    here = terminal("sample")
    here.sees(r"\$[\d.]+ a run")
    here.press("3")
    here.sees("Nothing has been handed off yet")
    here.press("4")
    here.sees("REALTIME, a month")
    here._tmux("resize-window", "-x", "50", "-y", "12")
    here.sees("planner needs 60 x 16")
    here._tmux("resize-window", "-x", "120", "-y", "40")
    here.sees("REALTIME, a month")
    here.press("1")
    here.sees(r"\$[\d.]+ a run")
    here.press("q")
    here.sees("left with 0")
