"""Write docs/reference.md: every command and every option, from the parsers themselves.

    python -m scripts.write_reference

Its own layout, since argparse's help differs between versions of Python.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from planner import cli
from planner.cli.flags import parser

if TYPE_CHECKING:
    import argparse

TARGET = Path(__file__).parents[1] / "docs" / "reference.md"

HEAD = """\
# Reference

Every command with its options, written by the program itself (`make reference`).

Exit codes: 0 done or yes · 1 a valid no (nothing meets the deadline, unsupported, over budget, \
over the variance threshold) · 2 bad usage or input · 3 not in the catalog · 4 the vendor refused \
or failed · 70 a defect of ours · 130 interrupted. Data goes to stdout, narration to stderr. A \
workload is a file of rows, a folder of texts, `-` for standard input, a `job.yaml` that holds the \
same keys as the flags (flags win), or `sample`.
"""


def reference() -> str:
    """The whole page."""
    bare = parser("planner", cli.DESCRIPTION)
    cli.screen_flags(bare)
    opens = "opens the screen on a job, or prints its estimate where there is no terminal"
    parts = [HEAD, "\n".join(_command("", opens, bare))]
    for name, (title, of) in cli.COMMANDS.items():
        made = parser(f"planner {name}", title)
        of(name)[0](made)
        parts.append("\n".join(_command(name, title, made)))
    return "\n".join(parts)


def _command(name: str, title: str, made: argparse.ArgumentParser) -> list[str]:
    shown = [each for each in made._actions if each.dest != "help"]  # noqa: SLF001 -- argparse has no public list of options
    places = "".join(f" {_place(each)}" for each in shown if not each.option_strings)
    called = f"planner {name}".rstrip()
    lines = [f"## {called}", "", f"{title[0].upper()}{title[1:]}.", "", "```sh"]
    lines += [f"{called}{places}", "```", ""]
    if shown:
        lines += ["| | |", "|---|---|", *map(_line, shown), ""]
    return lines


def _place(action: argparse.Action) -> str:
    name = str(action.metavar or action.dest.upper())
    return f"[{name}]" if action.nargs in ("?", "*") else name


def _line(action: argparse.Action) -> str:
    if action.choices:
        value = "{" + ",".join(map(str, action.choices)) + "}"
    else:
        value = str(action.metavar or action.dest.upper())
    flags = ", ".join(f"`{each}`" for each in action.option_strings) or f"`{_place(action)}`"
    if action.option_strings and action.nargs != 0:
        flags = f"{flags} `{value}`"
    said = (action.help or "").replace("%%", "%")
    needed = " (required)" if action.required and action.option_strings else ""
    return f"| {flags.replace('|', '&#124;')} | {said.replace('|', '&#124;')}{needed} |"


def main() -> None:
    """Write the page."""
    TARGET.write_text(reference(), encoding="utf-8")


if __name__ == "__main__":
    main()
