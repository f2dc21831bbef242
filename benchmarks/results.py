"""Keeps the tables of the benchmarks in RESULTS.md, each under its own heading.

A run replaces its own section and leaves the others as they are.
"""

from __future__ import annotations

import re
from pathlib import Path

FILE = Path(__file__).parent / "RESULTS.md"
TITLE = "# Measured\n\nEach table says the command that writes it again.\n"


def write(heading: str, command: str, body: str, file: Path = FILE) -> None:
    """Put a section into the file: its heading, the command in a block, its text."""
    section = f"## {heading}\n\n```\n{command}\n```\n\n{body.strip()}\n"
    text = file.read_text(encoding="utf-8") if file.exists() else TITLE
    own = re.compile(rf"^## {re.escape(heading)}\n.*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)
    if own.search(text):
        text = own.sub(lambda _: f"{section}\n", text)
    else:
        text = f"{text.rstrip()}\n\n{section}"
    file.write_text(f"{text.rstrip()}\n", encoding="utf-8")


def table(titles: list[str], rows: list[list[str]]) -> str:
    """A Markdown table whose first column is text and whose others are figures."""
    rule = ["---", *("---:" for _ in titles[1:])]
    return "\n".join(f"| {' | '.join(line)} |" for line in (titles, rule, *rows))
