"""The table of renderers of an estimate: format -> how it is written in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from planner.report import data, text
from planner.report.layout import Column, as_csv, as_json, markdown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from planner.pipeline import Estimate


OPTION_FIELDS = (
    "id provider model lane strategy verdict grade expected_usd low_usd high_usd ceiling_usd "
    "p50_s p95_s bound_s p_mean p_low p_high gates"
).split()


def _estimate_csv(answer: Estimate) -> str:
    columns = [Column(title=name) for name in OPTION_FIELDS]
    return as_csv(columns, (_flat(option) for option in data.estimate(answer)["options"]))


def _flat(option: dict[str, Any]) -> list[str]:
    cost, finish, p = option["cost"] or {}, option["finish"], option["p_deadline"] or {}
    values = [option[name] for name in OPTION_FIELDS[:7]]
    values += [cost.get(name) for name in ("expected", "low", "high", "ceiling")]
    values += [finish[name] for name in ("p50", "p95", "bound")]
    values += [p.get(name) for name in ("mean", "low", "high")]
    values.append(" ".join(gate["code"] for gate in option["gates"]))
    return ["" if value is None else str(value) for value in values]


def _estimate_markdown(answer: Estimate) -> str:
    lines: list[str] = []
    asked = answer.job.requirements.deadline is not None
    for model in answer.decision.models:
        cells = (
            text.option_cells(option, chosen=option.id == model.choice, asked=asked)
            for option in model.options
        )
        rests = text.assumed_length(answer, model)
        basis = "" if rests is None else f". **It {rests}.**"
        lines += [f"**{model.model}**: {model.why}{basis}", ""]
        lines += [*markdown(text.COLUMNS, cells), ""]
    lines += [f"- {sentence}" for sentence in (*answer.assumptions, *answer.warnings)]
    return "\n".join([*lines, "", f"Prices as of {answer.on}. {text.LEFT_OUT}"]) + "\n"


ESTIMATE: Mapping[str, Callable[[Estimate], str]] = {
    "table": text.estimate,
    "json": lambda answer: as_json(data.estimate(answer)),
    "csv": _estimate_csv,
    "md": _estimate_markdown,
}
