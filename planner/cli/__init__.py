"""The command line: find the command, parse its flags, print its answer.

stdout is data, stderr is narration. Only the module and the parser of the command that was
asked are loaded, so `--help` and look-ups start fast; a parser that knows every command would
cost more time than most answers.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from planner import __version__
from planner.cli.flags import INTERRUPTED, YES, Arguments, Parser, parser
from planner.errors import InputError, PlannerError, did_you_mean
from planner.report.layout import WIDTH, page

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from planner.cli.estimate import Screen
    from planner.cli.flags import Clock, Command

    Parts = tuple[Callable[[Parser], None], Command]
    """What adds a command's flags to its parser, and what runs it."""


def main(argv: Sequence[str], *, clock: Clock, screen: Screen | None = None) -> int:
    """Run one command; the exit code: 0 done or yes, 1 no, 2 usage, 3 unknown, 4 vendor, 130.

    `screen` opens the TUI on a job; without one (or a terminal) its answer is printed.
    """
    try:
        return _run(list(argv), clock, screen)
    except PlannerError as error:
        print(error.render(), file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has gone; keep the interpreter from saying so once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return YES


def _run(argv: list[str], clock: Clock, screen: Screen | None) -> int:
    for name in (" ".join(argv[:2]), *argv[:1]):
        if name in COMMANDS:
            rest = argv[len(name.split()) :]
            title, parts = COMMANDS[name]
            add_flags, command = parts(name)
            made = parser(f"planner {name}", title)
            add_flags(made)
            arguments = vars(made.parse_args(rest))
            with _page(arguments):
                return command(arguments, clock)
    group = argv[0] if argv else ""
    if any(name.startswith(f"{group} ") for name in COMMANDS):
        _listing(group).parse_args(argv[1:])
    if group in ("-h", "--help", "--version"):
        _listing().parse_args(argv)
    _no_command(argv)
    return _screen(argv, clock, screen)


def _no_command(argv: list[str]) -> None:
    """InputError for a word that is neither a command nor a file, where a command was meant."""
    from planner.sample import NAME as SAMPLE

    if not argv or argv[0].startswith("-") or Path(argv[0]).exists() or argv[0] == SAMPLE:
        return
    near = did_you_mean(argv[0], {name.split()[0] for name in COMMANDS})
    more = len(argv) > 1 and not argv[1].startswith("-")
    if near or more:
        raise InputError.of(
            "unknown-command",
            f"there is no command {argv[0]!r}, and no file of that name",
            hint=near or "planner --help lists the commands",
        )


def _page(arguments: Arguments) -> AbstractContextManager[None]:
    """As wide as the terminal, or a fixed width for files and pipes."""
    if "output" in arguments or not sys.stdout.isatty():
        return page(WIDTH)
    return page(shutil.get_terminal_size((WIDTH, 0)).columns, tables=True)


def _screen(argv: list[str], clock: Clock, screen: Screen | None) -> int:
    """Without a terminal: the same answer as text, or what can be asked."""
    from planner.cli import estimate

    made = parser("planner", DESCRIPTION)
    screen_flags(made)
    arguments: Arguments = vars(made.parse_args(argv))
    place, budget = arguments.pop("screen", None), _budget_of(arguments)
    if screen is not None and sys.stdin.isatty() and sys.stdout.isatty():
        place = place or ("budget" if budget is not None else "plan")
        return estimate.open_screen(screen, arguments, clock, place=place, budget=budget)
    same = _again(arguments)
    if budget is not None:
        return _run(["budget", str(budget), *same], clock, None)
    if place in COMMANDS and place != "budget":
        return _run([place, *same], clock, None)
    if "workload" in arguments or "rows" in arguments:
        return estimate.run(arguments, clock)
    _listing().print_help()
    return YES


def screen_flags(made: Parser) -> None:
    """What may be said without a command."""
    from planner.cli import estimate

    estimate.job_flags(made)
    made.add_argument("--screen", choices=SCREENS, help="where the screen opens (default: plan)")


SCREENS = ("plan", "models", "jobs", "budget")
"""The places that the screen has."""


def _again(arguments: Arguments) -> list[str]:
    """The flags that every command has, for the command that prints what the screen shows."""
    known = (("--as-of", "as_of"), ("--pricing", "pricing"))
    return [text for flag, key in known if key in arguments for text in (flag, arguments[key])]


def _budget_of(arguments: Arguments) -> Path | None:
    """The workload where it is a budget file: it is taken out of the arguments."""
    path = Path(arguments.get("workload", ""))
    if path.suffix not in (".yaml", ".yml") or not path.is_file():
        return None
    if not any(line.startswith("budget:") for line in path.read_text("utf-8").splitlines()):
        return None
    del arguments["workload"]
    return path


def _of_estimate(name: str) -> Parts:
    from planner.cli import estimate

    return estimate.COMMANDS[name]


def _of_catalog(name: str) -> Parts:
    from planner.cli import catalog

    return catalog.COMMANDS[name]


def _of_budget(name: str) -> Parts:
    from planner.cli import budget

    return budget.COMMANDS[name]


def _of_pilot(name: str) -> Parts:
    from planner.cli import pilot

    return pilot.COMMANDS[name]


def _of_reconcile(name: str) -> Parts:
    from planner.cli import reconcile

    return reconcile.COMMANDS[name]


def _of_plan(name: str) -> Parts:
    from planner.cli import plan

    return plan.COMMANDS[name]


def _of_handoff(name: str) -> Parts:
    from planner.cli import handoff

    return handoff.COMMANDS[name]


COMMANDS: Mapping[str, tuple[str, Callable[[str], Parts]]] = {
    "estimate": ("tokens, cost, time and a recommendation", _of_estimate),
    "models": ("which model supports which lane, at what price", _of_catalog),
    "check": ("does a model support a lane: yes, no or unknown", _of_catalog),
    "budget": ("what jobs cost over months, what moves it, and a check for CI", _of_budget),
    "plan": ("the decision as a file: what is sent, at which price, until when", _of_plan),
    "plan-diff": ("what moved between two plans", _of_plan),
    "build": ("the vendor's own batch files, checked and split; sends nothing", _of_plan),
    "pilot": ("a few real rows first: lengths, latency, failures, what all will cost", _of_pilot),
    "reconcile": ("the bill of a job against its plan, and why they differ", _of_reconcile),
    "calibration": ("whether plans kept what they promised, over all jobs", _of_reconcile),
    "submit": ("send a plan: what is sent stands on the screen first", _of_handoff),
    "resume": ("go on with a job, or with all of them, after whatever stopped it", _of_handoff),
    "fetch": ("bring home what is over, and write the answers", _of_handoff),
    "cancel": ("send nothing more; what is done is kept", _of_handoff),
    "jobs": ("every job: progress, money, what is next (also: import, purge)", _of_handoff),
    "jobs import": ("a vendor's own list of batches, as history for estimates", _of_handoff),
    "jobs purge": ("remove a job's prompts and answers from this machine", _of_handoff),
    "doctor": ("settings, keys (never shown), facts and ledger, looked over", _of_handoff),
    "prices show": ("the exact rates of one request, and their history", _of_catalog),
    "prices diff": ("what changed, or will, between two days", _of_catalog),
    "prices audit": ("what is stale, come due, ahead or missing", _of_catalog),
    "prices check": ("every problem of a pricing file", _of_catalog),
    "prices confirm": ("record that you read a source again", _of_catalog),
}
"""Every command: what it does, and where its flags and its answer are."""

GROUPS = {"prices": "what a model costs, and says who"}
DESCRIPTION = "What an LLM job will cost, when it is done, batch or realtime, and why."


def _listing(group: str = "") -> Parser:
    """The commands with a line each: all of them, or those of a group."""
    if not group:
        made = parser("planner", DESCRIPTION)
        made.epilog = "planner [WORKLOAD] opens the screen. Each command has its own --help."
        made.add_argument("--version", action="version", version=f"planner {__version__}")
        lines = {name: title for name, (title, _) in COMMANDS.items() if " " not in name} | GROUPS
    else:
        made = parser(f"planner {group}", GROUPS[group])
        lines = {
            name.removeprefix(f"{group} "): title
            for name, (title, _) in COMMANDS.items()
            if name.startswith(f"{group} ")
        }
    under = made.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, title in lines.items():
        under.add_parser(name, help=title)
    return made
