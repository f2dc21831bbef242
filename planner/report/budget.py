"""The table of renderers of a budget: format -> how it is written in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from planner.report import budget_data, budget_text, budget_words
from planner.report.budget_csv import focus
from planner.report.layout import as_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from planner.budgets import BudgetAnswer


def _page(answer: BudgetAnswer) -> str:
    from planner.report.budget_page import page  # no other format needs a template

    return page(answer)


def check(answer: BudgetAnswer) -> str:
    """One line for a build: every guardrail holds, or which does not and why."""
    return f"{budget_words.guardrail_line(answer.judged)}\n"


BUDGET: Mapping[str, Callable[[BudgetAnswer], str]] = {
    "table": budget_text.text,
    "json": lambda answer: as_json(budget_data.budget(answer)),
    "csv": focus,
    "md": budget_text.document,
    "comment": budget_text.comment,
    "html": _page,
}
