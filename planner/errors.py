"""Errors for the person who reads them: a stable code, what, where, and what to do.

The exit code belongs to the class, so no face decides it. Loaders collect every problem
and raise once (`Collector`): stopping at the first would make a file with nine mistakes
take nine runs to mend.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

if TYPE_CHECKING:
    from collections.abc import Iterable


LONGEST = 1000
"""Characters of a sentence: what it quotes of a file may be megabytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong: `code` is stable, `where` is file:line, row or path."""

    code: str
    message: str
    where: str | None = None
    hint: str | None = None

    def __post_init__(self) -> None:
        """No sentence is longer than somebody reads."""
        for name in ("message", "where", "hint"):
            text = getattr(self, name)
            if text is not None and len(text) > LONGEST:
                object.__setattr__(self, name, f"{text[:LONGEST]}... ({len(text):,} characters)")

    def render(self) -> str:
        """The problem as the lines a person sees on stderr."""
        lines = [f"error[{self.code}]: {self.message}"]
        if self.where is not None:
            lines.append(f"  at {self.where}")
        if self.hint is not None:
            lines.append(f"  hint: {self.hint}")
        return "\n".join(lines)


class PlannerError(Exception):
    """Base of every error a person is meant to see; holds one or more problems."""

    exit_code: ClassVar[int] = 70

    def __init__(self, *problems: Problem) -> None:
        super().__init__("; ".join(problem.message for problem in problems))
        self.problems = problems

    @classmethod
    def of(
        cls, code: str, message: str, *, where: str | None = None, hint: str | None = None
    ) -> Self:
        """The error with a single problem."""
        return cls(Problem(code=code, message=message, where=where, hint=hint))

    def render(self) -> str:
        """All problems, in the order they were found."""
        return "\n".join(problem.render() for problem in self.problems)


class InputError(PlannerError):
    """Bad usage, or an input file that cannot be used (exit 2)."""

    exit_code = 2


class UnknownFactError(PlannerError):
    """A model, lane, price or support that the catalog does not know (exit 3)."""

    exit_code = 3


class VendorError(PlannerError):
    """The vendor refused or failed (exit 4)."""

    exit_code = 4


class Collector:
    """Gathers problems, so that a loader can report all of them at once."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def add(
        self, code: str, message: str, *, where: str | None = None, hint: str | None = None
    ) -> None:
        """Note one problem and go on."""
        self.problems.append(Problem(code=code, message=message, where=where, hint=hint))

    def raise_if_any(self, error: type[PlannerError] = InputError) -> None:
        """Raise `error` with every problem noted so far, if there is one."""
        if self.problems:
            raise error(*self.problems)


def did_you_mean(wrong: str, known: Iterable[str]) -> str | None:
    """A hint that names up to three known spellings near `wrong`, or None."""
    from difflib import get_close_matches  # only a mistake needs it

    near = get_close_matches(wrong, sorted(known), n=3, cutoff=0.6)
    return f"did you mean {' or '.join(near)}?" if near else None
