"""What an answer can be written as, and the file: its ending says which.

Whatever stands there already stays: a screen has no `--force`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from planner.errors import InputError
from planner.tui import twin

if TYPE_CHECKING:
    from collections.abc import Mapping

    from planner.tui.desk import Answer, Desk

PLAN, PICTURE = ".plan.yaml", ".svg"
TABLES: Mapping[str, str] = {".md": "md", ".csv": "csv", ".json": "json", ".txt": "table"}
"""Ending -> the renderer of that name."""

KINDS: Mapping[str, str] = {
    ".md": "the answer as Markdown, for a document",
    ".csv": "the options, for a spreadsheet",
    ".json": "everything, as planner.estimate/1",
    ".txt": "what the command line prints",
    PICTURE: "this screen as a picture",
    PLAN: "the plan of the option under the cursor: build it, submit it",
}


def kind(path: Path) -> str:
    """The ending that decides; InputError for one that means nothing, or a file that is there."""
    found = next((each for each in KINDS if path.name.endswith(each) and path.name != each), None)
    if found is None:
        raise InputError.of(
            "unknown-ending",
            f"nothing is written as {path.name!r}",
            hint=f"the ending says what: {' '.join(KINDS)}",
        )
    if path.exists():
        raise InputError.of(
            "file-exists", f"{path} is there already", hint="another name; nothing is overwritten"
        )
    return found


def text(desk: Desk, answer: Answer, option: str, path: Path) -> str:
    """What goes into the file; PlannerError where it cannot be made."""
    from planner.handoff import plan as plans
    from planner.report import answers

    ending = kind(path)
    if ending == PLAN:
        return plans.raw(desk.plan(answer, option, path.parent)).decode()
    return answers.ESTIMATE[TABLES[ending]](answer.estimate)


def command(answer: Answer, option: str, path: str, same: tuple[str, ...] = ()) -> str:
    """The command line that writes the same, with the flags that hold here; none for a picture."""
    ending = next((each for each in KINDS if path.endswith(each)), None)
    if ending is None or ending == PICTURE:
        return ""
    if ending == PLAN:
        return twin.plan(answer.asked, option, path, *same)
    return twin.estimate(answer.asked, *same, "--format", TABLES[ending], "-o", path)


def write(path: Path, content: str) -> None:
    """A new file; InputError where one is there or it cannot be made."""
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(content)
    except OSError as error:
        raise InputError.of("cannot-write", f"{path}: {error.strerror}") from None


def suggestion(answer: Answer) -> str:
    """A name that is free: the workload's, or the plan's."""
    job = answer.asked.job
    stem = job.workload.stem if job is not None and job.workload is not None else "estimate"
    names = (f"{stem}{'' if n == 1 else f'-{n}'}.md" for n in range(1, 100))
    return next((name for name in names if not Path(name).exists()), f"{stem}.md")
