"""What each place can be written as, and the file: its ending says which.

A place offers kinds; the sheet and the rules of a file are the same for all of them. The text of
a kind is made by the renderers of the command line, so that a file from a screen and one from a
script are one. Whatever stands there already stays: a screen has no `--force`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from planner.errors import InputError
from planner.tui import twin

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from planner.lookups import LaneAnswer
    from planner.outlook import Page
    from planner.tui.agenda import Source
    from planner.tui.desk import Answer, Desk
    from planner.tui.meeting import Stance

PLAN, PICTURE = ".plan.yaml", ".svg"
FORMATS: Mapping[str, str] = {
    ".md": "md",
    ".csv": "csv",
    ".json": "json",
    ".html": "html",
    ".txt": "table",
}
"""Ending -> what the command line calls it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What one ending means."""

    what: str
    text: Callable[[Path], str] | None = None
    """What goes into the file of that path; PlannerError. None: a picture of the screen."""
    command: Callable[[str], str] = lambda _path: ""
    """The command line that writes the same; empty where there is none."""
    of: str = ""
    """What it is of, where the sheet has to say so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What a place can be written as, and what a file of it is called."""

    stem: str
    kinds: Mapping[str, Kind]

    def meant(self, name: str) -> str | None:
        """The ending that decides; None where nothing is written so."""
        found = (each for each in self.kinds if name.endswith(each))
        return next(found, None)

    def renamed(self, name: str, by: int) -> str:
        """The name with the ending of the next kind, or the one before, round and round."""
        endings, now = list(self.kinds), self.meant(name)
        first = -1 if by > 0 else 0
        place = first if now is None else endings.index(now)
        return self.ending_in(endings[(place + by) % len(endings)], name)

    def ending_in(self, ending: str, name: str) -> str:
        """The name with that ending instead of its own; one that means nothing is part of it."""
        return name.removesuffix(self.meant(name) or ".") + ending

    def text(self, path: Path) -> str | None:
        """What goes into a new file, None for a picture; PlannerError where it cannot be made."""
        ending = self.meant(path.name)
        if ending is None or path.name == ending:
            raise InputError.of(
                "unknown-ending",
                f"nothing is written as {path.name!r}",
                hint=f"the ending says what: {' '.join(self.kinds)}",
            )
        if path.exists():
            raise InputError.of(
                "file-exists",
                f"{path} is there already",
                hint="another name; nothing is overwritten",
            )
        made = self.kinds[ending].text
        return None if made is None else made(path)

    def suggestion(self) -> str:
        """A name that is free."""
        ending = next(iter(self.kinds))
        names = (f"{self.stem}{'' if n == 1 else f'-{n}'}{ending}" for n in range(1, 100))
        return next((name for name in names if not Path(name).exists()), f"{self.stem}{ending}")


def write(path: Path, content: str) -> None:
    """A new file; InputError where one is there or it cannot be made."""
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(content)
    except OSError as error:
        raise InputError.of("cannot-write", f"{path}: {error.strerror}") from None


def _printed(
    whats: Mapping[str, str], text: Callable[[str], str], command: Callable[..., str]
) -> dict[str, Kind]:
    """What a command prints in each of its formats; `text` takes one, `command` more words."""

    def kind(what: str, named: str) -> Kind:
        return Kind(
            what=what,
            text=lambda _path: text(named),
            command=lambda path: command("--format", named, "-o", path),
        )

    return {ending: kind(what, FORMATS[ending]) for ending, what in whats.items()}


SEEN = {PICTURE: Kind(what="this screen as a picture")}


# --- Plan -------------------------------------------------------------------------------

ANSWER: Mapping[str, str] = {
    ".md": "the answer as Markdown, for a document",
    ".csv": "the options, for a spreadsheet",
    ".json": "everything, as planner.estimate/1",
    ".txt": "what the command line prints",
}


def of_answer(desk: Desk, answer: Answer, option: str) -> Offer:
    """An answer, and the plan of one of its options."""

    def text(named: str) -> str:
        from planner.report import answers

        return answers.ESTIMATE[named](answer.estimate)

    asked, same = answer.asked, desk.same
    plan = Kind(
        what="the plan of the option under the cursor: build it, submit it",
        text=lambda path: plan_text(desk, answer, option, path.parent),
        command=lambda path: twin.plan(asked, option, path, *same),
        of=f"option: {option}",
    )
    printed = _printed(ANSWER, text, partial(twin.estimate, asked, *same))
    return Offer(stem=stem_of(answer), kinds={**printed, **SEEN, PLAN: plan})


def plan_text(desk: Desk, answer: Answer, option: str, folder: Path) -> str:
    """The plan of an option, for a file in a folder; PlannerError where there can be none."""
    from planner.handoff import plan as plans

    return plans.raw(desk.plan(answer, option, folder)).decode()


def stem_of(answer: Answer) -> str:
    """What files of an answer are called: as its workload is."""
    job = answer.asked.job
    return job.workload.stem if job is not None and job.workload is not None else "estimate"


# --- Models -----------------------------------------------------------------------------

MODELS: Mapping[str, str] = {
    ".md": "these models as Markdown, for a document",
    ".csv": "these models, for a spreadsheet",
    ".json": "every lane of them with its evidence, as planner.support/1",
    ".txt": "what the command line prints",
}


def of_models(found: Sequence[Sequence[LaneAnswer]], command: Callable[..., str]) -> Offer:
    """What a filter has left; `command` prints it."""

    def text(named: str) -> str:
        from planner.report import facts

        return facts.MODELS[named](found)

    return Offer(stem="models", kinds={**_printed(MODELS, text, command), **SEEN})


# --- Budget -----------------------------------------------------------------------------

BUDGET: Mapping[str, str] = {
    ".html": "the whole file's budget as a page, at its own volume",
    ".csv": "the same, line by line, for a spreadsheet",
    ".json": "the same, as planner.budget/1",
}


def of_page(desk: Desk, source: Source, page: Page, stance: Stance) -> Offer:
    """The page as it is looked at; where a budget file is open, that budget too."""

    def shown(_path: Path) -> str:
        from planner.tui import meeting

        return meeting.markdown(page, stance)

    def text(named: str) -> str:
        from planner.report import budget

        return budget.BUDGET[named](source.budget(desk))

    kinds = {".md": Kind(what="this page as Markdown, for a document", text=shown)}
    if source.file is not None:
        kinds |= _printed(BUDGET, text, partial(source.command, desk))
    stem = "budget" if source.file is None else source.file.stem
    return Offer(stem=stem, kinds={**kinds, **SEEN})
