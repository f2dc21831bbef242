"""A budget as one HTML page that opens from a mail: no script, no request, charts inside.

The template escapes whatever it prints; words of the file and of vendors are text there and
nothing else. A script would make the charts livelier and the page one that mail filters stop.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from planner.report import budget_charts as charts
from planner.report import budget_words as words

if TYPE_CHECKING:
    from planner.budgets import BudgetAnswer

TEMPLATE = "budget.html.jinja"


def page(answer: BudgetAnswer) -> str:
    """The whole page; the same answer gives the same bytes."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made = environment.get_template(TEMPLATE).render(
        answer=answer,
        total=answer.budget.total,
        money=words.money,
        period=words.period(answer),
        at_least=words.at_least(answer),
        interval=words.interval(answer.budget.total),
        highlights=tuple(words.highlights(answer)),
        guardrails=words.guardrail_line(answer.judged),
        sections={each.id: each for each in words.sections(answer)},
        kept=_kept,
        months=charts.months(answer),
        drivers=charts.drivers(answer),
        width=charts.WIDTH,
        assumptions=tuple(words.assumptions(answer)),
        tags=tuple(words.tags(answer)),
        sources=tuple(words.sources(answer)),
        footer=words.footer(answer),
    )
    return made + ("" if made.endswith("\n") else "\n")


def _kept(section: words.Section) -> list[int]:
    """The places of the columns that some row fills."""
    return [
        place for place in range(len(section.columns)) if any(row[place] for row in section.rows)
    ]
