"""A budget as text for a terminal, as Markdown for a document, and as a comment on a change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from planner.report import budget_words as words
from planner.report.layout import markdown, printable, table, wrapped

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from planner.budgets import BudgetAnswer
    from planner.report.budget_words import Section


def text(answer: BudgetAnswer) -> str:
    """The whole answer for a terminal."""
    blocks = [
        "\n".join(_head(answer)),
        *("\n".join(_section(each)) for each in words.sections(answer)),
        "\n".join(_listed("Warnings", answer.warnings)),
        "\n".join(_listed("Assumed", words.assumptions(answer))),
        "\n".join(_listed("Tags", words.tags(answer))),
        "\n".join(_sources(answer)),
        wrapped(words.footer(answer)),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _head(answer: BudgetAnswer) -> Iterator[str]:
    yield printable(f"{answer.title}: {words.period(answer)} ({answer.file})")
    yield wrapped(words.headline(answer), first="=> ")
    yield from (wrapped(each, first="   ") for each in words.highlights(answer))


def _section(section: Section) -> Iterator[str]:
    yield printable(f"{section.title}:")
    yield from (f"  {line}" for line in table(section.columns, section.rows))
    yield from (wrapped(note, first="  ") for note in section.notes)


def _listed(title: str, sentences: Iterable[str]) -> Iterator[str]:
    found = tuple(sentences)
    if found:
        yield f"{title}:"
        yield from (wrapped(each, first="  - ") for each in found)


def _sources(answer: BudgetAnswer) -> Iterator[str]:
    yield "Sources:"
    yield from (f"  {name}, read {read}: {url}" for name, read, url in words.sources(answer))


# --- Markdown ---------------------------------------------------------------------------


def document(answer: BudgetAnswer) -> str:
    """The whole answer as Markdown."""
    lines = [f"# {_plain(answer.title)}", "", words.period(answer), ""]
    lines += [f"**{words.headline(answer)}**", ""]
    lines += [*_bullets(words.highlights(answer)), ""]
    for section in words.sections(answer):
        lines += [f"## {_plain(section.title)}", "", *_table(section), ""]
        lines += [line for note in section.notes for line in (note, "")]
    for title, sentences in (
        ("Warnings", answer.warnings),
        ("Assumed", tuple(words.assumptions(answer))),
        ("Tags", tuple(words.tags(answer))),
    ):
        if sentences:
            lines += [f"## {title}", "", *_bullets(sentences), ""]
    lines += ["## Sources", ""]
    lines += [f"- {name}, read {read}: <{url}>" for name, read, url in words.sources(answer)]
    return "\n".join([*lines, "", words.footer(answer)]) + "\n"


COMMENTED = ("jobs", "baseline", "guardrails")
"""What a reviewer needs at once; the rest folds."""

MARKER = "<!-- planner budget -->"
"""Lets a script find its earlier comment and write over it."""


def comment(answer: BudgetAnswer) -> str:
    """The answer as a comment on a change: what it does to the budget first, the rest folded."""
    every = words.sections(answer)
    mark = "x" if answer.judged.breaches else "+"
    lines = [MARKER, f"### {mark} {_plain(answer.title)}: {words.headline(answer)}", ""]
    lines += [f"{words.period(answer)}. {words.guardrail_line(answer.judged)}", ""]
    for section in (each for each in every if each.id in COMMENTED):
        lines += [f"**{_plain(section.title)}**", "", *_table(section), ""]
    lines += ["<details><summary>Months, drivers and what it rests on</summary>", ""]
    for section in (each for each in every if each.id not in COMMENTED):
        lines += [f"**{_plain(section.title)}**", "", *_table(section), ""]
    lines += [*_bullets((*answer.warnings, *words.assumptions(answer))), "", "</details>", ""]
    return "\n".join([*lines, words.footer(answer)]) + "\n"


def _table(section: Section) -> list[str]:
    """A table without the columns that no row fills."""
    rows = [tuple(_plain(cell) for cell in row) for row in section.rows]
    kept = [place for place in range(len(section.columns)) if any(row[place] for row in rows)]
    return markdown(
        [section.columns[place] for place in kept],
        [tuple(row[place] for place in kept) for row in rows],
    )


def _bullets(sentences: Iterable[str]) -> list[str]:
    return [f"- {_plain(each)}" for each in sentences]


def _plain(text: str) -> str:
    """Words of the file as words: no markup of their own in somebody's document."""
    return "".join(f"\\{each}" if each in "\\`*_[]<>#" else each for each in printable(text))
