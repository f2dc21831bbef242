"""The table of renderers: format -> how an answer is written in it."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

from planner.report import data, text
from planner.report.layout import Column, markdown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from planner.pipeline import Estimate, LaneAnswer, PriceAnswer


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _csv(columns: Sequence[Column], rows: Iterable[Sequence[str]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([column.title for column in columns])
    writer.writerows(rows)
    return out.getvalue()


OPTION_FIELDS = (
    "id provider model lane strategy verdict grade expected_usd low_usd high_usd ceiling_usd "
    "p50_s p95_s bound_s p_mean p_low p_high gates"
).split()


def _estimate_csv(answer: Estimate) -> str:
    columns = [Column(title=name) for name in OPTION_FIELDS]
    return _csv(columns, (_flat(option) for option in data.estimate(answer)["options"]))


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
        lines += [f"**{model.model}**: {model.why}", "", *markdown(text.COLUMNS, cells), ""]
    lines += [f"- {sentence}" for sentence in (*answer.assumptions, *answer.warnings)]
    return "\n".join([*lines, "", f"Prices as of {answer.on}. {text.LEFT_OUT}"]) + "\n"


def _models_csv(answers: Sequence[Sequence[LaneAnswer]]) -> str:
    return _csv(text.MODEL_COLUMNS, (text.model_cells(each) for each in answers))


def _models_markdown(answers: Sequence[Sequence[LaneAnswer]]) -> str:
    cells = (text.model_cells(each) for each in answers)
    return "\n".join(markdown(text.MODEL_COLUMNS, cells)) + "\n"


def _models_json(answers: Sequence[Sequence[LaneAnswer]]) -> str:
    return _json([data.support(answer) for lanes in answers for answer in lanes])


ESTIMATE: Mapping[str, Callable[[Estimate], str]] = {
    "table": text.estimate,
    "json": lambda answer: _json(data.estimate(answer)),
    "csv": _estimate_csv,
    "md": _estimate_markdown,
}
CHECK: Mapping[str, Callable[[LaneAnswer], str]] = {
    "table": text.support,
    "json": lambda answer: _json(data.support(answer)),
}
PRICES: Mapping[str, Callable[[PriceAnswer], str]] = {
    "table": text.price,
    "json": lambda answer: _json(data.price(answer)),
}
MODELS: Mapping[str, Callable[[Sequence[Sequence[LaneAnswer]]], str]] = {
    "table": text.models,
    "json": _models_json,
    "csv": _models_csv,
    "md": _models_markdown,
}
