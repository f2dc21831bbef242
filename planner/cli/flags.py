"""What the commands share: their parser, its common flags, the catalog, and where answers go.

argparse, because the usual alternatives cost two to seven times its start; and only the parser
of the command that was asked is built, because a parser of all of them costs more than an answer.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from planner import notation
from planner.errors import InputError, did_you_mean

if TYPE_CHECKING:
    from datetime import date, datetime

    from planner.catalog import Catalog

Arguments = dict[str, Any]
Clock = Callable[[], "datetime"]
Command = Callable[[Arguments, Clock], int]

YES, NO, INTERRUPTED = 0, 1, 130


class Parser(argparse.ArgumentParser):
    """argparse with our errors: one form for every mistake, and exit 2."""

    def error(self, message: str) -> NoReturn:
        """Whatever argparse refuses."""
        raise InputError.of("usage", message, hint=self._hint(message))

    def _hint(self, message: str) -> str:
        """The flag that was meant, where one is near; or where all of them are listed."""
        flags = [each for each in self._option_string_actions if each.startswith("--")]
        wrong = (each for each in message.split() if each.startswith("--"))
        near = (did_you_mean(each, flags) for each in wrong if each not in flags)
        return next(filter(None, near), f"{self.prog} --help lists what there is")


def parser(prog: str, description: str) -> Parser:
    """An empty parser that leaves out what was not said."""
    return Parser(prog=prog, description=description, argument_default=argparse.SUPPRESS)


def output_flags(parser: argparse.ArgumentParser, formats: tuple[str, ...]) -> None:
    """How to print, and where."""
    parser.add_argument("--format", choices=formats, help="how to print (default: table)")
    parser.add_argument("-o", "--output", metavar="FILE", help="write there instead of stdout")


def catalog_flags(parser: argparse.ArgumentParser) -> None:
    """As of when, and whose figures on top."""
    parser.add_argument("--as-of", metavar="DATE", help="prices and support of that day")
    parser.add_argument("--pricing", metavar="DIR", help="your own prices on top")


class Notation(argparse.Action):
    """An option read by a function of `planner.notation`, whose errors name the flag."""

    def __init__(self, *args: Any, read: Callable[[str, str], Any], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.read = read

    def __call__(
        self,
        _parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Read the value and keep it."""
        setattr(namespace, self.dest, self.read(values, option_string or self.dest))


def catalog_of(arguments: Arguments) -> Catalog:
    """The shipped facts with the user's own on top."""
    from planner import catalog

    named = (Path(arguments["pricing"]),) if "pricing" in arguments else ()
    return catalog.load(overlays=catalog.own_overlays(*named))


def as_of(arguments: Arguments, now: datetime) -> date:
    """The day that is asked about."""
    return notation.day(arguments["as_of"]) if "as_of" in arguments else now.date()


def write(text: str, arguments: Arguments) -> None:
    """To stdout, or whole to the file named by -o: nothing half-written stays behind."""
    if "output" not in arguments:
        sys.stdout.write(text)
        sys.stdout.flush()
        return
    path = Path(arguments["output"])
    part = path.with_name(f"{path.name}.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise InputError.of("cannot-write", f"{path}: {error.strerror}") from None
    print(f"written to {path}", file=sys.stderr)
